/* The reads of store_dynamodb but for work. Of one item: strong. Lists of devices come from an index, which may lag. */
#include "adapters/store_dynamodb_inner.h"

#include "core/log.h"
#include "core/name.h"

#define BATCH_MAX                                                                                  \
    25 /* devices read at once; DynamoDB would take 100, but a page mostly ends before */

/* One item, strong. out: ret_item NULL = there is none. */
static enum rc get_item(struct store_dynamodb *self, struct call *call, struct str pk,
                        struct str sk, yyjson_val **ret_item)
{
    yyjson_mut_doc *doc = dynamodb_request(self, call);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    yyjson_val *answer;
    add_key(doc, root, "Key", pk, sk);
    json_add_bool(doc, root, "ConsistentRead", true);
    TRY(dynamodb_read(self, call, "GetItem", doc, &answer));
    *ret_item = json_member(answer, "Item");
    return RC_OK;
}

int64_t dynamodb_first_open(const struct device *device)
{
    return device->from_seq ? device->from_seq : device->seq + 1;
}

/* A commit follows a read of the same device: what it must know of the state before is remembered from there. */
static void remember(struct store_dynamodb *self, const struct device *device)
{
    struct first_open *seen = &self->seen[self->seen_next++ % SEEN_COUNT];
    *seen = (struct first_open){
        .key_len = device->key.len, .version = device->version, .seq = dynamodb_first_open(device)};
    memcpy(seen->key, device->key.s, device->key.len);
}

int64_t dynamodb_first_open_seen(const struct store_dynamodb *self, struct str key, int64_t version)
{
    for (int i = 0; i < SEEN_COUNT; i++) {
        const struct first_open *seen = &self->seen[i];
        if (seen->version == version && version > 0 &&
            str_equal((struct str){seen->key, seen->key_len}, key)) {
            return seen->seq;
        }
    }
    return 0;
}

enum rc dynamodb_device_get(struct store *store, struct call *call, struct str key,
                            struct device *ret_device)
{
    struct store_dynamodb *self = store_dynamodb_of(store);
    yyjson_val *item;
    TRY(get_item(self, call, key_of_device(call, key), STR("DEVICE"), &item));
    if (item) {
        item_device(item, ret_device);
        remember(self, ret_device);
    }
    return RC_OK;
}

enum rc dynamodb_body_get(struct store *store, struct call *call, struct str key, int64_t delivery,
                          struct body *ret_body)
{
    yyjson_val *item;
    TRY(get_item(store_dynamodb_of(store), call, key_of_device(call, key),
                 key_of_body(call, delivery), &item));
    if (!item || item_is_expired(item, call->now_ms)) {
        return RC_NOT_FOUND;
    }
    item_body(item, ret_body);
    return RC_OK;
}

enum rc dynamodb_reply_get(struct store *store, struct call *call, struct str owner,
                           struct str idempotency_key, struct reply *ret_reply)
{
    yyjson_val *item;
    TRY(get_item(store_dynamodb_of(store), call, key_of_reply(call, owner, idempotency_key),
                 STR("R"), &item));
    if (item && item_number(item, "expires_at_ms") > call->now_ms) {
        *ret_reply = (struct reply){.owner = arena_copy(call->arena, owner),
                                    .key = arena_copy(call->arena, idempotency_key)};
        item_reply(item, ret_reply);
    }
    return RC_OK;
}

/* ---- credentials ------------------------------------------------------------------------------------ */

enum rc dynamodb_key_get(struct store *store, struct call *call, struct str id, struct key *ret_key)
{
    yyjson_val *item = NULL;
    if (id.len > 0) { /* DynamoDB knows no empty key */
        TRY(get_item(store_dynamodb_of(store), call, STR("KEY"), id, &item));
    }
    if (item) {
        item_key(item, ret_key);
    }
    return RC_OK;
}

enum rc dynamodb_key_list(struct store *store, struct call *call, struct str after, int limit,
                          struct key_page *ret_page)
{
    struct store_dynamodb *self = store_dynamodb_of(store);
    struct key_page page = {.items = arena_array(call->arena, struct key, (size_t)limit)};
    struct query query = {.pk = STR("KEY"),
                          .low = after.len ? after : STR(" "),
                          .high = STR(AFTER_ALL),
                          .limit = limit + 2};
    while (!page.more) {
        yyjson_val *item;
        TRY(dynamodb_next(self, call, &query, &item));
        if (!item) {
            break;
        }
        if (str_equal(item_text(item, "sk"), after)) {
            continue;
        }
        page.more = page.count == limit;
        if (!page.more) {
            item_key(item, &page.items[page.count++]);
        }
    }
    *ret_page = page;
    return RC_OK;
}

