/* The test harness. A test is a sentence, written once:
 *
 *     TEST(update_twice_within_the_hour_is_sent_once)
 *     {
 *         CHECK_RC(api_handle(&world, &call, &request, &response), RC_OK);
 *         CHECK_INT(response.status, 202);
 *     }
 *
 * Each test runs in a forked child, in an empty folder of its own, with a limit of 60 s; a failed check prints the
 * place and both values and ends the child. A leak, a sanitizer's report, a signal, a child that outlives the limit
 * are failures too. Tests run in parallel: no fixed ports, nothing outside the own folder. No test sleeps.
 *
 *     build/dev/tests              all but the slow ones
 *     build/dev/tests window/ P2   those whose name, file/sentence, holds one of these
 *     build/dev/tests --list | --long | -v | -j4 | --keep | --patience 5 (limits times 5) */
#ifndef TEST_H
#define TEST_H

#include "base/base.h"

struct test {
    const char *file, *name;
    int line, limit_s;
    bool slow; /* runs only with --long */
    void (*run)(void);
    struct test *next;
};

void test_register(struct test *);
/* The test that this process runs, for tests that share one function. */
extern const struct test *test_running;
/* --patience: by how much everything may be slower here. For spans that a test gives to what it tests. */
extern int test_patience;

#define TEST(name) TEST_AS(name, false, 60)
#define TEST_SLOW(name) TEST_AS(name, true, 600)

#define TEST_AS(sentence, is_slow, seconds)                                                        \
    static void test_run_##sentence(void);                                                         \
    __attribute__((constructor)) static void test_register_##sentence(void)                        \
    {                                                                                              \
        static struct test self = {.file = __FILE__,                                               \
                                   .name = #sentence,                                              \
                                   .line = __LINE__,                                               \
                                   .limit_s = (seconds),                                           \
                                   .slow = (is_slow),                                              \
                                   .run = test_run_##sentence};                                    \
        test_register(&self);                                                                      \
    }                                                                                              \
    static void test_run_##sentence(void)

/* Checks. Each evaluates its arguments once. */
#define CHECK(condition)                                                                           \
    ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, "is false: %s", #condition))
#define CHECK_INT(actual, expected)                                                                \
    test_check_int(TEST_HERE(#actual), (int64_t)(actual), (int64_t)(expected))
#define CHECK_STR(actual, expected) /* struct str, const char * */                                 \
    test_check_bytes(TEST_HERE(#actual), (actual), str_of(expected))
#define CHECK_BYTES(actual, expected) /* struct str, struct str */                                 \
    test_check_bytes(TEST_HERE(#actual), (actual), (expected))
#define CHECK_HAS(actual, part) /* struct str, const char *: the part is somewhere in it */        \
    test_check_has(TEST_HERE(#actual), (actual), (part), true)
#define CHECK_HAS_NOT(actual, part) test_check_has(TEST_HERE(#actual), (actual), (part), false)
#define CHECK_RC(expression, expected)                                                             \
    test_check_rc(TEST_HERE(#expression), (expression), (expected))
#define FAIL(...) test_fail(__FILE__, __LINE__, __VA_ARGS__)

/* Where things are, as absolute paths that live as long as the process. */
const char *test_source_path(const char *relative); /* in the repository: "docs/openapi.yaml" */
const char *test_built_path(const char *relative);  /* beside this program: "hourbell" */

/* The machinery of the macros. */
struct test_here {
    const char *file, *text;
    int line;
};
#define TEST_HERE(source_text) ((struct test_here){__FILE__, (source_text), __LINE__})

_Noreturn void test_fail(const char *file, int line, const char *format, ...) PRINTF(3, 4);
void test_check_int(struct test_here, int64_t actual, int64_t expected);
void test_check_bytes(struct test_here, struct str actual, struct str expected);
void test_check_has(struct test_here, struct str actual, const char *part, bool wanted);
void test_check_rc(struct test_here, enum rc actual, enum rc expected);

#endif
