/* What every store owes the core, line by line of core/ports.h: the write and what it guards. Lists, work and
 * retention are in contract_store_lists.c. */
#include "contract_store.h"

#include <stdio.h>

#include "adapters/store_sqlite.h"
#include "base/text.h"
#include "dynamo_rig.h"

/* ---- the stores ------------------------------------------------------------------------------ */

static struct store *open_sqlite(const char *path, const struct store_sqlite_options *options)
{
    struct arena arena;
    struct store *store = NULL;
    arena_open(&arena, 0);
    struct call call = {.arena = &arena};
    CHECK_RC(store_sqlite_open(&call, path, options, &store), RC_OK);
    arena_close(&arena);
    return store;
}

static struct store *open_memory(void)
{
    return open_sqlite(":memory:", NULL);
}

static struct store *open_file(void)
{
    return open_sqlite("contract.db", NULL);
}

static struct store *open_swept(void)
{
    return open_sqlite("swept.db", &(struct store_sqlite_options){.tail_names = 1});
}

/* To plug a store in: one line. */
static const struct store_maker store_makers[] = {
    {"sqlite in memory", open_memory, store_sqlite_close, .keeps = false, .expires = true},
    {"sqlite in a file", open_file, store_sqlite_close, .keeps = true, .expires = true},
    {"sqlite with names on the disk", open_swept, store_sqlite_close, .keeps = true,
     .expires = true},
    {"dynamodb", dynamo_open, dynamo_close, .keeps = true, .is_there = dynamo_endpoint},
};

static const struct store_maker *running;

const struct store_maker *contract_maker(void)
{
    return running;
}

void contract_run(void (*contract)(struct desk *))
{
    for (size_t i = 0; i < COUNT_OF(store_makers); i++) {
        struct desk desk;
        running = &store_makers[i];
        if (running->is_there && !running->is_there()) {
            continue;
        }
        fprintf(stderr, "store: %s\n", running->name); /* seen only if the test fails */
        desk_open(&desk, running->open());
        contract(&desk);
        running->close(desk.store);
        desk_close(&desk);
    }
}

void contract_reopen(struct desk *desk)
{
    if (running->keeps) {
        running->close(desk->store);
        desk->store = running->open();
    }
}

/* ---- reading back ------------------------------------------------------------------------------ */

CONTRACT(a_device_that_does_not_exist_has_version_0)
{
    struct device device = {.version = 7};
    CHECK_RC(store_device_get(desk->store, &desk->call, STR("live/pump"), &device), RC_OK);
    CHECK_INT(device.version, 0);
}

/* Every number different, so that no two can be exchanged unseen. */
static void fill_device(struct device *device)
{
    device->doc = STR("{\"a\":1.0,\"b\":\"\\u0000 \xc3\xa9\"}");
    device->revision = 12;
    device->pending_count = 13;
    device->pending_bytes = 14;
    device->attempt_count = 15;
    device->window_attempt_count = 16;
    device->work = WORK_FLIGHT;
    device->at_ms = 17;
    device->due_at_ms = 18;
    device->not_before_at_ms = 19;
    device->effect_at_ms = 20;
    device->accepted_at_ms = INT64_C(253402300799000);
    device->flight = (struct flight){.delivery = 2,
                                     .from_seq = 22,
                                     .to_seq = 23,
                                     .lease_no = 24,
                                     .settled_no = 25,
                                     .started_at_ms = 26,
                                     .send_before_at_ms = 27,
                                     .lease_until_ms = 28};
    device->base = 1;
    device->resend_all = true;
    device->downstream_ref = STR("000000000010000042");
    device->hold_reason = STR("maintenance");
    device->from_seq = 1;
}