/* ---- logs --------------------------------------------------------------------------------------------- */

/* Collect entries until the limit or the page's bytes; of an update's tries until its end, which takes the last place. */
static enum rc fill_entries(struct store_dynamodb *self, struct call *call, struct query *query,
                            int limit, struct entry_page *ret_page)
{
    struct entry_page page = {.items = arena_array(call->arena, struct entry, (size_t)limit)};
    size_t bytes = 0;
    bool is_over = false;
    while (!is_over && (!page.more || query->covers > 0)) {
        struct entry entry;
        yyjson_val *item;
        TRY(dynamodb_next(self, call, query, &item));
        if (!item) {
            break;
        }
        if (item_is_expired(item, call->now_ms)) {
            continue; /* DynamoDB takes up to two days to delete it */
        }
        item_entry(item, &entry);
        bytes += entry.data.len;
        page.more |= page.count == limit || (page.count > 0 && bytes > PAGE_MAX_BYTES);
        if (!page.more) {
            page.items[page.count++] = entry;
        } else if (query->covers > 0) {
            page.items[page.count - 1] = entry;
        }
        is_over = query->covers > 0 && entry_ends(entry.kind);
    }
    *ret_page = page;
    return RC_OK;
}

enum rc dynamodb_log_list(struct store *store, struct call *call, struct str key, int64_t from_seq,
                          int64_t to_seq, bool newest_first, int limit, struct entry_page *ret_page)
{
    struct query query = {.pk = key_of_device(call, key),
                          .low = key_of_entry(call, from_seq),
                          .high = key_of_entry(call, to_seq),
                          .newest_first = newest_first,
                          .limit = limit + 1};
    return fill_entries(store_dynamodb_of(store), call, &query, limit, ret_page);
}

enum rc dynamodb_log_covering(struct store *store, struct call *call, struct str key, int64_t seq,
                              int limit, struct entry_page *ret_page)
{
    struct query query = {.pk = key_of_device(call, key),
                          .low = key_of_entry(call, seq + 1),
                          .high = key_of_entry(call, INT64_MAX),
                          .covers = seq}; /* no limit: DynamoDB counts it before the filter */
    if (seq == 0) {                       /* entry 0 is no update: nothing covers it */
        *ret_page = (struct entry_page){0};
        return RC_OK;
    }
    return fill_entries(store_dynamodb_of(store), call, &query, limit, ret_page);
}

/* ---- lists of devices --------------------------------------------------------------------------------- */

enum rc dynamodb_owners(struct store_dynamodb *self, struct call *call, struct str realm,
                        struct str **ret_owners, int *ret_count)
{
    struct str low = realm.len ? key_of_owner(call, realm, STR_NONE) : STR(" ");
    struct query query = {.pk = STR("OWNER"),
                          .low = low,
                          .high =
                              arena_printf(call->arena, "%s" AFTER_ALL, realm.len ? low.s : "")};
    struct str *owners = NULL;
    int count = 0;
    for (;;) {
        yyjson_val *item;
        TRY(dynamodb_next(self, call, &query, &item));
        if (!item) {
            break;
        }
        owners = arena_grow(call->arena, owners, sizeof *owners * (size_t)count,
                            sizeof *owners * (size_t)(count + 1));
        owners[count++] = item_text(item, "sk");
    }
    *ret_owners = owners;
    *ret_count = count;
    return RC_OK;
}

enum rc dynamodb_merge(struct store_dynamodb *self, struct call *call, struct query *query,
                       struct str skip, struct firsts *firsts)
{
    const char *name = arena_printf(call->arena, "%s_sk", query->index).s;
    for (;;) {
        yyjson_val *item;
        TRY(dynamodb_next(self, call, query, &item));
        struct str key = item ? item_text(item, name) : STR_NONE;
        bool is_full = firsts->count == firsts->max;
        if (!item || (is_full && str_compare(key, firsts->keys[firsts->max - 1]) >= 0)) {
            return RC_OK; /* the query is in order: the rest of it comes later still */
        }
        if (str_equal(key, skip)) {
            continue;
        }
        int at = is_full ? firsts->max - 1 : firsts->count++;
        for (; at > 0 && str_compare(firsts->keys[at - 1], key) > 0; at--) {
            firsts->keys[at] = firsts->keys[at - 1];
        }
        firsts->keys[at] = key;
    }
}

