/* The parser is expat's. One pass notes what stands there, since V4 may say what is true of a property long before or
 * after it; sap_edmx_set.c puts together what is true of one set. Terms are known by their last word ("Computed"): the
 * vocabularies stand under aliases that each service chooses. */
#include "adapters/sap_edmx_raw.h"

#include <expat.h>
#include <stdlib.h>

#include "base/text.h"

#define SEPARATOR '\n' /* between a namespace and a name, as expat hands them over */
#define SAP_NAMESPACE "http://www.sap.com/Protocols/SAPData"

struct reader {
    struct arena *arena;
    XML_Parser parser;
    struct edmx_raw raw;
    struct str version;      /* of Edmx */
    struct str space, alias; /* of the schema that we are in */
    int type, set, property; /* that we are in; -1 = none */
    struct str container;    /* that we are in */
    struct str target, term; /* of the annotation that we are in */
    struct str member;       /* of the record in it, the outermost */
    int depth;               /* of records in records */
    struct text words;       /* between the tags of an element */
    bool collects, noted;
    const char *fault;
};

static void fail(struct reader *reader, const char *fault)
{
    reader->fault = fault;
    XML_StopParser(reader->parser, XML_FALSE);
}

/* ---- lists ------------------------------------------------------------------------------------------------------- */

static bool is_full(struct reader *reader, int count)
{
    if (count == EDMX_ROWS_MAX) {
        fail(reader, "it is larger than any service's");
    }
    return count == EDMX_ROWS_MAX;
}

/* The list, with room for one more behind its `count` rows; it doubles at 1, 2, 4, 8 ... */
static void *with_room(struct reader *reader, void *list, int count, size_t size)
{
    size_t rows = (size_t)count;
    return (rows & (rows - 1)) == 0
               ? arena_grow(reader->arena, list, rows * size, (rows ? rows * 2 : 1) * size)
               : list;
}

/* A new row at the end of a list, all zero; NULL = there are too many. */
#define ROW(reader, list, count)                                                                   \
    (is_full(reader, count)                                                                        \
         ? NULL                                                                                    \
         : ((list) = with_room(reader, list, count, sizeof(*(list))), &(list)[(count)++]))

/* ---- what tags say ------------------------------------------------------------------------------------------------ */

static struct str local_name(const char *name)
{
    const char *separator = strchr(name, SEPARATOR);
    return str_of(separator ? separator + 1 : name);
}

/* An attribute without a namespace, or with SAP's. STR_NONE = it is not there. Lives during the callback. */
static struct str value_of(const char *const *attributes, const char *space, const char *name)
{
    for (size_t i = 0; attributes[i]; i += 2) {
        const char *separator = strchr(attributes[i], SEPARATOR);
        struct str before =
            separator ? (struct str){attributes[i], (size_t)(separator - attributes[i])} : STR("");
        if (str_is(before, space) && str_is(local_name(attributes[i]), name)) {
            return str_of(attributes[i + 1]);
        }
    }
    return STR_NONE;
}

static struct str keep(struct reader *reader, struct str text)
{
    if (text.len > EDMX_WORD_MAX_BYTES) {
        fail(reader, "a name is longer than any");
        return STR_NONE;
    }
    return arena_copy(reader->arena, text);
}

static struct str kept(struct reader *reader, const char *const *attributes, const char *name)
{
    return keep(reader, value_of(attributes, "", name));
}

static bool sap_allows(const char *const *attributes, const char *name)
{
    return !str_is(value_of(attributes, SAP_NAMESPACE, name), "false");
}

static int64_t number_of(struct str text, int64_t fallback)
{
    int64_t number;
    return text_to_i64(text, &number) == RC_OK ? number : fallback;
}

static void start_type(struct reader *reader, const char *const *attributes)
{
    struct raw_type *type = ROW(reader, reader->raw.types, reader->raw.type_count);
    if (type) {
        *type = (struct raw_type){.space = reader->space,
                                  .alias = reader->alias,
                                  .name = kept(reader, attributes, "Name"),
                                  .base = kept(reader, attributes, "BaseType"),
                                  .under = kept(reader, attributes, "UnderlyingType")};
        reader->type = reader->raw.type_count - 1;
    }
}