static void check_device(const struct device *is, const struct device *wanted)
{
    CHECK_BYTES(is->realm, wanted->realm);
    CHECK_BYTES(is->key, wanted->key);
    CHECK_BYTES(is->name, wanted->name);
    CHECK_BYTES(is->owner, wanted->owner);
    CHECK_BYTES(is->doc, wanted->doc);
    CHECK_BYTES(is->downstream_ref, wanted->downstream_ref);
    CHECK_BYTES(is->hold_reason, wanted->hold_reason);
    CHECK_BYTES(is->log_sha, wanted->log_sha);
    CHECK_INT(is->version, wanted->version);
    CHECK_INT(is->revision, wanted->revision);
    CHECK_INT(is->seq, wanted->seq);
    CHECK_INT(is->from_seq, wanted->from_seq);
    CHECK_INT(is->pending_count, wanted->pending_count);
    CHECK_INT(is->pending_bytes, wanted->pending_bytes);
    CHECK_INT(is->attempt_count, wanted->attempt_count);
    CHECK_INT(is->window_attempt_count, wanted->window_attempt_count);
    CHECK_INT(is->work, wanted->work);
    CHECK_INT(is->at_ms, wanted->at_ms);
    CHECK_INT(is->due_at_ms, wanted->due_at_ms);
    CHECK_INT(is->not_before_at_ms, wanted->not_before_at_ms);
    CHECK_INT(is->effect_at_ms, wanted->effect_at_ms);
    CHECK_INT(is->accepted_at_ms, wanted->accepted_at_ms);
    CHECK_INT(is->created_at_ms, wanted->created_at_ms);
    CHECK_INT(is->base, wanted->base);
    CHECK_INT(is->resend_all, wanted->resend_all);
    CHECK(memcmp(&is->flight, &wanted->flight, sizeof is->flight) == 0);
}

CONTRACT(a_device_reads_back_as_it_was_written_field_by_field)
{
    struct desk_draft draft;
    struct body body = {
        .delivery = 2, .target = STR("{}"), .bytes = STR("{}"), .repeat_id = STR("r")};
    desk_new(desk, &draft, "live/pump 7", "acme");
    draft.device.name = STR("Pump 7");
    draft.device.created_at_ms = 29;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
    struct device created = desk_read(desk, "live/pump 7");
    check_device(&created, &draft.device);
    desk_next(desk, &draft, "live/pump 7", 2);
    fill_device(&draft.device);
    draft.change.body = &body;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
    contract_reopen(desk);
    struct device device = desk_read(desk, "live/pump 7");
    check_device(&device, &draft.device);
    CHECK_STR(device.name, "Pump 7");
}

static void check_entry(const struct entry *is, const struct entry *wanted)
{
    CHECK_INT(is->seq, wanted->seq);
    CHECK_INT(is->kind, wanted->kind);
    CHECK_INT(is->at_ms, wanted->at_ms);
    CHECK_BYTES(is->by, wanted->by);
    CHECK_BYTES(is->request_id, wanted->request_id);
    CHECK_BYTES(is->data, wanted->data);
    CHECK_BYTES(is->sha, wanted->sha);
    CHECK_INT(is->from_seq, wanted->from_seq);
    CHECK_INT(is->to_seq, wanted->to_seq);
    CHECK_INT(is->delivery, wanted->delivery);
    CHECK_INT(is->ended, wanted->ended);
    CHECK_INT(is->notice_at_ms, wanted->notice_at_ms);
}

CONTRACT(an_entry_reads_back_as_it_was_written_field_by_field)
{
    struct desk_draft draft;
    desk_create(desk, "live/pump", "acme");
    for (int kind = ENTRY_created; kind < ENTRY_KIND_COUNT; kind++) {
        desk_next(desk, &draft, "live/pump", 1);
        draft.entries[0].kind = (enum entry_kind)kind;
        draft.entries[0].at_ms = 100 + kind;
        draft.entries[0].by = desk_text(desk, "by %d", kind);
        draft.entries[0].request_id = desk_text(desk, "request %d", kind);
        draft.entries[0].from_seq = kind - 1;
        draft.entries[0].to_seq = kind;
        draft.entries[0].delivery = 1000 + kind;
        draft.entries[0].ended = (enum ended)(kind % 3);
        draft.entries[0].notice_at_ms = 2000 + kind;
        CHECK_RC(desk_commit(desk, &draft), RC_OK);
        contract_reopen(desk);
        struct entry_page log = desk_log(desk, "live/pump");
        check_entry(&log.items[log.count - 1], &draft.entries[0]);
    }
}

