/* A mock of SAP's API_EQUIPMENT, OData V2 and V4 over the same rows: pure. A request, the switches and the time go in; an answer, a line of
 * the log and an instruction for the connection come out. No socket, no clock, no thread: downstream_mock.c runs it
 * in process, home/mock_server.c puts it on HTTP and carries the instruction out. Deterministic: same seed, same
 * requests, same times, same answers.
 *
 * Where SAP's behaviour is not known for sure there is a switch for each variant. Faults are one-shot. */
#ifndef ADAPTERS_SAP_MOCK_H
#define ADAPTERS_SAP_MOCK_H

#include "core/model.h"

#define SAP_MOCK_ROOT "/sap/opu/odata/sap/API_EQUIPMENT"
#define SAP_MOCK_ROOT_V4 "/sap/opu/odata4/sap/api_equipment/srvd_a2x/sap/equipment/0001"
#define SAP_MOCK_TOKEN                                                                             \
    "/sap/bc/sec/oauth2/token" /* OAuth 2.0 client credentials: user and password are the client's */
#define SAP_MOCK_CONTROL "/_mock/"

/* name, default, help */
/* clang-format off */
#define SAP_MOCK_SWITCHES(X) \
    X(csrf, 1, "a write needs a session and its token") \
    X(session_ms, 1800000, "a session that rests so long is gone") \
    X(token_on_head, 1, "HEAD gives the token; 0: only GET does") \
    X(token_status, 0, "the token comes with this (error) status; 0: with 200") \
    X(redirect_slash, 1, "the root without its last slash is redirected") \
    X(redirect_away, 0, "the root redirects to another host") \
    X(logon_html, 0, "a failed logon gives 200 and a logon page; 0: 401") \
    X(lock_after, 3, "failed logons that lock the user") \
    X(bearer_s, 3600, "lifetime of an OAuth 2.0 token") \
    X(etags, 1, "entities have an ETag; 0: none") \
    X(if_match_status, 428, "answer to a missing If-Match; 412 as old gateways; 0: not needed") \
    X(update_status, 204, "answer to an update: 204 (V4: as Prefer says); 200: with the entity") \
    X(update_off, 0, "changes are not allowed: 405 or 501; 0: they are") \
    X(lock_status, 400, "answer where a dialog user holds the entity: 400, 409, 423, 500") \
    X(error_form, 0, "errors as 0 JSON, 1 XML, 2 html, 3 plain text, 4 nothing, 5 broken JSON") \
    X(location, 0, "of a create: 0 right, 1 relative, 2 wrong, 3 empty, 4 none") \
    X(pad_keys, 0, "numeric equipment numbers are shown with leading zeros") \
    X(internal_numbers, 1, "a create without a number gets one; 0: 400") \
    X(body_max, 65536, "a longer body is 413") \
    X(repeat_oasis, 0, "Repeatability-Request-ID: 0 ignored, 1 honoured") \
    X(repeat_gateway, 0, "RequestID: 0 ignored, 1 honoured, 2 unsupported, 3 CM_COS/001") \
    X(repeat_keep_ms, 43200000, "how long a repeat id is known") \
    X(mark_read_only, 0, "a value for a field that cannot be updated: 0 silently ignored, 1 with a warning, 2 400") \
    X(delay_ms, 0, "every answer takes so long") \
    X(magic_names, 0, "reject-, lock-, timeout- at the front of a device name choose the answer") \
    X(log_reads, 1, "reads stand in the log too")
/* clang-format on */
enum sap_mock_switch {
#define X(name, value, help) SAP_MOCK_##name,
    SAP_MOCK_SWITCHES(X)
#undef X
        SAP_MOCK_SWITCH_COUNT
};

enum sap_drop {
    SAP_DROP_NONE,
    SAP_DROP_BEFORE, /* the connection closes, nothing was executed */
    SAP_DROP_AFTER,  /* executed, then the connection closes without an answer */
    SAP_DROP_HALF,   /* executed, then half of the answer comes and the connection closes */
};

