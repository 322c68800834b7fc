/* The mapping at work. The diff is made of the normal forms (sap_value.h) of two whole documents, never of patches. */
#include "adapters/sap_map.h"

#include "adapters/sap_edm.h"
#include "adapters/sap_value.h"
#include "core/document.h"
#include "core/name.h"

#define BODY_ROOM_BYTES ((size_t)1 << 20)

/* ---- mapping one field ------------------------------------------------------------------------------------ */

static yyjson_val *member_at(yyjson_val *root, const struct sap_path *path)
{
    yyjson_val *value = root;
    for (int i = 0; i < path->count && value; i++) {
        value = yyjson_is_obj(value) ? yyjson_obj_getn(value, path->names[i].s, path->names[i].len)
                                     : NULL;
    }
    return value;
}

static enum rc name_form(struct call *call, struct str device_name, enum sap_from from, bool upper,
                         struct str *ret_text)
{
    if (from == SAP_FROM_NAME && !upper) {
        *ret_text = device_name;
        return RC_OK;
    }
    TRY(name_key(call, device_name, STR("/device_name"), ret_text));
    if (upper) {
        *ret_text = sap_edm_upper(call->arena, *ret_text);
    }
    return RC_OK;
}

/* Is a field's partner in the document? A field without one needs none. */
static bool has_partner(const struct sap_field *field, yyjson_val *document)
{
    return !field->when.count || member_at(document, &field->when);
}

static enum rc map_field(const struct sap_field *field, struct call *call, struct str device_name,
                         yyjson_val *document, struct sap_value *ret_mapped)
{
    struct str text;
    *ret_mapped = (struct sap_value){0};
    if (!has_partner(field, document)) {
        return RC_OK;
    }
    switch (field->from) {
    case SAP_FROM_CONST:
        *ret_mapped = (struct sap_value){true, field->constant, NULL};
        return RC_OK;
    case SAP_FROM_NAME:
    case SAP_FROM_KEY:
        TRY(name_form(call, device_name, field->from, field->upper, &text));
        *ret_mapped = sap_value_of_text(field, call->arena, text);
        return RC_OK;
    case SAP_FROM_ATTRIBUTE:
        break;
    }
    *ret_mapped = sap_value_of(field, call->arena, member_at(document, &field->path));
    return RC_OK;
}

static struct str pointer_of(const struct sap_field *field)
{
    switch (field->from) {
    case SAP_FROM_NAME:
    case SAP_FROM_KEY:
        return STR("/device_name");
    case SAP_FROM_ATTRIBUTE:
        return field->path.pointer;
    case SAP_FROM_CONST:
        break;
    }
    return field->when.pointer;
}

const struct sap_field *sap_map_field(const struct sap_config *config, struct str name)
{
    for (int i = 0; i < config->field_count; i++) {
        if (str_equal(config->fields[i].field, name)) {
            return &config->fields[i];
        }
    }
    return NULL;
}

struct str sap_map_pointer(const struct sap_config *config, struct str field)
{
    const struct sap_field *own = sap_map_field(config, field);
    return own ? pointer_of(own) : STR("");
}

enum rc sap_map_search(const struct sap_config *config, struct call *call, struct str device_name,
                       struct str *ret_value)
{
    const struct sap_field *field = sap_map_field(config, config->resolve_field);
    struct str text;
    TRY(name_form(call, device_name, config->resolve_from, config->resolve_upper, &text));
    *ret_value = sap_value_normal_text(field, call->arena, text);
    return RC_OK;
}

/* ---- encode ---------------------------------------------------------------------------------------------------- */

/* Is a leaf of the document taken by some field? */
static bool is_mapped(const struct sap_config *config, struct arena *arena, struct str leaf)
{
    struct str pointer = arena_printf(arena, "/attributes" STR_FMT, STR_ARG(leaf));
    for (int i = 0; i < config->field_count; i++) {
        const struct sap_field *field = &config->fields[i];
        if ((field->from == SAP_FROM_ATTRIBUTE && str_equal(field->path.pointer, pointer)) ||
            (field->when.count && str_equal(field->when.pointer, pointer))) {
            return true;
        }
    }
    return false;
}

static enum rc refuse_unmapped(const struct sap_config *config, struct call *call,
                               struct str target)
{
    struct leaf *leaves;
    size_t count;
    TRY(document_leaves(call, target, &leaves, &count));
    for (size_t i = 0; i < count; i++) {
        if (!is_mapped(config, call->arena, leaves[i].pointer)) {
            call_name(call,
                      arena_printf(call->arena, "/attributes" STR_FMT, STR_ARG(leaves[i].pointer)),
                      PROBLEM_unmappable, "the downstream has no field for this member");
        }
    }
    return RC_OK;
}

