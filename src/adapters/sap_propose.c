/* The likeliest pairs first: of all members and all properties whose types agree, the pair whose names say the most alike. What
 * is not sure is a remark for the person who reads the file. */
#include "adapters/sap_propose.h"

#include <stdarg.h>
#include <stdio.h>

#include "adapters/sap_config_field.h"
#include "adapters/sap_likeness.h"
#include "adapters/sap_metadata.h"

#define JSON_MAX_BYTES ((size_t)1 << 20)
#define LIKELY 30 /* below it names have nothing to do with each other */
#define NAME_SHORT 18
#define PAIRS_MAX (SAP_MAPPED_MAX / 2 - 1) /* each may have a unit; name and category come on top */

struct pair {
    const struct sample_member *member;
    const struct edmx_property *property;
};

struct drafting {
    const struct propose *asked;
    const struct edmx *edmx;
    const struct edmx_set *set;
    const struct sample *sample;
    struct arena *arena;
    struct proposal *out;
    struct text json;
    const struct edmx_property *name, *ref;
    uint8_t *scores; /* of each member with each property; 0 = they do not go together */
    struct pair pairs[PAIRS_MAX];
    int pair_count;
    int field_count; /* that stand in the text */
};

static void remark(struct drafting *draft, bool open, const char *format, ...) PRINTF(3, 4);
static void remark(struct drafting *draft, bool open, const char *format, ...)
{
    char words[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof(words), format, args);
    va_end(args);
    if (draft->out->remark_count < PROPOSE_REMARKS_MAX) {
        draft->out->remarks[draft->out->remark_count++] = (struct propose_remark){
            arena_copy(draft->arena, text_utf8(draft->arena, str_of(words))), open};
    }
}

/* ---- the device's name ---------------------------------------------------------------------------------------------- */

static bool is_free_text(const struct edmx_property *property)
{
    return str_is(property->type, "Edm.String") && property->creatable && property->filterable &&
           (!property->max || property->max >= NAME_SHORT);
}

/* How well a property holds the name of a device: a field that was made for it, then those that are searched by. */
static int name_rank(struct arena *arena, const struct edmx_property *property)
{
    if (!is_free_text(property) || property->key) {
        return 0;
    }
    if (str_starts(property->name, STR("YY1_")) || str_starts(property->name, STR("ZZ"))) {
        return sap_likeness(arena, STR("/device_name"), property->name) == 100 ? 4 : 0;
    }
    return str_is(property->name, "TechnicalObjectSortCode") ? 3
           : str_is(property->name, "InventoryNumber")       ? 2
                                                             : 0;
}

static enum rc find_name(struct drafting *draft, struct call *call)
{
    int best = 0;
    if (draft->asked->name_field.len) {
        draft->name = sap_edmx_property(draft->set, draft->asked->name_field);
        return draft->name ? RC_OK
                           : call_why(call, RC_NOT_FOUND, "the service has no field " STR_FMT,
                                      STR_ARG(draft->asked->name_field));
    }
    for (int i = 0; i < draft->set->property_count; i++) {
        int rank = name_rank(draft->arena, &draft->set->properties[i]);
        if (rank > best) {
            draft->name = &draft->set->properties[i];
            best = rank;
        }
    }
    return best ? RC_OK
                : call_why(call, RC_NOT_FOUND,
                           "no field of " STR_FMT " can be seen to hold the device's name",
                           STR_ARG(draft->set->name));
}

/* ---- pairs --------------------------------------------------------------------------------------------------------------- */

/* The word of the mapping for a service's type. NULL = the mapping has none. */
static const char *type_word(enum sap_protocol protocol, const struct edmx_property *property)
{
    for (int i = 0; sap_config_types[i]; i++) {
        const struct sap_field field = {.type = (enum sap_type)i};
        if (sap_metadata_fits(protocol, &field, property->type)) {
            return sap_config_types[i];
        }
    }
    return NULL;
}

