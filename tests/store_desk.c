#include "store_desk.h"

#include "test.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

void desk_open(struct desk *desk, struct store *store)
{
    *desk = (struct desk){.store = store};
    arena_open(&desk->arena, (size_t)256 << 20);
    desk->call =
        (struct call){.arena = &desk->arena, .id = STR("request-1"), .now_ms = DESK_NOW_MS};
}

void desk_close(struct desk *desk)
{
    arena_close(&desk->arena);
}

struct str desk_text(struct desk *desk, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    assert(len >= 0 && len < (int)sizeof text);
    return arena_copy(&desk->arena, (struct str){text, (size_t)len});
}

struct str desk_sha(struct desk *desk, int64_t number)
{
    return desk_text(desk, "%064llx", (unsigned long long)number);
}

static void fill_entries(struct desk *desk, struct desk_draft *draft, int count,
                         enum entry_kind kind)
{
    int64_t first = draft->device.seq + 1 - count;
    for (int i = 0; i < count; i++) {
        int64_t seq = first + i;
        draft->entries[i] = (struct entry){
            .seq = seq,
            .kind = kind,
            .at_ms = desk->call.now_ms,
            .by = STR("k_customer"),
            .request_id = desk->call.id,
            .data = desk_text(desk, "{\"n\":%lld}", (long long)seq),
            .sha = desk_sha(desk, draft->device.version * 1000 + seq),
        };
        draft->device.log_sha = draft->entries[i].sha;
    }
    draft->change = (struct change){.device = &draft->device,
                                    .expect_version = draft->device.version - 1,
                                    .entries = draft->entries,
                                    .entry_count = (size_t)count};
}

void desk_new(struct desk *desk, struct desk_draft *draft, const char *key, const char *owner)
{
    const char *slash = strchr(key, '/');
    assert(slash);
    *draft = (struct desk_draft){
        .device = {.realm = {key, (size_t)(slash - key)},
                   .key = str_of(key),
                   .name = str_of(slash + 1),
                   .owner = str_of(owner),
                   .version = 1,
                   .doc = STR("{}"),
                   .revision = 1,
                   .created_at_ms = desk->call.now_ms},
    };
    fill_entries(desk, draft, 1, ENTRY_created);
}

void desk_next(struct desk *desk, struct desk_draft *draft, const char *key, int entry_count)
{
    *draft = (struct desk_draft){.device = desk_read(desk, key)};
    CHECK(draft->device.version > 0);
    draft->device.version++;
    draft->device.seq += entry_count;
    fill_entries(desk, draft, entry_count, ENTRY_update);
}

enum rc desk_commit(struct desk *desk, struct desk_draft *draft)
{
    draft->change.device =
        draft->change.device ? &draft->device : NULL; /* the draft may have moved */
    draft->change.entries = draft->entries;
    return store_commit(desk->store, &desk->call, &draft->change);
}

void desk_create(struct desk *desk, const char *key, const char *owner)
{
    struct desk_draft draft;
    desk_new(desk, &draft, key, owner);
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
}

void desk_append(struct desk *desk, const char *key, int entry_count)
{
    struct desk_draft draft;
    desk_next(desk, &draft, key, entry_count);
    CHECK_RC(desk_commit(desk, &draft), RC_OK);
}

struct device desk_read(struct desk *desk, const char *key)
{
    struct device device;
    CHECK_RC(store_device_get(desk->store, &desk->call, str_of(key), &device), RC_OK);
    return device;
}

struct entry_page desk_log(struct desk *desk, const char *key)
{
    struct entry_page page;
    CHECK_RC(
        store_log_list(desk->store, &desk->call, str_of(key), 0, INT64_MAX, false, 1001, &page),
        RC_OK);
    CHECK(!page.more);
    return page;
}

struct str desk_keys(struct desk *desk, const struct work_page *page)
{
    struct text text;
    text_open(&text, &desk->arena, 65536);
    for (int i = 0; i < page->count; i++) {
        text_printf(&text, "%s" STR_FMT, i > 0 ? " " : "", STR_ARG(page->items[i].key));
    }
    return text_str(&text);
}