CONTRACT(the_largest_of_everything_is_kept)
{
    struct desk_draft draft;
    char *key = arena_alloc(&desk->arena, KEY_MAX_BYTES + 1);
    char *doc = arena_alloc(&desk->arena, DOC_STORED_MAX_BYTES);
    char *data = arena_alloc(&desk->arena, ENTRY_MAX_BYTES);
    memset(key, 'k', KEY_MAX_BYTES);
    memset(doc, 'd', DOC_STORED_MAX_BYTES);
    memset(data, 'e', ENTRY_MAX_BYTES);
    key[REALM_MAX_BYTES] = '/';
    desk_new(desk, &draft, key, "acme");
    draft.device.doc = (struct str){doc, DOC_STORED_MAX_BYTES};
    draft.entries[0].data = (struct str){data, ENTRY_MAX_BYTES};
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
    contract_reopen(desk);
    struct device device = desk_read(desk, key);
    check_device(&device, &draft.device);
    check_entry(&desk_log(desk, key).items[0], &draft.entries[0]);
}

CONTRACT(what_was_read_stays_when_the_store_goes_on)
{
    desk_create(desk, "live/pump", "acme");
    struct device before = desk_read(desk, "live/pump");
    struct entry_page log = desk_log(desk, "live/pump");
    desk_append(desk, "live/pump", 3);
    desk_create(desk, "live/valve", "other");
    struct device valve = desk_read(desk, "live/valve");
    CHECK_STR(before.key, "live/pump");
    CHECK_STR(before.owner, "acme");
    CHECK_STR(log.items[0].data, "{\"n\":0}");
    CHECK_STR(valve.owner, "other");
}

/* P5: the key is compared byte by byte; that two spellings are one key is name.c's */
CONTRACT(keys_are_compared_byte_by_byte)
{
    struct desk_draft draft;
    desk_create(desk, "live/a", "acme");
    desk_create(desk, "live/A", "acme");
    desk_create(desk, "live/\xc3\xa4", "acme");
    desk_create(desk, "live/a ", "acme");
    desk_create(desk, "test-x/a", "acme");
    desk_new(desk, &draft, "live/a", "other");
    CHECK_RC(desk_commit(desk, &draft), RC_CONFLICT);
    CHECK_STR(desk_read(desk, "live/a").owner, "acme");
}

/* ---- the write ------------------------------------------------------------------------------------ */

static struct reply sample_reply(struct desk *desk, const char *key)
{
    return (struct reply){.owner = STR("acme"),
                          .key = str_of(key),
                          .fingerprint = desk_sha(desk, 99),
                          .status = 202,
                          .head = STR("location: x\n"),
                          .body = STR("{\"seq\":1}"),
                          .expires_at_ms = desk->call.now_ms + 1000};
}

static struct key sample_key(struct desk *desk, const char *id)
{
    return (struct key){.id = str_of(id),
                        .owner = STR("acme"),
                        .realm = STR("live"),
                        .label = STR("the factory"),
                        .role = ROLE_CUSTOMER,
                        .secrets = {{desk_sha(desk, 1), 0}, {desk_sha(desk, 2), 77}},
                        .version = 1,
                        .created_at_ms = 78,
                        .deleted_at_ms = 79,
                        .last_used_day = 80};
}

/* A change of everything, so that a refusal has something to leave behind. */
struct everything {
    struct desk_draft draft;
    struct reply reply;
    struct body body;
    struct key key;
};

