/* Documents. A merge keeps the order of members: those that were there stay where they are, new ones
 * come behind, so that the same patches give the same bytes whether they are applied one by one or in
 * one go. Nothing here calls itself, and no loop looks through all members for each member. */
#include "core/document.h"

#define FEW_MEMBERS 16 /* up to here looking through them is quicker than a table */
#define FEW_LOOKUPS 4  /* up to here it is so for any number */

/* --- at the door --------------------------------------------------------------------------------- */
/* Bytes that a name adds to a JSON pointer. */
static size_t token_bytes(struct str name)
{
    size_t length = 1 + name.len;
    for (size_t i = 0; i < name.len; i++) {
        length += name.s[i] == '~' || name.s[i] == '/';
    }
    return length;
}

static bool is_leaf(yyjson_val *value)
{
    return !yyjson_is_obj(value) || yyjson_obj_size(value) == 0;
}

enum rc document_check(struct call *call, yyjson_val *value, struct str pointer, bool patch,
                       struct str *ret_json)
{
    struct json_walk walk;
    size_t path_bytes[JSON_MAX_DEPTH + 1] = {0}, all_bytes = 0;
    bool in_array[JSON_MAX_DEPTH + 1] = {0}; /* by depth of the container */
    if (!yyjson_is_obj(value)) {
        return call_refuse_at(call, pointer, PROBLEM_not_an_object,
                              "attributes must be a JSON object");
    }
    json_walk_open(&walk, call->arena, value, JSON_MAX_DEPTH);
    for (yyjson_val *at; (at = json_walk_next(&walk));) {
        int depth = walk.depth;
        if (walk.is_too_deep) {
            return call_refuse_at(call, json_walk_pointer(&walk, pointer), PROBLEM_too_deep,
                                  "attributes are nested deeper than %d", JSON_MAX_DEPTH);
        }
        bool array_around = depth > 0 && in_array[depth - 1];
        if (yyjson_is_null(at) && (!patch || array_around)) {
            return call_refuse_at(call, json_walk_pointer(&walk, pointer), PROBLEM_null_in_document,
                                  patch ? "an array of a patch holds no null"
                                        : "a document holds no null: leave the member out");
        }
        in_array[depth] = array_around || yyjson_is_arr(at);
        path_bytes[depth] = depth ? path_bytes[depth - 1] + token_bytes(json_str(walk.name)) : 0;
        all_bytes += !array_around && is_leaf(at) ? path_bytes[depth] : 0;
    }
    if (all_bytes > POINTERS_MAX_BYTES) {
        return call_refuse_at(call, pointer, PROBLEM_document_too_large,
                              "the JSON pointers of all members have %zu bytes together, at most "
                              "%d are allowed: shorten the names of the outer members",
                              all_bytes, POINTERS_MAX_BYTES);
    }
    *ret_json = json_write(call->arena, value);
    return RC_OK;
}

/* --- a document that changes --------------------------------------------------------------------- */
/* An object as it is being changed. A member that no patch has reached into is still the parsed value. */
struct member {
    struct str name;
    yyjson_val *value;     /* NULL: it is `object`, or was deleted */
    struct object *object; /* NULL: it is `value`, or was deleted */
};

struct object {
    struct member *members;
    size_t count, room_count, lookup_count;
    struct table table; /* from name to index, once has_table */
    bool has_table;
};

static bool is_deleted(const struct member *member)
{
    return !member->value && !member->object;
}

static struct member *member_add(struct arena *arena, struct object *object, struct str name)
{
    if (object->count == object->room_count) {
        size_t room = object->room_count ? object->room_count * 2 : 8;
        object->members =
            arena_grow(arena, object->members, object->room_count * sizeof(struct member),
                       room * sizeof(struct member));
        object->room_count = room;
    }
    if (object->has_table) {
        table_put(&object->table, name, (uint32_t)object->count);
    }
    struct member *member = &object->members[object->count++];
    *member = (struct member){.name = name};
    return member;
}

static struct object *object_of(struct arena *arena, yyjson_val *value)
{
    struct object *object = arena_new(arena, struct object);
    yyjson_obj_iter members = yyjson_obj_iter_with(value); /* of nothing for any other type */
    for (yyjson_val *name; (name = yyjson_obj_iter_next(&members));) {
        member_add(arena, object, json_str(name))->value = yyjson_obj_iter_get_val(name);
    }
    return object;
}

/* NULL: there is none. A deleted member is none: a new one of its name comes behind all others. */
static struct member *member_find(struct arena *arena, struct object *object, struct str name)
{
    uint32_t index = 0;
    if (!object->has_table && object->count > FEW_MEMBERS && object->lookup_count > FEW_LOOKUPS) {
        table_open(&object->table, arena);
        for (size_t i = 0; i < object->count; i++) {
            table_put(&object->table, object->members[i].name, (uint32_t)i);
        }
        object->has_table = true;
    }
    object->lookup_count++;
    if (object->has_table) {
        bool found = table_find(&object->table, name, &index);
        return found && !is_deleted(&object->members[index]) ? &object->members[index] : NULL;
    }
    for (size_t i = 0; i < object->count; i++) {
        if (!is_deleted(&object->members[i]) && str_equal(object->members[i].name, name)) {
            return &object->members[i];
        }
    }
    return NULL;
}

