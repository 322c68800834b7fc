/* The problem table, and how a call says what is wrong. Words may quote what came from outside, so
 * they are made well-formed UTF-8 here, once, for every log line and answer that will hold them. */
#include "core/model.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

/* --- problems ------------------------------------------------------------------------------------ */
static const struct problem_info problems[PROBLEM_COUNT] = {
#define X(problem_code, problem_status, problem_title, problem_exit)                               \
    [PROBLEM_##problem_code] = {#problem_code, problem_title, problem_status, problem_exit},
    PROBLEMS(X)
#undef X
};

const struct problem_info *problem_info(enum problem problem)
{
    assert(problem > PROBLEM_NONE && problem < PROBLEM_COUNT);
    return &problems[problem];
}

enum problem problem_of(struct str code)
{
    for (int i = PROBLEM_NONE + 1; i < PROBLEM_COUNT; i++) {
        if (str_is(code, problems[i].code)) {
            return (enum problem)i;
        }
    }
    return PROBLEM_NONE;
}

/* --- words ------------------------------------------------------------------------------------------ */
#define WORDS_MAX_BYTES sizeof(((struct call *)NULL)->why)

/* Make words well-formed. was_cut: the cap may have cut its last character in two, which then goes;
 * where a byte is bad otherwise, all beyond ASCII becomes '?'. */
static void mend(char *words, bool was_cut)
{
    size_t length = strlen(words);
    for (size_t cut = 0; cut < (was_cut ? 4 : 1) && cut <= length; cut++) {
        if (text_is_utf8((struct str){words, length - cut})) {
            words[length - cut] = '\0';
            return;
        }
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)words[i] >= 0x80) {
            words[i] = '?';
        }
    }
}

static void words_write(char *ret_words, const char *format, va_list args) PRINTF(2, 0);
static void words_write(char *ret_words, const char *format, va_list args)
{
    char words[WORDS_MAX_BYTES]; /* first beside it: the arguments may hold what it replaces */
    int length = vsnprintf(words, sizeof words, format, args);
    mend(words, length >= (int)sizeof words);
    memcpy(ret_words, words, strlen(words) + 1);
}

static void add_item(struct call *call, struct str pointer, enum problem problem,
                     const char *detail)
{
    if (call->item_count < PROBLEMS_MAX) {
        call->items[call->item_count++] = (struct problem_item){
            arena_copy(call->arena, pointer), problem, arena_copy(call->arena, str_of(detail))};
    }
}

void call_refuse_words(struct call *call, enum problem problem, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    words_write(call->why, format, args);
    va_end(args);
    call->problem = problem;
}

void call_refuse_at_words(struct call *call, struct str pointer, enum problem problem,
                          const char *format, ...)
{
    va_list args;
    va_start(args, format);
    words_write(call->why, format, args);
    va_end(args);
    call->problem = problem;
    add_item(call, pointer, problem, call->why);
}

void call_name(struct call *call, struct str pointer, enum problem problem, const char *format, ...)
{
    char words[WORDS_MAX_BYTES];
    va_list args;
    va_start(args, format);
    words_write(words, format, args);
    va_end(args);
    if (call->problem == PROBLEM_NONE) {
        call->problem = problem;
        memcpy(call->why, words, sizeof words);
    }
    add_item(call, pointer, problem, words);
}

void call_forget(struct call *call)
{
    call->problem = PROBLEM_NONE;
    call->item_count = 0;
    call->current = NULL;
    call->why[0] = '\0';
}

void call_why_words(struct call *call, const char *format, ...)
{
    char before[WORDS_MAX_BYTES], prefix[WORDS_MAX_BYTES], both[2 * WORDS_MAX_BYTES + 2];
    va_list args;
    memcpy(before, call->why, sizeof before);
    va_start(args, format);
    words_write(prefix, format, args);
    va_end(args);
    (void)snprintf(both, sizeof both, "%s%s%s", prefix, before[0] ? ": " : "", before);
    int length = snprintf(call->why, sizeof call->why, "%s", both);
    mend(call->why, length >= (int)sizeof call->why);
}

/* --- wake-ups ----------------------------------------------------------------------------------------- */
void call_wake(struct call *call, struct str key, int64_t at_ms)
{
    for (int i = 0; i < call->wake_count; i++) {
        if (str_equal(call->wakes[i].key, key)) {
            call->wakes[i].at_ms = min_i64(call->wakes[i].at_ms, at_ms);
            return;
        }
    }
    if (call->wake_count < WAKES_MAX) {
        call->wakes[call->wake_count++] =
            (struct wake){.key = arena_copy(call->arena, key), .at_ms = at_ms};
    }
}
