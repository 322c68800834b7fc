/* How the mock says no: error documents of V2 and V4, and the other forms in which SAP and what stands before it are
 * known to answer. */
#include <stdarg.h>
#include <stdio.h>

#include "adapters/sap_mock_parts.h"

enum form { FORM_JSON, FORM_XML, FORM_HTML, FORM_PLAIN, FORM_EMPTY, FORM_BROKEN };

#define ROOM_BYTES ((size_t)1 << 16)

static struct str transaction(struct sap_op *op)
{
    return arena_printf(op->arena, "%032llX", (unsigned long long)op->mock->log_no);
}

static void add_wrong_v2(struct text *out, const struct sap_wrong *wrong)
{
    text_add(out, STR("{\"code\":"));
    text_add_json(out, str_of(wrong->code));
    text_add(out, STR(",\"message\":"));
    text_add_json(out, wrong->message);
    text_add(out, STR(",\"propertyref\":\"\",\"severity\":\"error\",\"target\":"));
    text_add_json(out, str_of(wrong->target));
    text_add_char(out, '}');
}

/* V2: the first as the error, all of them as details. */
static struct str json_v2(struct sap_op *op)
{
    struct text out;
    text_open(&out, op->arena, ROOM_BYTES);
    text_add(&out, STR("{\"error\":{\"code\":"));
    text_add_json(&out, str_of(op->wrongs[0].code));
    text_add(&out, STR(",\"message\":{\"lang\":\"en\",\"value\":"));
    text_add_json(&out, op->wrongs[0].message);
    text_printf(&out,
                "},\"innererror\":{\"application\":{\"component_id\":\"PM-EQM-EQ\","
                "\"service_namespace\":\"/SAP/\",\"service_id\":\"API_EQUIPMENT\","
                "\"service_version\":\"0001\"},\"transactionid\":\"" STR_FMT "\","
                "\"timestamp\":\"%lld.0000000\",\"errordetails\":[",
                STR_ARG(transaction(op)), (long long)op->now_ms);
    for (int i = 0; i < op->wrong_count; i++) {
        text_add(&out, i ? STR(",") : STR(""));
        add_wrong_v2(&out, &op->wrongs[i]);
    }
    text_add(&out, STR("]}}}"));
    return text_str(&out);
}

static void add_wrong_v4(struct text *out, const struct sap_wrong *wrong)
{
    text_add(out, STR("\"code\":"));
    text_add_json(out, str_of(wrong->code));
    text_add(out, STR(",\"message\":"));
    text_add_json(out, wrong->message);
    if (wrong->target[0]) {
        text_add(out, STR(",\"target\":"));
        text_add_json(out, str_of(wrong->target));
    }
}

/* V4: the first as the error, the others as its details. */
static struct str json_v4(struct sap_op *op)
{
    struct text out;
    text_open(&out, op->arena, ROOM_BYTES);
    text_add(&out, STR("{\"error\":{"));
    add_wrong_v4(&out, &op->wrongs[0]);
    text_add(&out, STR(",\"details\":["));
    for (int i = 1; i < op->wrong_count; i++) {
        text_add(&out, i > 1 ? STR(",{") : STR("{"));
        add_wrong_v4(&out, &op->wrongs[i]);
        text_add(&out, STR(",\"@SAP__common.numericSeverity\":4}"));
    }
    text_printf(&out,
                "],\"innererror\":{\"ErrorDetails\":{\"@SAP__common.Application\":{"
                "\"ComponentId\":\"PM-EQM-EQ\",\"ServiceRepository\":\"SRVD_A2X\","
                "\"ServiceId\":\"EQUIPMENT\",\"ServiceVersion\":\"0001\"},"
                "\"@SAP__common.TransactionId\":\"" STR_FMT "\","
                "\"@SAP__common.Timestamp\":\"%lld.000000\"}}}}",
                STR_ARG(transaction(op)), (long long)op->now_ms);
    return text_str(&out);
}

static void add_xml(struct text *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.s[i];
        if (c == '<' || c == '>' || c == '&') {
            text_add(out, c == '<' ? STR("&lt;") : c == '>' ? STR("&gt;") : STR("&amp;"));
        } else {
            text_add_char(out, c);
        }
    }
}