static void draft_everything(struct desk *desk, struct everything *all, const char *key)
{
    desk_next(desk, &all->draft, key, 2);
    all->reply = sample_reply(desk, "again-1");
    all->body = (struct body){.delivery = all->draft.device.version,
                              .target = STR("{\"t\":1}"),
                              .bytes = STR("{\"b\":1}"),
                              .repeat_id = STR("00112233445566778899aabbccddeeff"),
                              .mapping_version = 3};
    all->key = sample_key(desk, "k_1");
    all->draft.device.doc = STR("{\"changed\":true}");
    all->draft.device.work = WORK_OPEN;
    all->draft.device.at_ms = 5;
    all->draft.entries[1].notice_at_ms = 6;
    all->draft.change.ended_seq = 1;
    all->draft.change.ended = ENDED_CANCELLED;
    all->draft.change.reply = &all->reply;
    all->draft.change.body = &all->body;
    all->draft.change.api_key = &all->key;
}

/* The store as it was before draft_everything of "live/pump", which then stood at version 2 with entries 0 and 1. */
static void check_nothing_of_it(struct desk *desk)
{
    struct reply reply = {0};
    struct body body;
    struct key key;
    struct work_counts counts;
    struct work_page work;
    struct device device = desk_read(desk, "live/pump");
    CHECK_INT(device.version, 2);
    CHECK_STR(device.doc, "{}");
    struct entry_page log = desk_log(desk, "live/pump");
    CHECK_INT(log.count, 2);
    CHECK_INT(log.items[1].ended, ENDED_NONE);
    CHECK_RC(store_body_get(desk->store, &desk->call, STR("live/pump"), 3, &body), RC_NOT_FOUND);
    CHECK_RC(store_key_get(desk->store, &desk->call, STR("k_1"), &key), RC_OK);
    CHECK_INT(key.version, 0);
    CHECK_RC(store_reply_get(desk->store, &desk->call, STR("acme"), STR("again-1"), &reply), RC_OK);
    CHECK_INT(reply.status, 0);
    CHECK_RC(store_work_count(desk->store, &desk->call, &counts), RC_OK);
    CHECK_INT(counts.count[WORK_OPEN] + counts.count[WORK_NOTICE], 0);
    for (enum work state = WORK_OPEN; state < WORK_COUNT; state++) {
        CHECK_RC(store_work_list(desk->store, &desk->call, state, STR(""), SHARD_ALL, INT64_MAX,
                                 STR(""), 10, &work),
                 RC_OK);
        CHECK_INT(work.count, 0);
    }
}

CONTRACT(one_commit_writes_all_that_it_carries)
{
    struct everything all;
    struct reply reply = {0};
    struct body body;
    struct key key;
    desk_create(desk, "live/pump", "acme");
    desk_append(desk, "live/pump", 1);
    draft_everything(desk, &all, "live/pump");
    CHECK_RC(desk_commit(desk, &all.draft), RC_OK);
    contract_reopen(desk);
    CHECK_INT(desk_read(desk, "live/pump").version, 3);
    struct entry_page log = desk_log(desk, "live/pump");
    CHECK_INT(log.count, 4);
    CHECK_INT(log.items[1].ended, ENDED_CANCELLED);
    CHECK_INT(log.items[2].ended, ENDED_NONE);
    CHECK_INT(log.items[3].notice_at_ms, 6);
    CHECK_RC(store_body_get(desk->store, &desk->call, STR("live/pump"), 3, &body), RC_OK);
    CHECK_BYTES(body.target, all.body.target);
    CHECK_BYTES(body.bytes, all.body.bytes);
    CHECK_BYTES(body.repeat_id, all.body.repeat_id);
    CHECK_INT(body.mapping_version, 3);
    CHECK_RC(store_reply_get(desk->store, &desk->call, STR("acme"), STR("again-1"), &reply), RC_OK);
    CHECK_INT(reply.status, 202);
    CHECK_BYTES(reply.head, all.reply.head);
    CHECK_BYTES(reply.body, all.reply.body);
    CHECK_BYTES(reply.fingerprint, all.reply.fingerprint);
    CHECK_INT(reply.expires_at_ms, all.reply.expires_at_ms);
    CHECK_RC(store_key_get(desk->store, &desk->call, STR("k_1"), &key), RC_OK);
    CHECK_INT(key.version, 1);
}

