/* From documents to the downstream's fields: map, normalise, compare, encode. Pure: no I/O, no clock.
 * "Differs" is decided on normalised values, because the downstream upper-cases, pads and trims. */
#ifndef ADAPTERS_SAP_MAP_H
#define ADAPTERS_SAP_MAP_H

#include "adapters/sap_config.h"

/* The body that takes the downstream from base to target.
 *   in     device_name as first written; base "" = nothing is known: the full mapped document; target: a document
 *   out    ret_bytes: a JSON object of fields, in the order of the mapping; "" = nothing differs
 *   rule   f is in it if map(target)[f] differs from map(base)[f]; create_only fields only in a full body; a constant with
 *          `when` goes with its partner; a value that is gone is sent as empty where the mapping says clear
 *   fails  RC_INVALID unmappable, with pointers */
MUST enum rc sap_map_encode(const struct sap_config *, struct call *, struct str device_name,
                            struct str base, struct str target, struct str *ret_bytes);

/* The part of a sealed body that goes out: a create leaves out empty values, and a `clear` field that would be emptied ("0.000", false):
 * in a new record there is nothing to clear. An update leaves out the create_only fields.
 * out: "" = nothing is left. in: bytes as sap_map_encode made them. */
struct str sap_map_wire(const struct sap_config *, struct arena *, struct str bytes, bool create);

/* How the values of a sealed body stand in what was read. A member of the document that is there is evidence that the
 * body had its effect; a constant is not, it may have been there before. */
struct sap_compared {
    int same, different; /* of fields that come from the document */
    int other_different; /* of constants and names */
    struct str first;    /* name of the first field that differs; "" = all are there */
};
/* in: bytes of a sealed body; entity: the object that was read. rule: create_only fields count only if there are no others */
void sap_map_compare(const struct sap_config *, struct arena *, struct str bytes,
                     yyjson_val *entity, struct sap_compared *ret);

/* The values of a document, one for each field. NULL = it cannot be mapped. */
struct sap_value *sap_map_values(const struct sap_config *, struct call *, struct str device_name,
                                 struct str doc);

/* Fields that show something else than was last acknowledged: somebody changed them in the downstream. Names in JSON arrays:
 * those that the body overwrites, and the others ("" = none). in: known: values of the acknowledged document */
void sap_map_drift(const struct sap_config *, struct call *, const struct sap_value *known,
                   struct str bytes, yyjson_val *entity, struct str *ret_overwritten,
                   struct str *ret_drift);

/* Fields whose member is gone and which keep their value in the downstream, since the mapping does not say clear: names in a
 * JSON array, "" = none. */
struct str sap_map_kept(const struct sap_config *, struct call *, const struct sap_value *known,
                        struct str device_name, struct str target);

/* The value to search for: the name in the search field's form. fails: RC_INVALID (the name cannot be folded) */
MUST enum rc sap_map_search(const struct sap_config *, struct call *, struct str device_name,
                            struct str *ret_value);
/* Where a field of the downstream comes from: "/attributes/serial", "/device_name"; "" = from nowhere of ours. */
struct str sap_map_pointer(const struct sap_config *, struct str field);
const struct sap_field *sap_map_field(const struct sap_config *, struct str name);

#endif
