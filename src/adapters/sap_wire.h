/* The bytes of SAP's OData, V2 first, V4 where it differs: addresses, headers, answers. Pure. */
#ifndef ADAPTERS_SAP_WIRE_H
#define ADAPTERS_SAP_WIRE_H

#include "adapters/outbound.h"
#include "adapters/sap_config.h"

#define SAP_COOKIES_MAX_BYTES 4096
#define SAP_DETAILS_MAX 16

/* ---- addresses -------------------------------------------------------------------------------------- */
/* 'it''s', percent-encoded: the literal of a string in an address. */
struct str sap_wire_string(struct arena *, struct str);
/* datetime'9999-12-31T00%3A00%3A00' or 9999-12-31. in: date 2026-11-22 */
struct str sap_wire_date(struct arena *, enum sap_protocol, struct str date);
struct str sap_wire_root_url(const struct sap_config *, struct arena *);
struct str sap_wire_metadata_url(const struct sap_config *, struct arena *);
struct str sap_wire_set_url(const struct sap_config *, struct arena *); /* POST */
/* One entity. in: ref: the key field that the downstream numbers; end: another value for the constant date key, "" = as configured;
 * select: only the mapped fields (for reading). */
struct str sap_wire_entity_url(const struct sap_config *, struct arena *, struct str ref,
                               struct str end, bool select);
/* At most two entities whose field has the value. */
struct str sap_wire_search_url(const struct sap_config *, struct arena *, struct str field,
                               struct str value);
/* The newest row of a reference, whatever its date key is. "" = the key has no date. */
struct str sap_wire_newest_url(const struct sap_config *, struct arena *, struct str ref);

/* ---- answers ------------------------------------------------------------------------------------------ */
struct sap_entity {
    yyjson_val *object; /* NULL = none */
    struct str etag;    /* of its __metadata or @odata.etag; "" = none */
};
/* One entity: {"d":{...}} or {...}. fails: RC_INVALID it is not that. */
MUST enum rc sap_wire_entity(struct arena *, struct str body, struct sap_entity *ret_entity);
/* A list: {"d":{"results":[...]}}, {"d":[...]} or {"value":[...]}. out: the first two, and how many came. */
MUST enum rc sap_wire_list(struct arena *, struct str body, struct sap_entity ret_entities[2],
                           int *ret_count);
/* The reference in an entity. "" = it has none. */
struct str sap_wire_ref(const struct sap_config *, struct arena *, yyjson_val *entity);
/* The date key in an entity as 2026-11-22. "" = there is none. */
struct str sap_wire_end(const struct sap_config *, struct arena *, yyjson_val *entity);

struct sap_detail {
    struct str code, message, target;
};
/* An error document, whatever form it came in: JSON of V2 or V4, XML, html, text. Empty texts where it says nothing. */
struct sap_error {
    struct str code, message, target, transaction_id, timestamp;
    struct sap_detail details[SAP_DETAILS_MAX];
    int detail_count;
    bool is_html;
};
/* rule: never fails: what cannot be read says nothing, and the status still speaks */
void sap_wire_error(struct arena *, struct str content_type, struct str body,
                    struct sap_error *ret_error);
bool sap_wire_is_html(struct str content_type, struct str body);

enum sap_severity { SAP_SILENT, SAP_INFO, SAP_WARNING, SAP_ERROR };
/* sap-message (V2, one object) or sap-messages (V4, an array) of an answer: the worst severity and its text. */
enum sap_severity sap_wire_message(struct arena *, const struct inbound *, struct str *ret_text);

/* The cookies of an answer as the value of a Cookie header; added to or put in place of those in `before`. */
struct str sap_wire_cookies(struct arena *, const struct inbound *, struct str before);

/* ---- headers ---------------------------------------------------------------------------------------------- */
/* 32 hex as a GUID with dashes. */
struct str sap_wire_guid(struct arena *, struct str repeat_id);

#endif
