/* The core's replay over a whole DynamoDB table: tests/aws/test_faults.py names it, after a run with faults. */
#include <stdio.h>
#include <stdlib.h>

#include "adapters/clock_manual.h"
#include "core/check.h"
#include "core/settings.h"
#include "dynamo_rig.h"
#include "test.h"

static void say(void *context, const struct check_finding *finding)
{
    (void)context;
    printf("%s " STR_FMT " %lld: " STR_FMT "\n", finding->rule, STR_ARG(finding->key),
           (long long)finding->seq, STR_ARG(finding->what));
}

/* I1 I2 I4 I7 */
TEST_AS(check_of_a_table_that_the_rig_names, false, 300)
{
    const char *table = getenv("HOURBELL_CHECK_TABLE"), *at_ms = getenv("HOURBELL_CHECK_AT_MS");
    if (!dynamo_endpoint() || !table || !at_ms) {
        return;
    }
    struct aws_options options = dynamo_options();
    struct clock_manual clock; /* that of the run: retention is judged by it */
    clock_manual_open(&clock, strtoll(at_ms, NULL, 10), 1);
    struct store_dynamodb_options how = {.table = str_of(table)};
    struct settings settings;
    struct world world = {.clock = &clock.clock, .settings = &settings};
    struct check_report report = {.sink = say};
    struct device_page page = {0};
    struct arena arena, cursor;
    struct aws *aws;
    struct str after = STR_NONE;
    arena_open(&arena, 0);
    arena_open(&cursor, 0);
    settings_default(&settings);
    struct call call = {.arena = &arena};
    CHECK_RC(aws_open(&call, &options, &aws), RC_OK);
    store_dynamodb_open(aws, &how, &world.store);
    do {
        arena_reset(&arena);
        call = (struct call){.arena = &arena};
        call_open(&call, &arena, &world);
        CHECK_RC(store_device_list(world.store, &call, STR("live"), STR("acme"), STR_NONE, after,
                                   PAGE_MAX, &page),
                 RC_OK);
        for (int i = 0; i < page.count; i++) {
            CHECK_RC(check_device(&world, &call, page.items[i].key, &report), RC_OK);
        }
        arena_reset(&cursor);
        after = page.count ? arena_copy(&cursor, page.items[page.count - 1].key) : STR_NONE;
    } while (page.more);
    CHECK_RC(check_device(&world, &call, STR("live/!system"), &report), RC_OK); /* keys, breaker */
    CHECK_INT(report.finding_count, 0);
    CHECK(report.device_count > 0);
    store_dynamodb_close(world.store);
    aws_close(aws);
    arena_close(&arena);
    arena_close(&cursor);
}
