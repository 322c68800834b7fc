/* CLOCK_REALTIME may step, which the home finds by comparing it with CLOCK_BOOTTIME: that one goes on
 * while the machine sleeps and never steps. None of the three calls fails on a Linux that we run on;
 * were one to fail, every promise about windows would be void, hence abort. */
#include "adapters/clock_system.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static int64_t read_ms(clockid_t which)
{
    struct timespec now;
    if (clock_gettime(which, &now) != 0) {
        abort();
    }
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_now_ms(struct clock *clock)
{
    (void)clock;
    return read_ms(CLOCK_REALTIME);
}

static int64_t system_boot_ms(struct clock *clock)
{
    (void)clock;
    return read_ms(CLOCK_BOOTTIME);
}

static void system_random(struct clock *clock, void *ret_bytes, size_t size_bytes)
{
    char *bytes = ret_bytes;
    (void)clock;
    while (size_bytes > 0) {
        ssize_t got = getrandom(bytes, size_bytes, 0);
        if (got < 0 && errno != EINTR) {
            abort();
        }
        bytes += got < 0 ? 0 : got;
        size_bytes -= got < 0 ? 0 : (size_t)got;
    }
}

void clock_system_open(struct clock_system *system)
{
    static const struct clock_ops ops = {
        .now_ms = system_now_ms, .boot_ms = system_boot_ms, .random = system_random};
    system->clock.ops = &ops;
}
