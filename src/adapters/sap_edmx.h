/* A service's $metadata (EDMX of OData V2 and V4) as far as a mapping is concerned: its entity sets, and of one set the
 * properties with their lengths and with what may be done to them. Pure. */
#ifndef ADAPTERS_SAP_EDMX_H
#define ADAPTERS_SAP_EDMX_H

#include "adapters/sap_config.h"

#define EDMX_ROWS_MAX                                                                              \
    20000 /* of each kind; the largest services of SAP have some thousand properties */
#define EDMX_WORD_MAX_BYTES 512 /* of a name or value */

struct edmx_property {
    struct str name;
    struct str type;   /* "Edm.String"; of a type definition what is beneath it */
    struct str unit;   /* the property that holds its unit or currency; "" = none */
    int64_t max;       /* MaxLength; 0 = none */
    int64_t precision; /* 0 = none */
    int64_t scale;     /* of decimals; -1 = any */
    bool key, must;    /* must: a record without it is refused */
    bool holds_null;
    bool creatable, updatable, filterable;
    bool upper; /* the service makes it upper case */
};

struct edmx_set {
    struct str name;
    bool creatable, updatable;
    struct edmx_property *properties;
    int property_count;
};

/* What was read; opaque but for the names. */
struct edmx_raw;
struct edmx {
    enum sap_protocol protocol;
    const struct str *sets; /* names, as written */
    int set_count;
    const struct edmx_raw *raw;
};

/* Read it.
 *   in     xml: as it came; a document type definition is refused (no service has one, attacks do)
 *   out    texts in call->arena
 *   fails  RC_BROKEN it is no metadata, or is larger than any; call->why says where
 *   source OASIS OData CSDL XML 4.01; Microsoft [MC-CSDL]; "SAP Annotations for OData Version 2.0" */
MUST enum rc sap_edmx_read(struct call *, struct str xml, struct edmx *ret_edmx);

/* One entity set with the properties of its type and of those that it derives from.
 *   fails  RC_NOT_FOUND there is no such set */
MUST enum rc sap_edmx_set(const struct edmx *, struct call *, struct str name,
                          struct edmx_set *ret_set);
/* NULL = it has no such property. */
const struct edmx_property *sap_edmx_property(const struct edmx_set *, struct str name);

#endif
