/* The one write of store_dynamodb, and the small ones beside it.
 *
 * A commit is one TransactWriteItems. Its token makes a repeat on the wire harmless, whoever makes it: libcurl on a dead
 * connection, aws_call after a 5xx, the loop here after a conflict with another transaction. A new decision of the
 * core is a new call of commit, hence a new token. */
#include "adapters/store_dynamodb_inner.h"

#include "base/sha256.h"
#include "core/name.h"

#define TOKEN_BYTES                                                                                \
    16 /* 32 hex; DynamoDB API reference: ClientRequestToken has at most 36 characters */
#define ROWS_MAX 12
#define AGE_TIMEOUT_MS 1000

/* What stands where in a transaction, so that its refusal can be read. */
enum place { PLACE_DEVICE, PLACE_KEY, PLACE_REPLY, PLACE_OTHER };

struct transaction {
    struct store_dynamodb *self;
    struct call *call;
    yyjson_mut_doc *doc;
    yyjson_mut_val *items;
    enum place places[ROWS_MAX];
    int count;
};

static yyjson_mut_val *next_action(struct transaction *transaction, enum place place,
                                   const char *kind)
{
    yyjson_mut_val *item = yyjson_mut_arr_add_obj(transaction->doc, transaction->items);
    assert(transaction->count < ROWS_MAX);
    transaction->places[transaction->count++] = place;
    return json_add_obj(transaction->doc, item, kind);
}

static struct row next_put(struct transaction *transaction, enum place place, struct str pk,
                           struct str sk)
{
    return row_put(transaction->self, transaction->call, transaction->doc,
                   next_action(transaction, place, "Put"), pk, sk);
}

static struct row next_update(struct transaction *transaction, enum place place, struct str pk,
                              struct str sk)
{
    return row_update(transaction->self, transaction->call, transaction->doc,
                      next_action(transaction, place, "Update"), pk, sk);
}

/* An after-image is guarded by the version before it. */
static void guard_version(struct row *row, int64_t expect_version)
{
    if (expect_version > 0) {
        json_add_str(row->doc, row->names, "#guard", STR("version"));
        row_value(row, ":expect", expect_version);
        row_end(row, "#guard = :expect");
    } else {
        row_end(row, "attribute_not_exists(pk)");
    }
}

static void add_device_rows(struct transaction *transaction, const struct change *change)
{
    struct call *call = transaction->call;
    const struct device *device = change->device;
    struct str pk = key_of_device(call, device->key);
    struct row row = next_update(transaction, PLACE_DEVICE, pk, STR("DEVICE"));
    row.is_new = change->expect_version == 0;
    row_device(&row, call, device);
    guard_version(&row, change->expect_version);
    for (size_t i = 0; i < change->entry_count; i++) {
        row = next_put(transaction, PLACE_OTHER, pk, key_of_entry(call, change->entries[i].seq));
        row_entry(&row, call, device->key, &change->entries[i]);
        row_end(&row, "attribute_not_exists(pk)");
    }
    if (change->ended_seq) {
        row = next_update(transaction, PLACE_OTHER, pk, key_of_entry(call, change->ended_seq));
        row_text(&row, "ended", str_of(ended_word(change->ended)));
        row_end(&row, "attribute_exists(pk)");
    }
    if (change->body) {
        row = next_put(transaction, PLACE_OTHER, pk, key_of_body(call, change->body->delivery));
        row_body(&row, change->body);
        row_end(&row, "attribute_not_exists(pk)");
    }
}

static void add_rows(struct transaction *transaction, const struct change *change)
{
    struct call *call = transaction->call;
    if (change->device) {
        add_device_rows(transaction, change);
    }
    if (change->reply) {
        const struct reply *reply = change->reply;
        struct row row = next_put(transaction, PLACE_REPLY,
                                  key_of_reply(call, reply->owner, reply->key), STR("R"));
        row_reply(&row, reply);
        row_value(&row, ":now_ms", call->now_ms);
        row_end(&row, "attribute_not_exists(pk) OR expires_at_ms <= :now_ms");
    }
    if (change->api_key) {
        struct row row = next_update(transaction, PLACE_KEY, STR("KEY"), change->api_key->id);
        row.is_new = change->api_key->version == 1;
        row_key(&row, change->api_key);
        guard_version(&row, change->api_key->version - 1);
    }
}

/* The same for every repeat of this transaction, and for no other: the random head is this process's, the number this
 * commit's. */
