/* One buffer for the process, under a lock: pool jobs log too. A line is never cut in two; what standard
 * error does not take is lost, as it would be without a buffer: there is nobody left to tell. */
#include "home/log_lines.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#define ROOM_BYTES 65536

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char room[ROOM_BYTES];
static size_t used_bytes;

static void write_all(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, len);
        if (written < 0 && errno != EINTR) {
            return;
        }
        bytes += written < 0 ? 0 : written;
        len -= written < 0 ? 0 : (size_t)written;
    }
}

static void flush_locked(void)
{
    write_all(room, used_bytes);
    used_bytes = 0;
}

static void take(void *context, struct str line)
{
    (void)context;
    pthread_mutex_lock(&lock);
    if (line.len > ROOM_BYTES - used_bytes) {
        flush_locked();
    }
    if (line.len > ROOM_BYTES) {
        write_all(line.s, line.len);
    } else {
        memcpy(room + used_bytes, line.s, line.len);
        used_bytes += line.len;
    }
    pthread_mutex_unlock(&lock);
}

void log_lines_open(enum diag_level most)
{
    diag_set(most, take, NULL);
}

void log_lines_flush(void)
{
    pthread_mutex_lock(&lock);
    if (used_bytes > 0) {
        flush_locked();
    }
    pthread_mutex_unlock(&lock);
}
