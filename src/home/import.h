/* The window of an import: lines that were read and are not done yet, what flies of them, and what became of
 * those that are done. cmd_import.c opens and closes, import.c turns. */
#ifndef HOME_IMPORT_H
#define HOME_IMPORT_H

#include "home/client.h"
#include "home/import_line.h"
#include "home/import_state.h"

#define IMPORT_BUCKETS 4096 /* a power of two */

enum import_phase { PHASE_FREE, PHASE_WAITING, PHASE_FLYING, PHASE_DONE };

/* One line in the window. */
struct import_slot {
    struct arena arena; /* the line and what was made of it */
    struct call *call;  /* of the arena */
    struct import_line line;
    struct str text;
    int64_t number, line_bytes, not_before_ms;
    enum import_phase phase;
    bool updating; /* an upsert whose name is taken */
    int tries;
    uint64_t hash;             /* of line.key */
    struct import_slot *after; /* the next line of the same device in the window */
    bool blocked;              /* an earlier one of the same device is not done */
    enum import_result result;
    bool blank;
    char code[40], detail[160];
};

struct import {
    const struct args *args;
    struct client *client;
    struct client_pool *pool;
    FILE *file, *results;
    int64_t file_bytes; /* 0 = unknown */
    struct import_state state;
    struct import_slot *slots;                   /* a ring: line n is in slot n % slot_count */
    int64_t slot_count, first, next;             /* lines first .. next-1 are in the window */
    struct import_slot *last_of[IMPORT_BUCKETS]; /* newest line of some device with this hash */
    struct import_rules rules;
    bool at_end, dry, bar, answered;
    int64_t pause_until_ms, moved_at_ms, saved_at_ms, shown_at_ms, begun_at_ms, begun_lines;
    int wait_tries;
    int exit_code; /* EXIT_DONE = go on */
    char why[256];
};

/* Read, send and wait until every line is done, or something stops it: exit_code and why say so.
 * in: file, pool, state and rules are set; a dry run needs no pool. */
void import_run(struct import *);
/* The next line of the file without its newline. out: false at the end, or if reading failed (exit_code is set). */
bool import_read_line(struct import *, struct arena *, struct str *ret_text, int64_t *ret_bytes);
int64_t import_now_ms(clockid_t);

#endif
