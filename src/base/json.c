/* JSON by yyjson, whose values live in an arena. The library takes members that stand twice and any
 * depth; json_read looks for both in one walk with a stack of its own, so that what comes behind it
 * may rely on them. Values are never changed after reading. */
#include "base/json.h"

#include "base/iso_time.h"
#include "base/table.h"
#include "base/text.h"

#include <stdio.h>

#define FEW_MEMBERS 8 /* up to here comparing each with each is quicker than a table */

/* --- memory -------------------------------------------------------------------------------------- */
static void *alc_malloc(void *arena, size_t size_bytes)
{
    return arena_alloc(arena, size_bytes);
}

static void *alc_realloc(void *arena, void *old, size_t old_bytes, size_t size_bytes)
{
    return size_bytes <= old_bytes ? old : arena_grow(arena, old, old_bytes, size_bytes);
}

static void alc_free(void *arena, void *piece)
{
    (void)arena, (void)piece; /* the arena takes all back at once */
}

yyjson_alc json_alc(struct arena *arena)
{
    return (yyjson_alc){alc_malloc, alc_realloc, alc_free, arena};
}

/* --- walking --------------------------------------------------------------------------------------- */
/* One container on the way from the root to where the walk is. */
struct json_level {
    bool is_object;
    yyjson_obj_iter members;
    yyjson_arr_iter items;
    yyjson_val *name; /* of the member that the walk is in */
};

void json_walk_open(struct json_walk *walk, struct arena *arena, yyjson_val *root, int max_depth)
{
    *walk =
        (struct json_walk){.arena = arena,
                           .levels = arena_array(arena, struct json_level, (size_t)max_depth + 1),
                           .max_depth = max_depth,
                           .depth = -1, /* before the root */
                           .value = root};
}

static void enter(struct json_walk *walk)
{
    struct json_level *level = &walk->levels[walk->depth++];
    *level = (struct json_level){.is_object = yyjson_is_obj(walk->value)};
    if (level->is_object) {
        level->members = yyjson_obj_iter_with(walk->value);
    } else {
        level->items = yyjson_arr_iter_with(walk->value);
    }
}

static yyjson_val *next_inside(struct json_walk *walk)
{
    struct json_level *level = &walk->levels[walk->depth - 1];
    if (!level->is_object) {
        walk->name = NULL;
        return yyjson_arr_iter_next(&level->items);
    }
    walk->name = level->name = yyjson_obj_iter_next(&level->members);
    return level->name ? yyjson_obj_iter_get_val(level->name) : NULL;
}

yyjson_val *json_walk_next(struct json_walk *walk)
{
    if (walk->depth < 0) {
        walk->depth = 0;
        walk->is_too_deep = walk->max_depth == 0 && yyjson_is_ctn(walk->value);
        return walk->value;
    }
    if (yyjson_is_ctn(walk->value) && !walk->skips && !walk->is_too_deep) {
        enter(walk);
    }
    walk->skips = false;
    walk->value = NULL;
    while (walk->depth > 0 && !(walk->value = next_inside(walk))) {
        walk->depth--;
    }
    walk->is_too_deep = walk->depth == walk->max_depth && yyjson_is_ctn(walk->value);
    return walk->value;
}

void json_walk_skip(struct json_walk *walk)
{
    walk->skips = true;
}

struct str json_walk_pointer(const struct json_walk *walk, struct str before)
{
    struct str pointer = before;
    for (int i = 0; i < walk->depth; i++) {
        const struct json_level *level = &walk->levels[i];
        struct str token = level->is_object
                               ? json_str(level->name)
                               : arena_printf(walk->arena, "%zu", level->items.idx - 1);
        pointer = json_pointer(walk->arena, pointer, token);
    }
    return pointer;
}

/* --- reading --------------------------------------------------------------------------------------- */
/* The first member whose name was there before; NULL: there is none. */
static yyjson_val *find_twice(struct arena *arena, yyjson_val *object)
{
    bool is_small = yyjson_obj_size(object) <= FEW_MEMBERS;
    struct str names[FEW_MEMBERS];
    size_t count = 0;
    struct table table;
    table_open(&table, arena);
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    for (yyjson_val *name; (name = yyjson_obj_iter_next(&members));) {
        if (!is_small) {
            if (table_put(&table, json_str(name), 0)) {
                return name;
            }
            continue;
        }
        names[count] = json_str(name);
        for (size_t i = 0; i < count; i++) {
            if (str_equal(names[i], names[count])) {
                return name;
            }
        }
        count++;
    }
    return NULL;
}

