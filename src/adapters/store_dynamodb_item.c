/* Items of the table and the records of core/model.h: keys, what is written, what is read. Pure: asks nobody. */
#include "adapters/store_dynamodb_inner.h"

#include <stdio.h>

#include "base/sha256.h"
#include "core/log.h"
#include "core/name.h"
#include "core/work.h"

#define SEQ_MAX INT64_C(9999999999) /* of 10 digits */
#define EXPRESSION_MAX_BYTES 4096   /* DynamoDB API reference, limits of expressions */
#define REPLY_HEX_BYTES 32
#define MOMENT_DIGITS 13

/* ---- keys ------------------------------------------------------------------------------------------- */

struct str key_of_device(struct call *call, struct str key)
{
    return arena_printf(call->arena, "D#" STR_FMT, STR_ARG(key));
}

static struct str numbered(struct call *call, char letter, int64_t number)
{
    number = max_i64(0, min_i64(number, SEQ_MAX));
    return arena_printf(call->arena, "%c#%010lld", letter, (long long)number);
}

struct str key_of_entry(struct call *call, int64_t seq)
{
    return numbered(call, 'L', seq);
}

struct str key_of_body(struct call *call, int64_t delivery)
{
    return numbered(call, 'B', delivery);
}

struct str key_of_reply(struct call *call, struct str owner, struct str idempotency_key)
{
    unsigned char digest[SHA256_BYTES];
    sha256(idempotency_key, digest);
    struct str hex = text_hex(call->arena, (struct str){(const char *)digest, REPLY_HEX_BYTES / 2});
    return arena_printf(call->arena, "R#" STR_FMT "#" STR_FMT, STR_ARG(owner), STR_ARG(hex));
}

struct str key_of_owner(struct call *call, struct str realm, struct str owner)
{
    return arena_printf(call->arena, STR_FMT "#" STR_FMT, STR_ARG(realm), STR_ARG(owner));
}

struct str key_of_owners_devices(struct call *call, struct str realm, struct str owner)
{
    return arena_printf(call->arena, "O#" STR_FMT "#" STR_FMT, STR_ARG(realm), STR_ARG(owner));
}

struct str key_of_work(struct call *call, enum work work, struct str realm, int shard)
{
    static const char *const states[WORK_COUNT] = {"NONE",      "OPEN", "FLIGHT",
                                                   "UNCERTAIN", "DEAD", "NOTICE"};
    return arena_printf(call->arena, "%s#" STR_FMT "#%x", states[work], STR_ARG(realm),
                        (unsigned)shard);
}

struct str moment_of_work(struct call *call, int64_t at_ms, struct str key, int64_t seq)
{
    long long at = (long long)min_i64(at_ms, INDEX_AT_MAX_MS);
    return seq >= 0 ? arena_printf(call->arena, "%013lld#" STR_FMT "#%lld", at, STR_ARG(key),
                                   (long long)seq)
                    : arena_printf(call->arena, "%013lld#" STR_FMT, at, STR_ARG(key));
}

enum rc work_of_moment(enum work work, struct str moment, struct work_item *ret_item)
{
    struct work_item item = {0};
    if (moment.len <= MOMENT_DIGITS + 1 || moment.s[MOMENT_DIGITS] != '#' ||
        text_to_i64(str_head(moment, MOMENT_DIGITS), &item.at_ms) != RC_OK) {
        return RC_INVALID;
    }
    item.at_ms = item.at_ms == INDEX_AT_MAX_MS ? TIME_NEVER_MS : item.at_ms;
    item.key = str_from(moment, MOMENT_DIGITS + 1);
    if (work == WORK_NOTICE) { /* a name may hold '#' too: the last one is ours */
        const char *hash = memrchr(item.key.s, '#', item.key.len);
        size_t at = hash ? (size_t)(hash - item.key.s) : 0;
        if (!hash || text_to_i64(str_from(item.key, at + 1), &item.seq) != RC_OK) {
            return RC_INVALID;
        }
        item.key = str_head(item.key, at);
    }
    *ret_item = item;
    return RC_OK;
}

int64_t ttl_of(int64_t at_ms)
{
    return (at_ms + 999) / 1000;
}

/* ---- writing: values ---------------------------------------------------------------------------------- */

void add_text(yyjson_mut_doc *doc, yyjson_mut_val *values, const char *name, struct str text)
{
    json_add_str(doc, json_add_obj(doc, values, name), "S", text);
}

void add_number(yyjson_mut_doc *doc, yyjson_mut_val *values, const char *name, int64_t number)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", (long long)number);
    json_add_str(doc, json_add_obj(doc, values, name), "N", (struct str){text, (size_t)len});
}

void add_key(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, struct str pk,
             struct str sk)
{
    yyjson_mut_val *key = json_add_obj(doc, object, name);
    add_text(doc, key, "pk", pk);
    add_text(doc, key, "sk", sk);
}

