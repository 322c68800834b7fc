/* What every store owes the core: lists and their pages, logs, work, notices, counts, retention. */
#include "contract_store.h"

#include "base/text.h"
#include "core/name.h"

#define DAY_MS INT64_C(86400000)

/* ---- devices -------------------------------------------------------------------------------- */

/* All pages of a list as "a b c ", with the number of pages behind. */
static struct str list_devices(struct desk *desk, const char *realm, const char *owner,
                               const char *prefix, int limit)
{
    struct text text;
    struct device_page page;
    struct str after = STR("");
    int pages = 0;
    text_open(&text, &desk->arena, 65536);
    do {
        CHECK_RC(store_device_list(desk->store, &desk->call, str_of(realm), str_of(owner),
                                   str_of(prefix), after, limit, &page),
                 RC_OK);
        for (int i = 0; i < page.count; i++) {
            after = page.items[i].key;
            text_printf(&text, STR_FMT " ", STR_ARG(after));
        }
        pages++;
    } while (page.more);
    text_printf(&text, "%d", pages);
    return text_str(&text);
}

CONTRACT(devices_are_listed_in_order_of_key_by_owner_prefix_and_realm)
{
    desk_create(desk, "live/b", "acme");
    desk_create(desk, "live/!system", "");
    desk_create(desk, "live/pump 1", "acme");
    desk_create(desk, "live/pump 10", "other");
    desk_create(desk, "live/pump 2", "acme");
    desk_create(desk, "live/\xc3\xa4", "acme");
    desk_create(desk, "live/zz", "acme");
    desk_create(desk, "test-acme/pump 3", "acme");
    desk_create(desk, "test-acme/!system", "acme");
    contract_reopen(desk);
    CHECK_STR(list_devices(desk, "live", "acme", "", 2),
              "live/b live/pump 1 live/pump 2 live/zz live/\xc3\xa4 3");
    CHECK_STR(list_devices(desk, "live", "acme", "live/", 5),
              "live/b live/pump 1 live/pump 2 live/zz live/\xc3\xa4 1");
    CHECK_STR(list_devices(desk, "live", "acme", "live/pump", 1), "live/pump 1 live/pump 2 2");
    CHECK_STR(list_devices(desk, "live", "other", "", 10), "live/pump 10 1");
    CHECK_STR(list_devices(desk, "live", "nobody", "", 10), "1");
    CHECK_STR(list_devices(desk, "test-acme", "acme", "", 10), "test-acme/pump 3 1");
    CHECK_STR(list_devices(desk, "test-acm", "acme", "", 10), "1");
}

/* P9: an operator's list has every owner, and never the system's own record */
CONTRACT(a_list_without_owner_has_all_owners_but_not_the_system)
{
    desk_create(desk, "live/!system", "");
    desk_create(desk, "live/a", "acme");
    desk_create(desk, "live/b", "other");
    desk_create(desk, "live/c", "acme");
    desk_create(desk, "livelihood/d", "acme");
    CHECK_STR(list_devices(desk, "live", "", "", 1), "live/a live/b live/c 3");
    CHECK_STR(list_devices(desk, "live", "", "live/b", 1), "live/b 1");
    CHECK_STR(list_devices(desk, "live", "", "live/!", 1), "1");
}

CONTRACT(a_page_of_devices_ends_at_its_bytes_but_holds_at_least_one)
{
    struct desk_draft draft;
    struct device_page page;
    char *doc = arena_alloc(&desk->arena, DOC_STORED_MAX_BYTES);
    memset(doc, 'd', DOC_STORED_MAX_BYTES);
    for (int i = 0; i < 20; i++) {
        struct str key = desk_text(desk, "live/%02d", i);
        desk_new(desk, &draft, key.s, "acme");
        draft.device.doc = (struct str){doc, DOC_STORED_MAX_BYTES};
        CHECK_RC(desk_commit(desk, &draft), RC_OK);
    }
    CHECK_RC(store_device_list(desk->store, &desk->call, STR("live"), STR("acme"), STR(""), STR(""),
                               100, &page),
             RC_OK);
    CHECK(page.more);
    CHECK_INT(page.count, (int64_t)(PAGE_MAX_BYTES / DOC_STORED_MAX_BYTES));
    CHECK_RC(store_device_list(desk->store, &desk->call, STR("live"), STR("acme"), STR(""),
                               page.items[page.count - 1].key, 100, &page),
             RC_OK);
    CHECK(!page.more);
    CHECK_INT(page.count, 4);
}

