/* downstream.json of a plain JSON downstream into a configuration. Pure. */
#include "adapters/http_config.h"

#include "adapters/strict_json.h"
#include "base/text.h"

enum rc http_config_read(struct call *call, struct arena *keep, struct str json,
                         struct http_config *ret_config)
{
    static const char *const bodies[] = {"diff", "full", NULL}, *const missing[] = {"fail",
                                                                                    "create", NULL};
    static const char *const types[] = {"none", "bearer", NULL};
    struct strict root;
    struct http_config config = {0};
    TRY(strict_root(call, keep, json, &root));
    bool allow_http = strict_bool(&root, "allow_http", false);
    config.name = strict_text(&root, "downstream", STR("http"));
    config.base_url = strict_address(&root, "base_url", allow_http, STR_NONE);
    config.mapping_version = strict_number(&root, "mapping_version", 1, 1, INT32_MAX);
    config.full = strict_word(&root, "body", bodies, 0) == 1;
    config.create = strict_word(&root, "on_missing", missing, 0) == 1;
    config.read_back = strict_bool(&root, "read_back", false);
    config.proxy = strict_text(&root, "proxy", STR(""));
    config.ca_file = strict_text(&root, "ca_file", STR(""));
    yyjson_val *auth = strict_take(&root, "auth");
    if (auth) {
        struct strict strict;
        strict_open(&strict, call, keep, auth, strict_pointer(&root, "auth"));
        if (strict_word(&strict, "type", types, 0) == 1) {
            config.token_secret = strict_secret(&strict, "token");
        }
        strict_end(&strict);
    }
    strict_end(&root);
    TRY(strict_verdict(call));
    *ret_config = config;
    return RC_OK;
}
