/* Work lists and counts, from the index `work`. It may lag: whoever is woken reads the device itself, strongly. */
#include "adapters/store_dynamodb_inner.h"

/* The realms that a list is about: one, or all that ever had a device. */
static enum rc realms_of(struct store_dynamodb *self, struct call *call, struct str realm,
                         struct str **ret_realms, int *ret_count)
{
    struct str *realms = arena_new(call->arena, struct str);
    int owners = 0, count = 1;
    realms[0] = realm.len ? realm : STR("live");
    if (realm.len == 0) {
        struct str *all;
        TRY(dynamodb_owners(self, call, STR_NONE, &all, &owners));
        realms =
            arena_grow(call->arena, realms, sizeof *realms, sizeof *realms * (size_t)(owners + 1));
        for (int i = 0; i < owners; i++) { /* they are in order, so equal ones stand together */
            struct str rest = all[i], next = text_cut(&rest, '#');
            if (!str_is(next, "live") && !str_equal(next, realms[count - 1])) {
                realms[count++] = next;
            }
        }
    }
    *ret_realms = realms;
    *ret_count = count;
    return RC_OK;
}

/* The last sort key of a moment: "<until>~", '~' being behind '#'. */
static struct str moment_end(struct call *call, int64_t until_ms)
{
    int64_t at_ms =
        until_ms >= TIME_NEVER_MS ? INDEX_AT_MAX_MS : min_i64(until_ms, INDEX_AT_MAX_MS - 1);
    return arena_printf(call->arena, "%013lld~", (long long)max_i64(at_ms, 0));
}

enum rc dynamodb_work_list(struct store *store, struct call *call, enum work work, struct str realm,
                           int shard, int64_t until_ms, struct str after, int limit,
                           struct work_page *ret_page)
{
    struct store_dynamodb *self = store_dynamodb_of(store);
    struct firsts firsts = {arena_array(call->arena, struct str, (size_t)limit + 1), 0, limit + 1};
    struct work_page page = {.items = arena_array(call->arena, struct work_item, (size_t)limit)};
    struct str *realms, end = moment_end(call, until_ms);
    struct work_item item;
    int count;
    if (after.len && work_of_moment(work, after, &item) != RC_OK) {
        return call_refuse(call, PROBLEM_invalid_parameter, "the cursor is not one of this list");
    }
    TRY(realms_of(self, call, realm, &realms, &count));
    for (int i = 0; i < count * SHARD_COUNT; i++) {
        if (shard != SHARD_ALL && i % SHARD_COUNT != shard) {
            continue;
        }
        bool is_full = firsts.count == firsts.max;
        struct query query = {
            .index = "work",
            .pk = key_of_work(call, work, realms[i / SHARD_COUNT], i % SHARD_COUNT),
            .low = after.len ? after : STR("0"),
            .high = is_full ? firsts.keys[firsts.max - 1] : end,
            .limit = limit + 2,
        };
        TRY(dynamodb_merge(self, call, &query, after, &firsts));
    }
    page.more = firsts.count > limit;
    for (int i = 0; i < firsts.count && i < limit; i++) {
        page.after = firsts.keys[i];
        if (work_of_moment(work, firsts.keys[i], &page.items[page.count++]) != RC_OK) {
            return call_why(call, RC_BROKEN, "work_sk is none: " STR_FMT, STR_ARG(page.after));
        }
    }
    *ret_page = page;
    return RC_OK;
}

/* ---- counts --------------------------------------------------------------------------------------------- */

static enum rc count_shard(struct store_dynamodb *self, struct call *call, enum work work,
                           int shard, struct work_counts *counts)
{
    struct query query = {.index = "work",
                          .pk = key_of_work(call, work, STR("live"), shard),
                          .low = STR("0"),
                          .high = STR("~"),
                          .limit = 1};
    struct query all = query;
    struct work_item item;
    yyjson_val *first;
    int64_t count = 0;
    TRY(dynamodb_next(self, call, &query, &first));
    if (!first || work_of_moment(work, item_text(first, "work_sk"), &item) != RC_OK) {
        return RC_OK;
    }
    TRY(dynamodb_count(self, call, &all, &count));
    if (count == 0) { /* the first one has ended between the two queries */
        return RC_OK;
    }
    int64_t *earliest = &counts->earliest_at_ms[work];
    counts->count[work] += count;
    *earliest = *earliest && *earliest < item.at_ms ? *earliest : item.at_ms;
    return RC_OK;
}

enum rc dynamodb_work_count(struct store *store, struct call *call, struct work_counts *ret_counts)
{
    struct store_dynamodb *self = store_dynamodb_of(store);
    struct work_counts counts = {0};
    int64_t now_ms = aws_boot_ms(self->aws);
    if (!self->counted_at_ms || now_ms - self->counted_at_ms >= self->counts_kept_ms) {
        for (enum work work = WORK_OPEN; work < WORK_COUNT; work++) {
            for (int shard = 0; shard < SHARD_COUNT; shard++) {
                TRY(count_shard(self, call, work, shard, &counts));
            }
        }
        self->counts = counts;
        self->counted_at_ms = now_ms;
    }
    *ret_counts = self->counts;
    return RC_OK;
}