/* ---- logs ---------------------------------------------------------------------------------------- */

static struct str list_log(struct desk *desk, int64_t from_seq, int64_t to_seq, bool newest_first,
                           int limit)
{
    struct entry_page page;
    struct text text;
    text_open(&text, &desk->arena, 65536);
    CHECK_RC(store_log_list(desk->store, &desk->call, STR("live/pump"), from_seq, to_seq,
                            newest_first, limit, &page),
             RC_OK);
    for (int i = 0; i < page.count; i++) {
        text_printf(&text, "%lld ", (long long)page.items[i].seq);
    }
    text_add(&text, page.more ? STR("more") : STR("end"));
    return text_str(&text);
}

CONTRACT(a_log_is_listed_from_either_end)
{
    desk_create(desk, "live/other", "acme");
    desk_create(desk, "live/pump", "acme");
    for (int i = 0; i < 3; i++) {
        desk_append(desk, "live/pump", 2);
        desk_append(desk, "live/other", 1);
    }
    contract_reopen(desk);
    CHECK_STR(list_log(desk, 0, INT64_MAX, false, 10), "0 1 2 3 4 5 6 end");
    CHECK_STR(list_log(desk, 0, INT64_MAX, true, 10), "6 5 4 3 2 1 0 end");
    CHECK_STR(list_log(desk, 0, INT64_MAX, false, 7), "0 1 2 3 4 5 6 end");
    CHECK_STR(list_log(desk, 0, INT64_MAX, false, 3), "0 1 2 more");
    CHECK_STR(list_log(desk, 0, INT64_MAX, true, 3), "6 5 4 more");
    CHECK_STR(list_log(desk, 2, 4, false, 3), "2 3 4 end");
    CHECK_STR(list_log(desk, 2, 4, true, 3), "4 3 2 end");
    CHECK_STR(list_log(desk, 2, 4, false, 2), "2 3 more");
    CHECK_STR(list_log(desk, 2, 4, true, 2), "4 3 more");
    CHECK_STR(list_log(desk, 6, 6, true, 1), "6 end");
    CHECK_STR(list_log(desk, 7, 9, true, 1), "end");
    CHECK_STR(list_log(desk, 4, 2, true, 1), "end");
}

CONTRACT(a_log_that_is_not_there_is_empty)
{
    struct entry_page page;
    CHECK_STR(list_log(desk, 0, INT64_MAX, false, 10), "end");
    CHECK_RC(store_log_covering(desk->store, &desk->call, STR("live/pump"), 0, 10, &page), RC_OK);
    CHECK_INT(page.count, 0);
}

CONTRACT(a_page_of_entries_ends_at_its_bytes_but_holds_at_least_one)
{
    struct desk_draft draft;
    char *data = arena_alloc(&desk->arena, ENTRY_MAX_BYTES);
    memset(data, 'e', ENTRY_MAX_BYTES);
    desk_create(desk, "live/pump", "acme");
    for (int i = 0; i < 12; i++) {
        desk_next(desk, &draft, "live/pump", 1);
        draft.entries[0].data = (struct str){data, ENTRY_MAX_BYTES};
        CHECK_RC(desk_commit(desk, &draft), RC_OK);
    }
    CHECK_STR(list_log(desk, 1, INT64_MAX, false, 1001), "1 2 3 4 5 6 7 8 9 10 more");
    CHECK_STR(list_log(desk, 1, INT64_MAX, true, 1001), "12 11 10 9 8 7 6 5 4 3 more");
    CHECK_STR(list_log(desk, 11, INT64_MAX, false, 1001), "11 12 end");
}