/* --- RFC 7396 section 2, with a stack of its own ------------------------------------------------ */
struct merge_level {
    yyjson_obj_iter patch;
    struct object *target;
};

/* Put one member of a patch into its target. out: the object to go on in, NULL if there is none. */
static struct object *merge_member(struct arena *arena, struct object *target, struct str name,
                                   yyjson_val *value)
{
    struct member *member = member_find(arena, target, name);
    if (yyjson_is_null(value)) {
        if (member) {
            member->value = NULL;
            member->object = NULL;
        }
        return NULL;
    }
    if (!member) {
        member = member_add(arena, target, name);
    }
    if (!yyjson_is_obj(value)) {
        member->value = value;
        member->object = NULL;
        return NULL;
    }
    if (!member->object) {
        member->object = object_of(arena, member->value);
        member->value = NULL;
    }
    return member->object;
}

/* in: patch: an object, at most JSON_MAX_DEPTH deep */
static void merge(struct arena *arena, struct object *target, yyjson_val *patch)
{
    struct merge_level levels[JSON_MAX_DEPTH];
    int depth = 1;
    levels[0] = (struct merge_level){yyjson_obj_iter_with(patch), target};
    while (depth > 0) {
        struct merge_level *level = &levels[depth - 1];
        yyjson_val *name = yyjson_obj_iter_next(&level->patch);
        if (!name) {
            depth--;
            continue;
        }
        yyjson_val *value = yyjson_obj_iter_get_val(name);
        struct object *inside = merge_member(arena, level->target, json_str(name), value);
        if (inside) {
            assert(depth < JSON_MAX_DEPTH);
            levels[depth++] = (struct merge_level){yyjson_obj_iter_with(value), inside};
        }
    }
}

struct write_level {
    const struct object *object;
    size_t next;
    yyjson_mut_val *written;
};

static struct str object_write(struct arena *arena, const struct object *root)
{
    /* what a patch sets may hang below what was there: as deep as both, never deeper than either */
    struct write_level levels[JSON_MAX_DEPTH];
    yyjson_mut_doc *doc = json_doc(arena);
    int depth = 1;
    levels[0] = (struct write_level){root, 0, yyjson_mut_doc_get_root(doc)};
    while (depth > 0) {
        struct write_level *level = &levels[depth - 1];
        if (level->next == level->object->count) {
            depth--;
            continue;
        }
        const struct member *member = &level->object->members[level->next++];
        if (is_deleted(member)) {
            continue;
        }
        yyjson_mut_val *value =
            member->object ? yyjson_mut_obj(doc) : yyjson_val_mut_copy(doc, member->value);
        yyjson_mut_obj_add(level->written, yyjson_mut_strn(doc, member->name.s, member->name.len),
                           value);
        if (member->object) {
            assert(depth < JSON_MAX_DEPTH);
            levels[depth++] = (struct write_level){member->object, 0, value};
        }
    }
    return json_write_mut(arena, doc);
}

static enum rc read_object(struct call *call, struct str json, const char *whose,
                           yyjson_val **ret_object)
{
    struct json_fault fault;
    yyjson_val *value = NULL;
    if (json_read(call->arena, json, JSON_MAX_DEPTH, &value, &fault) != RC_OK) {
        return call_refuse(call, PROBLEM_invalid_json, "%s: %s%s" STR_FMT, whose, fault.why,
                           fault.pointer.len ? " at " : "", STR_ARG(fault.pointer));
    }
    if (!yyjson_is_obj(value)) {
        return call_refuse(call, PROBLEM_not_an_object, "%s is no JSON object", whose);
    }
    *ret_object = value;
    return RC_OK;
}

enum rc document_replay(struct call *call, struct str doc, const struct str *patches, size_t count,
                        struct str *ret_doc)
{
    yyjson_val *before = NULL;
    TRY(read_object(call, doc, "the document", &before));
    struct object *object = object_of(call->arena, before);
    for (size_t i = 0; i < count; i++) {
        yyjson_val *patch = NULL;
        TRY(read_object(call, patches[i], "the patch", &patch));
        merge(call->arena, object, patch);
    }
    *ret_doc = object_write(call->arena, object);
    return RC_OK;
}

enum rc document_merge(struct call *call, struct str doc, struct str patch, struct str *ret_doc)
{
    return document_replay(call, doc, &patch, 1, ret_doc);
}

/* --- comparing ------------------------------------------------------------------------------------- */
/* Two containers of one type and size that are being compared. */
struct pair {
    yyjson_obj_iter members;
    yyjson_arr_iter items_a, items_b;
    struct object *b; /* of objects */
};

static bool same_scalar(yyjson_val *a, yyjson_val *b)
{
    switch (yyjson_get_type(a)) {
    case YYJSON_TYPE_STR:
        return str_equal(json_str(a), json_str(b));
    case YYJSON_TYPE_RAW:
        return str_equal(json_raw(a), json_raw(b));
    case YYJSON_TYPE_BOOL:
        return yyjson_get_bool(a) == yyjson_get_bool(b);
    default:
        return true; /* null */
    }
}

