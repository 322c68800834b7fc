/* The libraries' own limits are generous: (((a{255}){255}){255}) takes all the memory there is. So the size of what a pattern
 * stands for is reckoned before it is compiled, and what only some libraries know (\w, \1, back references) is refused. */
#include "adapters/sap_pattern.h"

#include "base/text.h"

#define GROUPS_MAX 16

/* The size of what stands before a place in the pattern. */
struct size {
    int64_t sum[GROUPS_MAX + 1]; /* of each open group, the innermost last */
    int64_t last;                /* of the last piece, which a count may follow */
    int depth;
};

/* The end of [...]: a ] in front is one of its characters, [:alpha:] and its like are skipped. */
static size_t behind_class(struct str pattern, size_t at)
{
    size_t i = at + 1;
    i += i < pattern.len && pattern.s[i] == '^';
    i += i < pattern.len && pattern.s[i] == ']';
    while (i < pattern.len && pattern.s[i] != ']') {
        bool named = pattern.s[i] == '[' && i + 1 < pattern.len && pattern.s[i + 1] == ':';
        const char *end = named ? memmem(pattern.s + i, pattern.len - i, ":]", 2) : NULL;
        i = end ? (size_t)(end - pattern.s) + 2 : i + 1;
    }
    return i < pattern.len ? i + 1 : pattern.len;
}

/* {2}, {2,}, {2,5}: the larger number. out: -1 = it is no count */
static int64_t count_at(struct str pattern, size_t at, size_t *ret_behind)
{
    struct str rest = str_from(pattern, at + 1), low = text_cut(&rest, '}');
    struct str high = low;
    int64_t from, to;
    low = text_cut(&high, ',');
    *ret_behind = pattern.len - rest.len;
    if (text_to_i64(low, &from) != RC_OK) {
        return -1;
    }
    return high.len && text_to_i64(high, &to) == RC_OK ? max_i64(from, to) : from;
}

static void add(struct size *size, int64_t piece)
{
    size->sum[size->depth] = min_i64(size->sum[size->depth] + piece, SAP_PATTERN_MAX_SIZE + 1);
    size->last = min_i64(piece, SAP_PATTERN_MAX_SIZE + 1);
}

static const char *close_group(struct size *size)
{
    if (size->depth == 0) {
        return "has a ) without its (";
    }
    int64_t inside = size->sum[size->depth--];
    add(size, max_i64(inside, 1));
    return NULL;
}

/* What is at a place that is more than one plain character. out: the reason against it; ret_behind */
static const char *piece(struct str pattern, size_t at, struct size *size, size_t *ret_behind)
{
    int64_t count;
    switch (pattern.s[at]) {
    case '\\':
        if (at + 1 == pattern.len || !strchr(".[]{}()*+?|^$\\-/", pattern.s[at + 1])) {
            return "has an escape that is none of punctuation";
        }
        *ret_behind = at + 2;
        add(size, 1);
        return NULL;
    case '[':
        *ret_behind = behind_class(pattern, at);
        add(size, 1);
        return NULL;
    case '(':
        if (size->depth == GROUPS_MAX) {
            return "has too many groups in groups";
        }
        size->sum[++size->depth] = 0;
        return NULL;
    case ')':
        return close_group(size);
    case '{':
        count = count_at(pattern, at, ret_behind);
        if (count < 0) {
            return "has a { that is no count";
        }
        count = min_i64(count, SAP_PATTERN_MAX_SIZE + 1) * size->last;
        add(size, count); /* what it follows is there once already: reckoned a little too large */
        return NULL;
    case '*':
    case '+':
    case '?':
        count = size->last;
        add(size, 1);
        size->last = count; /* what it follows, for a count behind it */
        return NULL;
    default:
        add(size, 1);
        return NULL;
    }
}

static const char *fault_of(struct str pattern)
{
    struct size size = {0};
    if (!pattern.len || pattern.len > SAP_PATTERN_MAX_BYTES) {
        return "has more than 256 characters, or none";
    }
    for (size_t at = 0, behind; at < pattern.len; at = behind) {
        behind = at + 1;
        if ((unsigned char)pattern.s[at] < ' ' || (unsigned char)pattern.s[at] > '~') {
            return "has a character that is not ASCII";
        }
        const char *fault = piece(pattern, at, &size, &behind);
        if (fault) {
            return fault;
        }
    }
    return size.depth                           ? "has a ( without its )"
           : size.sum[0] > SAP_PATTERN_MAX_SIZE ? "stands for too much with all its counts"
                                                : NULL;
}

const char *sap_pattern_compile(struct arena *arena, struct str pattern, regex_t **ret_regex)
{
    const char *fault = fault_of(pattern);
    if (fault) {
        return fault;
    }
    regex_t *regex = arena_new(arena, regex_t);
    struct str whole = arena_printf(arena, "^(" STR_FMT ")$", STR_ARG(pattern));
    if (regcomp(regex, whole.s, REG_EXTENDED | REG_NOSUB) != 0) {
        return "is no extended regular expression of POSIX";
    }
    *ret_regex = regex;
    return NULL;
}