static struct row row_of(struct store_dynamodb *self, yyjson_mut_doc *doc, yyjson_mut_val *action)
{
    json_add_str(doc, action, "TableName", str_of(self->table));
    return (struct row){.doc = doc, .action = action};
}

struct row row_put(struct store_dynamodb *self, struct call *call, yyjson_mut_doc *doc,
                   yyjson_mut_val *action, struct str pk, struct str sk)
{
    struct row row = row_of(self, doc, action);
    (void)call;
    add_key(doc, action, "Item", pk, sk);
    row.item = yyjson_mut_obj_get(action, "Item");
    return row;
}

struct row row_update(struct store_dynamodb *self, struct call *call, yyjson_mut_doc *doc,
                      yyjson_mut_val *action, struct str pk, struct str sk)
{
    struct row row = row_of(self, doc, action);
    add_key(doc, action, "Key", pk, sk);
    row.names = yyjson_mut_obj(doc);
    row.values = yyjson_mut_obj(doc);
    text_open(&row.set, call->arena, EXPRESSION_MAX_BYTES);
    text_open(&row.remove, call->arena, EXPRESSION_MAX_BYTES);
    return row;
}

/* "#<n>" of an attribute, since many of them are reserved words: DynamoDB developer guide, reserved words. */
static const char *alias_of(struct row *row, char mark)
{
    return arena_printf(row->doc->alc.ctx, "%c%d", mark, row->count).s;
}

/* Begin `#n = :n` of an Update. out: where its value goes, and how it is called there. */
static yyjson_mut_val *set_next(struct row *row, const char *name, const char **ret_name)
{
    if (row->item) {
        *ret_name = name;
        return row->item;
    }
    row->count++;
    const char *alias = alias_of(row, '#');
    *ret_name = alias_of(row, ':');
    json_add_str(row->doc, row->names, alias, str_of(name));
    text_printf(&row->set, "%s%s = %s", row->set.len ? ", " : "SET ", alias, *ret_name);
    return row->values;
}

static void remove_next(struct row *row, const char *name)
{
    if (row->item || row->is_new) {
        return;
    }
    row->count++;
    const char *alias = alias_of(row, '#');
    json_add_str(row->doc, row->names, alias, str_of(name));
    text_printf(&row->remove, "%s%s", row->remove.len ? ", " : "REMOVE ", alias);
}

void row_text(struct row *row, const char *name, struct str text)
{
    if (text.len) {
        yyjson_mut_val *values = set_next(row, name, &name);
        add_text(row->doc, values, name, text);
    } else {
        remove_next(row, name);
    }
}

void row_number(struct row *row, const char *name, int64_t number)
{
    if (number) {
        yyjson_mut_val *values = set_next(row, name, &name);
        add_number(row->doc, values, name, number);
    } else {
        remove_next(row, name);
    }
}

void row_value(struct row *row, const char *name, int64_t number)
{
    if (!row->values) {
        row->values = yyjson_mut_obj(row->doc);
    }
    add_number(row->doc, row->values, name, number);
}

static void add_object(struct row *row, const char *name, yyjson_mut_val *object)
{
    if (object && yyjson_mut_obj_size(object) > 0) {
        yyjson_mut_obj_add(row->action, yyjson_mut_str(row->doc, name), object);
    }
}

void row_end(struct row *row, const char *condition)
{
    if (!row->item) {
        assert(!row->set.full && !row->remove.full);
        json_add_str(row->doc, row->action, "UpdateExpression",
                     arena_printf(row->doc->alc.ctx, STR_FMT "%s" STR_FMT,
                                  STR_ARG(text_str(&row->set)), row->set.len ? " " : "",
                                  STR_ARG(text_str(&row->remove))));
    }
    if (condition) {
        json_add_str(row->doc, row->action, "ConditionExpression", str_of(condition));
    }
    add_object(row, "ExpressionAttributeNames", row->names);
    add_object(row, "ExpressionAttributeValues", row->values);
}

/* ---- writing: records --------------------------------------------------------------------------------- */

#define ROW_NUMBER(attribute, member) row_number(row, #attribute, (int64_t)record->member);
#define ROW_TEXT(attribute, member) row_text(row, #attribute, record->member);

void row_device(struct row *row, struct call *call, const struct device *record)
{
    bool works = record->work != WORK_NONE;
    DEVICE_NUMBERS(ROW_NUMBER)
    DEVICE_TEXTS(ROW_TEXT)
    row_text(row, "work", works ? str_of(work_name(record->work)) : STR_NONE);
    row_text(row, "work_pk",
             works ? key_of_work(call, record->work, record->realm, name_shard(record->key))
                   : STR_NONE);
    row_text(row, "work_sk",
             works ? moment_of_work(call, record->at_ms, record->key, -1) : STR_NONE);
    if (!name_is_system(record->key)) {
        row_text(row, "owner_pk", key_of_owners_devices(call, record->realm, record->owner));
        row_text(row, "owner_sk", record->key);
    }
}

const char *ended_word(enum ended ended)
{
    return ended == ENDED_SATISFIED ? "satisfied" : ended == ENDED_CANCELLED ? "cancelled" : "";
}

