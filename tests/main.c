/* Runs the tests that registered themselves: each in a forked child with a folder of its own, some at a time.
 * A child's output goes into a file and is shown only if it fails. The last line is `N passed, N failed`. */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define JOBS_MAX 64
#define SHOWN_MAX_BYTES (64 * 1024) /* of a failed test's output, from its end */

const struct test *test_running;
int test_patience = 1; /* limits are this many times as long */

static struct test *tests;
static size_t test_count;

struct options {
    char *const *filters; /* names must hold one of these */
    int filter_count;
    int job_count;
    bool slow, list, verbose, keep;
};

struct job {
    const struct test *test; /* NULL: free */
    pid_t pid;
    int64_t started_at_ms;
    bool timed_out;
    char folder[PATH_MAX];
    FILE *output;
};

/* ---- what tests call ------------------------------------------------------------------------ */

void test_register(struct test *test)
{
    test->next = tests;
    tests = test;
    test_count++;
}

void test_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _exit(1); /* no leak report: a test that stopped half-way leaks */
}

void test_check_int(struct test_here here, int64_t actual, int64_t expected)
{
    if (actual != expected) {
        test_fail(here.file, here.line, "%s\n  is       %lld\n  expected %lld", here.text,
                  (long long)actual, (long long)expected);
    }
}

static void print_bytes(const char *label, struct str bytes)
{
    fprintf(stderr, "  %s (%zu) \"", label, bytes.len);
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.s[i];
        if (c == '\n') {
            fputs("\\n", stderr);
        } else if (c < ' ' || c == 0x7f) {
            fprintf(stderr, "\\x%02x", c);
        } else {
            fputc(c, stderr);
        }
    }
    fputs("\"\n", stderr);
}

void test_check_bytes(struct test_here here, struct str actual, struct str expected)
{
    if (!str_equal(actual, expected)) {
        size_t same = 0;
        while (same < actual.len && same < expected.len && actual.s[same] == expected.s[same]) {
            same++;
        }
        print_bytes("is      ", actual);
        print_bytes("expected", expected);
        test_fail(here.file, here.line, "%s differs from byte %zu on", here.text, same);
    }
}

void test_check_has(struct test_here here, struct str actual, const char *part, bool wanted)
{
    bool found = part[0] == '\0' || memmem(actual.s, actual.len, part, strlen(part)) != NULL;
    if (found != wanted) {
        print_bytes("is      ", actual);
        test_fail(here.file, here.line, "%s %s: %s", here.text, wanted ? "lacks" : "has", part);
    }
}

static const char *rc_name(enum rc rc)
{
    switch (rc) {
    case RC_OK:
        return "RC_OK";
    case RC_INVALID:
        return "RC_INVALID";
    case RC_NOT_FOUND:
        return "RC_NOT_FOUND";
    case RC_CONFLICT:
        return "RC_CONFLICT";
    case RC_REPEATED:
        return "RC_REPEATED";
    case RC_NOT_DUE:
        return "RC_NOT_DUE";
    case RC_BUSY:
        return "RC_BUSY";
    case RC_BROKEN:
        return "RC_BROKEN";
    }
    return "no rc at all";
}

void test_check_rc(struct test_here here, enum rc actual, enum rc expected)
{
    if (actual != expected) {
        test_fail(here.file, here.line, "%s\n  is       %s\n  expected %s", here.text,
                  rc_name(actual), rc_name(expected));
    }
}

static const char *path_join(const char *folder, const char *relative)
{
    static char kept[256][PATH_MAX];
    static size_t kept_count;
    assert(kept_count < COUNT_OF(kept));
    int len = snprintf(kept[kept_count], sizeof kept[0], "%s/%s", folder, relative);
    assert(len > 0 && (size_t)len < sizeof kept[0]);
    return kept[kept_count++];
}

static char built_folder[PATH_MAX], source_folder[PATH_MAX];

const char *test_built_path(const char *relative)
{
    return path_join(built_folder, relative);
}

const char *test_source_path(const char *relative)
{
    return path_join(source_folder, relative);
}

/* This program is <repository>/build/<mode>/tests. */
static void find_folders(void)
{
    char program[PATH_MAX], up[PATH_MAX + sizeof "/../.."];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    assert(len > 0);
    program[len] = '\0';
    *strrchr(program, '/') = '\0';
    snprintf(built_folder, sizeof built_folder, "%s", program);
    snprintf(up, sizeof up, "%s/../..", program);
    if (!realpath(up, source_folder)) {
        perror(up);
        exit(1);
    }
}

