/* The `fields` of a downstream.json: from where, as what, under which rules. A part of sap_config.c. */
#ifndef ADAPTERS_SAP_CONFIG_FIELD_H
#define ADAPTERS_SAP_CONFIG_FIELD_H

#include "adapters/sap_config.h"
#include "adapters/strict_json.h"

/* Read them all into the config. Faults are named; regular expressions that were compiled stay for sap_config_close. */
void sap_config_fields(struct strict *root, struct sap_config *);
/* What `from` may say. out: ret_path of an attribute */
enum sap_from sap_config_from(struct strict *, struct str text, struct sap_path *ret_path);
extern const char *const sap_config_types[]; /* in the order of enum sap_type; NULL ends them */

#endif
