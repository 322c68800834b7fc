/* How far an import came, in a file beside the one that is imported: its id, from which every line's
 * idempotency key follows, the lines that are done without a gap, and what became of them. Lines after the gap are
 * sent again, and their keys make that harmless. */
#ifndef HOME_IMPORT_STATE_H
#define HOME_IMPORT_STATE_H

#include "core/model.h"

#define IMPORT_REASONS_MAX 48 /* kinds of refusal that are told apart */
#define IMPORT_LINES_TOLD 5   /* line numbers that are kept of each */

/* clang-format off */
#define IMPORT_RESULTS(X) X(created) X(equal) X(updated) X(satisfied) X(refused)
/* clang-format on */
enum import_result {
#define X(name) IMPORT_##name,
    IMPORT_RESULTS(X)
#undef X
        IMPORT_RESULT_COUNT
};
const char *import_result_name(enum import_result);

struct import_reason {
    char code[40], detail[160]; /* detail of the first one */
    int64_t count, lines[IMPORT_LINES_TOLD];
};

struct import_state {
    const char *path; /* NULL = kept nowhere */
    char id[33];      /* 32 hex */
    int64_t started_at_ms;
    int64_t line_count;    /* done without a gap, blank ones included */
    int64_t offset_bytes;  /* after them */
    char sha[65];          /* chain of hashes over these lines, 64 hex; "" = none yet */
    bool finished;         /* the file came to its end */
    int64_t results_bytes; /* of the file of results, for these lines; -1 = there is none */
    int64_t results[IMPORT_RESULT_COUNT];
    struct import_reason reasons[IMPORT_REASONS_MAX];
    int reason_count;
};

/* Begin anew with this id (32 hex). */
void import_state_begin(struct import_state *, const char *path, struct str id, int64_t now_ms);
/* out: RC_NOT_FOUND there is none. fails: RC_INVALID it is no state of an import. */
MUST enum rc import_state_load(struct arena *, const char *path, struct import_state *ret_state);
/* Replace the file; nothing without a path. fails: RC_BROKEN, errno says why. */
MUST enum rc import_state_save(struct arena *, struct import_state *);
/* The next line is done: into the chain of hashes and the counts of lines and bytes. text: without its newline. */
void import_state_pass(struct import_state *, struct str text, int64_t line_bytes);
/* Count what became of a line. */
void import_state_count(struct import_state *, enum import_result, int64_t line, struct str code,
                        struct str detail);
#endif
