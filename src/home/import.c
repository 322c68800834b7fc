/* An import turns: read ahead, send what may go, take answers, note how far it came. The rules: two lines of one device
 * are never in flight at once, so their order is kept; each line has an idempotency key made of the import's id, its
 * number and its content, so whatever is sent again is done once; a line counts as done when it and all before it have
 * an answer. Overload and broken connections are waited out, a refused line is told and passed by. */
#include "home/import.h"
#include "home/print.h"

#include <errno.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdarg.h>

#define LINE_MAX_BYTES (BODY_MAX_BYTES * 2)
#define GIVE_UP_MS 120000     /* without any answer that moves a line on */
#define GIVE_UP_FIRST_MS 5000 /* the same, while there never was one */
#define FAULTS_MAX 5          /* tries of a line that the server answers by 500 */
#define WAIT_MAX_MS 10000     /* between two tries */
#define SAVE_EVERY_MS 1000
#define SHOW_EVERY_MS 200
#define BAR_COLUMNS 24

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

int64_t import_now_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- reading ahead ------------------------------------------------------------------------------------------ */

bool import_read_line(struct import *import, struct arena *arena, struct str *ret_text,
                      int64_t *ret_bytes)
{
    char *room = NULL;
    size_t room_bytes = 0;
    ssize_t len = getline(&room, &room_bytes, import->file);
    if (len > 0) {
        *ret_bytes = len;
        len -= room[len - 1] == '\n';
        len -= len > 0 && room[len - 1] == '\r';
        size_t kept = (size_t)len > LINE_MAX_BYTES ? LINE_MAX_BYTES + 1
                                                   : (size_t)len; /* enough to be refused */
        *ret_text = arena_copy(arena, (struct str){room, kept});
    } else if (ferror(import->file)) {
        snprintf(import->why, sizeof import->why, "reading: %s", strerrordesc_np(errno));
        import->exit_code = EXIT_FAILED;
    }
    free(room);
    return len > 0 || (len == 0 && !feof(import->file));
}

static uint64_t hash_of(struct str text)
{
    uint64_t hash = UINT64_C(1469598103934665603); /* FNV-1a */
    for (size_t i = 0; i < text.len; i++) {
        hash = (hash ^ (unsigned char)text.s[i]) * UINT64_C(1099511628211);
    }
    return hash;
}

/* Put the line behind an earlier one of its device, if that is not done yet. */
static void slot_chain(struct import *import, struct import_slot *slot)
{
    slot->hash = hash_of(slot->line.key);
    struct import_slot **last = &import->last_of[slot->hash & (IMPORT_BUCKETS - 1)];
    /* A device in the same bucket with another name only waits longer than it must. */
    if (*last && (*last)->phase != PHASE_DONE && (*last)->phase != PHASE_FREE) {
        (*last)->after = slot;
        slot->blocked = true;
    }
    *last = slot;
}

static bool is_blank(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!strchr(" \t\r", text.s[i])) {
            return false;
        }
    }
    return true;
}

static void slot_end(struct import *import, struct import_slot *slot, enum import_result result)
{
    slot->result = result;
    slot->phase = PHASE_DONE;
    if (slot->after) {
        slot->after->blocked = false;
    }
    import->moved_at_ms = import_now_ms(CLOCK_MONOTONIC);
    import->wait_tries = 0;
}

static void slot_refuse(struct import *import, struct import_slot *slot, struct str code,
                        struct str detail)
{
    snprintf(slot->code, sizeof slot->code, "%.*s", (int)min_i64((int64_t)code.len, 39),
             code.s ? code.s : "");
    snprintf(slot->detail, sizeof slot->detail, "%.*s", (int)min_i64((int64_t)detail.len, 159),
             detail.s ? detail.s : "");
    slot_end(import, slot, IMPORT_refused);
}