/* Map a whole document. Faults are named in the call only if they are to be told. */
static enum rc map_all(const struct sap_config *config, struct call *call, struct str device_name,
                       struct str document, bool tell, struct sap_value *ret_values)
{
    yyjson_val *root;
    if (json_read(call->arena, document, JSON_MAX_DEPTH, &root, NULL) != RC_OK) {
        return call_why(call, RC_BROKEN, "a document of ours is not JSON");
    }
    for (int i = 0; i < config->field_count; i++) {
        const struct sap_field *field = &config->fields[i];
        TRY(map_field(field, call, device_name, root, &ret_values[i]));
        const char *fault = ret_values[i].fault;
        if (!fault && field->required && !ret_values[i].normal.len && has_partner(field, root)) {
            fault =
                sap_value_fault(field, call->arena, "is missing or empty, but required by").fault;
        }
        if (fault && tell) {
            call_name(call, pointer_of(field), PROBLEM_unmappable, "%s", fault);
        }
        if (ret_values[i].fault) {
            ret_values[i] = (struct sap_value){0};
        }
    }
    return RC_OK;
}

static bool same_path(const struct sap_path *a, const struct sap_path *b)
{
    return a->count == b->count && str_equal(a->pointer, b->pointer);
}

/* Does a field go out by itself: in a full body, or since it differs? */
static bool goes_out(const struct sap_field *field, bool full, const struct sap_value *before,
                     const struct sap_value *after)
{
    if (full) {
        return after->present || field->clear;
    }
    if (field->create_only || str_equal(before->normal, after->normal)) {
        return false;
    }
    return after->present || field->clear;
}

/* A unit goes with its amount: send it whenever that is sent. */
static bool partner_goes(const struct sap_config *config, const bool *goes,
                         const struct sap_field *field)
{
    for (int i = 0; i < config->field_count; i++) {
        if (goes[i] && config->fields[i].from == SAP_FROM_ATTRIBUTE &&
            same_path(&config->fields[i].path, &field->when)) {
            return true;
        }
    }
    return false;
}

enum rc sap_map_encode(const struct sap_config *config, struct call *call, struct str device_name,
                       struct str base, struct str target, struct str *ret_bytes)
{
    struct sap_value *before =
        arena_array(call->arena, struct sap_value, (size_t)config->field_count);
    struct sap_value *after =
        arena_array(call->arena, struct sap_value, (size_t)config->field_count);
    bool *goes = arena_array(call->arena, bool, (size_t)config->field_count);
    bool full = base.len == 0;
    int named = call->item_count;
    struct text out;
    TRY(map_all(config, call, device_name, target, true, after));
    if (config->refuse_unmapped) {
        TRY(refuse_unmapped(config, call, target));
    }
    if (call->item_count > named) {
        return call_refuse(call, PROBLEM_unmappable, STR_FMT " " STR_FMT,
                           STR_ARG(call->items[named].pointer), STR_ARG(call->items[named].detail));
    }
    if (!full) {
        TRY(map_all(config, call, device_name, base, false, before));
    }
    for (int i = 0; i < config->field_count; i++) {
        goes[i] = goes_out(&config->fields[i], full, &before[i], &after[i]);
    }
    text_open(&out, call->arena, BODY_ROOM_BYTES);
    for (int i = 0; i < config->field_count; i++) {
        const struct sap_field *field = &config->fields[i];
        bool pair = field->when.count && after[i].present;
        if (goes[i] || (pair && !field->create_only && partner_goes(config, goes, field))) {
            text_add(&out, out.len ? STR(",") : STR("{"));
            text_add_json(&out, field->field);
            text_add_char(&out, ':');
            sap_value_write(config->protocol, &out, field, after[i].normal);
        }
    }
    if (out.len) {
        text_add_char(&out, '}');
    }
    assert(!out.full);
    *ret_bytes = text_str(&out);
    return RC_OK;
}

/* ---- a sealed body again -------------------------------------------------------------------------------------------- */

static yyjson_val *read_sealed(struct arena *arena, struct str bytes)
{
    yyjson_val *root = NULL;
    return json_read(arena, bytes, 2, &root, NULL) == RC_OK && yyjson_is_obj(root) ? root : NULL;
}

