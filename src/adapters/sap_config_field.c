/* Each field is read strictly; what only a delivery would bring to light (a constant that its own field does not hold, a map to values
 * that are too long) is refused here. */
#include "adapters/sap_config_field.h"

#include "adapters/sap_edm.h"
#include "adapters/sap_map.h"
#include "adapters/sap_pattern.h"
#include "adapters/sap_value.h"

#define PATH_MEMBERS_MAX JSON_MAX_DEPTH

static bool path_add(struct arena *keep, struct str *names, int *count, struct str name)
{
    if (!name.len || *count == PATH_MEMBERS_MAX) {
        return false;
    }
    names[(*count)++] = arena_copy(keep, name);
    return true;
}

/* attributes.a.b or /attributes/a~1b. false: it is neither. */
static bool read_path(struct arena *keep, struct str text, struct sap_path *ret_path)
{
    struct str *names = arena_array(keep, struct str, PATH_MEMBERS_MAX);
    struct str pointer = STR("/attributes"), rest;
    int count = 0;
    bool is_pointer = str_starts(text, STR("/attributes/"));
    if (!is_pointer && !str_starts(text, STR("attributes."))) {
        return false;
    }
    rest = str_from(text, is_pointer ? strlen("/attributes/") : strlen("attributes."));
    while (rest.len) {
        struct str step = text_cut(&rest, is_pointer ? '/' : '.');
        struct text name;
        text_open(&name, keep, step.len + 1);
        for (size_t i = 0; i < step.len; i++) {
            bool escaped = is_pointer && step.s[i] == '~' && i + 1 < step.len;
            text_add_char(&name, !escaped ? step.s[i] : step.s[i + 1] == '1' ? '/' : '~');
            i += escaped;
        }
        if (!path_add(keep, names, &count, text_str(&name))) {
            return false;
        }
        pointer = json_pointer(keep, pointer, text_str(&name));
    }
    *ret_path = (struct sap_path){names, count, pointer};
    return count > 0;
}

enum sap_from sap_config_from(struct strict *strict, struct str text, struct sap_path *ret_path)
{
    if (str_is(text, "device_name")) {
        return SAP_FROM_NAME;
    }
    if (str_is(text, "device_key")) {
        return SAP_FROM_KEY;
    }
    if (!read_path(strict->keep, text, ret_path)) {
        strict_fault(strict, "from", PROBLEM_invalid_member,
                     "must be device_name, device_key, attributes.<name> or /attributes/<name>");
    }
    return SAP_FROM_ATTRIBUTE;
}

static void read_choices(struct strict *strict, struct sap_field *field)
{
    yyjson_val *map = strict_take(strict, "map"), *key;
    yyjson_obj_iter members;
    if (!map) {
        return;
    }
    if (!yyjson_is_obj(map) || yyjson_obj_size(map) == 0 || yyjson_obj_size(map) > 10000) {
        strict_fault(strict, "map", PROBLEM_invalid_member,
                     "must be an object of 1 to 10000 texts");
        return;
    }
    struct sap_choice *choices = arena_array(strict->keep, struct sap_choice, yyjson_obj_size(map));
    field->choices = choices;
    yyjson_obj_iter_init(map, &members);
    while ((key = yyjson_obj_iter_next(&members)) != NULL) {
        yyjson_val *value = yyjson_obj_iter_get_val(key);
        if (!yyjson_is_str(value)) {
            strict_fault(strict, "map", PROBLEM_invalid_member, "must be an object of texts");
            return;
        }
        choices[field->choice_count++] = (struct sap_choice){
            arena_copy(strict->keep, json_str(key)), arena_copy(strict->keep, json_str(value))};
    }
}

const char *const sap_config_types[] = {"string",   "decimal", "integer", "date",
                                        "datetime", "boolean", NULL};

static void read_enum(struct strict *strict, struct sap_field *field)
{
    const struct str *texts = strict_texts(strict, "enum", false, &field->enum_count);
    struct str *enums = arena_array(strict->keep, struct str, (size_t)field->enum_count);
    for (int i = 0; i < field->enum_count; i++) {
        enums[i] = sap_value_normal_text(field, strict->keep, texts[i]);
        if (field->max && sap_edm_length(enums[i]) > (size_t)field->max) {
            strict_fault(strict, "enum", PROBLEM_invalid_member, STR_FMT " is longer than max",
                         STR_ARG(texts[i]));
        }
    }
    field->enums = enums;
}

static void read_pattern(struct strict *strict, struct sap_field *field)
{
    field->pattern = strict_text(strict, "pattern", STR(""));
    if (json_member(strict->object, "pattern")) {
        const char *fault = sap_pattern_compile(strict->keep, field->pattern, &field->regex);
        if (fault) {
            strict_fault(strict, "pattern", PROBLEM_invalid_member, "%s", fault);
        }
    }
}