/* One entry with a range, appended. */
static void append_range(struct desk *desk, enum entry_kind kind, int64_t from_seq, int64_t to_seq)
{
    struct desk_draft draft;
    desk_next(desk, &draft, "live/pump", 1);
    draft.entries[0].kind = kind;
    draft.entries[0].from_seq = from_seq;
    draft.entries[0].to_seq = to_seq;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
}

static struct str list_covering(struct desk *desk, int64_t seq, int limit)
{
    struct entry_page page;
    struct text text;
    text_open(&text, &desk->arena, 65536);
    CHECK_RC(store_log_covering(desk->store, &desk->call, STR("live/pump"), seq, limit, &page),
             RC_OK);
    for (int i = 0; i < page.count; i++) {
        text_printf(&text, "%lld ", (long long)page.items[i].seq);
    }
    text_add(&text, page.more ? STR("more") : STR("end"));
    return text_str(&text);
}

/* P7: the tries and the end of an update are the later entries whose range holds it */
CONTRACT(covering_entries_are_those_after_an_update_whose_range_holds_it)
{
    desk_create(desk, "live/pump", "acme");
    desk_append(desk, "live/pump", 3);         /* 1 2 3 */
    append_range(desk, ENTRY_no_effect, 1, 2); /* 4 */
    desk_append(desk, "live/pump", 1);         /* 5 */
    append_range(desk, ENTRY_no_effect, 1, 3); /* 6 */
    append_range(desk, ENTRY_delivered, 1, 5); /* 7 */
    append_range(desk, ENTRY_delivered, 7, 8); /* 8: holds itself, but is not after itself */
    contract_reopen(desk);
    CHECK_STR(list_covering(desk, 1, 10), "4 6 7 end");
    CHECK_STR(list_covering(desk, 1, 3), "4 6 7 end");
    CHECK_STR(list_covering(desk, 1, 2), "4 7 more"); /* the newest decides: it is always there */
    CHECK_STR(list_covering(desk, 1, 1), "7 more");
    CHECK_STR(list_covering(desk, 3, 10), "6 7 end");
    CHECK_STR(list_covering(desk, 5, 10), "7 end");
    CHECK_STR(list_covering(desk, 7, 10), "8 end");
    CHECK_STR(list_covering(desk, 8, 10), "end");
    CHECK_STR(list_covering(desk, 99, 10), "end");
}

/* P7: an update that was cancelled while its neighbours went on has its own end, whatever became of them */
CONTRACT(what_comes_after_the_end_of_an_update_is_not_about_it)
{
    desk_create(desk, "live/pump", "acme");
    desk_append(desk, "live/pump", 3);         /* 1 2 3 */
    append_range(desk, ENTRY_no_effect, 1, 3); /* 4 */
    append_range(desk, ENTRY_cancelled, 2, 2); /* 5 */
    append_range(desk, ENTRY_no_effect, 1, 3); /* 6 */
    append_range(desk, ENTRY_delivered, 1, 3); /* 7 */
    CHECK_STR(list_covering(desk, 1, 10), "4 6 7 end");
    CHECK_STR(list_covering(desk, 2, 10), "4 5 end");
    CHECK_STR(list_covering(desk, 2, 2), "4 5 end");
    CHECK_STR(list_covering(desk, 2, 1), "5 more"); /* its end, not the newest of its neighbours */
}

/* ---- work ------------------------------------------------------------------------------------------ */

static void set_work(struct desk *desk, const char *key, enum work work, int64_t at_ms)
{
    struct desk_draft draft;
    desk_next(desk, &draft, key, 0);
    draft.device.work = work;
    draft.device.at_ms = at_ms;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
}

/* All pages of a work list as "key@at_ms ...", with the number of pages behind. */
static struct str list_work(struct desk *desk, enum work work, const char *realm, int shard,
                            int64_t until_ms, int limit)
{
    struct text text;
    struct work_page page;
    struct str after = STR("");
    int pages = 0;
    text_open(&text, &desk->arena, 1 << 20);
    do {
        CHECK_RC(store_work_list(desk->store, &desk->call, work, str_of(realm), shard, until_ms,
                                 after, limit, &page),
                 RC_OK);
        for (int i = 0; i < page.count; i++) {
            text_printf(&text, STR_FMT "@%lld ", STR_ARG(page.items[i].key),
                        (long long)page.items[i].at_ms);
        }
        after = page.after;
        pages++;
    } while (page.more);
    text_printf(&text, "%d", pages);
    return text_str(&text);
}

