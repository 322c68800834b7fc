/* The devices of all benches. Names come in an order that has nothing to do with their numbers (one in a row would be
 * kinder to an index than customers are); bench/peers/fastify.mjs makes the same ones. */
#ifndef BENCH_DEVICE_H
#define BENCH_DEVICE_H

#include <stdint.h>
#include <stdio.h>

#define BENCH_NAME_BYTES 13
#define BENCH_BODY_MAX_BYTES 512

/* splitmix64: the same sequence in every run. */
static inline uint64_t bench_chance(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* An odd factor modulo 2^32 is a permutation: no number shares its name with another. */
static inline void bench_name(int64_t number, char *ret_name)
{
    snprintf(ret_name, BENCH_NAME_BYTES + 1, "pump-%08x",
             (unsigned)((uint64_t)number * 2654435761U));
}

/* About 300 bytes, as a device of a customer looks like. Returns the length. */
static inline int bench_create_body(int64_t number, char *ret_body)
{
    char name[BENCH_NAME_BYTES + 1];
    long long n = number;
    bench_name(number, name);
    return snprintf(ret_body, BENCH_BODY_MAX_BYTES,
                    "{\"device_name\":\"%s\",\"attributes\":{\"manufacturer\":\"Example "
                    "Pumps\",\"model\":\"CR-%lld\","
                    "\"serial_number\":\"SN%010lld\",\"location\":\"Hall %lld, row "
                    "%lld\",\"description\":\"Circulation "
                    "pump of the heating circuit, with frequency converter and remote "
                    "display\",\"firmware\":\"1.%lld.0\"}}",
                    name, n % 97, n, n % 12, n % 40, n % 9);
}

static inline int bench_update_body(int64_t number, uint64_t chance, char *ret_body)
{
    char name[BENCH_NAME_BYTES + 1];
    bench_name(number, name);
    return snprintf(ret_body, BENCH_BODY_MAX_BYTES,
                    "{\"device_name\":\"%s\",\"attributes\":{\"firmware\":\"2.%u.%u\"}}", name,
                    (unsigned)(chance >> 20) % 1000, (unsigned)(chance >> 40) % 1000);
}

#endif
