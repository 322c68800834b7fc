/* Reads just enough XML: start tags and their attributes, in one pass, without a tree. What it does not understand it
 * skips; it is a check for people at set-up, nothing of a delivery depends on it. */
#include "adapters/sap_metadata.h"

#include "adapters/sap_edm.h"
#include "base/text.h"

/* The next start tag. out: its name and the text of its attributes; false = no more. */
static bool next_tag(struct str *rest, struct str *ret_name, struct str *ret_attributes)
{
    while (rest->len) {
        (void)text_cut(rest, '<');
        if (!rest->len || rest->s[0] == '/' || rest->s[0] == '!' || rest->s[0] == '?') {
            continue;
        }
        struct str tag = text_cut(rest, '>');
        size_t size = 0;
        while (size < tag.len && tag.s[size] != ' ' && tag.s[size] != '\n' && tag.s[size] != '\r' &&
               tag.s[size] != '\t' && tag.s[size] != '/') {
            size++;
        }
        struct str name = str_head(tag, size), prefix = name;
        struct str local = prefix;
        struct str before = text_cut(&local, ':');
        *ret_name = before.len < name.len ? local : name; /* edm:Property is Property */
        *ret_attributes = str_from(tag, size);
        return true;
    }
    return false;
}

/* The value of name="..." among attributes. */
static struct str attribute(struct str attributes, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i + size + 2 < attributes.len; i++) {
        bool at_start = i > 0 && (attributes.s[i - 1] == ' ' || attributes.s[i - 1] == '\n' ||
                                  attributes.s[i - 1] == '\t');
        if (at_start && memcmp(attributes.s + i, name, size) == 0 &&
            attributes.s[i + size] == '=') {
            char quote = attributes.s[i + size + 1];
            struct str value = str_from(attributes, i + size + 2);
            return quote == '"' || quote == '\'' ? text_cut(&value, quote) : STR_NONE;
        }
    }
    return STR_NONE;
}

struct found {
    bool seen, updatable, creatable, upper;
    struct str type;
    int64_t max;
};

/* The entity type of a set: after the last dot of its EntityType. */
static struct str type_of_set(struct str xml, struct str entity)
{
    struct str name, attributes;
    while (next_tag(&xml, &name, &attributes)) {
        if (str_is(name, "EntitySet") && str_equal(attribute(attributes, "Name"), entity)) {
            struct str type = attribute(attributes, "EntityType"), rest = type;
            while (rest.len) {
                type = text_cut(&rest, '.');
            }
            return type;
        }
    }
    return STR_NONE;
}

static struct found find_property(struct str xml, struct str type, struct str field)
{
    struct str name, attributes;
    bool inside = false;
    while (next_tag(&xml, &name, &attributes)) {
        if (str_is(name, "EntityType")) {
            inside = str_equal(attribute(attributes, "Name"), type);
        } else if (inside && str_is(name, "Property") &&
                   str_equal(attribute(attributes, "Name"), field)) {
            struct found found = {.seen = true, .type = attribute(attributes, "Type"), .max = 0};
            if (text_to_i64(attribute(attributes, "MaxLength"), &found.max) != RC_OK) {
                found.max = 0;
            }
            found.updatable = !str_is(attribute(attributes, "sap:updatable"), "false");
            found.creatable = !str_is(attribute(attributes, "sap:creatable"), "false");
            found.upper = str_is(attribute(attributes, "sap:display-format"), "UpperCase");
            return found;
        }
    }
    return (struct found){0};
}

static bool type_fits(enum sap_type type, struct str edm)
{
    switch (type) {
    case SAP_STRING:
        return str_is(edm, "Edm.String") || str_is(edm, "Edm.Guid");
    case SAP_DECIMAL:
        return str_is(edm, "Edm.Decimal");
    case SAP_INTEGER:
        return str_is(edm, "Edm.Int32") || str_is(edm, "Edm.Int16") || str_is(edm, "Edm.Byte");
    case SAP_DATE:
        return str_is(edm, "Edm.DateTime") || str_is(edm, "Edm.Date");
    case SAP_BOOLEAN:
        return str_is(edm, "Edm.Boolean");
    }
    return false;
}

static void check_field(const struct sap_field *field, const struct found *found, struct text *out)
{
    if (!found->seen) {
        text_printf(out, STR_FMT ": the service has no such field\n", STR_ARG(field->field));
        return;
    }
    if (!type_fits(field->type, found->type)) {
        text_printf(out, STR_FMT ": the service has it as " STR_FMT "\n", STR_ARG(field->field),
                    STR_ARG(found->type));
    }
    bool constant = field->from == SAP_FROM_CONST;
    int64_t longest = constant ? (int64_t)sap_edm_length(field->constant) : field->max;
    if (field->type == SAP_STRING && found->max &&
        (longest > found->max || (!longest && !constant))) {
        text_printf(out, STR_FMT ": max is %lld, the service holds %lld\n", STR_ARG(field->field),
                    (long long)longest, (long long)found->max);
    }
    if (field->type == SAP_STRING && found->upper && !field->upper && !constant) {
        text_printf(out, STR_FMT ": the service makes it upper case; say upper\n",
                    STR_ARG(field->field));
    }
    if (!found->creatable) {
        text_printf(out, STR_FMT ": the service does not take it at a create\n",
                    STR_ARG(field->field));
    }
    if (!found->updatable && !field->create_only) {
        text_printf(out, STR_FMT ": the service does not update it; say create_only\n",
                    STR_ARG(field->field));
    }
}

enum rc sap_metadata_compare(const struct sap_config *config, struct call *call, struct str xml,
                             struct str *ret_findings)
{
    struct text out;
    struct str type = type_of_set(xml, config->entity);
    text_open(&out, call->arena, (size_t)1 << 16);
    if (!memmem(xml.s ? xml.s : "", xml.len, "EntityType", strlen("EntityType"))) {
        return call_why(call, RC_BROKEN, "the service's $metadata is no metadata");
    }
    if (!type.len) {
        text_printf(&out, STR_FMT ": the service has no such entity set\n",
                    STR_ARG(config->entity));
        *ret_findings = text_str(&out);
        return RC_OK;
    }
    for (int i = 0; i < config->key_count; i++) {
        struct found found = find_property(xml, type, config->keys[i].field);
        if (!found.seen) {
            text_printf(&out, STR_FMT ": the service has no such key\n",
                        STR_ARG(config->keys[i].field));
        } else if (!type_fits(config->keys[i].type, found.type)) {
            text_printf(&out, STR_FMT ": the service has this key as " STR_FMT "\n",
                        STR_ARG(config->keys[i].field), STR_ARG(found.type));
        }
    }
    for (int i = 0; i < config->field_count; i++) {
        struct found found = find_property(xml, type, config->fields[i].field);
        check_field(&config->fields[i], &found, &out);
    }
    *ret_findings = text_str(&out);
    return RC_OK;
}