CONTRACT(work_is_listed_by_state_earliest_first_up_to_a_moment)
{
    static const char *const keys[] = {"live/a", "live/b", "live/c",
                                       "live/d", "live/e", "test-x/f"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        desk_create(desk, keys[i], "acme");
    }
    set_work(desk, "live/a", WORK_OPEN, 30);
    set_work(desk, "live/b", WORK_OPEN, 10);
    set_work(desk, "live/c", WORK_FLIGHT, 5);
    set_work(desk, "live/d", WORK_OPEN, 20);
    set_work(desk, "test-x/f", WORK_OPEN, 15);
    contract_reopen(desk);
    CHECK_STR(list_work(desk, WORK_OPEN, "live", SHARD_ALL, 30, 10),
              "live/b@10 live/d@20 live/a@30 1");
    CHECK_STR(list_work(desk, WORK_OPEN, "live", SHARD_ALL, 29, 10), "live/b@10 live/d@20 1");
    CHECK_STR(list_work(desk, WORK_OPEN, "live", SHARD_ALL, 9, 10), "1");
    CHECK_STR(list_work(desk, WORK_OPEN, "", SHARD_ALL, 30, 10),
              "live/b@10 test-x/f@15 live/d@20 live/a@30 1");
    CHECK_STR(list_work(desk, WORK_OPEN, "test-x", SHARD_ALL, 30, 10), "test-x/f@15 1");
    CHECK_STR(list_work(desk, WORK_OPEN, "live", SHARD_ALL, INT64_MAX, 1),
              "live/b@10 live/d@20 live/a@30 3");
    CHECK_STR(list_work(desk, WORK_FLIGHT, "live", SHARD_ALL, 30, 10), "live/c@5 1");
    CHECK_STR(list_work(desk, WORK_UNCERTAIN, "live", SHARD_ALL, 30, 10), "1");
    set_work(desk, "live/d", WORK_NONE, 0);
    set_work(desk, "live/b", WORK_DEAD, 40);
    CHECK_STR(list_work(desk, WORK_OPEN, "live", SHARD_ALL, INT64_MAX, 10), "live/a@30 1");
    CHECK_STR(list_work(desk, WORK_DEAD, "live", SHARD_ALL, INT64_MAX, 10), "live/b@40 1");
    set_work(desk, "live/a", WORK_OPEN, 3);
    CHECK_STR(list_work(desk, WORK_OPEN, "live", SHARD_ALL, 3, 10), "live/a@3 1");
}

CONTRACT(pages_of_work_at_one_moment_miss_and_double_nothing)
{
    struct text text;
    text_open(&text, &desk->arena, 65536);
    for (int i = 0; i < 25; i++) {
        struct str key = desk_text(desk, "live/%02d", i);
        desk_create(desk, key.s, "acme");
        set_work(desk, key.s, WORK_OPEN, 7);
    }
    for (int limit = 1; limit <= 26; limit++) {
        struct str all = list_work(desk, WORK_OPEN, "live", SHARD_ALL, 7, limit);
        for (int i = 0; i < 25; i++) {
            CHECK_HAS(all, desk_text(desk, "live/%02d@7 ", i).s);
        }
        CHECK_INT((int64_t)all.len, 25 * 10 + (limit == 1 || limit == 2 ? 2 : 1));
    }
}

