/* One value on its way to the downstream's field. It has two forms: the normal form, a text in which two values are equal exactly if
 * the downstream cannot tell them apart, and the JSON of the wire. Pure. */
#ifndef ADAPTERS_SAP_VALUE_H
#define ADAPTERS_SAP_VALUE_H

#include "adapters/sap_config.h"
#include "base/text.h"

struct sap_value {
    bool present;
    struct str normal; /* "" = empty: what the downstream holds where nothing was set */
    const char *fault; /* why it cannot be mapped; NULL = it can */
};

/* A member of a document as the field takes it. in: value: NULL = it is not there */
struct sap_value sap_value_of(const struct sap_field *, struct arena *, yyjson_val *value);
/* The same of a text that is there. */
struct sap_value sap_value_of_text(const struct sap_field *, struct arena *, struct str);
/* in: words: what is wrong, up to the name of the field */
struct sap_value sap_value_fault(const struct sap_field *, struct arena *, const char *words);

/* The normal form of what a service shows; never a fault. in: field: NULL = unknown, a text */
struct str sap_value_normal(const struct sap_field *, struct arena *, yyjson_val *value);
/* The same of a text in a text field. */
struct str sap_value_normal_text(const struct sap_field *, struct arena *, struct str);

/* Append a value in its normal form as the protocol's JSON. */
void sap_value_write(enum sap_protocol, struct text *, const struct sap_field *, struct str normal);

#endif