/* Do the values of the sample go into the property's type? */
static bool types_agree(enum sap_protocol protocol, const struct sample_member *member,
                        const struct edmx_property *property)
{
    const char *word = type_word(protocol, property);
    bool scalars = member->texts || member->numbers;
    if (!word || member->lists || (member->switches && scalars)) {
        return false;
    }
    if (str_is(str_of(word), "boolean") || member->switches) {
        return str_is(str_of(word), "boolean") && member->switches;
    }
    if (str_is(str_of(word), "decimal")) {
        return member->decimals;
    }
    if (str_is(str_of(word), "integer")) {
        return member->decimals && member->scale == 0;
    }
    return str_is(str_of(word), "date")       ? member->days
           : str_is(str_of(word), "datetime") ? member->moments
                                              : true;
}

static bool is_taken(const struct drafting *draft, const struct sample_member *member,
                     const struct edmx_property *property)
{
    for (int i = 0; i < draft->pair_count; i++) {
        if (draft->pairs[i].member == member || draft->pairs[i].property == property) {
            return true;
        }
    }
    return false;
}

static bool may_be_mapped(const struct drafting *draft, const struct edmx_property *property)
{
    return property != draft->name && !property->key && property->creatable &&
           !str_is(property->name, "EquipmentCategory");
}

static uint8_t *score_of(const struct drafting *draft, int member, int property)
{
    return &draft->scores[member * draft->set->property_count + property];
}

static void score(struct drafting *draft)
{
    struct arena scratch;
    size_t count = (size_t)draft->sample->count * (size_t)draft->set->property_count;
    arena_open(&scratch, 0);
    draft->scores = arena_array(draft->arena, uint8_t, count);
    for (int i = 0; i < draft->sample->count; i++) {
        const struct sample_member *member = &draft->sample->members[i];
        for (int k = 0; k < draft->set->property_count; k++) {
            const struct edmx_property *property = &draft->set->properties[k];
            if (may_be_mapped(draft, property) &&
                types_agree(draft->edmx->protocol, member, property)) {
                *score_of(draft, i, k) =
                    (uint8_t)sap_likeness(&scratch, member->pointer, property->name);
                arena_reset(&scratch);
            }
        }
    }
    arena_close(&scratch);
}

/* Take the likeliest pair that is left. false: there is none */
static bool take_pair(struct drafting *draft)
{
    struct pair best = {0};
    int likeliest = LIKELY - 1;
    for (int i = 0; i < draft->sample->count; i++) {
        for (int k = 0; k < draft->set->property_count; k++) {
            struct pair pair = {&draft->sample->members[i], &draft->set->properties[k]};
            if (*score_of(draft, i, k) > likeliest &&
                !is_taken(draft, pair.member, pair.property)) {
                likeliest = *score_of(draft, i, k);
                best = pair;
            }
        }
    }
    if (best.member) {
        draft->pairs[draft->pair_count++] = best;
    }
    return best.member != NULL;
}

static const struct pair *pair_of(const struct drafting *draft, const struct sample_member *member,
                                  struct str property)
{
    for (int i = 0; i < draft->pair_count; i++) {
        if (member ? draft->pairs[i].member == member
                   : str_equal(draft->pairs[i].property->name, property)) {
            return &draft->pairs[i];
        }
    }
    return NULL;
}

/* ---- the text --------------------------------------------------------------------------------------------------------- */

#define add(draft, ...) text_printf(&(draft)->json, __VA_ARGS__)

static void add_text(struct drafting *draft, const char *name, struct str value)
{
    add(draft, "\"%s\": ", name);
    text_add_json(&draft->json, value);
}

static void begin_field(struct drafting *draft, struct str name)
{
    add(draft, "%s\n  {", draft->field_count++ ? "," : "");
    add_text(draft, "field", name);
}

/* attributes.a.b, or as a pointer where a name has a character of its own meaning */
static void add_path(struct drafting *draft, const char *name, struct str pointer)
{
    struct text dotted;
    bool plain = !memchr(pointer.s, '.', pointer.len) && !memchr(pointer.s, '~', pointer.len);
    text_open(&dotted, draft->arena, pointer.len + 16);
    text_add(&dotted, plain ? STR("attributes") : STR("/attributes"));
    for (size_t i = 0; i < pointer.len; i++) {
        text_add_char(&dotted, (char)(plain && pointer.s[i] == '/' ? '.' : pointer.s[i]));
    }
    add(draft, ", ");
    add_text(draft, name, text_str(&dotted));
}