CONTRACT(the_shards_share_the_work_among_them)
{
    size_t total = 0;
    for (int i = 0; i < 40; i++) {
        struct str key = desk_text(desk, "live/%02d", i);
        desk_create(desk, key.s, "acme");
        set_work(desk, key.s, WORK_OPEN, i);
    }
    for (int shard = 0; shard < SHARD_COUNT; shard++) {
        struct work_page page;
        CHECK_RC(store_work_list(desk->store, &desk->call, WORK_OPEN, STR("live"), shard, INT64_MAX,
                                 STR(""), 100, &page),
                 RC_OK);
        for (int i = 0; i < page.count; i++) {
            CHECK_INT(name_shard(page.items[i].key), shard);
        }
        total += (size_t)page.count;
    }
    CHECK_INT((int64_t)total, 40);
}

CONTRACT(work_is_counted_in_the_live_realm_with_its_earliest_moment)
{
    struct work_counts counts;
    CHECK_RC(store_work_count(desk->store, &desk->call, &counts), RC_OK);
    for (int work = 0; work < WORK_COUNT; work++) {
        CHECK_INT(counts.count[work] + counts.earliest_at_ms[work], 0);
    }
    desk_create(desk, "live/a", "acme");
    desk_create(desk, "live/b", "acme");
    desk_create(desk, "live/c", "acme");
    desk_create(desk, "test-x/d", "acme");
    set_work(desk, "live/a", WORK_OPEN, 30);
    set_work(desk, "live/b", WORK_OPEN, 20);
    set_work(desk, "live/c", WORK_DEAD, 50);
    set_work(desk, "test-x/d", WORK_OPEN, 10);
    set_work(desk, "live/a", WORK_FLIGHT, 31);
    set_work(desk, "live/a", WORK_OPEN, 32);
    for (int round = 0; round < 2; round++) {
        CHECK_RC(store_work_count(desk->store, &desk->call, &counts), RC_OK);
        CHECK_INT(counts.count[WORK_OPEN], 2);
        CHECK_INT(counts.earliest_at_ms[WORK_OPEN], 20);
        CHECK_INT(counts.count[WORK_FLIGHT], 0);
        CHECK_INT(counts.earliest_at_ms[WORK_FLIGHT], 0);
        CHECK_INT(counts.count[WORK_DEAD], 1);
        CHECK_INT(counts.earliest_at_ms[WORK_DEAD], 50);
        CHECK_INT(counts.count[WORK_NOTICE], 0);
        contract_reopen(desk);
    }
}

CONTRACT(a_cursor_that_is_none_of_ours_is_refused)
{
    struct work_page page;
    static const char *const cursors[] = {
        "x", "1", "1.", ".1", "1.x", "-1.1", "99999999999999999999.1"};
    for (size_t i = 0; i < COUNT_OF(cursors); i++) {
        CHECK_RC(store_work_list(desk->store, &desk->call, WORK_OPEN, STR("live"), SHARD_ALL, 1,
                                 str_of(cursors[i]), 10, &page),
                 RC_INVALID);
        CHECK_INT(desk->call.problem, PROBLEM_invalid_parameter);
    }
}

/* ---- notices ----------------------------------------------------------------------------------------- */

static void append_notice(struct desk *desk, const char *key, int64_t notice_at_ms)
{
    struct desk_draft draft;
    desk_next(desk, &draft, key, 1);
    draft.entries[0].notice_at_ms = notice_at_ms;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
}

static struct str list_notices(struct desk *desk, int64_t until_ms)
{
    return list_work(desk, WORK_NOTICE, "", SHARD_ALL, until_ms, 2);
}

