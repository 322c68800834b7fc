/* What the core and the store cost without a network: api_handle on the real SQLite file, a given number of calls in each
 * turn, as the server does it. For profilers (perf, callgrind) and for telling a slow core from a slow wire.
 *   bench_core [--devices N] [--batch N] [--calls N] [--checkpoint-pages N] [--cache-kib N] [--only KIND] [--filled] FILE
 * fills FILE up to N devices, then measures each kind of call */
#include "adapters/clock_system.h"
#include "adapters/store_sqlite.h"
#include "bench_device.h"
#include "core/api.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct bench {
    struct world world;
    struct settings settings;
    struct clock_system clock;
    struct downstream downstream;
    char credential[256];
    int64_t devices, batch, calls, checkpoint_pages, cache_kib, created;
    uint64_t chance;
    bool filled; /* by bench_load or an earlier run, up to `devices` */
};

enum kind { KIND_CREATE, KIND_UPDATE, KIND_GET };
static const char *const kinds[] = {"create", "update", "get"};

/* A downstream that takes every document as it is. */
static enum rc take_all(struct downstream *downstream, struct call *call, struct str device_name,
                        struct str base, struct str target, struct str *ret_bytes)
{
    (void)downstream, (void)call, (void)device_name, (void)base;
    *ret_bytes = target;
    return RC_OK;
}

static const struct downstream_ops take_all_ops = {.encode = take_all};