static struct str xml(struct sap_op *op)
{
    struct text out;
    text_open(&out, op->arena, ROOM_BYTES);
    text_add(&out, STR("<?xml version=\"1.0\" encoding=\"utf-8\"?><error xmlns=\"http://"
                       "schemas.microsoft.com/ado/2007/08/dataservices/metadata\"><code>"));
    add_xml(&out, str_of(op->wrongs[0].code));
    text_add(&out, STR("</code><message xml:lang=\"en\">"));
    add_xml(&out, op->wrongs[0].message);
    text_printf(&out,
                "</message><innererror><transactionid>" STR_FMT "</transactionid></innererror>"
                "</error>",
                STR_ARG(transaction(op)));
    return text_str(&out);
}

static struct str html(struct sap_op *op)
{
    struct text out;
    text_open(&out, op->arena, ROOM_BYTES);
    text_add(&out, STR("<!DOCTYPE html><html><head><title>Application Server Error</title></head>"
                       "<body><p>"));
    add_xml(&out, op->wrongs[0].message);
    text_add(&out, STR("</p></body></html>"));
    return text_str(&out);
}

/* All that is wrong, in the form of the switch; adds the content type that goes with it. */
static struct str body_of(struct sap_op *op)
{
    static const char *const types[] = {"application/json",         "application/xml",
                                        "text/html; charset=utf-8", "text/plain; charset=utf-8",
                                        "application/octet-stream", "application/json"};
    int64_t asked = op->mock->switches[SAP_MOCK_error_form];
    enum form form = asked >= FORM_JSON && asked <= FORM_BROKEN ? (enum form)asked : FORM_JSON;
    sap_op_add_header(op, "Content-Type", str_of(types[form]));
    switch (form) {
    case FORM_JSON:
        sap_op_add_header(op, op->target.v4 ? "OData-Version" : "DataServiceVersion",
                          op->target.v4 ? STR("4.0") : STR("1.0"));
        return op->target.v4 ? json_v4(op) : json_v2(op);
    case FORM_XML:
        return xml(op);
    case FORM_HTML:
        return html(op);
    case FORM_PLAIN:
        return op->wrongs[0].message;
    case FORM_EMPTY:
        return STR("");
    case FORM_BROKEN:
        break;
    }
    struct str json = op->target.v4 ? json_v4(op) : json_v2(op);
    return str_head(json, json.len / 2);
}

struct str sap_op_error_body(struct sap_op *op, struct str code, struct str message,
                             struct str target)
{
    op->wrongs[0] = (struct sap_wrong){.code = arena_copy(op->arena, code).s,
                                       .target = arena_copy(op->arena, target).s,
                                       .message = message};
    op->wrong_count = 1;
    return body_of(op);
}

static void note(struct sap_op *op, const char *code, const char *target, const char *format,
                 va_list args)
{
    char message[512];
    (void)vsnprintf(message, sizeof(message), format, args); /* cut where it is longer */
    if (op->wrong_count < SAP_FAULTS_TOLD) {
        op->wrongs[op->wrong_count++] = (struct sap_wrong){
            .code = code, .target = target, .message = arena_copy(op->arena, str_of(message))};
    }
}

void sap_op_wrong(struct sap_op *op, const char *code, const char *target, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    note(op, code, target, format, args);
    va_end(args);
}

void sap_op_fail_all(struct sap_op *op, int status)
{
    assert(op->wrong_count > 0);
    op->answer->header_count = 0;
    op->answer->status = status;
    op->answer->body = body_of(op);
}

void sap_op_fail(struct sap_op *op, int status, const char *code, const char *target,
                 const char *format, ...)
{
    va_list args;
    op->wrong_count = 0;
    va_start(args, format);
    note(op, code, target, format, args);
    va_end(args);
    sap_op_fail_all(op, status);
}

struct str sap_op_message(struct sap_op *op, const char *code, const char *target, int severity,
                          struct str message)
{
    static const char *const words[] = {"", "success", "info", "warning", "error"};
    struct text out;
    text_open(&out, op->arena, ROOM_BYTES);
    text_printf(&out, "%s{\"code\":\"%s\",\"message\":", op->target.v4 ? "[" : "", code);
    text_add_json(&out, message);
    text_printf(&out, ",\"target\":\"%s\",", target);
    if (op->target.v4) {
        text_printf(&out, "\"numericSeverity\":%d,\"transition\":true}]", severity);
    } else {
        text_printf(&out, "\"severity\":\"%s\",\"details\":[]}", words[severity]);
    }
    return text_str(&out);
}