static void read_source(struct strict *strict, struct sap_field *field)
{
    struct str from = strict_text(strict, "from", STR("")), when;
    yyjson_val *constant = strict_take(strict, "const");
    when = strict_text(strict, "when", STR(""));
    if ((from.len > 0) == (constant != NULL)) {
        strict_fault(strict, "from", PROBLEM_invalid_member, "either from or const must be given");
        return;
    }
    if (from.len) {
        field->from = sap_config_from(strict, from, &field->path);
    }
    bool named = field->from == SAP_FROM_NAME || field->from == SAP_FROM_KEY;
    if (when.len && (named || !read_path(strict->keep, when, &field->when))) {
        strict_fault(strict, "when", PROBLEM_invalid_member,
                     "goes with const or an attribute, and is attributes.<name> or "
                     "/attributes/<name>");
    }
}

/* A constant keeps the rules of its own field; it is kept in its normal form. */
static void read_constant(struct strict *strict, struct sap_field *field)
{
    yyjson_val *constant = json_member(strict->object, "const");
    if (!constant) {
        return;
    }
    struct sap_value value = sap_value_of(field, strict->call->arena, constant);
    if (value.fault || yyjson_is_null(constant)) {
        strict_fault(strict, "const", PROBLEM_invalid_member, "%s",
                     value.fault ? value.fault : "must be a text, a number, true or false");
    }
    field->constant = arena_copy(strict->keep, value.normal);
}

/* So do the values that a map gives. */
static void check_choices(struct strict *strict, const struct sap_field *field)
{
    for (int i = 0; i < field->choice_count; i++) {
        struct sap_value value =
            sap_value_of_text(field, strict->call->arena, field->choices[i].from);
        if (value.fault) {
            call_name(strict->call,
                      json_pointer(strict->call->arena, strict_pointer(strict, "map"),
                                   field->choices[i].from),
                      PROBLEM_invalid_member, "%s", value.fault);
        }
    }
}

static void read_field(struct strict *strict, struct sap_field *field)
{
    static const char *const overflow_words[] = {"reject", "cut", NULL};
    *field = (struct sap_field){.field = strict_identifier(strict, "field")};
    (void)strict_take(strict, "note");
    read_source(strict, field);
    field->type = (enum sap_type)strict_word(strict, "type", sap_config_types, SAP_STRING);
    field->max = (int)strict_number(strict, "max", 0, 0, 65535);
    field->scale = (int)strict_number(strict, "scale", 0, 0, 15);
    field->cut = strict_word(strict, "overflow", overflow_words, 0) == 1;
    field->upper = strict_bool(strict, "upper", false);
    field->alpha = strict_bool(strict, "alpha", false);
    field->create_only = strict_bool(strict, "create_only", false);
    field->required = strict_bool(strict, "required", false);
    field->clear = strict_bool(strict, "clear", false);
    read_choices(strict, field);
    read_enum(strict, field);
    read_pattern(strict, field);
    if (field->from != SAP_FROM_ATTRIBUTE &&
        (field->required || field->clear || field->choice_count)) {
        strict_fault(strict, "from", PROBLEM_invalid_member,
                     "required, clear and map go with attributes");
    }
    if ((field->from == SAP_FROM_NAME || field->from == SAP_FROM_KEY) &&
        (!field->create_only || field->cut)) {
        strict_fault(strict, "create_only", PROBLEM_invalid_member,
                     "a name never changes and is never cut: create_only must be true, overflow "
                     "must not be cut");
    }
    if (field->type != SAP_STRING &&
        (field->choice_count || field->enum_count || field->pattern.len || field->upper ||
         field->alpha || field->cut)) {
        strict_fault(strict, "type", PROBLEM_invalid_member,
                     "map, enum, pattern, upper, alpha and overflow cut go with type string");
    }
    if (field->choice_count && field->enum_count) {
        strict_fault(strict, "enum", PROBLEM_invalid_member, "map says already what may come");
    }
    read_constant(strict, field);
    check_choices(strict, field);
    strict_end(strict);
}

void sap_config_fields(struct strict *root, struct sap_config *config)
{
    yyjson_val *list = strict_take(root, "fields"), *item;
    size_t i, count;
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) == 0 ||
        yyjson_arr_size(list) > SAP_MAPPED_MAX) {
        strict_fault(root, "fields", PROBLEM_invalid_member, "must be an array of 1 to %d fields",
                     SAP_MAPPED_MAX);
        return;
    }
    config->fields = arena_array(root->keep, struct sap_field, yyjson_arr_size(list));
    yyjson_arr_foreach(list, i, count, item)
    {
        struct strict strict;
        struct str index = arena_printf(root->call->arena, "%zu", i);
        strict_open(&strict, root->call, root->keep, item,
                    json_pointer(root->call->arena, strict_pointer(root, "fields"), index));
        if (!strict.object) {
            continue;
        }
        struct sap_field *field = &config->fields[config->field_count];
        read_field(&strict, field);
        if (sap_map_field(config, field->field)) {
            strict_fault(&strict, "field", PROBLEM_invalid_member, "is mapped twice");
        }
        config->field_count++;
    }
}