_Noreturn static void die(const struct call *call, const char *what)
{
    fprintf(stderr, "bench_core: %s: %s\n", what, call->why);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The requests of bench_load. */
static struct request make_request(struct bench *bench, struct arena *arena, enum kind kind,
                                   struct header *headers)
{
    uint64_t chance = bench_chance(&bench->chance);
    int64_t number =
        kind == KIND_CREATE ? bench->created++ : (int64_t)(chance % (uint64_t)bench->devices);
    struct request request = {
        .method = STR("POST"), .headers = headers, .header_count = 3, .loopback = true};
    char *text = arena_alloc(arena, BENCH_BODY_MAX_BYTES);
    headers[0] = (struct header){STR("host"), STR("127.0.0.1")};
    headers[1] = (struct header){STR("x-api-key"), str_of(bench->credential)};
    headers[2] = (struct header){STR("content-type"), STR("application/json")};
    switch (kind) {
    case KIND_CREATE:
        request.target = STR("/create-device");
        request.body = (struct str){text, (size_t)bench_create_body(number, text)};
        break;
    case KIND_UPDATE:
        request.target = STR("/update-device");
        request.body = (struct str){text, (size_t)bench_update_body(number, chance, text)};
        break;
    case KIND_GET:
        bench_name(number, text);
        request.method = STR("GET");
        request.header_count = 2;
        request.target = arena_printf(arena, "/devices/%s", text);
        break;
    }
    return request;
}

/* One turn of calls; returns how long its commit took. */
static int64_t turn(struct bench *bench, struct arena *arena, enum kind kind, int64_t count)
{
    static const int statuses[] = {201, 202, 200};
    struct call call;
    store_sqlite_turn_begin(bench->world.store);
    for (int64_t i = 0; i < count; i++) {
        struct header headers[3];
        struct response response = {0};
        arena_reset(arena);
        call_open(&call, arena, &bench->world);
        struct request request = make_request(bench, arena, kind, headers);
        if (api_handle(&bench->world, &call, &request, &response) != RC_OK ||
            response.status != statuses[kind]) {
            fprintf(stderr, "bench_core: status %d " STR_FMT "\n", response.status,
                    STR_ARG(response.body));
            die(&call, "api_handle");
        }
    }
    int64_t begun_ns = now_ns();
    if (store_sqlite_turn_commit(bench->world.store, &call) != RC_OK) {
        die(&call, "turn_commit");
    }
    return now_ns() - begun_ns;
}

static void measure(struct bench *bench, struct arena *arena, enum kind kind, int64_t calls,
                    const char *label)
{
    int64_t commit_ns = 0, begun_ns = now_ns();
    for (int64_t done = 0; done < calls; done += bench->batch) {
        commit_ns += turn(bench, arena, kind, min_i64(bench->batch, calls - done));
    }
    double all_ns = (double)(now_ns() - begun_ns);
    printf("%-8s %9lld calls  %7.2f us each, of which %6.2f us in the commit  %9.0f per second\n",
           label, (long long)calls, all_ns / (double)calls / 1e3,
           (double)commit_ns / (double)calls / 1e3, (double)calls * 1e9 / all_ns);
    fflush(stdout);
}

static void make_key(struct bench *bench, struct arena *arena)
{
    struct call call;
    struct key key;
    struct str secret = STR_NONE;
    const struct key_new new = {
        .owner = STR("bench"), .label = STR("bench"), .role = ROLE_CUSTOMER, .realm = STR("live")};
    call_open(&call, arena, &bench->world);
    store_sqlite_turn_begin(bench->world.store);
    if (auth_create(&bench->world, &call, STR("bench"), &new, &key, &secret) != RC_OK ||
        store_sqlite_turn_commit(bench->world.store, &call) != RC_OK) {
        die(&call, "auth_create");
    }
    snprintf(bench->credential, sizeof bench->credential, STR_FMT, STR_ARG(secret));
}

int main(int argc, char **argv)
{
    static struct bench bench = {.devices = 100000, .batch = 64, .calls = 50000, .chance = 1};
    static const struct option known[] = {
        {"devices", 1, NULL, 'd'},          {"batch", 1, NULL, 'b'},     {"calls", 1, NULL, 'c'},
        {"checkpoint-pages", 1, NULL, 'p'}, {"cache-kib", 1, NULL, 'k'}, {"only", 1, NULL, 'o'},
        {"filled", 0, NULL, 'f'},           {NULL, 0, NULL, 0}};
    struct store_sqlite_options options = {.turns = true};
    struct arena arena;
    struct call call;
    const char *only = NULL;
    int given;
    while ((given = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (given == 'f') {
            bench.filled = true;
            continue;
        }
        if (given == 'o') {
            only = optarg;
            continue;
        }
        int64_t *number = given == 'd'   ? &bench.devices
                          : given == 'b' ? &bench.batch
                          : given == 'c' ? &bench.calls
                          : given == 'p' ? &bench.checkpoint_pages
                          : given == 'k' ? &bench.cache_kib
                                         : NULL;
        if (!number || (*number = strtoll(optarg, NULL, 10)) < 1) {
            optind = argc + 1;
            break;
        }
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "usage: bench_core [--devices N] [--batch N] [--calls N] "
                        "[--checkpoint-pages N] [--cache-kib N] [--only create|update|get]\n"
                        "                  [--filled] FILE\n");
        return 2;
    }
    options.checkpoint_pages = (int)bench.checkpoint_pages;
    options.cache_kib = (int)bench.cache_kib;
    arena_open(&arena, 0);
    settings_default(&bench.settings);
    clock_system_open(&bench.clock);
    bench.downstream.ops = &take_all_ops;
    bench.world = (struct world){
        .clock = &bench.clock.clock, .settings = &bench.settings, .downstream = &bench.downstream};
    call_open(&call, &arena, &bench.world);
    if (store_sqlite_open(&call, argv[optind], &options, &bench.world.store) != RC_OK) {
        die(&call, argv[optind]);
    }
    make_key(&bench, &arena);
    if (bench.filled) {
        bench.created = bench.devices;
    } else {
        measure(&bench, &arena, KIND_CREATE, bench.devices, "fill");
    }
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (!only || strcmp(only, kinds[i]) == 0) {
            measure(&bench, &arena, (enum kind)i, bench.calls, kinds[i]);
        }
    }
    store_sqlite_close(bench.world.store);
    arena_close(&arena);
    return 0;
}
