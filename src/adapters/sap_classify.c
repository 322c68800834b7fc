/* The one place that says what a status, a code or a broken connection means. When in doubt about a write it says
 * "unsure", never "no effect": a delivery that is taken for unsent is sent twice. */
#include "adapters/sap_classify.h"

#include "base/text.h"

static const struct {
    const char *name;
    enum outcome_class class;
    bool counts, refused;
} classes[] = {
#define X(name, class, counts, refused) [SAP_IS_##name] = {#name, OUTCOME_##class, counts, refused},
    SAP_CLASSES(X)
#undef X
};

const char *sap_class_name(enum sap_class class)
{
    return classes[class].name;
}

void sap_classify_apply(enum sap_class class, struct outcome *outcome)
{
    outcome->class = classes[class].class;
    outcome->code = str_of(classes[class].name);
    outcome->counts = classes[class].counts;
    outcome->refused = classes[class].refused;
    outcome->auth = class == SAP_IS_AUTH;
    outcome->full_next = outcome->ref_clear = class == SAP_IS_MISSING;
}

static bool contains_nocase(struct str text, struct str lower_needle)
{
    for (size_t i = 0; lower_needle.len && i + lower_needle.len <= text.len; i++) {
        if (text_equal_nocase((struct str){text.s + i, lower_needle.len}, lower_needle)) {
            return true;
        }
    }
    return false;
}

static bool in_retry_list(const struct sap_config *config, struct str code, struct str message)
{
    for (int i = 0; i < config->retry_code_count; i++) {
        if (str_equal(code, config->retry_codes[i])) {
            return true;
        }
    }
    for (int i = 0; i < config->retry_text_count; i++) {
        if (contains_nocase(message, config->retry_texts[i])) {
            return true;
        }
    }
    return false;
}

static bool is_lock(const struct sap_config *config, const struct sap_error *error)
{
    bool found = in_retry_list(config, error->code, error->message);
    for (int i = 0; i < error->detail_count; i++) {
        found = found || in_retry_list(config, error->details[i].code, error->details[i].message);
    }
    return found;
}

/* /IWBEP/CM_COS/005 or "/IWBEP/CM_COS 005" */
static bool is_cos(const struct sap_error *error, struct str number)
{
    struct str code = error->code;
    return str_starts(code, STR("/IWBEP/CM_COS")) && code.len > number.len &&
           str_equal(str_from(code, code.len - number.len), number);
}

static bool repeat_header(const struct inbound *answer, struct str value)
{
    struct str oasis = inbound_header(answer, "repeatability-result");
    struct str gateway = inbound_header(answer, "repeatabilityresult");
    return value.len ? text_equal_nocase(oasis, value) || text_equal_nocase(gateway, value)
                     : oasis.len || gateway.len;
}

static enum sap_class classify_success(const struct sap_reply *reply)
{
    const struct inbound *answer = reply->answer;
    if (sap_wire_is_html(inbound_header(answer, "content-type"), answer->body)) {
        return SAP_IS_AUTH; /* the logon page */
    }
    if (!reply->write) {
        return answer->status == 200 ? SAP_IS_DONE : SAP_IS_RETRY_SAFE;
    }
    if (answer->status != 200 && answer->status != 201 && answer->status != 204) {
        return SAP_IS_AMBIGUOUS;
    }
    return reply->severity == SAP_ERROR ? SAP_IS_NEEDS_ATTENTION : SAP_IS_DONE;
}

static enum sap_class classify_business(const struct sap_config *config,
                                        const struct sap_reply *reply)
{
    if (is_cos(reply->error, STR("005"))) {
        return SAP_IS_OUTDATED;
    }
    if (is_cos(reply->error, STR("001")) || repeat_header(reply->answer, STR("unsupported"))) {
        return SAP_IS_CONFIG_REPEAT;
    }
    if (is_lock(config, reply->error)) {
        return SAP_IS_LOCKED;
    }
    return reply->write ? SAP_IS_PERMANENT : SAP_IS_READ_REFUSED;
}

static enum sap_class classify_client_error(const struct sap_config *config,
                                            const struct sap_reply *reply)
{
    switch (reply->answer->status) {
    case 400:
    case 422:
        return classify_business(config, reply);
    case 401:
        return SAP_IS_AUTH;
    case 403:
        return text_equal_nocase(text_trim(inbound_header(reply->answer, "x-csrf-token")),
                                 STR("required"))
                   ? SAP_IS_SESSION
                   : SAP_IS_CONFIG;
    case 404:
    case 410:
        return SAP_IS_MISSING;
    case 408:
        return reply->write ? SAP_IS_AMBIGUOUS : SAP_IS_RETRY_SAFE;
    case 409:
        return repeat_header(reply->answer, STR_NONE) ? SAP_IS_IN_PROGRESS : SAP_IS_LOCKED;
    case 423:
        return SAP_IS_LOCKED;
    case 412:
        if (repeat_header(reply->answer, STR("rejected"))) {
            return SAP_IS_AMBIGUOUS;
        }
        return reply->if_match ? SAP_IS_CONFLICT : SAP_IS_PRECONDITION;
    case 413:
        return reply->write ? SAP_IS_TOO_LARGE : SAP_IS_CONFIG;
    case 428:
        return SAP_IS_PRECONDITION;
    case 429:
        return SAP_IS_THROTTLED;
    default:
        return SAP_IS_CONFIG; /* 405, 406, 415, ...: not the customer's fault, and not mended by repeating */
    }
}

static enum sap_class classify_server_error(const struct sap_config *config,
                                            const struct sap_reply *reply)
{
    if (reply->answer->status == 501) {
        return SAP_IS_CONFIG;
    }
    if (reply->answer->status == 503) {
        return SAP_IS_THROTTLED;
    }
    if (!reply->write) {
        return SAP_IS_RETRY_SAFE;
    }
    if (reply->answer->status != 500 || reply->error->is_html) {
        return SAP_IS_AMBIGUOUS; /* 502, 504, a page of the ICM: somebody in front of SAP gave up waiting */
    }
    return is_lock(config, reply->error) ? SAP_IS_LOCKED : SAP_IS_RETRY_LIMITED;
}

enum sap_class sap_classify(const struct sap_config *config, const struct sap_reply *reply)
{
    const struct inbound *answer = reply->answer;
    switch (answer->end) {
    case INBOUND_NOT_SENT:
        return SAP_IS_NOT_SENT;
    case INBOUND_NO_CONNECTION:
    case INBOUND_INCOMPLETE:
        return SAP_IS_RETRY_SAFE;
    case INBOUND_LOST:
    case INBOUND_TIMEOUT:
        return reply->write ? SAP_IS_AMBIGUOUS : SAP_IS_RETRY_SAFE;
    case INBOUND_ANSWERED:
        break;
    }
    if (answer->status >= 200 && answer->status < 300) {
        return classify_success(reply);
    }
    if (str_starts(reply->error->code, STR("/IWFND/MED/"))) {
        return SAP_IS_CONFIG; /* the service is not there in this version: looks like a refusal, is set-up */
    }
    if (answer->status >= 400 && answer->status < 500) {
        return classify_client_error(config, reply);
    }
    if (answer->status >= 500 && answer->status < 600) {
        return classify_server_error(config, reply);
    }
    return SAP_IS_CONFIG; /* redirects lead to another host or to a logon */
}