struct str sap_map_wire(const struct sap_config *config, struct arena *arena, struct str bytes,
                        bool create)
{
    yyjson_val *root = read_sealed(arena, bytes), *key;
    yyjson_obj_iter members;
    struct text out;
    text_open(&out, arena, BODY_ROOM_BYTES);
    if (!root) {
        return STR_NONE;
    }
    yyjson_obj_iter_init(root, &members);
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        yyjson_val *value = yyjson_obj_iter_get_val(key);
        const struct sap_field *field = sap_map_field(config, json_str(key));
        bool empty = yyjson_is_null(value) || (yyjson_is_str(value) && yyjson_get_len(value) == 0);
        bool clears = field && field->clear && !sap_value_normal(field, arena, value).len;
        if (create ? empty || clears : field && field->create_only) {
            continue;
        }
        text_add(&out, out.len ? STR(",") : STR("{"));
        text_add_json(&out, json_str(key));
        text_add_char(&out, ':');
        text_add(&out, json_write(arena, value));
    }
    if (out.len) {
        text_add_char(&out, '}');
    }
    return text_str(&out);
}

/* out: how many fields were compared */
static int compare(const struct sap_config *config, struct arena *arena, yyjson_val *root,
                   yyjson_val *entity, bool create_only, struct sap_compared *ret)
{
    yyjson_obj_iter members;
    yyjson_val *key;
    int count = 0;
    yyjson_obj_iter_init(root, &members);
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        const struct sap_field *field = sap_map_field(config, json_str(key));
        if ((field && field->create_only) != create_only) {
            continue;
        }
        yyjson_val *now = yyjson_obj_getn(entity, json_str(key).s, json_str(key).len);
        struct str sent = sap_value_normal(field, arena, yyjson_obj_iter_get_val(key));
        bool same = str_equal(sent, sap_value_normal(field, arena, now));
        bool evidence = create_only || (field && field->from == SAP_FROM_ATTRIBUTE);
        ret->same += evidence && same;
        ret->different += evidence && !same;
        ret->other_different += !evidence && !same;
        ret->first = same || ret->first.len ? ret->first : json_str(key);
        count++;
    }
    return count;
}

void sap_map_compare(const struct sap_config *config, struct arena *arena, struct str bytes,
                     yyjson_val *entity, struct sap_compared *ret)
{
    yyjson_val *root = read_sealed(arena, bytes);
    *ret = (struct sap_compared){0};
    if (root && compare(config, arena, root, entity, false, ret) == 0) {
        (void)compare(config, arena, root, entity, true, ret);
    }
}

static void add_name(struct text *names, struct str name)
{
    text_add(names, names->len ? STR(",") : STR("["));
    text_add_json(names, name);
}

struct sap_value *sap_map_values(const struct sap_config *config, struct call *call,
                                 struct str device_name, struct str doc)
{
    struct sap_value *values =
        arena_array(call->arena, struct sap_value, (size_t)config->field_count);
    return map_all(config, call, device_name, doc, false, values) == RC_OK ? values : NULL;
}

void sap_map_drift(const struct sap_config *config, struct call *call,
                   const struct sap_value *known, struct str bytes, yyjson_val *entity,
                   struct str *ret_overwritten, struct str *ret_drift)
{
    yyjson_val *body = read_sealed(call->arena, bytes);
    struct text overwritten, drift;
    text_open(&overwritten, call->arena, BODY_ROOM_BYTES);
    text_open(&drift, call->arena, BODY_ROOM_BYTES);
    if (body) {
        for (int i = 0; i < config->field_count; i++) {
            const struct sap_field *field = &config->fields[i];
            yyjson_val *now = yyjson_obj_getn(entity, field->field.s, field->field.len);
            bool ours = field->from == SAP_FROM_ATTRIBUTE && !field->create_only &&
                        (known[i].present || field->clear);
            if (ours && !str_equal(known[i].normal, sap_value_normal(field, call->arena, now))) {
                bool goes = yyjson_obj_getn(body, field->field.s, field->field.len) != NULL;
                add_name(goes ? &overwritten : &drift, field->field);
            }
        }
    }
    text_add(&overwritten, overwritten.len ? STR("]") : STR(""));
    text_add(&drift, drift.len ? STR("]") : STR(""));
    *ret_overwritten = text_str(&overwritten);
    *ret_drift = text_str(&drift);
}

struct str sap_map_kept(const struct sap_config *config, struct call *call,
                        const struct sap_value *known, struct str device_name, struct str target)
{
    const struct sap_value *after = sap_map_values(config, call, device_name, target);
    struct text names;
    if (!after) {
        return STR("");
    }
    text_open(&names, call->arena, BODY_ROOM_BYTES);
    for (int i = 0; i < config->field_count; i++) {
        const struct sap_field *field = &config->fields[i];
        if (field->from == SAP_FROM_ATTRIBUTE && !field->clear && known[i].normal.len &&
            !after[i].present) {
            add_name(&names, field->field);
        }
    }
    text_add(&names, names.len ? STR("]") : STR(""));
    return text_str(&names);
}
