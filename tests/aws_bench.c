/* See aws_bench.h. */
#include "aws_bench.h"

#include "adapters/clock_system.h"
#include "test.h"

void aws_bench_open(struct aws_bench *bench, struct clock *clock)
{
    static struct clock_system system_clock;
    clock_system_open(&system_clock);
    *bench = (struct aws_bench){.clock = clock ? clock : &system_clock.clock};
    receiver_open(&bench->receiver);
    arena_open(&bench->arena, 0);
    bench->call = (struct call){.arena = &bench->arena, .id = STR("call-1")};
    struct aws_options options = {
        .region = STR("eu-central-1"),
        .access_key_id = STR("AKIDRIG"),
        .secret_access_key = STR("secret+/="),
        .endpoint = arena_printf(&bench->arena, "http://127.0.0.1:%d", bench->receiver.port),
        .retry_span_ms = 800,
        .clock = bench->clock};
    CHECK_RC(aws_open(&bench->call, &options, &bench->aws), RC_OK);
}

void aws_bench_close(struct aws_bench *bench)
{
    aws_close(bench->aws);
    arena_close(&bench->arena);
    receiver_close(&bench->receiver);
}