static void add_type(struct drafting *draft, const struct sample_member *member,
                     const struct edmx_property *property)
{
    const char *word = type_word(draft->edmx->protocol, property);
    if (!str_is(str_of(word), "string")) {
        add(draft, ", \"type\": \"%s\"", word);
    }
    if (str_is(property->type, "Edm.Decimal")) {
        int64_t scale = property->scale >= 0 ? property->scale : member->scale;
        if (property->precision) {
            add(draft, ", \"max\": %lld", (long long)property->precision);
        }
        if (scale) {
            add(draft, ", \"scale\": %lld", (long long)min_i64(scale, 15));
        }
    } else if (sap_metadata_digits(property->type)) {
        add(draft, ", \"max\": %d", sap_metadata_digits(property->type));
    } else if (str_is(property->type, "Edm.String") && property->max) {
        add(draft, ", \"max\": %lld", (long long)property->max);
    }
    if (property->upper) {
        add(draft, ", \"upper\": true");
    }
}

/* The property that holds an amount's unit: as the service says, or by its name. */
static const struct edmx_property *unit_of(const struct drafting *draft,
                                           const struct edmx_property *amount)
{
    struct str by_name = arena_printf(draft->arena, STR_FMT "Unit", STR_ARG(amount->name));
    const struct edmx_property *unit =
        sap_edmx_property(draft->set, amount->unit.len ? amount->unit : by_name);
    return unit && unit->creatable && str_is(unit->type, "Edm.String") ? unit : NULL;
}

/* The unit goes with its amount: from a member of its own, or from the end of the amount's name. */
static void add_unit(struct drafting *draft, const struct pair *amount)
{
    const struct edmx_property *unit = unit_of(draft, amount->property);
    struct str word = sap_likeness_unit(draft->arena, amount->member->pointer);
    if (!unit || pair_of(draft, NULL, unit->name)) {
        return;
    }
    begin_field(draft, unit->name);
    add(draft, ", ");
    add_text(draft, "const", word.len ? word : STR("?"));
    add_path(draft, "when", amount->member->pointer);
    add(draft, "%s}", unit->updatable ? "" : ", \"create_only\": true");
    if (!word.len) {
        remark(draft, true, STR_FMT ": say in which unit /attributes" STR_FMT " is: it is ? now",
               STR_ARG(unit->name), STR_ARG(amount->member->pointer));
    }
}

static const struct pair *amount_of(const struct drafting *draft, const struct pair *unit)
{
    for (int i = 0; i < draft->pair_count; i++) {
        if (unit_of(draft, draft->pairs[i].property) == unit->property) {
            return &draft->pairs[i];
        }
    }
    return NULL;
}

static void add_field(struct drafting *draft, const struct pair *pair)
{
    const struct edmx_property *property = pair->property;
    const struct pair *amount = amount_of(draft, pair);
    bool text = str_is(property->type, "Edm.String");
    bool moment = pair->member->days || pair->member->moments;
    bool clears = property->updatable && !property->must && !amount &&
                  (property->holds_null || text || !moment);
    begin_field(draft, property->name);
    add_path(draft, "from", pair->member->pointer);
    add_type(draft, pair->member, property);
    if (amount) {
        add_path(draft, "when", amount->member->pointer);
    }
    add(draft, "%s%s}", property->updatable ? "" : ", \"create_only\": true",
        clears ? ", \"clear\": true" : "");
    if (property->max && pair->member->longest > property->max &&
        str_is(property->type, "Edm.String")) {
        remark(draft, false,
               "/attributes" STR_FMT ": the longest of the sample has %lld characters, " STR_FMT
               " holds %lld: longer ones are refused, unless you say \"map\", or \"overflow\": "
               "\"cut\"",
               STR_ARG(pair->member->pointer), (long long)pair->member->longest,
               STR_ARG(property->name), (long long)property->max);
    }
    add_unit(draft, pair);
}

static void add_name(struct drafting *draft)
{
    const struct edmx_property *name = draft->name;
    begin_field(draft, name->name);
    add(draft, ", \"from\": \"%s\"", name->upper ? "device_name" : "device_key");
    if (name->max) {
        add(draft, ", \"max\": %lld", (long long)name->max);
    }
    add(draft, "%s, \"create_only\": true}", name->upper ? ", \"upper\": true" : "");
    if (name->max && name->max < NAME_MAX_CHARS) {
        remark(draft, false,
               STR_FMT
               " holds %lld characters of a device's name; a longer name is refused at create",
               STR_ARG(name->name), (long long)name->max);
    }
}