/* What shall go wrong with one request to come. All fields zero: nothing. Texts are copied. */
struct sap_fault {
    struct str
        method; /* "" = any; "READ" = GET and HEAD; "WRITE" = the others, not those of the session */
    struct str match; /* a part of the target; "" = any */
    int skip;         /* let so many matching requests pass first */
    int times;        /* how many get it; 0 = 1 */
    int status;       /* answer with this instead; 0 = the right answer */
    struct str code, message, target,
        content_type; /* of that answer: error code, text, field; "application/json" */
    struct str body;  /* that answer's whole body; "" = an error document of code and message */
    struct str retry_after; /* header value */
    struct str csrf;        /* header X-CSRF-Token of that answer */
    struct str sap_message; /* header sap-message (V4: sap-messages) of the right answer */
    bool commit;            /* execute it although the answer says status */
    enum sap_drop drop;
    int64_t delay_ms; /* the answer takes so long */
    int64_t late_ms;  /* the request is executed only so much later; answer or drop come at once */
    bool lock;        /* a dialog user holds the entity: answered as lock_status says */
    bool touch;       /* somebody changes the entity just before */
    bool silent;      /* say that it was changed, and change nothing */
    bool expire;      /* all sessions end just before */
    bool split;       /* the entity's valid row ends just before: a new usage period begins */
};

/* One line of the log. Texts live until reset. */
struct sap_log {
    int64_t no;    /* 1, 2, ... */
    int64_t at_ms; /* arrival */
    struct str method, target, equipment,
        name; /* of the row that it was about; name: YY1_DEVICE_NAME, else the sort code; "" = none */
    struct str if_match, body_sha, repeat_id; /* body_sha: 64 hex; "" = no body */
    int status;                               /* as answered (or as it would have been: see drop) */
    bool effect;                              /* a row was made or changed by it, now or later */
    bool write, replayed;                     /* replayed: answered from the memory of repeat ids */
    bool late;                                /* executed after the answer */
    enum sap_drop drop;
};

struct sap_mock_options {
    struct str user, password; /* "" = no logon by them */
    struct str bearer;         /* a token that is always good; "" = none */
    struct str seed;           /* of tokens; "" = fixed */
    struct str client;         /* sap-client; "" = 100 */
    bool control;              /* paths under /_mock/ are open */
};

struct sap_answer {
    int status;
    struct header headers[16];
    size_t header_count;
    struct str body;
    int64_t delay_ms;
    enum sap_drop drop;
};

struct sap_mock;
/* Aborts only when there is no memory. */
struct sap_mock *sap_mock_open(const struct sap_mock_options *);
void sap_mock_close(struct sap_mock *);
/* Take in one request that arrived at now_ms. out: texts in the arena. The headers' names may have any case. */
void sap_mock_handle(struct sap_mock *, struct arena *, int64_t now_ms, const struct request *,
                     struct sap_answer *ret_answer);
/* Execute what was due late until now_ms. sap_mock_handle does it too. */
void sap_mock_advance(struct sap_mock *, int64_t now_ms);

/* Controls: what the paths under /_mock/ do. */
void sap_mock_fault(struct sap_mock *, const struct sap_fault *);
int sap_mock_faults_left(const struct sap_mock *);
void sap_mock_faults_clear(struct sap_mock *);
void sap_mock_switch(struct sap_mock *, enum sap_mock_switch, int64_t value);
int64_t sap_mock_switched(const struct sap_mock *, enum sap_mock_switch);
/* Has the user been locked by failed logons? */
bool sap_mock_is_locked(const struct sap_mock *);
/* All sessions end. */
void sap_mock_expire(struct sap_mock *);
/* Forget rows, log, faults, sessions; the switches stay. */
void sap_mock_reset(struct sap_mock *);

/* The log, oldest first: index 0 .. count - 1. Older lines may have been dropped (no of the first is not 1 then). */
size_t sap_mock_log_count(const struct sap_mock *);
const struct sap_log *sap_mock_log_at(const struct sap_mock *, size_t index);
/* The rows, in order of their making. */
size_t sap_mock_row_count(const struct sap_mock *);
/* The valid row with this device name (YY1_DEVICE_NAME or sort code). out: its index, -1 = none. */
int64_t sap_mock_row_find(const struct sap_mock *, struct str name);
/* A field's value as text: decimals as stored, dates in ms, "" = initial. */
struct str sap_mock_row_value(const struct sap_mock *, size_t row, const char *field);
/* Make or change a row as somebody else in SAP would: no log line. values: pairs of field and value; find by equipment, "" = new. */
void sap_mock_row_put(struct sap_mock *, int64_t now_ms, struct str equipment,
                      const struct header *values, size_t count);
/* Take a row as sap_mock_row_json wrote it. false: it is none. */
bool sap_mock_row_load(struct sap_mock *, struct arena *, int64_t now_ms, struct str json);
/* One row, one line of the log as JSON. */
struct str sap_mock_row_json(const struct sap_mock *, struct arena *, size_t row);
struct str sap_mock_log_json(struct arena *, const struct sap_log *);

#endif
