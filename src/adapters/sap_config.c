/* downstream.json of an OData service into a configuration. It refuses what would only fail at three in the morning: a
 * field that is mapped twice, a search field that no create would fill, a password over plain HTTP. Pure. */
#include "adapters/sap_config.h"

#include "adapters/sap_config_field.h"
#include "adapters/sap_edm.h"
#include "adapters/sap_map.h"
#include "base/text.h"

static void read_keys(struct strict *root, struct sap_config *config)
{
    yyjson_val *list = strict_take(root, "key"), *item;
    size_t i, count;
    int refs = 0;
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) == 0 ||
        yyjson_arr_size(list) > SAP_KEYS_MAX) {
        strict_fault(root, "key", PROBLEM_invalid_member, "must be an array of 1 to %d parts",
                     SAP_KEYS_MAX);
        return;
    }
    yyjson_arr_foreach(list, i, count, item)
    {
        struct strict strict;
        struct sap_key *key = &config->keys[config->key_count++];
        int64_t at_ms;
        strict_open(&strict, root->call, root->keep, item,
                    json_pointer(root->call->arena, strict_pointer(root, "key"),
                                 arena_printf(root->call->arena, "%zu", i)));
        key->field = strict_identifier(&strict, "field");
        key->is_ref = str_is(strict_text(&strict, "from", STR("")), "ref");
        key->constant = strict_text(&strict, "const", STR(""));
        key->type = (enum sap_type)strict_word(&strict, "type", sap_config_types, SAP_STRING);
        refs += key->is_ref;
        if (key->is_ref == (key->constant.len > 0)) {
            strict_fault(&strict, "from", PROBLEM_invalid_member,
                         "either \"from\": \"ref\" or const must be given");
        }
        if (key->type != SAP_STRING &&
            (key->type != SAP_DATE || key->is_ref || !sap_edm_day_read(key->constant, &at_ms))) {
            strict_fault(&strict, "type", PROBLEM_invalid_member,
                         "must be string, or date with a const like 9999-12-31");
        }
        strict_end(&strict);
    }
    if (refs != 1) {
        strict_fault(root, "key", PROBLEM_invalid_member,
                     "exactly one part is \"from\": \"ref\": the number that the downstream gives");
    }
}

static void read_resolve(struct strict *root, struct sap_config *config)
{
    static const char *const missing_words[] = {"fail", "create", NULL};
    struct strict strict;
    struct sap_path unused;
    config->create = strict_word(root, "on_missing", missing_words, 0) == 1;
    strict_open(&strict, root->call, root->keep, strict_take(root, "resolve"),
                strict_pointer(root, "resolve"));
    config->resolve_field = strict_identifier(&strict, "field");
    struct str from = strict_text(&strict, "from", STR("device_name"));
    config->resolve_from = sap_config_from(&strict, from, &unused);
    config->resolve_upper = strict_bool(&strict, "upper", false);
    strict_end(&strict);
    const struct sap_field *field = sap_map_field(config, config->resolve_field);
    if (config->resolve_from == SAP_FROM_ATTRIBUTE) {
        strict_fault(&strict, "from", PROBLEM_invalid_member, "must be device_name or device_key");
    } else if (config->create && (!field || field->from != config->resolve_from ||
                                  field->upper != config->resolve_upper)) {
        strict_fault(&strict, "field", PROBLEM_invalid_member,
                     "on_missing create needs this field among `fields`, with the same from and "
                     "upper, or what it makes is not found again");
    }
}

static void read_auth(struct strict *root, struct sap_config *config, bool allow_http)
{
    static const char *const words[] = {"none", "basic", "oauth2_client_credentials", "bearer",
                                        NULL};
    struct strict strict;
    strict_open(&strict, root->call, root->keep, strict_take(root, "auth"),
                strict_pointer(root, "auth"));
    config->auth = (enum sap_auth)strict_word(&strict, "type", words, SAP_AUTH_NONE);
    if (strict.object && !json_member(strict.object, "type")) {
        strict_fault(&strict, "type", PROBLEM_missing_member, "is missing");
    }
    if (config->auth == SAP_AUTH_BEARER) {
        config->password_secret = strict_secret(&strict, "token");
    } else if (config->auth != SAP_AUTH_NONE) {
        config->user_secret =
            strict_secret(&strict, config->auth == SAP_AUTH_BASIC ? "user" : "client_id");
        config->password_secret =
            strict_secret(&strict, config->auth == SAP_AUTH_BASIC ? "password" : "client_secret");
    }
    if (config->auth == SAP_AUTH_OAUTH2) {
        config->token_url = strict_address(&strict, "token_url", allow_http, STR_NONE);
        config->scope = strict_text(&strict, "scope", STR(""));
    }
    strict_end(&strict);
}

static void read_errors(struct strict *root, struct sap_config *config)
{
    static const struct str locks[] = {
        {"locked by", 9}, {"being processed by", 18}, {"currently being edited", 22}};
    yyjson_val *errors = strict_take(root, "errors");
    config->retry_texts = locks;
    config->retry_text_count = (int)COUNT_OF(locks);
    if (errors) {
        struct strict strict;
        int count;
        strict_open(&strict, root->call, root->keep, errors, strict_pointer(root, "errors"));
        config->retry_codes =
            strict_texts(&strict, "retry_codes", false, &config->retry_code_count);
        const struct str *texts = strict_texts(&strict, "retry_text", true, &count);
        config->retry_texts = texts ? texts : config->retry_texts;
        config->retry_text_count = texts ? count : config->retry_text_count;
        strict_end(&strict);
    }
}

