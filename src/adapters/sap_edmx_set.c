/* One entity set out of what was read: the properties of its type and of those it derives from, and all that annotations
 * say of them, wherever they stand. */
#include "adapters/sap_edmx_raw.h"
#include "base/text.h"

#define DERIVED_MAX 16 /* how deep types are derived */

struct str sap_edmx_word(struct str qualified)
{
    struct str word = qualified;
    while (qualified.len) {
        word = text_cut(&qualified, '.');
    }
    return word;
}

/* A set's type and those it derives from, the nearest first. */
struct types {
    int at[DERIVED_MAX], count;
};

static struct edmx_property *find_property(const struct edmx_set *set, struct str name)
{
    for (int i = 0; i < set->property_count; i++) {
        if (str_equal(set->properties[i].name, name)) {
            return &set->properties[i];
        }
    }
    return NULL;
}

/* Is it this type that a qualified name means? By namespace or alias. */
static bool is_type(const struct raw_type *type, struct str qualified)
{
    struct str name = sap_edmx_word(qualified);
    if (!str_equal(name, type->name) || name.len + 1 > qualified.len) {
        return false;
    }
    struct str space = str_head(qualified, qualified.len - name.len - 1);
    return str_equal(space, type->space) || (type->alias.len && str_equal(space, type->alias));
}

static int find_type(const struct edmx_raw *raw, struct str qualified)
{
    int at = raw->type_count - 1;
    while (at >= 0 && !is_type(&raw->types[at], qualified)) {
        at--;
    }
    return at;
}

/* The property of a set that a note is about; NULL = another's. */
static struct edmx_property *property_of(const struct edmx_raw *raw, const struct edmx_set *set,
                                         const struct types *types, const struct raw_note *said)
{
    struct str name = said->target, type = text_cut(&name, '/');
    bool ours = false;
    if (said->property >= 0) {
        const struct raw_property *property = &raw->properties[said->property];
        name = property->is.name;
        for (int i = 0; i < types->count; i++) {
            ours = ours || types->at[i] == property->type;
        }
    } else {
        for (int i = 0; name.len && i < types->count; i++) {
            ours = ours || is_type(&raw->types[types->at[i]], type);
        }
    }
    return ours ? find_property(set, name) : NULL;
}

static void tell_property(struct edmx_property *property, const struct raw_note *said)
{
    bool yes = str_is(said->value, "true"), read_only = false;
    if (said->member.len) {
        return;
    }
    if (str_is(said->term, "Computed")) {
        read_only = yes;
    } else if (str_is(said->term, "Immutable")) {
        property->updatable = property->updatable && !yes;
    } else if (str_is(said->term, "IsUpperCase")) {
        property->upper = property->upper || yes;
    } else if (str_is(said->term, "Permissions")) {
        read_only = memmem(said->value.s ? said->value.s : "", said->value.len, "Write", 5) == NULL;
    } else if (str_is(said->term, "FieldControl")) {
        struct str kind = sap_edmx_word(said->value);
        (void)text_cut(&kind, '/'); /* Common.FieldControlType/ReadOnly */
        read_only = str_is(kind, "ReadOnly");
        property->must = property->must || str_is(kind, "Mandatory");
    } else if (str_is(said->term, "Unit") || str_is(said->term, "ISOCurrency")) {
        property->unit = said->value;
    }
    property->creatable = property->creatable && !read_only;
    property->updatable = property->updatable && !read_only;
}

static void tell_set(struct edmx_set *set, const struct raw_note *said)
{
    struct edmx_property *property = find_property(set, said->value);
    bool no = str_is(said->value, "false");
    if (str_is(said->member, "Insertable")) {
        set->creatable = set->creatable && !no;
    } else if (str_is(said->member, "Updatable")) {
        set->updatable = set->updatable && !no;
    } else if (property && str_is(said->member, "NonInsertableProperties")) {
        property->creatable = false;
    } else if (property && str_is(said->member, "NonUpdatableProperties")) {
        property->updatable = false;
    } else if (property && str_is(said->member, "NonFilterableProperties")) {
        property->filterable = false;
    }
}

static bool is_about_set(const struct edmx_raw *raw, int set, const struct raw_note *said)
{
    struct str name = said->target, container = text_cut(&name, '/');
    return said->target.len ? str_equal(name, raw->sets[set].name) &&
                                  str_equal(sap_edmx_word(container), raw->sets[set].container)
                            : said->set == set;
}

static void find_types(const struct edmx_raw *raw, struct str type, struct types *ret_types)
{
    *ret_types = (struct types){0};
    for (int at = find_type(raw, type); at >= 0 && ret_types->count < DERIVED_MAX;
         at = raw->types[at].base.len ? find_type(raw, raw->types[at].base) : -1) {
        for (int i = 0; i < ret_types->count; i++) {
            if (ret_types->at[i] == at) {
                return; /* it derives from itself: nonsense */
            }
        }
        ret_types->at[ret_types->count++] = at;
    }
}

static void add_properties(const struct edmx_raw *raw, int type, struct edmx_set *set)
{
    for (int i = 0; i < raw->property_count; i++) {
        if (raw->properties[i].type == type) {
            struct edmx_property *property = &set->properties[set->property_count++];
            *property = raw->properties[i].is;
            int under = find_type(raw, property->type);
            if (under >= 0 && raw->types[under].under.len) {
                property->type = raw->types[under].under;
            }
        }
    }
    for (int i = 0; i < raw->key_count; i++) {
        struct edmx_property *property = find_property(set, raw->keys[i].name);
        if (raw->keys[i].type == type && property) {
            property->key = true;
            property->updatable = false; /* of no protocol */
        }
    }
}

enum rc sap_edmx_set(const struct edmx *edmx, struct call *call, struct str name,
                     struct edmx_set *ret_set)
{
    const struct edmx_raw *raw = edmx->raw;
    int at = 0;
    while (at < raw->set_count && !str_equal(raw->sets[at].name, name)) {
        at++;
    }
    if (at == raw->set_count) {
        return call_why(call, RC_NOT_FOUND, "the service has no entity set " STR_FMT,
                        STR_ARG(name));
    }
    const struct raw_set *found = &raw->sets[at];
    struct edmx_set set = {
        .name = found->name, .creatable = found->creatable, .updatable = found->updatable};
    struct types types;
    find_types(raw, found->type, &types);
    set.properties = arena_array(call->arena, struct edmx_property, (size_t)raw->property_count);
    for (int i = 0; i < types.count; i++) {
        add_properties(raw, types.at[i], &set);
    }
    for (int i = 0; i < raw->note_count; i++) {
        const struct raw_note *said = &raw->notes[i];
        struct edmx_property *property = property_of(raw, &set, &types, said);
        if (property) {
            tell_property(property, said);
        } else if (is_about_set(raw, at, said)) {
            tell_set(&set, said);
        }
    }
    *ret_set = set;
    return RC_OK;
}

const struct edmx_property *sap_edmx_property(const struct edmx_set *set, struct str name)
{
    return find_property(set, name);
}