/* Read one line into the window. */
static void take_line(struct import *import)
{
    struct import_slot *slot = &import->slots[import->next % import->slot_count];
    struct arena arena = slot->arena;
    int64_t bytes = 0;
    struct str text = STR_NONE;
    arena_reset(&arena);
    *slot = (struct import_slot){.arena = arena, .number = import->next, .phase = PHASE_WAITING};
    if (!import_read_line(import, &slot->arena, &text, &bytes)) {
        slot->phase = PHASE_FREE;
        import->at_end = true;
        return;
    }
    slot->call = arena_new(&slot->arena, struct call);
    slot->call->arena = &slot->arena;
    slot->text = text;
    slot->line_bytes = bytes;
    slot->blank = is_blank(text);
    import->next++;
    if (slot->blank) {
        slot_end(import, slot, IMPORT_equal);
        return;
    }
    if (text.len > LINE_MAX_BYTES) {
        slot_refuse(import, slot, STR("body_too_large"),
                    STR("the line is longer than any request may be"));
        return;
    }
    import_line_read(slot->call, text, &import->rules, &slot->line);
    if (slot->line.problem != PROBLEM_NONE) {
        slot_refuse(import, slot, str_of(problem_info(slot->line.problem)->code),
                    slot->line.detail);
        return;
    }
    if (import->dry) {
        slot_end(import, slot, IMPORT_equal);
        return;
    }
    slot_chain(import, slot);
}

/* ---- sending --------------------------------------------------------------------------------------------------- */

/* "<id>-<line>-<16 hex of the content>": the same line of the same import has the same key in every run. */
static struct str line_key(struct import *import, struct import_slot *slot, bool create)
{
    unsigned char sha[SHA256_DIGEST_LENGTH];
    char hex[17];
    SHA256((const unsigned char *)slot->text.s, slot->text.len, sha);
    for (size_t i = 0; i < 8; i++) {
        snprintf(hex + 2 * i, 3, "%02x", sha[i]);
    }
    return arena_printf(&slot->arena, "%s-%lld-%s%s", import->state.id, (long long)slot->number,
                        hex, slot->line.op == IMPORT_UPSERT ? (create ? "-c" : "-u") : "");
}

static void slot_send(struct import *import, struct import_slot *slot)
{
    bool create =
        slot->line.op == IMPORT_CREATE || (slot->line.op == IMPORT_UPSERT && !slot->updating);
    struct client_request request = {.method = "POST",
                                     .target =
                                         create ? STR("/create-device") : STR("/update-device"),
                                     .body = import_line_body(&slot->arena, &slot->line, create),
                                     .idempotency_key = line_key(import, slot, create)};
    slot->phase = PHASE_FLYING;
    slot->tries++;
    client_pool_send(import->pool, &request, slot);
}