/* P8: an entry that somebody must be told of stays listed until it is told */
CONTRACT(notices_are_listed_when_due_until_they_are_told)
{
    struct work_page page;
    struct work_counts counts;
    desk_create(desk, "live/a", "acme");
    desk_create(desk, "test-x/b", "acme");
    append_notice(desk, "live/a", 20);
    append_notice(desk, "test-x/b", 10);
    append_notice(desk, "live/a", 30);
    contract_reopen(desk);
    CHECK_STR(list_notices(desk, 30), "test-x/b@10 live/a@20 live/a@30 2");
    CHECK_STR(list_notices(desk, 29), "test-x/b@10 live/a@20 1");
    CHECK_STR(list_work(desk, WORK_NOTICE, "live", SHARD_ALL, 30, 10), "live/a@20 live/a@30 1");
    CHECK_RC(store_work_list(desk->store, &desk->call, WORK_NOTICE, STR("live"), SHARD_ALL, 30,
                             STR(""), 10, &page),
             RC_OK);
    CHECK_INT(page.items[0].seq, 1);
    CHECK_INT(page.items[1].seq, 2);
    CHECK_RC(store_work_count(desk->store, &desk->call, &counts), RC_OK);
    CHECK_INT(counts.count[WORK_NOTICE], 2);
    CHECK_INT(counts.earliest_at_ms[WORK_NOTICE], 20);
    CHECK_RC(store_notice_done(desk->store, &desk->call, STR("live/a"), 1, 0), RC_OK);
    CHECK_STR(list_notices(desk, 30), "test-x/b@10 live/a@30 1");
    CHECK_RC(store_notice_done(desk->store, &desk->call, STR("test-x/b"), 1, 40), RC_OK);
    contract_reopen(desk);
    CHECK_STR(list_notices(desk, 30), "live/a@30 1");
    CHECK_STR(list_notices(desk, 40), "live/a@30 test-x/b@40 1");
    CHECK_INT(desk_log(desk, "live/a").items[1].notice_at_ms, 0);
    CHECK_INT(desk_log(desk, "test-x/b").items[1].notice_at_ms, 40);
    CHECK_RC(store_work_count(desk->store, &desk->call, &counts), RC_OK);
    CHECK_INT(counts.count[WORK_NOTICE], 1);
    CHECK_INT(counts.earliest_at_ms[WORK_NOTICE], 30);
}

CONTRACT(a_notice_that_was_told_stays_told_whatever_is_repeated)
{
    struct work_counts counts;
    int64_t version;
    desk_create(desk, "live/a", "acme");
    append_notice(desk, "live/a", 20);
    version = desk_read(desk, "live/a").version;
    for (int i = 0; i < 2; i++) {
        CHECK_RC(store_notice_done(desk->store, &desk->call, STR("live/a"), 1, 25), RC_OK);
        CHECK_STR(list_notices(desk, 30), "live/a@25 1");
    }
    for (int i = 0; i < 2; i++) {
        CHECK_RC(store_notice_done(desk->store, &desk->call, STR("live/a"), 1, 0), RC_OK);
        CHECK_STR(list_notices(desk, 30), "1");
    }
    CHECK_RC(store_notice_done(desk->store, &desk->call, STR("live/a"), 1, 50),
             RC_OK); /* a slow second teller */
    CHECK_RC(store_notice_done(desk->store, &desk->call, STR("live/a"), 0, 50),
             RC_OK); /* never one */
    CHECK_RC(store_notice_done(desk->store, &desk->call, STR("live/a"), 9, 50),
             RC_OK); /* no such entry */
    CHECK_RC(store_notice_done(desk->store, &desk->call, STR("live/b"), 1, 50),
             RC_OK); /* no such device */
    CHECK_STR(list_notices(desk, 99), "1");
    CHECK_RC(store_work_count(desk->store, &desk->call, &counts), RC_OK);
    CHECK_INT(counts.count[WORK_NOTICE], 0);
    CHECK_INT(desk_read(desk, "live/a").version, version);
}

/* ---- retention ------------------------------------------------------------------------------------------ */

/* Delete until nothing is left to delete. A call looks at some rows only, so several find nothing at the end. */
static int expire(struct desk *desk, int64_t history_ms, int limit)
{
    int total = 0;
    for (int quiet = 0; quiet < 4; quiet++) {
        int count = -1;
        CHECK_RC(store_expire(desk->store, &desk->call, history_ms, limit, &count), RC_OK);
        CHECK(count >= 0 && count <= limit);
        total += count;
        quiet = count > 0 ? -1 : quiet;
    }
    return total;
}

