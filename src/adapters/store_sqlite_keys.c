/* Credentials of the SQLite store. Every request asks for one, mostly for the same few, so those that were read are kept in
 * memory. Rule: memory learns only what is committed. It is filled while no transaction is open, and forgets everything
 * when a credential is written or a turn is rolled back. */
#include "adapters/store_sqlite_inner.h"

static size_t slot_of(struct str id)
{
    uint64_t hash = 14695981039346656037U; /* FNV-1a */
    for (size_t i = 0; i < id.len; i++) {
        hash = (hash ^ (unsigned char)id.s[i]) * 1099511628211U;
    }
    return (size_t)(hash ^ hash >> 32) % KEPT_KEYS_MAX;
}

static struct key copy_key(struct arena *arena, const struct key *key)
{
    struct key copy = *key;
    copy.id = arena_copy(arena, key->id);
    copy.owner = arena_copy(arena, key->owner);
    copy.realm = arena_copy(arena, key->realm);
    copy.label = arena_copy(arena, key->label);
    for (int i = 0; i < SECRETS_PER_KEY; i++) {
        copy.secrets[i].sha = arena_copy(arena, key->secrets[i].sha);
    }
    return copy;
}

void store_sqlite_forget_keys(struct store_sqlite *self)
{
    if (self->kept.count > 0) {
        memset(self->kept.keys, 0, sizeof self->kept.keys);
        self->kept.count = 0;
        arena_reset(&self->kept.arena);
    }
}

/* The place of an id in the open-addressed table: its own, or the free one where it would go. */
static struct key *find_kept(struct store_sqlite *self, struct str id)
{
    size_t at = slot_of(id);
    while (self->kept.keys[at].version != 0 && !str_equal(self->kept.keys[at].id, id)) {
        at = (at + 1) % KEPT_KEYS_MAX;
    }
    return &self->kept.keys[at];
}

static void keep_key(struct store_sqlite *self, const struct key *key)
{
    if (self->in_transaction) {
        return;
    }
    if (self->kept.count == KEPT_KEYS_MAX / 2) {
        store_sqlite_forget_keys(self);
    }
    *find_kept(self, key->id) = copy_key(&self->kept.arena, key);
    self->kept.count++;
}

static struct key read_key(struct call *call, sqlite3_stmt *row)
{
    return (struct key){.id = column_str(call, row, 0),
                        .version = column_i64(row, 1),
                        .role = (enum role)column_i64(row, 2),
                        .owner = column_str(call, row, 3),
                        .realm = column_str(call, row, 4),
                        .label = column_str(call, row, 5),
                        .secrets = {{column_str(call, row, 6), column_i64(row, 7)},
                                    {column_str(call, row, 8), column_i64(row, 9)}},
                        .created_at_ms = column_i64(row, 10),
                        .deleted_at_ms = column_i64(row, 11),
                        .last_used_day = column_i64(row, 12)};
}

enum rc store_sqlite_key_get(struct store *store, struct call *call, struct str id,
                             struct key *ret_key)
{
    struct store_sqlite *self = store_sqlite_of(store);
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    bool there = false;
    TRY(store_sqlite_enter(self, call));
    const struct key *kept = find_kept(self, id);
    if (kept->version != 0) {
        *ret_key = copy_key(call->arena, kept);
        return RC_OK;
    }
    TRY(store_sqlite_statement(self, call, SQL_key_get, &row));
    bind_str(row, 1, id);
    TRY(store_sqlite_step(self, call, row, &there));
    if (there) {
        *ret_key = read_key(call, row);
        keep_key(self, ret_key);
    }
    return RC_OK;
}

enum rc store_sqlite_key_list(struct store *store, struct call *call, struct str after, int limit,
                              struct key_page *ret_page)
{
    struct store_sqlite *self = store_sqlite_of(store);
    CLEANUP(statement_reset) sqlite3_stmt *row = NULL;
    struct key_page page = {.items = arena_array(call->arena, struct key, (size_t)limit)};
    bool there = false;
    TRY(store_sqlite_enter(self, call));
    TRY(store_sqlite_statement(self, call, SQL_key_list, &row));
    bind_str(row, 1, after);
    bind_i64(row, 2, limit + 1);
    for (;;) {
        TRY(store_sqlite_step(self, call, row, &there));
        page.more = there && page.count == limit;
        if (!there || page.more) {
            break;
        }
        page.items[page.count++] = read_key(call, row);
    }
    *ret_page = page;
    return RC_OK;
}