/* Look at all containers. fails: RC_INVALID with the fault. */
static enum rc check_shape(struct arena *arena, yyjson_val *root, int max_depth,
                           struct json_fault *fault)
{
    struct json_walk walk;
    json_walk_open(&walk, arena, root, max_depth);
    for (yyjson_val *value; (value = json_walk_next(&walk));) {
        yyjson_val *twice = NULL;
        if (walk.is_too_deep) {
            fault->kind = JSON_TOO_DEEP;
            fault->pointer = json_walk_pointer(&walk, STR(""));
            snprintf(fault->why, sizeof fault->why, "nested deeper than %d", max_depth);
            return RC_INVALID;
        }
        if (yyjson_is_obj(value) && (twice = find_twice(arena, value))) {
            fault->kind = JSON_DUPLICATE;
            fault->pointer =
                json_pointer(arena, json_walk_pointer(&walk, STR("")), json_str(twice));
            snprintf(fault->why, sizeof fault->why, "the member stands twice in its object");
            return RC_INVALID;
        }
    }
    return RC_OK;
}

enum rc json_read(struct arena *arena, struct str text, int max_depth, yyjson_val **ret_root,
                  struct json_fault *ret_fault)
{
    yyjson_alc alc = json_alc(arena);
    yyjson_read_err err = {0};
    struct json_fault unwanted, *fault = ret_fault ? ret_fault : &unwanted;
    *fault = (struct json_fault){.pointer = STR("")};
    /* not in place: the library copies the text first, so the cast takes nothing from the caller */
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)text.s, text.len,
                                       YYJSON_READ_NUMBER_AS_RAW, &alc, &err);
    if (!doc) {
        fault->kind = JSON_SYNTAX;
        snprintf(fault->why, sizeof fault->why, "%s, at byte %zu", err.msg, err.pos);
        return RC_INVALID;
    }
    yyjson_val *root = yyjson_doc_get_root(doc);
    TRY(check_shape(arena, root, max_depth, fault));
    *ret_root = root;
    return RC_OK;
}

/* --- where something stands ------------------------------------------------------------------------- */
/* Where a value or name begins in the text that it was read from in place; NULL: of true, false, null and
 * what is empty nobody knows. */
static const char *place_of(yyjson_val *value)
{
    yyjson_obj_iter members;
    yyjson_arr_iter items;
    for (int depth = 0; depth < 64; depth++) {
        if (yyjson_is_str(value) || yyjson_is_raw(value)) {
            return yyjson_is_str(value) ? yyjson_get_str(value) : yyjson_get_raw(value);
        }
        if (yyjson_obj_iter_init(value, &members)) {
            value = yyjson_obj_iter_next(&members);
        } else if (yyjson_arr_iter_init(value, &items)) {
            value = yyjson_arr_iter_next(&items);
        } else {
            break;
        }
    }
    return NULL;
}

/* One step down a pointer. out: the value, and where it stands: a member at its name. NULL = there is none. */
static yyjson_val *step(struct arena *arena, yyjson_val *value, struct str token,
                        const char **ret_place)
{
    yyjson_obj_iter members = yyjson_obj_iter_with(value);
    yyjson_val *name;
    int64_t at;
    while (yyjson_is_obj(value) && (name = yyjson_obj_iter_next(&members)) != NULL) {
        struct str escaped = json_pointer(arena, STR_NONE, json_str(name));
        if (str_equal(str_from(escaped, 1), token)) {
            *ret_place = json_str(name).s;
            return yyjson_obj_iter_get_val(name);
        }
    }
    if (!yyjson_is_arr(value) || text_to_i64(token, &at) != RC_OK ||
        at >= (int64_t)yyjson_arr_size(value)) {
        return NULL;
    }
    yyjson_val *item = yyjson_arr_get(value, (size_t)at);
    *ret_place = place_of(item) ? place_of(item) : *ret_place;
    return item;
}

int json_line(struct arena *arena, struct str text, struct str pointer)
{
    yyjson_alc alc = json_alc(arena);
    char *copy = arena_alloc(arena, text.len + YYJSON_PADDING_SIZE);
    if (text.len) {
        memcpy(copy, text.s, text.len);
    }
    /* in place: a value's text is where it stood, so its address says where that was */
    yyjson_read_err err = {0};
    yyjson_doc *doc = yyjson_read_opts(copy, text.len,
                                       YYJSON_READ_NUMBER_AS_RAW | YYJSON_READ_INSITU, &alc, &err);
    yyjson_val *value = yyjson_doc_get_root(doc);
    const char *place = place_of(value) ? place_of(value) : copy + err.pos;
    struct str rest = str_from(pointer, pointer.len > 0);
    while (rest.len && value) {
        value = step(arena, value, text_cut(&rest, '/'), &place);
    }
    int line = 1;
    for (const char *c = text.s; c < text.s + (place - copy); c++) {
        line += *c == '\n';
    }
    return line;
}