static struct str token_of(struct store_dynamodb *self, struct call *call)
{
    unsigned char digest[SHA256_BYTES];
    struct str nonce =
        text_hex(call->arena, (struct str){(const char *)self->nonce, sizeof self->nonce});
    sha256(arena_printf(call->arena, STR_FMT " " STR_FMT " %lld", STR_ARG(nonce), STR_ARG(call->id),
                        (long long)++self->commit_count),
           digest);
    return text_hex(call->arena, (struct str){(const char *)digest, TOKEN_BYTES});
}

/* What a cancelled transaction means: reasons stand in the order of its actions, "None" where nothing was wrong.
 *   out  ret_again: nothing but conflicts with others and throttling: the same may be tried again */
static enum rc read_reasons(struct transaction *transaction, yyjson_val *root, bool *ret_again)
{
    yyjson_val *reasons = json_member(root, "CancellationReasons"), *reason;
    enum rc rc = RC_OK;
    size_t at, count;
    struct str odd = STR_NONE;
    *ret_again = false;
    yyjson_arr_foreach(reasons, at, count, reason)
    {
        struct str code = json_member_str(reason, "Code", STR("None"));
        enum place place = (int)at < transaction->count ? transaction->places[at] : PLACE_OTHER;
        if (str_is(code, "None")) {
            continue;
        }
        if (str_is(code, "TransactionConflict") || aws_is_throttling(code)) {
            *ret_again = true;
        } else if (!str_is(code, "ConditionalCheckFailed")) {
            odd = code;
        } else if (place == PLACE_REPLY) {
            rc = RC_REPEATED; /* says more than a device that has moved on since */
        } else if (place == PLACE_OTHER) {
            odd = STR("a row is in the way or missing");
        } else if (rc == RC_OK) {
            rc = RC_CONFLICT;
        }
    }
    *ret_again = *ret_again && rc == RC_OK && !odd.len;
    if (rc != RC_OK || *ret_again) {
        return rc; /* a device that moved on explains what is odd beside it */
    }
    return call_why(transaction->call, RC_BROKEN, "TransactWriteItems was cancelled: " STR_FMT,
                    STR_ARG(odd));
}

static enum rc send_transaction(struct transaction *transaction)
{
    struct store_dynamodb *self = transaction->self;
    struct call *call = transaction->call;
    int64_t began_ms = aws_boot_ms(self->aws);
    struct aws_answer answer;
    yyjson_val *root;
    for (int tries = 1;; tries++) {
        bool again = false;
        TRY(dynamodb_ask(self, call, "TransactWriteItems", transaction->doc, &answer, &root));
        if (answer.status == 200) {
            return RC_OK;
        }
        if (str_is(answer.type, "TransactionCanceledException")) {
            enum rc rc = read_reasons(transaction, root, &again);
            if (!again) {
                return rc;
            }
        } else if (!str_is(answer.type, "TransactionInProgressException")) {
            return call_why(call, RC_BROKEN, "TransactWriteItems: %d " STR_FMT " " STR_FMT,
                            answer.status, STR_ARG(answer.type), STR_ARG(answer.message));
        }
        if (!aws_wait(self->aws, call, tries, began_ms)) {
            return call_why(call, again ? RC_BUSY : RC_BROKEN,
                            "TransactWriteItems, tried %d times: " STR_FMT, tries,
                            STR_ARG(answer.type));
        }
    }
}

/* ---- owners ------------------------------------------------------------------------------------------- */

/* Before an owner's first device that this process sees made, the owner is noted down: lists over all owners begin there.
 * A put of nothing but its key, so it may be repeated at will. */
static enum rc note_owner(struct store_dynamodb *self, struct call *call,
                          const struct device *device)
{
    struct str owner = key_of_owner(call, device->realm, device->owner);
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_val *answer;
    for (int i = 0; i < OWNERS_KNOWN_MAX; i++) {
        if (str_is(owner, self->owners_known[i])) {
            return RC_OK;
        }
    }
    struct row row = row_put(self, call, doc, yyjson_mut_doc_get_root(doc), STR("OWNER"), owner);
    row_end(&row, NULL);
    TRY(dynamodb_read(self, call, "PutItem", doc, &answer));
    char *place = self->owners_known[self->owners_next++ % OWNERS_KNOWN_MAX];
    assert(owner.len < sizeof self->owners_known[0]);
    memcpy(place, owner.s, owner.len);
    place[owner.len] = '\0';
    return RC_OK;
}

/* ---- what begins to age ------------------------------------------------------------------------------- */