/* ---- one test ------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *module_of(const struct test *test) /* tests/test_window.c: window */
{
    static char module[128];
    const char *base = strrchr(test->file, '/');
    base = base ? base + 1 : test->file;
    if (strncmp(base, "test_", 5) == 0) {
        base += 5;
    }
    snprintf(module, sizeof module, "%.*s", (int)strcspn(base, "."), base);
    return module;
}

static void run_child(const struct job *job, const sigset_t *signals_before)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the runner be killed */
    sigprocmask(SIG_SETMASK, signals_before, NULL);
    dup2(fileno(job->output), STDOUT_FILENO);
    dup2(fileno(job->output), STDERR_FILENO);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(nothing, STDIN_FILENO);
    if (chdir(job->folder) != 0) {
        perror(job->folder);
        _exit(1);
    }
    test_running = job->test;
    job->test->run();
    exit(0); /* not _exit: the leak check runs at exit */
}

static void start(struct job *job, const struct test *test, const sigset_t *signals_before)
{
    const char *tmp = getenv("TMPDIR");
    *job = (struct job){.test = test, .started_at_ms = now_ms()};
    snprintf(job->folder, sizeof job->folder, "%s/hourbell-test-XXXXXX", tmp ? tmp : "/tmp");
    job->output = tmpfile();
    if (!job->output || !mkdtemp(job->folder)) {
        perror(job->folder);
        exit(1);
    }
    fflush(stdout);
    fflush(stderr);
    job->pid = fork();
    if (job->pid == 0) {
        run_child(job, signals_before);
    }
    if (job->pid < 0) {
        perror("fork");
        exit(1);
    }
    setpgid(job->pid, job->pid); /* both sides do it: whoever comes first */
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static void show_output(FILE *output)
{
    char chunk[4096];
    size_t len;
    fseek(output, 0, SEEK_END);
    long size = ftell(output);
    long from = size > SHOWN_MAX_BYTES ? size - SHOWN_MAX_BYTES : 0;
    if (from > 0) {
        printf("    (the first %ld bytes are left out)\n", from);
    }
    fseek(output, from, SEEK_SET);
    while ((len = fread(chunk, 1, sizeof chunk, output)) > 0) {
        fwrite(chunk, 1, len, stdout);
    }
}

/* Says what became of it and cleans up; true if it passed. */
static bool finish(struct job *job, int status, const struct options *options)
{
    const struct test *test = job->test;
    long long took_ms = (long long)(now_ms() - job->started_at_ms);
    bool passed = !job->timed_out && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    kill(-job->pid, SIGKILL); /* what it started and left behind */
    if (passed) {
        if (options->verbose) {
            printf("ok      %s/%s (%lld ms)\n", module_of(test), test->name, took_ms);
        }
    } else {
        printf("FAILED  %s/%s (%lld ms)\n", module_of(test), test->name, took_ms);
        show_output(job->output);
        if (job->timed_out) {
            printf("%s:%d: did not end within %d s\n", test->file, test->line,
                   test->limit_s * test_patience);
        } else if (WIFSIGNALED(status)) {
            printf("%s:%d: ended by signal %d (%s)\n", test->file, test->line, WTERMSIG(status),
                   strsignal(WTERMSIG(status)));
        } else {
            printf("%s:%d: exit status %d\n", test->file, test->line, WEXITSTATUS(status));
        }
    }
    fflush(stdout);
    fclose(job->output);
    if (!options->keep && passed) {
        nftw(job->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    } else {
        printf("        its folder: %s\n", job->folder);
    }
    job->test = NULL;
    return passed;
}

/* ---- all of them ---------------------------------------------------------------------------- */

static bool is_wanted(const struct test *test, const struct options *options)
{
    char name[512];
    snprintf(name, sizeof name, "%s/%s", module_of(test), test->name);
    if (test->slow && !options->slow) {
        return false;
    }
    for (int i = 0; i < options->filter_count; i++) {
        if (strstr(name, options->filters[i])) {
            return true;
        }
    }
    return options->filter_count == 0;
}

/* Kills what has run too long; returns how long the rest may still take. */
static int64_t enforce_limits(struct job *jobs, const struct options *options)
{
    int64_t now = now_ms(), next_ms = 60 * 1000;
    for (int i = 0; i < options->job_count; i++) {
        struct job *job = &jobs[i];
        if (job->test && !job->timed_out) {
            int64_t limit_ms = (int64_t)job->test->limit_s * test_patience * 1000;
            int64_t left_ms = job->started_at_ms + limit_ms - now;
            if (left_ms <= 0) {
                job->timed_out = true;
                kill(-job->pid, SIGKILL);
            } else {
                next_ms = min_i64(next_ms, left_ms);
            }
        }
    }
    return next_ms;
}

/* Tests have process groups of their own, so a Ctrl-C does not reach them: nothing may outlive us. */
_Noreturn static void give_up(const struct job *jobs, int job_count, int signal)
{
    for (int i = 0; i < job_count; i++) {
        if (jobs[i].test) {
            kill(-jobs[i].pid, SIGKILL);
        }
    }
    _exit(128 + signal);
}

static void wait_for_any(struct job *jobs, const struct options *options, const sigset_t *signals,
                         int *passed, int *failed)
{
    int64_t wait_ms = enforce_limits(jobs, options);
    struct timespec limit = {wait_ms / 1000, (long)(wait_ms % 1000) * 1000000};
    int signal = sigtimedwait(signals, NULL, &limit);
    if (signal == SIGINT || signal == SIGTERM || signal == SIGHUP) {
        give_up(jobs, options->job_count, signal);
    }
    enforce_limits(jobs, options);
    for (int i = 0; i < options->job_count; i++) {
        int status = 0;
        if (jobs[i].test && waitpid(jobs[i].pid, &status, WNOHANG) == jobs[i].pid) {
            *(finish(&jobs[i], status, options) ? passed : failed) += 1;
        }
    }
}

static int run_all(const struct test **wanted, size_t wanted_count, const struct options *options)
{
    static struct job jobs[JOBS_MAX];
    sigset_t signals, before;
    int passed = 0, failed = 0;
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, &before);
    for (size_t next = 0; next < wanted_count || passed + failed < (int)wanted_count;) {
        bool started = false;
        for (int i = 0; i < options->job_count && next < wanted_count; i++) {
            if (!jobs[i].test) {
                start(&jobs[i], wanted[next++], &before);
                started = true;
            }
        }
        if (!started || next == wanted_count) {
            wait_for_any(jobs, options, &signals, &passed, &failed);
        }
    }
    printf("%d passed, %d failed\n", passed, failed);
    if (wanted_count == 0) {
        fputs("no test ran\n", stderr);
    }
    return failed == 0 && wanted_count > 0 ? 0 : 1;
}

static int by_place(const void *a, const void *b)
{
    const struct test *left = *(const struct test *const *)a,
                      *right = *(const struct test *const *)b;
    int order = strcmp(left->file, right->file);
    return order ? order : left->line - right->line;
}

static struct options options_of(int argc, char **argv)
{
    static const struct option names[] = {{"list", no_argument, NULL, 'l'},
                                          {"long", no_argument, NULL, 's'},
                                          {"keep", no_argument, NULL, 'k'},
                                          {"verbose", no_argument, NULL, 'v'},
                                          {"jobs", required_argument, NULL, 'j'},
                                          {"patience", required_argument, NULL, 'p'},
                                          {0}};
    struct options options = {.job_count = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    for (int option; (option = getopt_long(argc, argv, "vj:", names, NULL)) != -1;) {
        switch (option) {
        case 'l':
            options.list = true;
            break;
        case 's':
            options.slow = true;
            break;
        case 'k':
            options.keep = true;
            break;
        case 'v':
            options.verbose = true;
            break;
        case 'j':
            options.job_count = (int)strtol(optarg, NULL, 10);
            break;
        case 'p':
            test_patience = (int)strtol(optarg, NULL, 10);
            break;
        default:
            fputs("usage: tests [--list] [--long] [--keep] [-v] [-jN] [--patience N] "
                  "[PART-OF-A-NAME...]\n",
                  stderr);
            exit(2);
        }
    }
    options.job_count = (int)max_i64(1, min_i64(options.job_count, JOBS_MAX));
    options.filters = argv + optind;
    options.filter_count = argc - optind;
    return options;
}

int main(int argc, char **argv)
{
    struct options options = options_of(argc, argv);
    const struct test **wanted = calloc(test_count + 1, sizeof *wanted);
    size_t wanted_count = 0;
    int result = 0;
    find_folders();
    for (const struct test *test = tests; test; test = test->next) {
        if (is_wanted(test, &options)) {
            wanted[wanted_count++] = test;
        }
    }
    qsort(wanted, wanted_count, sizeof *wanted, by_place);
    if (options.list) {
        for (size_t i = 0; i < wanted_count; i++) {
            printf("%s/%s%s\n", module_of(wanted[i]), wanted[i]->name,
                   wanted[i]->slow ? " (slow)" : "");
        }
    } else {
        result = run_all(wanted, wanted_count, &options);
    }
    free(wanted);
    return result;
}