static void pair_open(struct arena *arena, struct pair *pair, yyjson_val *a, yyjson_val *b)
{
    *pair = (struct pair){.b = yyjson_is_obj(a) ? object_of(arena, b) : NULL};
    if (pair->b) {
        pair->members = yyjson_obj_iter_with(a);
    } else {
        pair->items_a = yyjson_arr_iter_with(a);
        pair->items_b = yyjson_arr_iter_with(b);
    }
}

/* The next two values to compare. out: false: there are no more; *ret_b NULL: b has no such member */
static bool pair_next(struct arena *arena, struct pair *pair, yyjson_val **ret_a,
                      yyjson_val **ret_b)
{
    if (!pair->b) {
        *ret_a = yyjson_arr_iter_next(&pair->items_a);
        *ret_b = yyjson_arr_iter_next(&pair->items_b);
        return *ret_a;
    }
    yyjson_val *name = yyjson_obj_iter_next(&pair->members);
    if (!name) {
        return false;
    }
    struct member *member = member_find(arena, pair->b, json_str(name));
    *ret_a = yyjson_obj_iter_get_val(name);
    *ret_b = member ? member->value : NULL;
    return true;
}

static bool same_value(struct arena *arena, yyjson_val *a, yyjson_val *b)
{
    struct pair pairs[JSON_MAX_DEPTH];
    int depth = 0;
    for (;;) {
        if (!b || yyjson_get_type(a) != yyjson_get_type(b)) {
            return false;
        }
        if (!yyjson_is_ctn(a)) {
            if (!same_scalar(a, b)) {
                return false;
            }
        } else if (yyjson_get_len(a) != yyjson_get_len(b)) {
            return false;
        } else {
            assert(depth < JSON_MAX_DEPTH);
            pair_open(arena, &pairs[depth++], a, b);
        }
        while (depth > 0 && !pair_next(arena, &pairs[depth - 1], &a, &b)) {
            depth--;
        }
        if (depth == 0) {
            return true;
        }
    }
}

bool document_equal(struct call *call, struct str a, struct str b)
{
    yyjson_val *root_a = NULL, *root_b = NULL;
    if (str_equal(a, b)) {
        return true;
    }
    return json_read(call->arena, a, JSON_MAX_DEPTH, &root_a, NULL) == RC_OK &&
           json_read(call->arena, b, JSON_MAX_DEPTH, &root_b, NULL) == RC_OK &&
           same_value(call->arena, root_a, root_b);
}

/* --- leaves ------------------------------------------------------------------------------------------- */
enum rc document_leaves(struct call *call, struct str patch, struct leaf **ret_leaves,
                        size_t *ret_count)
{
    yyjson_val *root = NULL;
    struct json_walk walk;
    struct leaf *leaves = NULL;
    size_t count = 0, room = 0;
    TRY(read_object(call, patch, "the patch", &root));
    json_walk_open(&walk, call->arena, root, JSON_MAX_DEPTH);
    for (yyjson_val *value; (value = json_walk_next(&walk));) {
        if (walk.depth == 0 || !is_leaf(value)) {
            continue;
        }
        json_walk_skip(&walk);
        if (count == room) {
            leaves = arena_grow(call->arena, leaves, room * sizeof *leaves,
                                (room ? room * 2 : 8) * sizeof *leaves);
            room = room ? room * 2 : 8;
        }
        leaves[count++] = (struct leaf){.pointer = json_walk_pointer(&walk, STR("")),
                                        .deletes = yyjson_is_null(value),
                                        .empty_object = yyjson_is_obj(value)};
    }
    *ret_leaves = leaves;
    *ret_count = count;
    return RC_OK;
}

/* The pointer of what a pointer's value stands in; out: false for the root, which is in nothing. */
static bool parent_of(struct str *pointer)
{
    const char *slash = pointer->len ? memrchr(pointer->s, '/', pointer->len) : NULL;
    if (!slash) {
        return false;
    }
    pointer->len = (size_t)(slash - pointer->s);
    return true;
}

void document_leaf_set(struct call *call, const struct leaf *leaves, size_t count,
                       struct leaf_set *ret_set)
{
    struct leaf_set set = {.leaves = leaves};
    table_open(&set.at, call->arena);
    table_open(&set.above, call->arena);
    for (size_t i = 0; i < count; i++) {
        struct str pointer = leaves[i].pointer;
        table_put(&set.at, pointer, (uint32_t)i);
        while (parent_of(&pointer) && !table_put(&set.above, pointer, 0)) {}
    }
    *ret_set = set;
}

bool document_overrides(const struct leaf_set *later, struct str pointer)
{
    uint32_t index = 0;
    if (table_find(&later->at, pointer, &index) || table_find(&later->above, pointer, &index)) {
        return true;
    }
    while (parent_of(&pointer)) {
        if (table_find(&later->at, pointer, &index) && !later->leaves[index].empty_object) {
            return true;
        }
    }
    return false;
}