void row_notice(struct row *row, struct call *call, struct str key, int64_t seq,
                int64_t notice_at_ms)
{
    row_text(row, "work_pk", key_of_work(call, WORK_NOTICE, name_realm(key), name_shard(key)));
    row_text(row, "work_sk", moment_of_work(call, notice_at_ms, key, seq));
}

void row_entry(struct row *row, struct call *call, struct str key, const struct entry *record)
{
    ENTRY_NUMBERS(ROW_NUMBER)
    ENTRY_TEXTS(ROW_TEXT)
    row_text(row, "kind", str_of(entry_kind_name(record->kind)));
    row_text(row, "ended", str_of(ended_word(record->ended)));
    if (record->notice_at_ms) {
        row_notice(row, call, key, record->seq, record->notice_at_ms);
    }
}

void row_body(struct row *row, const struct body *record)
{
    BODY_NUMBERS(ROW_NUMBER)
    BODY_TEXTS(ROW_TEXT)
}

void row_reply(struct row *row, const struct reply *record)
{
    REPLY_NUMBERS(ROW_NUMBER)
    REPLY_TEXTS(ROW_TEXT)
    row_number(row, "ttl_s", ttl_of(record->expires_at_ms));
}

void row_key(struct row *row, const struct key *record)
{
    KEY_NUMBERS(ROW_NUMBER)
    KEY_TEXTS(ROW_TEXT)
    row_text(row, "role",
             record->role == ROLE_OPERATOR   ? STR("operator")
             : record->role == ROLE_CUSTOMER ? STR("customer")
                                             : STR_NONE);
}

/* ---- reading ------------------------------------------------------------------------------------------ */

struct str item_text(yyjson_val *item, const char *name)
{
    return json_member_str(json_member(item, name), "S", STR_NONE);
}

int64_t item_number(yyjson_val *item, const char *name)
{
    int64_t number = 0;
    struct str text = json_member_str(json_member(item, name), "N", STR_NONE);
    return text_to_i64(text, &number) == RC_OK ? number : 0;
}

/* What follows "X#" of a key. */
static struct str key_rest(yyjson_val *item, const char *name)
{
    struct str key = item_text(item, name);
    return key.len > 2 ? str_from(key, 2) : STR_NONE;
}

static int64_t key_number(yyjson_val *item)
{
    int64_t number = 0;
    return text_to_i64(key_rest(item, "sk"), &number) == RC_OK ? number : 0;
}

#define ITEM_NUMBER(attribute, member)                                                             \
    record->member = (__typeof__(record->member))item_number(item, #attribute);
#define ITEM_TEXT(attribute, member) record->member = item_text(item, #attribute);

void item_device(yyjson_val *item, struct device *ret_device)
{
    struct device *record = ret_device;
    *record = (struct device){0};
    DEVICE_NUMBERS(ITEM_NUMBER)
    DEVICE_TEXTS(ITEM_TEXT)
    record->key = key_rest(item, "pk");
    record->realm = name_realm(record->key);
    struct str work = item_text(item, "work");
    record->work = work.len ? work_of(work) : WORK_NONE;
}

void item_entry(yyjson_val *item, struct entry *ret_entry)
{
    struct entry *record = ret_entry;
    struct str ended = item_text(item, "ended");
    *record = (struct entry){0};
    ENTRY_NUMBERS(ITEM_NUMBER)
    ENTRY_TEXTS(ITEM_TEXT)
    record->seq = key_number(item);
    record->kind = entry_kind_of(item_text(item, "kind"));
    for (int i = ENDED_SATISFIED; i <= ENDED_CANCELLED; i++) {
        record->ended = str_is(ended, ended_word((enum ended)i)) ? (enum ended)i : record->ended;
    }
}

void item_body(yyjson_val *item, struct body *ret_body)
{
    struct body *record = ret_body;
    *record = (struct body){.delivery = key_number(item)};
    BODY_NUMBERS(ITEM_NUMBER)
    BODY_TEXTS(ITEM_TEXT)
}

void item_reply(yyjson_val *item, struct reply *ret_reply)
{
    struct reply *record = ret_reply;
    REPLY_NUMBERS(ITEM_NUMBER)
    REPLY_TEXTS(ITEM_TEXT)
}

void item_key(yyjson_val *item, struct key *ret_key)
{
    struct key *record = ret_key;
    struct str role = item_text(item, "role");
    *record = (struct key){.id = item_text(item, "sk")};
    KEY_NUMBERS(ITEM_NUMBER)
    KEY_TEXTS(ITEM_TEXT)
    record->role = str_is(role, "operator")   ? ROLE_OPERATOR
                   : str_is(role, "customer") ? ROLE_CUSTOMER
                                              : ROLE_NONE;
}

bool item_is_expired(yyjson_val *item, int64_t now_ms)
{
    int64_t ttl_s = item_number(item, "ttl_s");
    return ttl_s != 0 && ttl_s * 1000 <= now_ms;
}