CONTRACT(a_create_of_a_taken_key_conflicts_and_changes_nothing)
{
    struct everything all;
    desk_create(desk, "live/pump", "acme");
    desk_append(desk, "live/pump", 1);
    draft_everything(desk, &all, "live/pump");
    desk_new(desk, &all.draft, "live/pump", "acme");
    all.draft.change.reply = &all.reply;
    all.draft.change.api_key = &all.key;
    CHECK_RC(desk_commit(desk, &all.draft), RC_CONFLICT);
    check_nothing_of_it(desk);
}

CONTRACT(a_commit_on_an_old_or_future_version_conflicts_and_changes_nothing)
{
    struct everything all;
    desk_create(desk, "live/pump", "acme");
    desk_append(desk, "live/pump", 1);
    for (int64_t expect = 1; expect <= 3; expect += 2) {
        draft_everything(desk, &all, "live/pump");
        all.draft.device.version = expect + 1;
        all.draft.change.expect_version = expect;
        all.body.delivery = expect + 1;
        CHECK_RC(desk_commit(desk, &all.draft), RC_CONFLICT);
        check_nothing_of_it(desk);
    }
}

CONTRACT(a_commit_on_a_device_that_does_not_exist_conflicts)
{
    struct desk_draft draft;
    struct device device;
    desk_create(desk, "live/pump", "acme");
    desk_next(desk, &draft, "live/pump", 1);
    draft.device.key = STR("live/other");
    CHECK_RC(desk_commit(desk, &draft), RC_CONFLICT);
    CHECK_RC(store_device_get(desk->store, &desk->call, STR("live/other"), &device), RC_OK);
    CHECK_INT(device.version, 0);
}

/* P4: of two decisions on one version, one is refused, also when both devices were read before either wrote */
CONTRACT(of_two_decisions_on_one_version_the_second_conflicts)
{
    struct desk_draft first, second;
    desk_create(desk, "live/pump", "acme");
    desk_next(desk, &first, "live/pump", 1);
    desk_next(desk, &second, "live/pump", 2);
    CHECK_RC(desk_commit(desk, &first), RC_OK);
    CHECK_RC(desk_commit(desk, &second), RC_CONFLICT);
    CHECK_INT(desk_log(desk, "live/pump").count, 2);
    CHECK_INT(desk_read(desk, "live/pump").version, 2);
}

CONTRACT(a_commit_without_entries_moves_the_version_only)
{
    desk_create(desk, "live/pump", "acme");
    desk_append(desk, "live/pump", 0);
    CHECK_INT(desk_read(desk, "live/pump").version, 2);
    desk_append(desk, "live/pump", 1);
    struct entry_page log = desk_log(desk, "live/pump");
    CHECK_INT(log.count, 2);
    CHECK_INT(log.items[1].seq, 1);
}

/* P6: the key of an idempotent request is taken once, as long as it lives */
CONTRACT(a_living_reply_refuses_a_repeat_and_nothing_changes)
{
    struct everything all;
    struct reply reply = {0};
    struct desk_draft draft;
    desk_create(desk, "live/other", "acme");
    desk_next(desk, &draft, "live/other", 1);
    struct reply first = sample_reply(desk, "again-1");
    first.status = 201;
    draft.change.reply = &first;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
    desk_create(desk, "live/pump", "acme");
    desk_append(desk, "live/pump", 1);
    draft_everything(desk, &all, "live/pump");
    desk->call.now_ms = first.expires_at_ms - 1;
    all.reply.expires_at_ms = desk->call.now_ms + 1000;
    CHECK_RC(desk_commit(desk, &all.draft), RC_REPEATED);
    CHECK_RC(store_reply_get(desk->store, &desk->call, STR("acme"), STR("again-1"), &reply), RC_OK);
    CHECK_INT(reply.status, 201);
    desk->call.now_ms = first.expires_at_ms; /* dead: check_nothing_of_it must see none */
    check_nothing_of_it(desk);
    all.reply.expires_at_ms = desk->call.now_ms + 1000;
    CHECK_RC(desk_commit(desk, &all.draft), RC_OK);
    CHECK_RC(store_reply_get(desk->store, &desk->call, STR("acme"), STR("again-1"), &reply), RC_OK);
    CHECK_INT(reply.status, 202);
    CHECK_INT(reply.expires_at_ms, all.reply.expires_at_ms);
}

