/* What stands in a service's $metadata, row by row: between its reader (sap_edmx.c) and what it means for one entity set
 * (sap_edmx_set.c). */
#ifndef ADAPTERS_SAP_EDMX_RAW_H
#define ADAPTERS_SAP_EDMX_RAW_H

#include "adapters/sap_edmx.h"

struct raw_type {
    struct str space, alias, name, base;
    struct str under; /* of a type definition */
};

struct raw_property {
    int type; /* its place among the types */
    struct edmx_property is;
};

struct raw_key {
    int type;
    struct str name;
};

struct raw_set {
    struct str container, name, type;
    bool creatable, updatable;
};

/* One thing that is said: Computed of "NS.Type/Field"; or a member of a record that is said. */
struct raw_note {
    struct str target; /* "" = it stands inside of what it is about */
    int set, property; /* which; -1 = of the other kind */
    struct str term, member, value;
};

struct edmx_raw {
    struct raw_type *types;
    struct raw_property *properties;
    struct raw_key *keys;
    struct raw_set *sets;
    struct raw_note *notes;
    int type_count, property_count, key_count, set_count, note_count;
};

/* What stands behind the last dot of a qualified name. */
struct str sap_edmx_word(struct str qualified);

#endif