/* Send what may go. out: how long nothing more will, in ms. */
static int64_t send_all(struct import *import)
{
    int64_t now = import_now_ms(CLOCK_MONOTONIC), wait_ms = 1000;
    if (import->pause_until_ms > now) {
        return min_i64(import->pause_until_ms - now, wait_ms);
    }
    for (int64_t n = import->first; n < import->next && client_pool_has_room(import->pool); n++) {
        struct import_slot *slot = &import->slots[n % import->slot_count];
        if (slot->phase != PHASE_WAITING || slot->blocked) {
            continue;
        }
        if (slot->not_before_ms > now) {
            wait_ms = min_i64(wait_ms, slot->not_before_ms - now);
            continue;
        }
        slot_send(import, slot);
    }
    return wait_ms;
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

static void stop(struct import *import, int exit_code, const char *format, ...) PRINTF(3, 4);
static void stop(struct import *import, int exit_code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(import->why, sizeof import->why, format, list);
    va_end(list);
    import->exit_code = exit_code;
}

/* Nothing was decided: all wait, and this line is sent again. */
static void wait_out(struct import *import, struct import_slot *slot,
                     const struct client_answer *answer)
{
    int64_t now = import_now_ms(CLOCK_MONOTONIC);
    int64_t wait_ms = answer->retry_after_ms;
    if (wait_ms == 0) {
        int doubled = import->wait_tries < 8 ? import->wait_tries : 8;
        wait_ms = min_i64(INT64_C(100) << doubled, WAIT_MAX_MS);
    }
    import->wait_tries++;
    import->pause_until_ms = max_i64(import->pause_until_ms, now + wait_ms);
    slot->phase = PHASE_WAITING;
    int64_t give_up_ms = import->answered ? GIVE_UP_MS : GIVE_UP_FIRST_MS;
    if (now - import->moved_at_ms > give_up_ms) {
        stop(import, EXIT_UNREACHABLE, "no line has moved for %lld s; the last thing was: %s",
             (long long)give_up_ms / 1000,
             answer->status ? "the server is overloaded" : answer->error);
    }
}

static enum import_result good_result(const struct import_slot *slot,
                                      const struct client_answer *answer)
{
    bool created =
        slot->line.op == IMPORT_CREATE || (slot->line.op == IMPORT_UPSERT && !slot->updating);
    if (created) {
        return answer->status == 201 ? IMPORT_created : IMPORT_equal;
    }
    return answer->status == 200 ? IMPORT_satisfied : IMPORT_updated;
}

/* Is the key refused, so that no other line would fare better? A role that may not say a member is about this line: the
 * problem points at the member. */
static bool is_about_key(const struct client_answer *answer, yyjson_val *root)
{
    yyjson_val *first = yyjson_arr_get_first(json_member(root, "errors"));
    return answer->status == 401 ||
           (answer->status == 403 && !json_member_str(first, "pointer", STR_NONE).len);
}

static void take_problem(struct import *import, struct import_slot *slot,
                         const struct client_answer *answer)
{
    yyjson_val *root = NULL;
    struct str code = STR("other"), detail = STR_NONE;
    if (json_read(&slot->arena, answer->body, 64, &root, NULL) == RC_OK) {
        code = json_member_str(root, "code", code);
        detail = json_member_str(root, "detail", detail);
    }
    if (slot->line.op == IMPORT_UPSERT && !slot->updating && str_is(code, "device_exists")) {
        slot->updating = true;
        slot->phase = PHASE_WAITING;
    } else if (is_about_key(answer, root)) {
        stop(import, EXIT_AUTH, "line %lld: " STR_FMT ": " STR_FMT, (long long)slot->number,
             STR_ARG(code), STR_ARG(detail));
    } else if (answer->status == 503 ||
               (answer->status == 429 && !str_is(code, "too_many_pending"))) {
        wait_out(import, slot, answer);
    } else if (answer->status >= 500 && slot->tries < FAULTS_MAX) {
        slot->phase = PHASE_WAITING;
        slot->not_before_ms = import_now_ms(CLOCK_MONOTONIC) + 200 * slot->tries;
    } else {
        slot_refuse(import, slot, code, detail);
    }
}

static void take_answer(struct import *import, const struct client_done *done)
{
    struct import_slot *slot = done->context;
    const struct client_answer *answer = done->answer;
    if (answer->status == 0) {
        wait_out(import, slot, answer);
    } else if (answer->status >= 200 && answer->status < 300) {
        import->answered = true;
        slot_end(import, slot, good_result(slot, answer));
    } else {
        take_problem(import, slot, answer);
    }
}

/* ---- lines that are done ---------------------------------------------------------------------------------------- */

static void write_result(struct import *import, const struct import_slot *slot)
{
    if (!import->results) {
        return;
    }
    struct arena arena CLEANUP(arena_close);
    arena_open(&arena, 0);
    yyjson_mut_doc *doc = json_doc(&arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_i64(doc, root, "line", slot->number);
    if (slot->line.name.len) {
        json_add_str(doc, root, "device_name", slot->line.name);
    }
    json_add_str(doc, root, "result", str_of(import_result_name(slot->result)));
    if (slot->result == IMPORT_refused) {
        json_add_str(doc, root, "code", str_of(slot->code));
        json_add_str(doc, root, "detail", str_of(slot->detail));
    }
    struct str line = json_write_mut(&arena, doc);
    print_json(import->results, line);
    if (ferror(import->results)) {
        stop(import, EXIT_FAILED, "writing the results: %s", strerrordesc_np(errno));
    }
}

/* Take finished lines off the front of the window: only these count. */
static void advance(struct import *import)
{
    while (import->first < import->next) {
        struct import_slot *slot = &import->slots[import->first % import->slot_count];
        if (slot->phase != PHASE_DONE) {
            break;
        }
        if (!slot->blank) {
            import_state_count(&import->state, slot->result, slot->number, str_of(slot->code),
                               str_of(slot->detail));
            write_result(import, slot);
        }
        import_state_pass(&import->state, slot->text, slot->line_bytes);
        struct import_slot **last = &import->last_of[slot->hash & (IMPORT_BUCKETS - 1)];
        if (*last == slot) {
            *last = NULL;
        }
        slot->phase = PHASE_FREE;
        import->first++;
    }
}

static void save(struct import *import)
{
    struct arena arena CLEANUP(arena_close);
    arena_open(&arena, 0);
    if (import->results && fflush(import->results) != 0) {
        stop(import, EXIT_FAILED, "writing the results: %s", strerrordesc_np(errno));
    }
    import->state.results_bytes = import->results ? ftello(import->results) : -1;
    if (!import->dry && import_state_save(&arena, &import->state) != RC_OK) {
        stop(import, EXIT_FAILED, "%s: %s", import->state.path, strerrordesc_np(errno));
    }
}

static void show(struct import *import, int64_t now)
{
    char bar[BAR_COLUMNS + 1] = "";
    double elapsed_s = (double)(now - import->begun_at_ms) / 1000.0;
    double rate =
        elapsed_s > 0 ? (double)(import->state.line_count - import->begun_lines) / elapsed_s : 0;
    if (import->file_bytes) {
        int filled = (int)(import->state.offset_bytes * BAR_COLUMNS / import->file_bytes);
        filled = filled < 0             ? 0
                 : filled > BAR_COLUMNS ? BAR_COLUMNS
                                        : filled; /* the file may have grown */
        memset(bar, ' ', BAR_COLUMNS);
        memset(bar, '=', (size_t)filled);
    }
    fprintf(stderr, "\r\033[K%s%s%s%lld lines, %.0f/s, %lld refused%s", bar[0] ? "[" : "", bar,
            bar[0] ? "] " : "", (long long)import->state.line_count, rate,
            (long long)import->state.results[IMPORT_refused],
            import->pause_until_ms > now ? ", waiting for the server" : "");
    fflush(stderr);
}

/* What is done every now and then. */
static void tick(struct import *import)
{
    int64_t now = import_now_ms(CLOCK_MONOTONIC);
    if (now - import->saved_at_ms >= SAVE_EVERY_MS) {
        save(import);
        import->saved_at_ms = now;
    }
    if (import->bar && now - import->shown_at_ms >= SHOW_EVERY_MS) {
        show(import, now);
        import->shown_at_ms = now;
    }
    if (interrupted) {
        stop(import, EXIT_FAILED, "interrupted");
    }
}

void import_run(struct import *import)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    import->begun_at_ms = import->moved_at_ms = import->saved_at_ms =
        import_now_ms(CLOCK_MONOTONIC);
    import->begun_lines = import->state.line_count;
    save(import); /* before the first line leaves: without its id nobody could repeat it */
    while (import->exit_code == EXIT_DONE) {
        while (!import->at_end && import->exit_code == EXIT_DONE &&
               import->next - import->first < import->slot_count) {
            take_line(import);
        }
        advance(import);
        if (import->at_end && import->first == import->next) {
            break;
        }
        if (import->dry) {
            continue;
        }
        struct client_done done;
        int64_t wait_ms = send_all(import);
        while (import->exit_code == EXIT_DONE && client_pool_next(import->pool, wait_ms, &done)) {
            take_answer(import, &done);
            wait_ms = 0;
        }
        tick(import);
    }
    import->state.finished = import->exit_code == EXIT_DONE;
    save(import);
    if (import->bar) {
        fputs("\r\033[K", stderr);
    }
}