CONTRACT(replies_are_deleted_once_they_expired)
{
    struct desk_draft draft;
    struct reply found = {0};
    if (!contract_maker()->expires) {
        return;
    }
    desk_create(desk, "live/a", "acme");
    for (int i = 0; i < 5; i++) {
        struct reply reply = {.owner = STR("acme"),
                              .key = desk_text(desk, "again-%d", i),
                              .fingerprint = desk_sha(desk, 1),
                              .status = 202,
                              .head = STR(""),
                              .body = STR(""),
                              .expires_at_ms = desk->call.now_ms + 10 + i};
        desk_next(desk, &draft, "live/a", 0);
        draft.change.reply = &reply;
        CHECK_RC(desk_commit(desk, &draft), RC_OK);
    }
    CHECK_INT(expire(desk, DAY_MS, 2), 0);
    desk->call.now_ms += 12;
    CHECK_INT(expire(desk, DAY_MS, 2), 3);
    desk->call.now_ms -= 12;
    CHECK_RC(store_reply_get(desk->store, &desk->call, STR("acme"), STR("again-2"), &found), RC_OK);
    CHECK_INT(found.status, 0);
    CHECK_RC(store_reply_get(desk->store, &desk->call, STR("acme"), STR("again-3"), &found), RC_OK);
    CHECK_INT(found.status, 202);
}

/* Entries 1..4 of yesterday, 5..6 of today. */
static void two_days(struct desk *desk)
{
    desk_create(desk, "live/pump", "acme");
    desk_append(desk, "live/pump", 4);
    desk->call.now_ms += DAY_MS;
    desk_append(desk, "live/pump", 2);
}

CONTRACT(old_entries_are_deleted_but_never_entry_0_or_the_newest)
{
    if (!contract_maker()->expires) {
        return;
    }
    two_days(desk);
    CHECK_INT(expire(desk, DAY_MS + 1, 3), 0);
    CHECK_INT(expire(desk, DAY_MS - 1, 3), 4);
    contract_reopen(desk);
    CHECK_STR(list_log(desk, 0, INT64_MAX, false, 10), "0 5 6 end");
    CHECK_STR(list_log(desk, 0, INT64_MAX, true, 10), "6 5 0 end");
    CHECK_STR(list_log(desk, 0, INT64_MAX, false, 2), "0 5 more");
    CHECK_STR(list_log(desk, 1, 5, false, 2), "5 end");
    CHECK_STR(list_log(desk, 2, 3, false, 2), "end");
    append_range(desk, ENTRY_delivered, 3, 5); /* its number is 7 */
    CHECK_STR(list_log(desk, 0, INT64_MAX, true, 10), "7 6 5 0 end");
    CHECK_STR(list_covering(desk, 3, 10), "7 end");
    desk->call.now_ms += 9 * DAY_MS;
    desk_create(desk, "live/other", "acme");
    expire(desk, DAY_MS, 3);
    CHECK_STR(list_log(desk, 0, INT64_MAX, false, 10),
              "0 7 end"); /* the record's hash is that of the newest */
    desk_append(desk, "live/pump", 1);
    desk->call.now_ms += 9 * DAY_MS;
    expire(desk, DAY_MS, 3);
    contract_reopen(desk);
    CHECK_STR(list_log(desk, 0, INT64_MAX, false, 10), "0 8 end");
    CHECK_STR(list_covering(desk, 3, 10), "end");
}

/* P3: what has no end is kept, however old */
CONTRACT(open_updates_and_untold_notices_are_not_deleted)
{
    struct desk_draft draft;
    if (!contract_maker()->expires) {
        return;
    }
    two_days(desk);
    desk_next(desk, &draft, "live/pump", 0);
    draft.device.from_seq = 3;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
    desk->call.now_ms += 9 * DAY_MS;
    desk_create(desk, "live/other", "acme");
    CHECK_INT(expire(desk, DAY_MS, 10), 2);
    CHECK_STR(list_log(desk, 0, INT64_MAX, false, 10), "0 3 4 5 6 end");
    append_notice(desk, "live/pump", 7); /* entry 7 */
    desk_next(desk, &draft, "live/pump", 0);
    draft.device.from_seq = 0;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
    desk->call.now_ms += 9 * DAY_MS;
    desk_append(desk, "live/other", 1);
    expire(desk, DAY_MS, 10);
    CHECK_STR(list_log(desk, 0, INT64_MAX, false, 10), "0 7 end");
    desk_append(desk, "live/pump", 1); /* entry 8 */
    desk->call.now_ms += 9 * DAY_MS;
    expire(desk, DAY_MS, 10);
    CHECK_STR(list_log(desk, 0, INT64_MAX, false, 10), "0 7 8 end");
    CHECK_RC(store_notice_done(desk->store, &desk->call, STR("live/pump"), 7, 0), RC_OK);
    desk->call.now_ms += 9 * DAY_MS;
    expire(desk, DAY_MS, 10);
    CHECK_STR(list_log(desk, 0, INT64_MAX, false, 10), "0 8 end");
}

