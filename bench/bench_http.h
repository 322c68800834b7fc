/* What the load generator and the mock downstream share: addresses, messages with a length, and times in buckets.
 * Header only, so that each program stays one file. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include "base/base.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

_Noreturn static inline void bench_die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- addresses -------------------------------------------------------------------------------- */

struct bench_address {
    struct sockaddr_in in;
};

static inline bool bench_address_read(const char *text, struct bench_address *ret_address)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    if (!colon || (size_t)(colon - text) >= sizeof host) {
        return false;
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - text), text);
    *ret_address = (struct bench_address){.in = {.sin_family = AF_INET}};
    ret_address->in.sin_port = htons((uint16_t)strtol(colon + 1, NULL, 10));
    return inet_pton(AF_INET, host, &ret_address->in.sin_addr) == 1;
}

static inline int bench_connect(const struct bench_address *address)
{
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address->in, sizeof address->in) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        bench_die("connect");
    }
    return fd;
}

/* ---- messages --------------------------------------------------------------------------------- */

struct bench_message {
    size_t bytes; /* head and body */
    int status;   /* of an answer */
};

/* Is there a whole message at s? Only messages with a Content-Length (or without a body) are understood. */
static inline bool bench_message_read(const char *s, size_t len, struct bench_message *ret_message)
{
    const char *end = len < 4 ? NULL : memmem(s, len, "\r\n\r\n", 4);
    if (!end) {
        return false;
    }
    size_t body_bytes = 0;
    for (const char *line = s; line < end;) {
        const char *next = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        if (strncasecmp(line, "content-length:", 15) == 0) {
            body_bytes = (size_t)strtoul(line + 15, NULL, 10);
        } else if (strncasecmp(line, "transfer-encoding:", 18) == 0) {
            fprintf(stderr, "bench: chunked messages are not understood\n");
            exit(1);
        }
        line = next + 2;
    }
    size_t bytes = (size_t)(end - s) + 4 + body_bytes;
    if (len < bytes) {
        return false;
    }
    bool is_answer = strncmp(s, "HTTP/1.", 7) == 0;
    *ret_message = (struct bench_message){.bytes = bytes,
                                          .status = is_answer ? (int)strtol(s + 9, NULL, 10) : 0};
    return true;
}

/* ---- times: 64 buckets per power of two, so at most 1.6 % off ------------------------------------ */

#define BENCH_TIMES_BITS 6
struct bench_times {
    int64_t buckets[64 << BENCH_TIMES_BITS];
    int64_t count, longest_ns;
};

static inline size_t bench_times_bucket(int64_t ns)
{
    uint64_t value = ns < 1 ? 1 : (uint64_t)ns;
    int top = 63 - __builtin_clzll(value);
    int shift = top > BENCH_TIMES_BITS ? top - BENCH_TIMES_BITS : 0;
    return ((size_t)shift << BENCH_TIMES_BITS) + (size_t)(value >> shift);
}

static inline void bench_times_add(struct bench_times *times, int64_t ns)
{
    times->buckets[bench_times_bucket(ns)]++;
    times->count++;
    times->longest_ns = max_i64(times->longest_ns, ns);
}

/* The time that this share of all did not exceed. */
static inline int64_t bench_times_at(const struct bench_times *times, double share)
{
    int64_t wanted = (int64_t)((double)times->count * share), seen = 0;
    for (size_t i = 0; share < 1 && i < COUNT_OF(times->buckets); i++) {
        seen += times->buckets[i];
        if (seen > wanted) {
            size_t shift = i >> BENCH_TIMES_BITS;
            shift = shift > 0 ? shift - 1 : 0;
            return (int64_t)((i - (shift << BENCH_TIMES_BITS)) << shift);
        }
    }
    return times->longest_ns;
}

#endif
