/* What the files of the mock share with each other and with nobody else. */
#ifndef ADAPTERS_SAP_MOCK_PARTS_H
#define ADAPTERS_SAP_MOCK_PARTS_H

#include "adapters/sap_mock.h"
#include "adapters/sap_mock_rows.h"
#include "base/text.h"

#define SAP_SESSIONS_MAX 1024
#define SAP_FAULTS_MAX 4096
#define SAP_LOG_CHUNK 4096
#define SAP_LOG_CHUNKS_MAX 256 /* a million lines; the oldest chunk goes first */

struct sap_session {
    char id[33], token[33];
    int64_t used_at_ms; /* 0 = free */
};

struct sap_log_chunk {
    struct arena arena;
    struct sap_log lines[SAP_LOG_CHUNK];
};

struct sap_fault_item {
    struct sap_fault fault;
    struct arena arena; /* its texts */
    struct sap_fault_item *next;
};

/* A request that is executed after its answer. */
struct sap_late {
    int64_t at_ms, log_no;
    struct request request;
    struct arena arena;
    struct sap_late *next; /* in order of at_ms */
};

/* A known repeat id, and what was answered first. */
struct sap_repeat {
    struct str id, content_sha;
    int64_t at_ms;
    int status; /* 0 = the first request still runs */
    struct str etag, body;
    struct sap_repeat *next;
};
#define SAP_REPEAT_HEADS 65536

struct sap_mock {
    struct arena arena; /* texts of the options */
    struct sap_mock_options options;
    int64_t switches[SAP_MOCK_SWITCH_COUNT];
    struct sap_rows rows;
    struct sap_session sessions[SAP_SESSIONS_MAX];
    uint64_t token_count;
    char bearer[33]; /* the one valid token; "" = none */
    int64_t bearer_until_ms;
    int64_t failed_logons;
    bool locked;
    struct sap_fault_item *faults, **faults_end;
    int fault_count;
    struct sap_late *late;
    struct sap_log_chunk **chunks;
    size_t chunk_count, line_count; /* of the newest chunk */
    int64_t log_no;
    struct arena repeat_arena;
    struct sap_repeat **repeats;
};

/* What a target names. */
enum sap_target_kind {
    SAP_TOKEN,
    SAP_ROOT,
    SAP_ROOT_BARE,
    SAP_METADATA,
    SAP_SET,
    SAP_ENTITY,
    SAP_OTHER_VERSION,
    SAP_UNKNOWN
};
struct sap_target {
    enum sap_target_kind kind;
    bool v4;
    struct str equipment; /* of SAP_ENTITY */
    int64_t end_at_ms;
    struct str filter, orderby, select;
    int64_t top, skip; /* top -1 = all */
    bool count;        /* say how many there are */
    bool bad_option;
};

#define SAP_FAULTS_TOLD 4
/* One of the things that are wrong with a request. */
struct sap_wrong {
    const char *code, *target;
    struct str message;
};

/* One request under execution. */
struct sap_op {
    struct sap_mock *mock;
    struct arena *arena;
    int64_t now_ms;
    const struct request *request;
    struct sap_answer *answer;
    struct sap_log *log;
    struct sap_target target;
    bool late;   /* its answer is gone: no session, no logon */
    bool silent; /* claim success, change nothing */
    struct str sap_message;
    int open_brackets; /* of the filter, so far */
    struct sap_wrong wrongs[SAP_FAULTS_TOLD];
    int wrong_count;
};

void sap_sha_hex(struct str bytes, char *ret_hex); /* 64 characters and a NUL */
bool sap_op_is_read(const struct request *);
struct str sap_op_header(const struct request *, const char *name);
void sap_op_add_header(struct sap_op *, const char *name, struct str value);

/* sap_mock_error.c: answer with an error document in the version of the target and the form of the switch. target "" = none. */
void sap_op_fail(struct sap_op *, int status, const char *code, const char *target,
                 const char *format, ...) PRINTF(5, 6);
/* One more thing is wrong; sap_op_fail_all answers with all of them. */
void sap_op_wrong(struct sap_op *, const char *code, const char *target, const char *format, ...)
    PRINTF(4, 5);
void sap_op_fail_all(struct sap_op *, int status);
/* The body of an answer with this error; adds its content type. */
struct str sap_op_error_body(struct sap_op *, struct str code, struct str message,
                             struct str target);
/* A message for the header of a success. severity 1 success, 2 info, 3 warning, 4 error */
struct str sap_op_message(struct sap_op *, const char *code, const char *target, int severity,
                          struct str message);

/* sap_mock_session.c: these two answer by themselves when they say no */
bool sap_op_logged_on(struct sap_op *);
bool sap_op_token_is_right(struct sap_op *);
void sap_op_give_token(struct sap_op *);
void sap_op_give_bearer(struct sap_op *);
/* sap_mock_repeat.c: execute a write, at most once for its repeat id; note an id whose request runs late */
void sap_op_execute_once(struct sap_op *);
void sap_op_repeat_running(struct sap_op *);

/* sap_mock_url.c */
void sap_target_read(struct arena *, struct request const *, struct sap_target *ret_target);
/* Take "Field eq literal" off the front of a filter. false: it is none (any more), or broken (then *ret_broken). */
bool sap_filter_next(struct sap_op *, struct str *filter, int *ret_field, struct str *ret_value,
                     bool *ret_broken);

/* sap_mock_answer.c: what is read */
void sap_op_answer_root(struct sap_op *);
void sap_op_answer_metadata(struct sap_op *);
void sap_op_answer_row(struct sap_op *, int status, size_t row);
/* in: count: of all that fit, where fewer are shown */
void sap_op_answer_rows(struct sap_op *, const size_t *rows, size_t shown, size_t count);
void sap_op_answer_empty(struct sap_op *, size_t row); /* 204 */
void sap_op_add_version(struct sap_op *);
struct str sap_op_etag(struct arena *, const struct sap_row *);
struct str sap_op_key_url(struct sap_op *, struct str equipment, int64_t end_at_ms);
bool sap_op_has_word(const struct sap_op *, const char *header, const char *word);

/* sap_mock_odata.c */
void sap_op_execute(struct sap_op *);
int64_t sap_op_find_row(const struct sap_op *, struct str equipment, int64_t end_at_ms);
struct str sap_row_name(const struct sap_rows *, size_t row);
/* sap_mock_body.c: a request's body onto values. false: answered with an error. */
bool sap_op_read_body(struct sap_op *, struct sap_values *, bool create, bool *ret_changed);
/* sap_mock_control.c */
void sap_mock_control(struct sap_mock *, struct arena *, int64_t now_ms, const struct request *,
                      struct sap_answer *);

#endif