static void read_query(struct strict *root, struct sap_config *config)
{
    yyjson_val *query = strict_take(root, "query"), *key;
    yyjson_obj_iter members;
    struct text out;
    text_open(&out, root->keep, 1024);
    if (query && !yyjson_is_obj(query)) {
        strict_fault(root, "query", PROBLEM_invalid_member, "must be an object of texts");
        return;
    }
    yyjson_obj_iter_init(query, &members);
    while (query && (key = yyjson_obj_iter_next(&members)) != NULL) {
        yyjson_val *value = yyjson_obj_iter_get_val(key);
        if (!yyjson_is_str(value) || json_str(key).len == 0 || json_str(key).s[0] == '$') {
            strict_fault(root, "query", PROBLEM_invalid_member,
                         "must be an object of texts, none of OData's $ options");
            return;
        }
        text_printf(&out, "%s" STR_FMT "=" STR_FMT, out.len ? "&" : "",
                    STR_ARG(text_percent(root->call->arena, json_str(key))),
                    STR_ARG(text_percent(root->call->arena, json_str(value))));
    }
    if (out.full) {
        strict_fault(root, "query", PROBLEM_invalid_member, "is too long");
    }
    config->query = text_str(&out);
}

static void read_habits(struct strict *root, struct sap_config *config)
{
    static const char *const protocols[] = {"v2", "v4", NULL}, *const verbs[] = {"PATCH", "MERGE",
                                                                                 "tunnel", NULL};
    static const char *const switches[] = {"auto", "off", NULL}, *const repeats[] = {"off",
                                                                                     "gateway",
                                                                                     "oasis", NULL};
    static const char *const guards[] = {"etag", "overwrite", NULL}, *const unmapped[] = {
                                                                         "keep", "refuse", NULL};
    static const char *const verifies[] = {"off", "changed", "sample", "always", NULL};
    config->protocol = (enum sap_protocol)strict_word(root, "protocol", protocols, SAP_V2);
    config->verb = (enum sap_verb)strict_word(root, "verb", verbs, SAP_PATCH);
    config->csrf = strict_word(root, "csrf", switches, 0) == 0;
    config->repeat =
        (enum sap_repeat_kind)strict_word(root, "repeatability", repeats, SAP_REPEAT_OASIS);
    config->etag = strict_word(root, "concurrency", guards, 0) == 0;
    config->read_before_write = strict_bool(root, "read_before_write", true);
    config->verify =
        (enum sap_verify)strict_word(root, "read_after_write", verifies, SAP_VERIFY_CHANGED);
    config->refuse_unmapped = strict_word(root, "unmapped", unmapped, 0) == 1;
    if (config->protocol == SAP_V4 && config->verb != SAP_PATCH) {
        strict_fault(root, "verb", PROBLEM_invalid_member, "OData V4 knows only PATCH");
    }
}

/* What the parts must not contradict each other in. */
static void check_config(struct strict *root, const struct sap_config *config)
{
    for (int i = 0; i < config->key_count; i++) {
        const struct sap_field *field = sap_map_field(config, config->keys[i].field);
        if (field && !(config->keys[i].is_ref && field->create_only)) {
            strict_fault(root, "fields", PROBLEM_invalid_member,
                         STR_FMT " is a part of the key: it goes into addresses, never into a body "
                                 "(the number itself may, with create_only)",
                         STR_ARG(field->field));
        }
    }
    if (!config->read_before_write && config->etag) {
        strict_fault(
            root, "read_before_write", PROBLEM_invalid_member,
            "false means to overwrite blindly: say \"concurrency\": \"overwrite\" as well");
    }
}

enum rc sap_config_read(struct call *call, struct arena *keep, struct str json,
                        struct sap_config *ret_config)
{
    struct strict root;
    struct sap_config config = {0};
    TRY(strict_root(call, keep, json, &root));
    bool allow_http = strict_bool(&root, "allow_http", false);
    config.name = strict_text(&root, "downstream", STR("sap"));
    config.base_url = strict_address(&root, "base_url", allow_http, STR_NONE);
    config.entity = strict_identifier(&root, "entity");
    config.mapping_version = strict_number(&root, "mapping_version", 0, 1, INT32_MAX);
    config.proxy = strict_text(&root, "proxy", STR(""));
    config.ca_file = strict_text(&root, "ca_file", STR(""));
    read_query(&root, &config);
    read_habits(&root, &config);
    read_auth(&root, &config, allow_http);
    read_keys(&root, &config);
    sap_config_fields(&root, &config);
    read_resolve(&root, &config);
    read_errors(&root, &config);
    check_config(&root, &config);
    strict_end(&root);
    if (strict_verdict(call) != RC_OK) {
        sap_config_close(&config);
        return RC_INVALID;
    }
    *ret_config = config;
    return RC_OK;
}

void sap_config_close(struct sap_config *config)
{
    for (int i = 0; i < config->field_count; i++) {
        if (config->fields[i].regex) {
            regfree(config->fields[i].regex);
            config->fields[i].regex = NULL;
        }
    }
}