static void add_category(struct drafting *draft)
{
    const struct edmx_property *category = sap_edmx_property(draft->set, STR("EquipmentCategory"));
    if (category && category->creatable) {
        begin_field(draft, category->name);
        add(draft, ", \"const\": \"M\", \"create_only\": true}");
        remark(draft, false, "EquipmentCategory is M (machines): ask which one your devices have");
    }
}

static void add_key(struct drafting *draft)
{
    int count = 0;
    add(draft, " \"key\": [");
    for (int i = 0; i < draft->set->property_count; i++) {
        const struct edmx_property *key = &draft->set->properties[i];
        const char *word = type_word(draft->edmx->protocol, key);
        if (!key->key) {
            continue;
        }
        add(draft, "%s\n  {", count++ ? "," : "");
        add_text(draft, "field", key->name);
        if (word && str_is(str_of(word), "date")) {
            add(draft, ", \"const\": \"9999-12-31\", \"type\": \"date\"}");
        } else if (!draft->ref) {
            draft->ref = key;
            add(draft, ", \"from\": \"ref\"}");
        } else {
            add(draft, ", \"const\": \"?\"}");
            remark(draft, true, STR_FMT " is one more part of the key: say which constant it is",
                   STR_ARG(key->name));
        }
    }
    add(draft, "],\n");
}

static void add_fields(struct drafting *draft)
{
    add(draft, " \"fields\": [");
    add_name(draft);
    add_category(draft);
    for (int i = 0; i < draft->sample->count; i++) {
        const struct sample_member *member = &draft->sample->members[i];
        const struct pair *pair = pair_of(draft, member, STR_NONE);
        if (pair) {
            add_field(draft, pair);
            draft->out->mapped++;
        } else {
            remark(draft, false, "/attributes" STR_FMT ": no field of " STR_FMT " %s",
                   STR_ARG(member->pointer), STR_ARG(draft->set->name),
                   member->lists ? "takes an array" : "says the same; it stays in hourbell only");
            draft->out->unmapped++;
        }
    }
    add(draft, "\n ]\n}\n");
}

enum rc sap_propose(const struct propose *asked, const struct edmx *edmx,
                    const struct edmx_set *set, const struct sample *sample, struct call *call,
                    struct proposal *ret_proposal)
{
    struct drafting draft = {.asked = asked,
                             .edmx = edmx,
                             .set = set,
                             .sample = sample,
                             .arena = call->arena,
                             .out = ret_proposal};
    *ret_proposal = (struct proposal){0};
    text_open(&draft.json, call->arena, JSON_MAX_BYTES);
    TRY(find_name(&draft, call));
    score(&draft);
    bool more = true;
    while (more && draft.pair_count < PAIRS_MAX) {
        more = take_pair(&draft);
    }
    add(&draft, "{\n" STR_FMT " \"protocol\": \"%s\",\n \"mapping_version\": 1,\n",
        STR_ARG(asked->head), edmx->protocol == SAP_V2 ? "v2" : "v4");
    add(&draft, " ");
    add_text(&draft, "entity", set->name);
    add(&draft, ",\n");
    add_key(&draft);
    add(&draft, " \"resolve\": {");
    add_text(&draft, "field", draft.name->name);
    add(&draft, ", \"from\": \"%s\"%s},\n \"on_missing\": \"%s\",\n",
        draft.name->upper ? "device_name" : "device_key",
        draft.name->upper ? ", \"upper\": true" : "", set->creatable ? "create" : "fail");
    add_fields(&draft);
    if (!draft.ref) {
        remark(&draft, true, "no part of the key is a text: it must be the number that SAP gives");
    }
    if (sample->more) {
        remark(&draft, false, "the sample has more than %d members: the others were not looked at",
               SAMPLE_MEMBERS_MAX);
    }
    assert(!draft.json.full);
    ret_proposal->json = text_str(&draft.json);
    return RC_OK;
}
