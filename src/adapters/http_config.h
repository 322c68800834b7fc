/* How a plain JSON downstream is reached, as downstream.json says it. Never changed after the start. */
#ifndef ADAPTERS_HTTP_CONFIG_H
#define ADAPTERS_HTTP_CONFIG_H

#include "core/ports.h"

struct http_config {
    struct str name, base_url;
    struct str token_secret; /* bearer token; "" = none */
    struct str proxy, ca_file;
    int64_t mapping_version;
    bool full; /* the body is the whole document; else a merge patch of the difference (RFC 7396) */
    bool create;    /* 404: PUT the whole document */
    bool read_back; /* a GET shows what is there */
};

/* Read it from its text, as strictly as sap_config_read. */
MUST enum rc http_config_read(struct call *, struct arena *keep, struct str json,
                              struct http_config *ret_config);

#endif