/* I7: each store has its own way to forget, and none forgets what the record's hash stands on or what still waits. */
CONTRACT(the_newest_entry_and_what_waits_outlive_every_retention)
{
    struct desk_draft draft;
    const int64_t history_ms = 90 * DAY_MS; /* as store_dynamodb has it if nobody says otherwise */
    desk_create(desk, "live/pump", "acme");
    for (int i = 0; i < 3; i++) {
        desk_append(desk, "live/pump", 1);
    }
    desk->call.now_ms += 2 * history_ms;
    expire(desk, history_ms, 100);
    CHECK_STR(list_log(desk, 0, INT64_MAX, false, 10), "0 3 end");
    desk_next(desk, &draft, "live/pump", 1); /* 4 waits; 5 and 6 are its tries */
    draft.device.from_seq = 4;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
    append_range(desk, ENTRY_no_effect, 4, 4);
    append_range(desk, ENTRY_dead, 4, 4);
    contract_reopen(desk);
    desk->call.now_ms += 2 * history_ms;
    expire(desk, history_ms, 100);
    CHECK_STR(list_log(desk, 4, INT64_MAX, false, 10), "4 5 6 end");
    desk_next(desk, &draft, "live/pump", 1); /* 7 ends it */
    draft.entries[0].kind = ENTRY_delivered;
    draft.device.from_seq = 0;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
    CHECK_STR(list_log(desk, 4, INT64_MAX, false, 10), "4 5 6 7 end");
    desk->call.now_ms += 2 * history_ms;
    expire(desk, history_ms, 100);
    CHECK_STR(list_log(desk, 0, INT64_MAX, false, 10), "0 7 end");
}

CONTRACT(only_retired_bodies_are_deleted_a_history_after_they_were_retired)
{
    struct desk_draft draft;
    struct body body = {.target = STR("{}"), .bytes = STR("{}"), .repeat_id = STR("r")}, found;
    if (!contract_maker()->expires) {
        return;
    }
    desk_create(desk, "live/pump", "acme");
    for (int i = 0; i < 3; i++) { /* deliveries 2, 3, 4; each is the base until the next one */
        desk_next(desk, &draft, "live/pump", 0);
        body.delivery = draft.device.version;
        draft.change.body = &body;
        draft.change.retire_body = draft.device.base;
        draft.device.base = body.delivery;
        CHECK_RC(desk_commit(desk, &draft), RC_OK);
        desk->call.now_ms += DAY_MS;
    }
    CHECK_INT(expire(desk, 3 * DAY_MS, 10), 0);
    CHECK_RC(store_body_get(desk->store, &desk->call, STR("live/pump"), 2, &found), RC_OK);
    CHECK_INT(expire(desk, DAY_MS + 1, 1), 1); /* 2 was retired two days ago, 3 one day ago */
    CHECK_RC(store_body_get(desk->store, &desk->call, STR("live/pump"), 2, &found), RC_NOT_FOUND);
    CHECK_RC(store_body_get(desk->store, &desk->call, STR("live/pump"), 3, &found), RC_OK);
    desk->call.now_ms += 100 * DAY_MS;
    CHECK_INT(expire(desk, DAY_MS, 1), 1);
    CHECK_RC(store_body_get(desk->store, &desk->call, STR("live/pump"), 4, &found), RC_OK);
}