CONTRACT(a_repeat_is_told_so_even_if_the_device_moved_on)
{
    struct desk_draft draft;
    struct reply reply = sample_reply(desk, "again-1");
    desk_create(desk, "live/pump", "acme");
    desk_next(desk, &draft, "live/pump", 1);
    draft.change.reply = &reply;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
    CHECK_RC(desk_commit(desk, &draft), RC_REPEATED); /* the very same write once more */
    desk_new(desk, &draft, "live/pump", "acme");
    draft.change.reply = &reply;
    CHECK_RC(desk_commit(desk, &draft), RC_REPEATED);
    CHECK_INT(desk_read(desk, "live/pump").version, 2);
}

CONTRACT(idempotency_keys_belong_to_an_owner)
{
    struct desk_draft draft;
    struct reply mine = sample_reply(desk, "again"), theirs = sample_reply(desk, "again"),
                 found = {0};
    theirs.owner = STR("other");
    theirs.status = 201;
    desk_create(desk, "live/pump", "acme");
    desk_next(desk, &draft, "live/pump", 1);
    draft.change.reply = &mine;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
    desk_next(desk, &draft, "live/pump", 1);
    draft.change.reply = &theirs;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
    CHECK_RC(store_reply_get(desk->store, &desk->call, STR("acme"), STR("again"), &found), RC_OK);
    CHECK_INT(found.status, 202);
    CHECK_RC(store_reply_get(desk->store, &desk->call, STR("other"), STR("again"), &found), RC_OK);
    CHECK_INT(found.status, 201);
    CHECK_RC(store_reply_get(desk->store, &desk->call, STR(""), STR("again"), &found), RC_OK);
    CHECK_INT(found.status, 0);
    CHECK_RC(store_reply_get(desk->store, &desk->call, STR("acme"), STR("agai"), &found), RC_OK);
    CHECK_INT(found.status, 0);
}

CONTRACT(an_own_end_is_written_on_the_one_update)
{
    struct desk_draft draft;
    desk_create(desk, "live/pump", "acme");
    desk_append(desk, "live/pump", 4);
    desk_next(desk, &draft, "live/pump", 1);
    draft.change.ended_seq = 2;
    draft.change.ended = ENDED_SATISFIED;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
    contract_reopen(desk);
    struct entry_page log = desk_log(desk, "live/pump");
    CHECK_INT(log.count, 6);
    for (int i = 0; i < log.count; i++) {
        CHECK_INT(log.items[i].ended, i == 2 ? ENDED_SATISFIED : ENDED_NONE);
    }
}

CONTRACT(bodies_are_found_by_device_and_delivery)
{
    struct desk_draft draft;
    struct body body = {.target = STR("{}"), .bytes = STR(""), .repeat_id = STR("r")}, found;
    static const char *const keys[] = {"live/a", "live/b"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        desk_create(desk, keys[i], "acme");
        for (int n = 0; n < 3; n++) {
            desk_next(desk, &draft, keys[i], 0);
            body.delivery = draft.device.version;
            body.repeat_id = desk_text(desk, "%s %d", keys[i], n);
            draft.change.body = &body;
            CHECK_RC(desk_commit(desk, &draft), RC_OK);
        }
    }
    CHECK_RC(store_body_get(desk->store, &desk->call, STR("live/b"), 3, &found), RC_OK);
    CHECK_STR(found.repeat_id, "live/b 1");
    CHECK_INT(found.delivery, 3);
    CHECK_INT((int64_t)found.bytes.len, 0);
    CHECK_RC(store_body_get(desk->store, &desk->call, STR("live/b"), 5, &found), RC_NOT_FOUND);
    CHECK_RC(store_body_get(desk->store, &desk->call, STR("live/c"), 3, &found), RC_NOT_FOUND);
}