static enum rc give_end(struct store_dynamodb *self, struct call *call, struct str pk,
                        struct str sk)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    struct aws_answer answer;
    struct row row = row_update(self, call, doc, yyjson_mut_doc_get_root(doc), pk, sk);
    row_number(&row, "ttl_s", ttl_of(call->now_ms + self->history_ms));
    row_end(&row, "attribute_exists(pk) AND attribute_not_exists(ttl_s)");
    struct aws_request request = {.service = AWS_DYNAMODB,
                                  .target = "UpdateItem",
                                  .body = json_write_mut(call->arena, doc),
                                  .timeout_ms = AGE_TIMEOUT_MS};
    return aws_call(self->aws, call, &request, &answer); /* tried once: nobody waits for it long */
}

/* Entries that are over, and a body that is no longer the base's, live for a history from now on. After the commit and beside
 * it: at half the price, and what is left out by a crash or a slow moment is kept for ever, which harms nobody. What waits
 * has no end of its own, however old it gets: DynamoDB must not delete it. Nor has the newest entry, whose hash the record
 * holds; it gets one when what comes after it is over, so that the accept that opens the work pays nothing for it. */
static void let_age(struct store_dynamodb *self, struct call *call, const struct change *change)
{
    const struct device *device = change->device;
    int64_t first = dynamodb_first_open_seen(self, device->key, change->expect_version);
    int64_t from = first ? max_i64(first - 1, 1) : device->seq; /* entry 0 is kept */
    int64_t to = dynamodb_first_open(device) - 2;
    struct str pk = key_of_device(call, device->key);
    struct call beside = *call; /* the commit stands, whatever becomes of this */
    struct arena arena CLEANUP(arena_close);
    enum rc rc = RC_OK;
    arena_open(
        &arena,
        0); /* of each request: there may be as many as updates that waited, and their tries */
    beside.arena = &arena;
    if (change->retire_body) {
        rc = give_end(self, &beside, pk, key_of_body(&beside, change->retire_body));
    }
    for (int64_t seq = from; seq <= to && rc == RC_OK; seq++) {
        arena_reset(&arena);
        rc = give_end(self, &beside, pk, key_of_entry(&beside, seq));
    }
}

enum rc dynamodb_commit(struct store *store, struct call *call, const struct change *change)
{
    struct store_dynamodb *self = store_dynamodb_of(store);
    struct transaction transaction = {.self = self, .call = call, .doc = json_doc(call->arena)};
    yyjson_mut_val *root = yyjson_mut_doc_get_root(transaction.doc);
    if (change->device && change->expect_version == 0) {
        TRY(note_owner(self, call, change->device));
    }
    json_add_str(transaction.doc, root, "ClientRequestToken", token_of(self, call));
    transaction.items = json_add_arr(transaction.doc, root, "TransactItems");
    add_rows(&transaction, change);
    TRY(send_transaction(&transaction));
    if (change->device) {
        let_age(self, call, change);
    }
    return RC_OK;
}

/* ---- notices, ping -------------------------------------------------------------------------------------- */

enum rc dynamodb_notice_done(struct store *store, struct call *call, struct str key, int64_t seq,
                             int64_t again_at_ms)
{
    struct store_dynamodb *self = store_dynamodb_of(store);
    yyjson_mut_doc *doc = json_doc(call->arena);
    struct aws_answer answer;
    yyjson_val *root;
    struct row row = row_update(self, call, doc, yyjson_mut_doc_get_root(doc),
                                key_of_device(call, key), key_of_entry(call, seq));
    row_number(&row, "notice_at_ms", again_at_ms);
    if (again_at_ms) {
        row_notice(&row, call, key, seq, again_at_ms);
    } else {
        row_text(&row, "work_pk", STR_NONE);
        row_text(&row, "work_sk", STR_NONE);
    }
    row_end(&row, "attribute_exists(notice_at_ms)"); /* told already, or never one: it stays so */
    TRY(dynamodb_ask(self, call, "UpdateItem", doc, &answer, &root));
    if (answer.status == 200 || str_is(answer.type, "ConditionalCheckFailedException")) {
        return RC_OK;
    }
    return call_why(call, RC_BROKEN, "UpdateItem: %d " STR_FMT " " STR_FMT, answer.status,
                    STR_ARG(answer.type), STR_ARG(answer.message));
}

enum rc dynamodb_ping(struct store *store, struct call *call)
{
    struct store_dynamodb *self = store_dynamodb_of(store);
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_val *answer;
    struct row row =
        row_put(self, call, doc, yyjson_mut_doc_get_root(doc), STR("PING"), STR("PING"));
    row_number(&row, "at_ms", call->now_ms);
    row_end(&row, NULL);
    return dynamodb_read(self, call, "PutItem", doc, &answer);
}
