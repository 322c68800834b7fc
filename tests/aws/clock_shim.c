/* LD_PRELOAD for the scenarios: the wall clock is what the file $RIG_CLOCK says (int64 milliseconds; 0 or no file: the
 * real one). It stands still until the file changes. Signatures use time(), waits CLOCK_MONOTONIC: both stay real. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *wall_ms;

__attribute__((constructor)) static void open_clock(void)
{
    const char *path = getenv("RIG_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        void *map = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
        wall_ms = map == MAP_FAILED ? NULL : map;
        close(fd);
    }
}

int clock_gettime(clockid_t which, struct timespec *ret_now)
{
    int64_t ms = which == CLOCK_REALTIME && wall_ms ? *wall_ms : 0;
    if (ms == 0) {
        return (int)syscall(SYS_clock_gettime, which, ret_now);
    }
    *ret_now = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    return 0;
}