/* The keys of a page and one more. */
static enum rc list_keys(struct store_dynamodb *self, struct call *call, struct str realm,
                         struct str owner, struct str prefix, struct str after,
                         struct firsts *firsts)
{
    struct str *owners = &(struct str){0};
    int count = 1;
    if (owner.len) {
        owners[0] = key_of_owner(call, realm, owner);
    } else {
        TRY(dynamodb_owners(self, call, realm, &owners, &count));
    }
    for (int i = 0; i < count; i++) {
        struct str name = str_from(owners[i], realm.len + 1);
        struct query query = {
            .index = "owner",
            .pk = key_of_owners_devices(call, realm, name),
            .low = str_compare(after, prefix) > 0 ? after : prefix,
            .high = arena_printf(call->arena, STR_FMT AFTER_ALL, STR_ARG(prefix)),
            .limit = firsts->max + 1,
        };
        TRY(dynamodb_merge(self, call, &query, after, firsts));
    }
    return RC_OK;
}

/* Ask for some devices; what DynamoDB left over it is asked for again. out: found: each item, in no order. */
static enum rc get_batch(struct store_dynamodb *self, struct call *call, const struct str *keys,
                         int count, yyjson_val **found, int *ret_count)
{
    int64_t began_ms = aws_boot_ms(self->aws);
    yyjson_val *left = NULL;
    *ret_count = 0;
    for (int tries = 1;; tries++) {
        yyjson_mut_doc *doc = json_doc(call->arena);
        yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
        yyjson_val *answer, *item;
        size_t at, size;
        if (left) {
            yyjson_mut_obj_add(root, yyjson_mut_str(doc, "RequestItems"),
                               yyjson_val_mut_copy(doc, left));
        } else {
            yyjson_mut_val *table =
                json_add_obj(doc, json_add_obj(doc, root, "RequestItems"), self->table);
            yyjson_mut_val *list = json_add_arr(doc, table, "Keys");
            json_add_bool(doc, table, "ConsistentRead", true);
            for (int i = 0; i < count; i++) {
                yyjson_mut_val *key = yyjson_mut_arr_add_obj(doc, list);
                add_text(doc, key, "pk", key_of_device(call, keys[i]));
                add_text(doc, key, "sk", STR("DEVICE"));
            }
        }
        TRY(dynamodb_read(self, call, "BatchGetItem", doc, &answer));
        yyjson_val *items = json_member(json_member(answer, "Responses"), self->table);
        yyjson_arr_foreach(items, at, size, item)
        {
            if (*ret_count < count) {
                found[(*ret_count)++] = item;
            }
        }
        left = json_member(answer, "UnprocessedKeys");
        if (yyjson_obj_size(left) == 0) {
            return RC_OK;
        }
        if (!aws_wait(self->aws, call, tries, began_ms)) {
            return call_why(call, RC_BUSY, "BatchGetItem: keys are left over after %d tries",
                            tries);
        }
    }
}

/* The device of a key among items; NULL: there is none any more. */
static yyjson_val *find_item(struct call *call, yyjson_val **items, int count, struct str key)
{
    struct str pk = key_of_device(call, key);
    for (int i = 0; i < count; i++) {
        if (str_equal(item_text(items[i], "pk"), pk)) {
            return items[i];
        }
    }
    return NULL;
}

enum rc dynamodb_device_list(struct store *store, struct call *call, struct str realm,
                             struct str owner, struct str prefix, struct str after, int limit,
                             struct device_page *ret_page)
{
    struct store_dynamodb *self = store_dynamodb_of(store);
    struct device_page page = {.items = arena_array(call->arena, struct device, (size_t)limit)};
    struct firsts firsts = {arena_array(call->arena, struct str, (size_t)limit + 1), 0, limit + 1};
    yyjson_val *found[BATCH_MAX];
    size_t bytes = 0;
    int count = 0;
    if (prefix.len <= realm.len) {
        prefix = arena_printf(call->arena, STR_FMT "/", STR_ARG(realm));
    }
    TRY(list_keys(self, call, realm, owner, prefix, after, &firsts));
    page.more = firsts.count > limit;
    for (int i = 0; i < firsts.count && i < limit; i++) {
        if (i % BATCH_MAX == 0) {
            int few = (int)min_i64(BATCH_MAX, min_i64(firsts.count, limit) - i);
            TRY(get_batch(self, call, firsts.keys + i, few, found, &count));
        }
        yyjson_val *item = find_item(call, found, count, firsts.keys[i]);
        if (!item) {
            continue;
        }
        struct device device;
        item_device(item, &device);
        bytes += device.doc.len;
        if (page.count > 0 && bytes > PAGE_MAX_BYTES) {
            page.more = true;
            break;
        }
        page.items[page.count++] = device;
    }
    page.more = page.more && page.count > 0;
    *ret_page = page;
    return RC_OK;
}