static void start_property(struct reader *reader, const char *const *attributes)
{
    struct raw_property *property =
        reader->type < 0 ? NULL : ROW(reader, reader->raw.properties, reader->raw.property_count);
    if (!property) {
        return;
    }
    struct str scale = value_of(attributes, "", "Scale");
    bool holds_null = !str_is(value_of(attributes, "", "Nullable"), "false");
    struct str generated =
        value_of(attributes, "http://schemas.microsoft.com/ado/2009/02/edm/annotation",
                 "StoreGeneratedPattern");
    property->type = reader->type;
    property->is = (struct edmx_property){
        .name = kept(reader, attributes, "Name"),
        .type = kept(reader, attributes, "Type"),
        .unit = keep(reader, value_of(attributes, SAP_NAMESPACE, "unit")),
        .max = number_of(value_of(attributes, "", "MaxLength"), 0), /* "max": none */
        .precision = number_of(value_of(attributes, "", "Precision"), 0),
        .scale = number_of(scale, scale.len ? -1 : 0), /* "variable", "floating" */
        /* V4 services of SAP call nearly everything not nullable, and take the initial value for what is missing */
        .must = !holds_null && str_starts(reader->version, STR("1.")) &&
                !value_of(attributes, "", "DefaultValue").s,
        .holds_null = holds_null,
        .creatable = sap_allows(attributes, "creatable") && !generated.len,
        .updatable = sap_allows(attributes, "updatable") && !generated.len,
        .filterable = sap_allows(attributes, "filterable"),
        .upper = str_is(value_of(attributes, SAP_NAMESPACE, "display-format"), "UpperCase")};
    reader->property = reader->raw.property_count - 1;
}

static void start_key(struct reader *reader, const char *const *attributes)
{
    struct raw_key *key =
        reader->type < 0 ? NULL : ROW(reader, reader->raw.keys, reader->raw.key_count);
    if (key) {
        *key = (struct raw_key){reader->type, kept(reader, attributes, "Name")};
    }
}

static void start_set(struct reader *reader, const char *const *attributes)
{
    struct raw_set *set = ROW(reader, reader->raw.sets, reader->raw.set_count);
    if (set) {
        *set = (struct raw_set){.container = reader->container,
                                .name = kept(reader, attributes, "Name"),
                                .type = kept(reader, attributes, "EntityType"),
                                .creatable = sap_allows(attributes, "creatable"),
                                .updatable = sap_allows(attributes, "updatable")};
        reader->set = reader->raw.set_count - 1;
    }
}

static bool is_known(struct str term)
{
    static const char *const terms[] = {"Computed",     "Immutable",          "Permissions",
                                        "FieldControl", "InsertRestrictions", "UpdateRestrictions",
                                        "IsUpperCase",  "FilterRestrictions", "Unit",
                                        "ISOCurrency"};
    for (size_t i = 0; i < COUNT_OF(terms); i++) {
        if (str_is(term, terms[i])) {
            return true;
        }
    }
    return false;
}

static void note(struct reader *reader, struct str value)
{
    struct raw_note *new = reader->term.len && reader->depth <= 1
                               ? ROW(reader, reader->raw.notes, reader->raw.note_count)
                               : NULL;
    reader->noted = true;
    if (new) {
        *new = (struct raw_note){.target = reader->target,
                                 .set = reader->set,
                                 .property = reader->property,
                                 .term = reader->term,
                                 .member = reader->depth ? reader->member : STR(""),
                                 .value = keep(reader, value)};
    }
}

/* How an annotation's value may be written, as an attribute or as an element of that name. */
static const char *const value_kinds[] = {"Bool", "String", "Path", "PropertyPath", "EnumMember"};

static bool is_value(struct str name)
{
    size_t i = 0;
    while (i < COUNT_OF(value_kinds) && !str_is(name, value_kinds[i])) {
        i++;
    }
    return i < COUNT_OF(value_kinds);
}

/* A value may be an attribute; else it stands inside. */
static void note_value(struct reader *reader, const char *const *attributes)
{
    for (size_t i = 0; i < COUNT_OF(value_kinds); i++) {
        struct str value = value_of(attributes, "", value_kinds[i]);
        if (value.s) {
            note(reader, value);
            return;
        }
    }
}

static void start_annotation(struct reader *reader, const char *const *attributes)
{
    struct str term = sap_edmx_word(value_of(attributes, "", "Term"));
    bool about = reader->target.len || reader->set >= 0 || reader->property >= 0;
    reader->depth = 0;
    reader->noted = false;
    reader->term = about && is_known(term) ? keep(reader, term) : STR_NONE;
    note_value(reader, attributes);
}

static void start_member(struct reader *reader, const char *const *attributes)
{
    if (reader->depth++ == 0) {
        reader->member = kept(reader, attributes, "Property");
    }
    note_value(reader, attributes);
}