/* ---- credentials ------------------------------------------------------------------------------------ */

CONTRACT(a_credential_reads_back_and_is_guarded_by_its_version)
{
    struct key key = sample_key(desk, "k_1"), found;
    struct change change = {.api_key = &key};
    CHECK_RC(store_key_get(desk->store, &desk->call, STR("k_1"), &found), RC_OK);
    CHECK_INT(found.version, 0);
    CHECK_RC(store_commit(desk->store, &desk->call, &change), RC_OK);
    CHECK_RC(store_commit(desk->store, &desk->call, &change), RC_CONFLICT);
    key.version = 3;
    CHECK_RC(store_commit(desk->store, &desk->call, &change), RC_CONFLICT);
    key.version = 2;
    key.label = STR("another");
    CHECK_RC(store_commit(desk->store, &desk->call, &change), RC_OK);
    contract_reopen(desk);
    CHECK_RC(store_key_get(desk->store, &desk->call, STR("k_1"), &found), RC_OK);
    CHECK_INT(found.version, 2);
    CHECK_STR(found.label, "another");
    CHECK_STR(found.owner, "acme");
    CHECK_STR(found.realm, "live");
    CHECK_INT(found.role, ROLE_CUSTOMER);
    CHECK_BYTES(found.secrets[0].sha, key.secrets[0].sha);
    CHECK_BYTES(found.secrets[1].sha, key.secrets[1].sha);
    CHECK_INT(found.secrets[0].expires_at_ms, 0);
    CHECK_INT(found.secrets[1].expires_at_ms, 77);
    CHECK_INT(found.created_at_ms, 78);
    CHECK_INT(found.deleted_at_ms, 79);
    CHECK_INT(found.last_used_day, 80);
}

CONTRACT(a_credential_that_moved_on_refuses_the_device_beside_it)
{
    struct key key = sample_key(desk, "k_1");
    struct desk_draft draft;
    desk_new(desk, &draft, "live/!system", "");
    key.version = 2;
    draft.change.api_key = &key;
    CHECK_RC(desk_commit(desk, &draft), RC_CONFLICT);
    CHECK_INT(desk_read(desk, "live/!system").version, 0);
    key.version = 1;
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
    CHECK_INT(desk_read(desk, "live/!system").version, 1);
}

CONTRACT(credentials_are_listed_in_order_of_id_page_by_page)
{
    struct key_page page;
    struct str after = STR("");
    static const char *const ids[] = {"k_c", "k_a", "k_\xc3\xa4", "k_B", "k_b"};
    struct text text;
    text_open(&text, &desk->arena, 1000);
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        struct key key = sample_key(desk, ids[i]);
        struct change change = {.api_key = &key};
        CHECK_RC(store_commit(desk->store, &desk->call, &change), RC_OK);
    }
    do {
        CHECK_RC(store_key_list(desk->store, &desk->call, after, 2, &page), RC_OK);
        for (int i = 0; i < page.count; i++) {
            after = page.items[i].id;
            text_printf(&text, STR_FMT " ", STR_ARG(after));
        }
    } while (page.more);
    CHECK_STR(text_str(&text), "k_B k_a k_b k_c k_\xc3\xa4 ");
}

CONTRACT(a_ping_writes)
{
    CHECK_RC(store_ping(desk->store, &desk->call), RC_OK);
    CHECK_RC(store_ping(desk->store, &desk->call), RC_OK);
}
