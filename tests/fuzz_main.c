/* Plays kept inputs through a fuzz target without libFuzzer, so that every `make test` proves with any compiler that
 * what once broke no longer does: `fuzz_NAME FOLDER` runs each file of the folder in a child of its own, whole and
 * cut off at each of its first 4096 bytes, since a network may cut anything off.
 * The last line is `N passed, N failed`; an empty folder is a failure. */
#include "base/base.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define INPUT_MAX_BYTES (1024 * 1024)
#define BEGINNINGS_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The target gets memory of exactly the input's size: one byte read beyond it is found. */
static void play(const uint8_t *input, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    assert(exact);
    memcpy(exact, input, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void play_file(const char *path)
{
    static uint8_t input[INPUT_MAX_BYTES];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    size_t size = fread(input, 1, sizeof input, file);
    fclose(file);
    play(input, size);
    for (size_t beginning = 0; beginning < size && beginning < BEGINNINGS_MAX; beginning++) {
        play(input, beginning);
    }
}

static bool play_in_child(const char *path)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        play_file(path);
        exit(0); /* not _exit: the leak check runs at exit */
    }
    bool passed = child > 0 && waitpid(child, &status, 0) == child && status == 0;
    if (!passed) {
        printf("FAILED  %s\n", path);
    }
    return passed;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0;
    if (argc != 2) {
        fputs("usage: fuzz_NAME FOLDER\n", stderr);
        return 2;
    }
    DIR *folder = opendir(argv[1]);
    if (!folder) {
        perror(argv[1]);
        return 1;
    }
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[4096];
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
            *(play_in_child(path) ? &passed : &failed) += 1;
        }
    }
    closedir(folder);
    printf("%d passed, %d failed\n", passed, failed);
    return failed > 0 || passed == 0;
}
