/* What every file of hourbell may know: text by value, what a call came to, and the marks of the
 * compiler. Knows nothing of devices. A function that can fail returns `enum rc` and is MUST; words
 * for people go into the call (core/model.h), never into a return value. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Text or bytes by value; not terminated by NUL. len 0: empty (s may be NULL). Lives as long as the
 * arena or literal that it points into. */
struct str {
    const char *s;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NONE ((struct str){NULL, 0})
#define STR_FMT "%.*s"
#define STR_ARG(x) (int)(x).len, (x).s ? (x).s : ""

/* What a call came to; says what the caller does next. */
enum rc {
    RC_OK,        /* done */
    RC_INVALID,   /* bad input: call->problem is set; return it */
    RC_NOT_FOUND, /* unknown, or belongs to somebody else */
    RC_CONFLICT,  /* the device is not at expect_version: read and decide again, <= 5 times */
    RC_REPEATED,  /* the idempotency key is taken: answer the stored reply */
    RC_NOT_DUE,   /* may not start now, or another has the lease: leave it, a wake-up comes */
    RC_BUSY,      /* overload, disk full: nothing changed; the client repeats */
    RC_BROKEN,    /* outcome unknown or our own fault: raise */
};

#define MUST __attribute__((warn_unused_result))
#define PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#define CLEANUP(close_fn) __attribute__((cleanup(close_fn)))
#define UNUSED __attribute__((unused))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The one control-flow macro: hand anything but RC_OK to the caller. */
#define TRY(expression)                                                                            \
    do {                                                                                           \
        enum rc try_rc = (expression);                                                             \
        if (try_rc != RC_OK) {                                                                     \
            return try_rc;                                                                         \
        }                                                                                          \
    } while (0)

static inline struct str str_of(const char *terminated)
{
    return (struct str){terminated, terminated ? strlen(terminated) : 0};
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.s, b.s, a.len) == 0);
}

static inline bool str_is(struct str a, const char *terminated)
{
    return str_equal(a, str_of(terminated));
}

static inline bool str_starts(struct str a, struct str prefix)
{
    return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.s, prefix.s, prefix.len) == 0);
}

/* The rest of a from at on; at <= a.len. */
static inline struct str str_from(struct str a, size_t at)
{
    assert(at <= a.len);
    return (struct str){at ? a.s + at : a.s, a.len - at}; /* NULL + 0 is undefined in C */
}

/* The first len bytes of a; len <= a.len. */
static inline struct str str_head(struct str a, size_t len)
{
    assert(len <= a.len);
    return (struct str){a.s, len};
}

/* Order of bytes, as SQLite's BINARY and DynamoDB's string order. */
static inline int str_compare(struct str a, struct str b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.s, b.s, shorter) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static inline int64_t min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