/* --- writing ----------------------------------------------------------------------------------------- */
struct str json_write(struct arena *arena, const yyjson_val *value)
{
    yyjson_alc alc = json_alc(arena);
    size_t length = 0;
    char *text = yyjson_val_write_opts(value, YYJSON_WRITE_NOFLAG, &alc, &length, NULL);
    assert(text);
    return (struct str){text, length};
}

struct str json_write_mut(struct arena *arena, const yyjson_mut_doc *doc)
{
    yyjson_alc alc = json_alc(arena);
    size_t length = 0;
    char *text = yyjson_mut_write_opts(doc, YYJSON_WRITE_NOFLAG, &alc, &length, NULL);
    assert(text);
    return (struct str){text, length};
}

yyjson_mut_doc *json_doc(struct arena *arena)
{
    yyjson_alc alc = json_alc(arena);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(&alc);
    yyjson_mut_doc_set_root(doc, yyjson_mut_obj(doc));
    return doc;
}

/* --- values of what was read ---------------------------------------------------------------------------- */
struct str json_str(yyjson_val *value)
{
    return (struct str){yyjson_get_str(value), yyjson_get_len(value) * yyjson_is_str(value)};
}

struct str json_raw(yyjson_val *value)
{
    return (struct str){yyjson_get_raw(value), yyjson_get_len(value) * yyjson_is_raw(value)};
}

yyjson_val *json_member(yyjson_val *object, const char *name)
{
    return yyjson_obj_get(object, name);
}

struct str json_member_str(yyjson_val *object, const char *name, struct str fallback)
{
    yyjson_val *value = json_member(object, name);
    return yyjson_is_str(value) ? json_str(value) : fallback;
}

int64_t json_member_i64(yyjson_val *object, const char *name, int64_t fallback)
{
    struct str raw = json_raw(json_member(object, name));
    int64_t number = 0;
    bool is_negative = raw.len && raw.s[0] == '-';
    if (text_to_i64(str_from(raw, is_negative), &number) != RC_OK) {
        return fallback;
    }
    return is_negative ? -number : number;
}

bool json_member_bool(yyjson_val *object, const char *name, bool fallback)
{
    yyjson_val *value = json_member(object, name);
    return yyjson_is_bool(value) ? yyjson_get_bool(value) : fallback;
}

/* --- building ----------------------------------------------------------------------------------------------- */
static void add(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                yyjson_mut_val *value)
{
    bool added = yyjson_mut_obj_add(object, yyjson_mut_str(doc, name), value);
    assert(added);
    (void)added;
}

void json_add_str(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, struct str text)
{
    struct str good = text_utf8(doc->alc.ctx, text);
    add(doc, object, name, yyjson_mut_strncpy(doc, good.s ? good.s : "", good.len));
}

void json_add_i64(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, int64_t number)
{
    add(doc, object, name, yyjson_mut_sint(doc, number));
}

void json_add_bool(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, bool value)
{
    add(doc, object, name, yyjson_mut_bool(doc, value));
}

void json_add_null(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name)
{
    add(doc, object, name, yyjson_mut_null(doc));
}

void json_add_time(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, int64_t at_ms)
{
    char text[ISO_TIME_BYTES + 1];
    if (at_ms == 0) {
        json_add_null(doc, object, name);
        return;
    }
    iso_time_write(at_ms, text);
    json_add_str(doc, object, name, (struct str){text, ISO_TIME_BYTES});
}

void json_add_raw(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, struct str json)
{
    add(doc, object, name, yyjson_mut_rawn(doc, json.s, json.len));
}

yyjson_mut_val *json_add_obj(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name)
{
    yyjson_mut_val *value = yyjson_mut_obj(doc);
    add(doc, object, name, value);
    return value;
}

yyjson_mut_val *json_add_arr(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name)
{
    yyjson_mut_val *value = yyjson_mut_arr(doc);
    add(doc, object, name, value);
    return value;
}

struct str json_pointer(struct arena *arena, struct str parent, struct str token)
{
    char *pointer = arena_alloc(arena, parent.len + 1 + token.len * 2 + 1);
    size_t length = parent.len;
    if (parent.len) {
        memcpy(pointer, parent.s, parent.len);
    }
    pointer[length++] = '/';
    for (size_t i = 0; i < token.len; i++) {
        if (token.s[i] == '~' || token.s[i] == '/') {
            pointer[length++] = '~';
            pointer[length++] = token.s[i] == '~' ? '0' : '1';
        } else {
            pointer[length++] = token.s[i];
        }
    }
    return (struct str){pointer, length};
}
