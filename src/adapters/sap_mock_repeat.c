/* Repeat ids of the mock: a request whose id is known is answered from memory. Two dialects: SAP Gateway's RequestID,
 * and OASIS Repeatable Requests 1.0. */
#include <openssl/sha.h>

#include "adapters/sap_mock_parts.h"

static struct sap_repeat **repeat_head(struct sap_mock *mock, struct str id)
{
    unsigned char sha[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)id.s, id.len, sha);
    return &mock->repeats[((size_t)sha[0] << 8 | sha[1]) % SAP_REPEAT_HEADS];
}

static struct sap_repeat *repeat_find(struct sap_mock *mock, struct str id)
{
    struct sap_repeat *known = *repeat_head(mock, id);
    while (known && !str_equal(known->id, id)) {
        known = known->next;
    }
    return known;
}

/* "": this request's id is not looked at. */
static struct str repeat_honoured(struct sap_op *op)
{
    const int64_t *switches = op->mock->switches;
    struct str oasis = sap_op_header(op->request, "repeatability-request-id");
    struct str gateway = sap_op_header(op->request, "requestid");
    if (oasis.len && switches[SAP_MOCK_repeat_oasis] == 1) {
        return oasis;
    }
    return gateway.len && switches[SAP_MOCK_repeat_gateway] == 1 ? gateway : STR_NONE;
}

static void repeat_again(struct sap_op *op, const struct sap_repeat *known, bool oasis)
{
    const char *result = oasis ? "Repeatability-Result" : "RepeatabilityResult";
    char content_sha[65];
    sap_sha_hex(op->request->body, content_sha);
    op->log->replayed = true;
    if (!str_is(known->content_sha, content_sha)) {
        sap_op_fail(op, 400, "/IWBEP/CM_COS/003", "", "The repeat id was used for another request");
        return;
    }
    if (!known->status) {
        sap_op_fail(op, 409, "/IWBEP/CM_COS/004", "", "The first request still runs");
        sap_op_add_header(op, result, STR("accepted"));
        return;
    }
    if (op->now_ms - known->at_ms > op->mock->switches[SAP_MOCK_repeat_keep_ms]) {
        if (oasis) {
            sap_op_fail(op, 412, "412", "", "The repeat id is too old");
            sap_op_add_header(op, result, STR("rejected"));
        } else {
            sap_op_fail(op, 400, "/IWBEP/CM_COS/005", "", "RequestID is outdated");
        }
        return;
    }
    op->answer->status = known->status;
    op->answer->body = known->body;
    if (known->body.len) {
        sap_op_add_header(op, "Content-Type", STR("application/json"));
    }
    if (known->etag.len) {
        sap_op_add_header(op, "ETag", known->etag);
    }
    sap_op_add_header(op, result, STR("accepted"));
}

static struct sap_repeat *repeat_add(struct sap_op *op, struct str id)
{
    char content_sha[65];
    struct arena *arena = &op->mock->repeat_arena;
    struct sap_repeat *known = arena_new(arena, struct sap_repeat),
                      **head = repeat_head(op->mock, id);
    sap_sha_hex(op->request->body, content_sha);
    *known = (struct sap_repeat){.id = arena_copy(arena, id),
                                 .content_sha = arena_copy(arena, str_of(content_sha)),
                                 .at_ms = op->now_ms,
                                 .next = *head};
    *head = known;
    return known;
}

static void repeat_learn(struct sap_op *op, struct sap_repeat *known)
{
    struct arena *arena = &op->mock->repeat_arena;
    known->status = op->answer->status;
    known->body = arena_copy(arena, op->answer->body);
    for (size_t i = 0; i < op->answer->header_count; i++) {
        if (str_is(op->answer->headers[i].name, "ETag")) {
            known->etag = arena_copy(arena, op->answer->headers[i].value);
        }
    }
}

/* Execute a write once for its repeat id. */
void sap_op_execute_once(struct sap_op *op)
{
    const int64_t *switches = op->mock->switches;
    bool gateway_pair = sap_op_header(op->request, "requestid").len > 0;
    struct str id = repeat_honoured(op);
    if (gateway_pair && switches[SAP_MOCK_repeat_gateway] >= 2) {
        bool unsupported = switches[SAP_MOCK_repeat_gateway] == 2;
        sap_op_fail(op, 400, unsupported ? "/IWBEP/CM_COS/002" : "/IWBEP/CM_COS/001", "",
                    "Idempotent services are not configured");
        if (unsupported) {
            sap_op_add_header(op, "RepeatabilityResult", STR("unsupported"));
        }
        return;
    }
    struct sap_repeat *known = id.len ? repeat_find(op->mock, id) : NULL;
    bool oasis = sap_op_header(op->request, "repeatability-request-id").len > 0;
    if (known && !op->late) {
        repeat_again(op, known, oasis);
        return;
    }
    sap_op_execute(op);
    if (id.len) {
        repeat_learn(op, known ? known : repeat_add(op, id));
        sap_op_add_header(op, oasis ? "Repeatability-Result" : "RepeatabilityResult",
                          STR("accepted"));
    }
}

void sap_op_repeat_running(struct sap_op *op)
{
    struct str id = repeat_honoured(op);
    if (id.len && !repeat_find(op->mock, id)) {
        (void)repeat_add(op, id);
    }
}
