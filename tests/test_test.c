/* The harness itself: a test that cannot fail proves nothing, so each way to fail is planted once. The planted tests
 * exist only in the process that the test below starts. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif

extern char **environ;

static void fine(void)
{
    puts("nobody wants to read this");
    FILE *file = fopen("in-its-own-folder", "wx");
    CHECK(file);
    CHECK_INT(fclose(file), 0);
    CHECK_INT(-1, -1);
    CHECK_STR(STR("text"), "text");
    CHECK_HAS(STR("text"), "ex");
    CHECK_HAS_NOT(STR("text"), "et");
    CHECK_RC(RC_BUSY, RC_BUSY);
}

static void fine_again(void)
{
    fine(); /* were the folder shared, the file would exist */
}

static void leaves_a_process_behind(void)
{
    if (fork() == 0) {
        pause();
    }
}

static void wrong_condition(void)
{
    CHECK(1 == 2);
}

static void wrong_number(void)
{
    CHECK_INT(41, 42);
}

static void wrong_text(void)
{
    CHECK_STR(STR("a\n"), "a\t");
}

static void lacking_part(void)
{
    CHECK_HAS(STR("text"), "et");
}

static void unwanted_part(void)
{
    CHECK_HAS_NOT(STR("text"), "ex");
}

static void wrong_rc(void)
{
    CHECK_RC(RC_BUSY, RC_OK);
}

static void broken_assertion(void)
{
    assert(getppid() == 0);
}

static void killed(void)
{
    raise(SIGKILL);
}

static void silent_exit(void)
{
    exit(3);
}

static void endless(void)
{
    pause();
}

#ifdef SANITIZED
static void leak(void)
{
    void *volatile block = malloc(10);
    block = NULL;
    (void)block;
}

static void overflow(void)
{
    volatile int number = INT32_MAX;
    number++;
}
#endif

static struct test planted[] = {
    {.name = "fine", .run = fine},
    {.name = "fine_again", .run = fine_again},
    {.name = "leaves_a_process_behind", .run = leaves_a_process_behind},
    {.name = "wrong_condition", .run = wrong_condition},
    {.name = "wrong_number", .run = wrong_number},
    {.name = "wrong_text", .run = wrong_text},
    {.name = "lacking_part", .run = lacking_part},
    {.name = "unwanted_part", .run = unwanted_part},
    {.name = "wrong_rc", .run = wrong_rc},
    {.name = "broken_assertion", .run = broken_assertion},
    {.name = "killed", .run = killed},
    {.name = "silent_exit", .run = silent_exit},
    {.name = "endless", .run = endless, .limit_s = 1},
#ifdef SANITIZED
    {.name = "leak", .run = leak},
    {.name = "overflow", .run = overflow},
#endif
};

#define PLANTED_FINE 3

__attribute__((constructor)) static void plant(void)
{
    for (size_t i = 0; getenv("TEST_PLANTED") && i < COUNT_OF(planted); i++) {
        planted[i].file = "planted";
        planted[i].limit_s = planted[i].limit_s ? planted[i].limit_s : 60;
        test_register(&planted[i]);
    }
}

static struct str run_planted(char *output, size_t size, int *ret_status)
{
    char *arguments[] = {"tests", "planted/", NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "output", O_CREAT | O_WRONLY, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    setenv("TEST_PLANTED", "1", 1);
    setenv("TMPDIR", ".", 1); /* what failing tests leave vanishes with our own folder */
    CHECK_INT(posix_spawn(&pid, test_built_path("tests"), &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    CHECK_INT(waitpid(pid, ret_status, 0), pid);
    FILE *file = fopen("output", "r");
    CHECK(file);
    size_t len = fread(output, 1, size, file);
    fclose(file);
    return (struct str){output, len};
}

TEST(every_way_to_fail_is_reported_as_a_failure)
{
    static char bytes[128 * 1024];
    char last[64], line[128];
    int status = 0;
    struct str output = run_planted(bytes, sizeof bytes, &status);
    for (size_t i = 0; i < COUNT_OF(planted); i++) {
        snprintf(line, sizeof line, "FAILED  planted/%s (", planted[i].name);
        if (i < PLANTED_FINE) {
            CHECK_HAS_NOT(output, line);
        } else {
            CHECK_HAS(output, line);
        }
    }
    CHECK_HAS(output, "is false: 1 == 2");
    CHECK_HAS(output, "is       41\n  expected 42");
    CHECK_HAS(output, "is       RC_BUSY\n  expected RC_OK");
    CHECK_HAS(output, "did not end within 1 s");
    CHECK_HAS_NOT(output, "nobody wants to read this");
    snprintf(last, sizeof last, "%d passed, %d failed\n", PLANTED_FINE,
             (int)COUNT_OF(planted) - PLANTED_FINE);
    CHECK_HAS(output, last);
    CHECK_INT(WEXITSTATUS(status), 1);
}