static void XMLCALL on_start(void *context, const char *element, const char **attributes)
{
    struct reader *reader = context;
    struct str name = local_name(element);
    const char *const *given = (const char *const *)attributes;
    reader->collects = false;
    if (str_is(name, "Edmx")) {
        reader->version = kept(reader, given, "Version");
    } else if (str_is(name, "Schema")) {
        reader->space = kept(reader, given, "Namespace");
        reader->alias = kept(reader, given, "Alias");
    } else if (str_is(name, "EntityType") || str_is(name, "ComplexType") ||
               str_is(name, "TypeDefinition")) {
        start_type(reader, given);
    } else if (str_is(name, "Property")) {
        start_property(reader, given);
    } else if (str_is(name, "PropertyRef")) {
        start_key(reader, given);
    } else if (str_is(name, "EntityContainer")) {
        reader->container = kept(reader, given, "Name");
    } else if (str_is(name, "EntitySet")) {
        start_set(reader, given);
    } else if (str_is(name, "Annotations")) {
        reader->target = kept(reader, given, "Target");
    } else if (str_is(name, "Annotation")) {
        start_annotation(reader, given);
    } else if (str_is(name, "PropertyValue")) {
        start_member(reader, given);
    } else if (is_value(name)) {
        reader->collects = true;
        text_open(&reader->words, reader->arena, 1024);
    }
}

static void XMLCALL on_words(void *context, const char *words, int size)
{
    struct reader *reader = context;
    if (reader->collects && reader->term.len) {
        text_add(&reader->words, (struct str){words, (size_t)size});
    }
}

static void XMLCALL on_end(void *context, const char *element)
{
    struct reader *reader = context;
    struct str name = local_name(element);
    if (reader->collects) {
        note(reader, text_trim(text_str(&reader->words)));
        reader->collects = false;
    } else if (str_is(name, "Schema")) {
        reader->space = reader->alias = STR_NONE;
    } else if (str_is(name, "EntityType") || str_is(name, "ComplexType") ||
               str_is(name, "TypeDefinition")) {
        reader->type = -1;
    } else if (str_is(name, "Property")) {
        reader->property = -1;
    } else if (str_is(name, "EntityContainer")) {
        reader->container = STR_NONE;
    } else if (str_is(name, "EntitySet")) {
        reader->set = -1;
    } else if (str_is(name, "Annotations")) {
        reader->target = STR_NONE;
    } else if (str_is(name, "Annotation")) {
        if (!reader->noted) { /* <Annotation Term="..."/> alone says true */
            note(reader, STR("true"));
        }
        reader->term = STR_NONE;
    } else if (str_is(name, "PropertyValue") && reader->depth > 0) {
        reader->depth--;
    }
}

static void XMLCALL on_doctype(void *context, const char *name, const char *system_id,
                               const char *public_id, int has_subset)
{
    struct reader *reader = context;
    (void)name, (void)system_id, (void)public_id, (void)has_subset;
    fail(reader, "it has a document type definition");
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

static enum rc finish(struct call *call, const struct reader *reader, struct edmx *ret_edmx)
{
    struct edmx_raw *raw = arena_new(call->arena, struct edmx_raw);
    *raw = reader->raw;
    if (!raw->type_count || !reader->version.len) {
        return call_why(call, RC_BROKEN, "the service's $metadata is no metadata: %s",
                        reader->version.len ? "it has no types" : "it is no Edmx document");
    }
    struct str *names = arena_array(call->arena, struct str, (size_t)raw->set_count);
    for (int i = 0; i < raw->set_count; i++) {
        names[i] = raw->sets[i].name;
    }
    *ret_edmx = (struct edmx){.protocol = str_starts(reader->version, STR("1.")) ? SAP_V2 : SAP_V4,
                              .sets = names,
                              .set_count = raw->set_count,
                              .raw = raw};
    return RC_OK;
}

static void parser_free(XML_Parser *parser)
{
    XML_ParserFree(*parser);
}

enum rc sap_edmx_read(struct call *call, struct str xml, struct edmx *ret_edmx)
{
    CLEANUP(parser_free) XML_Parser parser = XML_ParserCreateNS(NULL, SEPARATOR);
    struct reader reader = {.arena = call->arena, .type = -1, .set = -1, .property = -1};
    if (!parser) {
        abort();
    }
    reader.parser = parser;
    XML_SetUserData(parser, &reader);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_words);
    XML_SetStartDoctypeDeclHandler(parser, on_doctype);
    if (xml.len > INT32_MAX ||
        XML_Parse(parser, xml.s ? xml.s : "", (int)xml.len, 1) != XML_STATUS_OK) {
        return call_why(call, RC_BROKEN, "the service's $metadata is no metadata: line %lu: %s",
                        (unsigned long)XML_GetCurrentLineNumber(parser),
                        reader.fault ? reader.fault : XML_ErrorString(XML_GetErrorCode(parser)));
    }
    return finish(call, &reader, ret_edmx);
}
