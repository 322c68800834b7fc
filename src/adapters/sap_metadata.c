/* Each rule is a few lines: what the service says of the set, of the keys, of the search field, of each field, against
 * what the mapping says. What is only good to know is a note. */
#include "adapters/sap_metadata.h"

#include <stdarg.h>
#include <stdio.h>

#include "adapters/sap_edm.h"
#include "adapters/sap_map.h"
#include "base/nearest.h"
#include "base/text.h"

#define WORDS_MAX_BYTES 400
#define PER_FIELD 8 /* findings that one field, key or property can have */
#define PER_SET 8

struct comparing {
    const struct sap_config *config;
    struct arena *arena;
    const struct edmx *edmx;
    struct edmx_set set;
    struct sap_findings *out;
};

static struct str place(const struct comparing *at, const char *list, int i, const char *member)
{
    return arena_printf(at->arena, "/%s/%d/%s", list, i, member);
}

static void find(struct comparing *at, struct str pointer, bool note, const char *format, ...)
    PRINTF(4, 5);
static void find(struct comparing *at, struct str pointer, bool note, const char *format, ...)
{
    char words[WORDS_MAX_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    struct str kept = arena_copy(at->arena, text_utf8(at->arena, str_of(words)));
    at->out->items[at->out->count++] = (struct sap_finding){pointer, kept, note};
    at->out->wrong += !note;
}

/* ---- a name that is not there ------------------------------------------------------------------------------------ */

static struct str nearest_property(const struct comparing *at, struct str wanted)
{
    const struct edmx_set *set = &at->set;
    const char **names = arena_array(at->arena, const char *, (size_t)set->property_count);
    for (int i = 0; i < set->property_count; i++) {
        names[i] = set->properties[i].name.s;
    }
    int i = nearest(wanted, names, (size_t)set->property_count);
    return i < 0 ? STR("") : set->properties[i].name;
}

static struct str nearest_set(const struct comparing *at, struct str wanted)
{
    const struct edmx *edmx = at->edmx;
    const char **names = arena_array(at->arena, const char *, (size_t)edmx->set_count);
    for (int i = 0; i < edmx->set_count; i++) {
        names[i] = edmx->sets[i].s;
    }
    int i = nearest(wanted, names, (size_t)edmx->set_count);
    return i < 0 ? STR("") : edmx->sets[i];
}

/* " (it has EquipmentName)", or nothing */
static struct str hint(const struct comparing *at, struct str nearest)
{
    return nearest.len ? arena_printf(at->arena, " (it has " STR_FMT ")", STR_ARG(nearest))
                       : STR("");
}

/* ---- one field ----------------------------------------------------------------------------------------------------- */

static bool is_one_of(struct str type, const char *const *names)
{
    while (*names && !str_is(type, *names)) {
        names++;
    }
    return *names != NULL;
}

bool sap_metadata_fits(enum sap_protocol protocol, const struct sap_field *field, struct str edm)
{
    static const char *const texts[] = {"Edm.String", "Edm.Guid", NULL};
    static const char *const whole[] = {"Edm.Int32", "Edm.Int16", "Edm.Byte", "Edm.SByte", NULL};
    switch (field->type) {
    case SAP_STRING:
        return is_one_of(edm, texts);
    case SAP_DECIMAL: /* written as a text, as 64 bits are too */
        return str_is(edm, "Edm.Decimal") || (str_is(edm, "Edm.Int64") && field->scale == 0);
    case SAP_INTEGER:
        return is_one_of(edm, whole);
    case SAP_DATE:
        return str_is(edm, protocol == SAP_V2 ? "Edm.DateTime" : "Edm.Date");
    case SAP_MOMENT:
        return str_is(edm, "Edm.DateTimeOffset");
    case SAP_BOOLEAN:
        return str_is(edm, "Edm.Boolean");
    }
    return false;
}

int sap_metadata_digits(struct str edm)
{
    return str_is(edm, "Edm.Int16")                              ? 4
           : str_is(edm, "Edm.Byte") || str_is(edm, "Edm.SByte") ? 2
                                                                 : 0;
}

static void check_length(struct comparing *at, int i, const struct edmx_property *found)
{
    const struct sap_field *field = &at->config->fields[i];
    bool constant = field->from == SAP_FROM_CONST;
    size_t longest = constant ? sap_edm_length(field->constant) : (size_t)field->max;
    if (field->type != SAP_STRING || !found->max ||
        (longest <= (size_t)found->max && (longest || constant))) {
        return;
    }
    if (constant) {
        find(at, place(at, "fields", i, "const"), false,
             STR_FMT ": the constant has %zu characters, the service holds %lld",
             STR_ARG(field->field), longest, (long long)found->max);
    } else {
        find(at, place(at, "fields", i, "max"), false,
             STR_FMT ": max is %d, the service holds %lld: say \"max\": %lld",
             STR_ARG(field->field), field->max, (long long)found->max, (long long)found->max);
    }
}

static void check_digits(struct comparing *at, int i, const struct edmx_property *found)
{
    const struct sap_field *field = &at->config->fields[i];
    int64_t scale = found->scale < 0 ? found->precision : found->scale;
    int64_t whole = found->precision - (found->scale < 0 ? 0 : scale);
    if (field->type != SAP_DECIMAL || !str_is(found->type, "Edm.Decimal") || !found->precision) {
        return;
    }
    if (field->scale > scale) {
        find(at, place(at, "fields", i, "scale"), false,
             STR_FMT ": scale is %d, the service keeps %lld digits behind the point",
             STR_ARG(field->field), field->scale, (long long)scale);
    }
    int64_t digits = whole + field->scale;
    if (!field->max || field->max - field->scale > whole) {
        find(at, place(at, "fields", i, "max"), false,
             STR_FMT
             ": max is %d, the service keeps %lld digits before the point: say \"max\": %lld",
             STR_ARG(field->field), field->max, (long long)whole, (long long)digits);
    }
}

static void check_whole(struct comparing *at, int i, const struct edmx_property *found)
{
    const struct sap_field *field = &at->config->fields[i];
    int digits = sap_metadata_digits(found->type);
    if (field->type == SAP_INTEGER && digits && (!field->max || field->max > digits)) {
        find(at, place(at, "fields", i, "max"), false,
             STR_FMT ": max is %d, the service has it as " STR_FMT ": say \"max\": %d",
             STR_ARG(field->field), field->max, STR_ARG(found->type), digits);
    }
}

static void check_case(struct comparing *at, int i, const struct edmx_property *found)
{
    const struct sap_field *field = &at->config->fields[i];
    if (field->type != SAP_STRING || field->from == SAP_FROM_CONST ||
        found->upper == field->upper) {
        return;
    }
    if (found->upper) {
        find(at, place(at, "fields", i, "upper"), false,
             STR_FMT ": the service makes it upper case: say \"upper\": true",
             STR_ARG(field->field));
    } else {
        find(at, place(at, "fields", i, "upper"), true,
             STR_FMT ": the service does not say that it makes it upper case; what is sent is all "
                     "the same upper case",
             STR_ARG(field->field));
    }
}

static void check_clear(struct comparing *at, int i, const struct edmx_property *found)
{
    const struct sap_field *field = &at->config->fields[i];
    if (field->clear && !found->holds_null &&
        (field->type == SAP_DATE || field->type == SAP_MOMENT)) {
        find(at, place(at, "fields", i, "clear"), false,
             STR_FMT ": the service cannot have none: leave clear out", STR_ARG(field->field));
    }
}

static void check_rights(struct comparing *at, int i, const struct edmx_property *found)
{
    const struct sap_field *field = &at->config->fields[i];
    struct str pointer = place(at, "fields", i, "field");
    if (!found->creatable && !found->updatable) {
        find(at, pointer, false, STR_FMT ": the service only shows it, nobody can set it",
             STR_ARG(field->field));
    } else if (!found->creatable && field->create_only) {
        find(at, pointer, false,
             STR_FMT ": the service takes it in updates only, so with create_only it is never sent",
             STR_ARG(field->field));
    } else if (!found->creatable && at->config->create) {
        find(at, pointer, false, STR_FMT ": the service does not take it at a create",
             STR_ARG(field->field));
    } else if (!found->updatable && !field->create_only) {
        find(at, place(at, "fields", i, "create_only"), false,
             STR_FMT ": the service does not update it: say \"create_only\": true",
             STR_ARG(field->field));
    }
}

static void check_field(struct comparing *at, int i)
{
    const struct sap_field *field = &at->config->fields[i];
    const struct edmx_property *found = sap_edmx_property(&at->set, field->field);
    if (!found) {
        find(at, place(at, "fields", i, "field"), false,
             STR_FMT ": the service has no such field" STR_FMT, STR_ARG(field->field),
             STR_ARG(hint(at, nearest_property(at, field->field))));
        return;
    }
    if (!sap_metadata_fits(at->config->protocol, field, found->type)) {
        find(at, place(at, "fields", i, "type"), false,
             STR_FMT ": its type does not fit, the service has it as " STR_FMT,
             STR_ARG(field->field), STR_ARG(found->type));
        return;
    }
    check_length(at, i, found);
    check_digits(at, i, found);
    check_whole(at, i, found);
    check_case(at, i, found);
    check_clear(at, i, found);
    check_rights(at, i, found);
}

/* ---- keys, search, set --------------------------------------------------------------------------------------------- */

static void check_key(struct comparing *at, int i)
{
    const struct sap_key *key = &at->config->keys[i];
    const struct edmx_property *found = sap_edmx_property(&at->set, key->field);
    const struct sap_field as_field = {.type = key->type};
    if (!found || !found->key) {
        find(at, place(at, "key", i, "field"), false, STR_FMT ": %s" STR_FMT, STR_ARG(key->field),
             found ? "is no part of the service's key" : "the service has no such field",
             STR_ARG(hint(at, found ? STR("") : nearest_property(at, key->field))));
    } else if (!sap_metadata_fits(at->config->protocol, &as_field, found->type)) {
        find(at, place(at, "key", i, "type"), false,
             STR_FMT ": its type does not fit, the service has it as " STR_FMT, STR_ARG(key->field),
             STR_ARG(found->type));
    }
}

static bool has_key(const struct sap_config *config, struct str name)
{
    for (int i = 0; i < config->key_count; i++) {
        if (str_equal(config->keys[i].field, name)) {
            return true;
        }
    }
    return false;
}

/* What the service has and the mapping does not. */
static void check_missing(struct comparing *at)
{
    for (int i = 0; i < at->set.property_count; i++) {
        const struct edmx_property *own = &at->set.properties[i];
        if (own->key && !has_key(at->config, own->name)) {
            find(at, STR("/key"), false,
                 STR_FMT " is a part of the service's key, and missing here", STR_ARG(own->name));
        } else if (own->must && own->creatable && !own->key && at->config->create &&
                   !sap_map_field(at->config, own->name)) {
            find(at, STR("/fields"), true,
                 STR_FMT " is not mapped; the service calls it mandatory at a create",
                 STR_ARG(own->name));
        }
    }
}

static void check_search(struct comparing *at)
{
    struct str name = at->config->resolve_field;
    const struct edmx_property *found = sap_edmx_property(&at->set, name);
    const struct sap_field text = {.type = SAP_STRING};
    if (!found) {
        find(at, STR("/resolve/field"), false, STR_FMT ": the service has no such field" STR_FMT,
             STR_ARG(name), STR_ARG(hint(at, nearest_property(at, name))));
        return;
    }
    if (!sap_metadata_fits(at->config->protocol, &text, found->type)) {
        find(at, STR("/resolve/field"), false,
             STR_FMT ": only a text can be searched for, the service has it as " STR_FMT,
             STR_ARG(name), STR_ARG(found->type));
    }
    if (!found->filterable) {
        find(at, STR("/resolve/field"), false, STR_FMT ": the service does not search by it",
             STR_ARG(name));
    }
    if (found->upper && !at->config->resolve_upper) {
        find(at, STR("/resolve/upper"), false,
             STR_FMT ": the service makes it upper case, so a name is not found again: say "
                     "\"upper\": true",
             STR_ARG(name));
    }
}

static void check_set(struct comparing *at)
{
    if (!at->set.creatable && at->config->create) {
        find(at, STR("/on_missing"), false,
             STR_FMT ": the service creates none: say \"on_missing\": \"fail\"",
             STR_ARG(at->set.name));
    }
    if (!at->set.updatable) {
        find(at, STR("/entity"), false, STR_FMT ": the service updates none",
             STR_ARG(at->set.name));
    }
}

static const char *protocol_name(enum sap_protocol protocol)
{
    return protocol == SAP_V2 ? "v2" : "v4";
}

enum rc sap_metadata_compare(const struct sap_config *config, struct call *call, struct str xml,
                             struct sap_findings *ret_findings)
{
    struct edmx edmx;
    struct sap_findings findings = {0};
    struct comparing at = {.config = config, .arena = call->arena, .edmx = &edmx, .out = &findings};
    TRY(sap_edmx_read(call, xml, &edmx));
    enum rc rc = sap_edmx_set(&edmx, call, config->entity, &at.set);
    int room =
        PER_SET + at.set.property_count + PER_FIELD * (config->key_count + config->field_count);
    findings.items = arena_array(call->arena, struct sap_finding, (size_t)room);
    if (edmx.protocol != config->protocol) {
        find(&at, STR("/protocol"), false, "the service speaks %s, the mapping says %s",
             protocol_name(edmx.protocol), protocol_name(config->protocol));
    } else if (rc != RC_OK) {
        find(&at, STR("/entity"), false, STR_FMT ": the service has no such entity set" STR_FMT,
             STR_ARG(config->entity), STR_ARG(hint(&at, nearest_set(&at, config->entity))));
    } else {
        check_set(&at);
        for (int i = 0; i < config->key_count; i++) {
            check_key(&at, i);
        }
        check_search(&at);
        for (int i = 0; i < config->field_count; i++) {
            check_field(&at, i);
        }
        check_missing(&at);
    }
    assert(findings.count <= room);
    *ret_findings = findings;
    return RC_OK;
}
