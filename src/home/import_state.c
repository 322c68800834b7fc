/* The state of an import as a small JSON file, replaced as a whole by rename. The first one is synced, since the
 * idempotency keys follow from the id in it; of later ones a crash of the machine takes only what is sent again. */
#include "home/import_state.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"

#define STATE_MAX_BYTES 65536

static const char *const names[IMPORT_RESULT_COUNT] = {
#define X(name) #name,
    IMPORT_RESULTS(X)
#undef X
};

const char *import_result_name(enum import_result result)
{
    return names[result];
}

void import_state_begin(struct import_state *state, const char *path, struct str id, int64_t now_ms)
{
    *state = (struct import_state){.path = path, .started_at_ms = now_ms, .results_bytes = -1};
    snprintf(state->id, sizeof state->id, STR_FMT, STR_ARG(id));
}

void import_state_pass(struct import_state *state, struct str text, int64_t line_bytes)
{
    unsigned char room[2 * SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)text.s, text.len, room);
    SHA256((const unsigned char *)state->sha, strlen(state->sha), room + SHA256_DIGEST_LENGTH);
    SHA256(room, sizeof room, room);
    for (size_t i = 0; i < SHA256_DIGEST_LENGTH; i++) {
        snprintf(state->sha + 2 * i, 3, "%02x", room[i]);
    }
    state->line_count++;
    state->offset_bytes += line_bytes;
}

void import_state_count(struct import_state *state, enum import_result result, int64_t line,
                        struct str code, struct str detail)
{
    struct import_reason *reason = NULL;
    state->results[result]++;
    if (result != IMPORT_refused) {
        return;
    }
    for (int i = 0; i < state->reason_count && !reason; i++) {
        reason = str_is(code, state->reasons[i].code) ? &state->reasons[i] : NULL;
    }
    if (!reason && state->reason_count < IMPORT_REASONS_MAX) {
        reason = &state->reasons[state->reason_count++];
        snprintf(reason->code, sizeof reason->code, "%.*s", (int)min_i64((int64_t)code.len, 39),
                 code.s);
        snprintf(reason->detail, sizeof reason->detail, "%.*s",
                 (int)min_i64((int64_t)detail.len, 159), detail.s ? detail.s : "");
    }
    if (!reason) {
        return;
    }
    if (reason->count < IMPORT_LINES_TOLD) {
        reason->lines[reason->count] = line;
    }
    reason->count++;
}

static struct str state_write(struct arena *arena, const struct import_state *state)
{
    yyjson_mut_doc *doc = json_doc(arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "import_id", str_of(state->id));
    json_add_time(doc, root, "started_at", state->started_at_ms);
    json_add_i64(doc, root, "line_count", state->line_count);
    json_add_i64(doc, root, "offset_bytes", state->offset_bytes);
    json_add_str(doc, root, "sha", str_of(state->sha));
    json_add_bool(doc, root, "finished", state->finished);
    json_add_i64(doc, root, "results_bytes", state->results_bytes);
    yyjson_mut_val *results = json_add_obj(doc, root, "results");
    for (int i = 0; i < IMPORT_RESULT_COUNT; i++) {
        json_add_i64(doc, results, names[i], state->results[i]);
    }
    yyjson_mut_val *reasons = json_add_arr(doc, root, "reasons");
    for (int i = 0; i < state->reason_count; i++) {
        const struct import_reason *reason = &state->reasons[i];
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, reasons);
        json_add_str(doc, item, "code", str_of(reason->code));
        json_add_str(doc, item, "detail", str_of(reason->detail));
        json_add_i64(doc, item, "count", reason->count);
        yyjson_mut_val *lines = json_add_arr(doc, item, "lines");
        for (int j = 0; j < IMPORT_LINES_TOLD && j < reason->count; j++) {
            yyjson_mut_arr_add_sint(doc, lines, reason->lines[j]);
        }
    }
    return json_write_mut(arena, doc);
}

static void reasons_read(struct import_state *state, yyjson_val *reasons)
{
    size_t at, count, line_at, line_count;
    yyjson_val *item, *line;
    yyjson_arr_foreach(reasons, at, count, item)
    {
        if (state->reason_count == IMPORT_REASONS_MAX) {
            break;
        }
        struct import_reason *reason = &state->reasons[state->reason_count++];
        struct str code = json_member_str(item, "code", STR_NONE),
                   detail = json_member_str(item, "detail", STR_NONE);
        snprintf(reason->code, sizeof reason->code, "%.*s", (int)min_i64((int64_t)code.len, 39),
                 code.s ? code.s : "");
        snprintf(reason->detail, sizeof reason->detail, "%.*s",
                 (int)min_i64((int64_t)detail.len, 159), detail.s ? detail.s : "");
        reason->count = json_member_i64(item, "count", 0);
        yyjson_arr_foreach(json_member(item, "lines"), line_at, line_count, line)
        {
            if (line_at < IMPORT_LINES_TOLD &&
                text_to_i64(json_raw(line), &reason->lines[line_at]) != RC_OK) {
                reason->lines[line_at] = 0;
            }
        }
    }
}

static enum rc file_read(struct arena *arena, const char *path, struct str *ret_text)
{
    char *room = arena_alloc(arena, STATE_MAX_BYTES);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return errno == ENOENT ? RC_NOT_FOUND : RC_INVALID;
    }
    ssize_t len = read(fd, room, STATE_MAX_BYTES);
    close(fd);
    *ret_text = (struct str){room, len > 0 ? (size_t)len : 0};
    return len >= 0 ? RC_OK : RC_INVALID;
}

enum rc import_state_load(struct arena *arena, const char *path, struct import_state *ret_state)
{
    struct import_state *state = arena_new(arena, struct import_state);
    struct str text, id, sha;
    yyjson_val *root = NULL;
    TRY(file_read(arena, path, &text));
    TRY(json_read(arena, text, 8, &root, NULL));
    id = json_member_str(root, "import_id", STR_NONE);
    sha = json_member_str(root, "sha", STR_NONE);
    TRY(iso_time_read(json_member_str(root, "started_at", STR_NONE), &state->started_at_ms));
    state->line_count = json_member_i64(root, "line_count", -1);
    state->offset_bytes = json_member_i64(root, "offset_bytes", -1);
    if (id.len != 32 || (sha.len != 64 && sha.len != 0) || state->line_count < 0 ||
        state->offset_bytes < 0) {
        return RC_INVALID;
    }
    snprintf(state->id, sizeof state->id, STR_FMT, STR_ARG(id));
    snprintf(state->sha, sizeof state->sha, STR_FMT, STR_ARG(sha));
    state->path = path;
    state->finished = json_member_bool(root, "finished", false);
    state->results_bytes = json_member_i64(root, "results_bytes", -1);
    for (int i = 0; i < IMPORT_RESULT_COUNT; i++) {
        state->results[i] = json_member_i64(json_member(root, "results"), names[i], 0);
    }
    reasons_read(state, json_member(root, "reasons"));
    *ret_state = *state;
    return RC_OK;
}

enum rc import_state_save(struct arena *arena, struct import_state *state)
{
    if (!state->path) {
        return RC_OK;
    }
    struct str text = state_write(arena, state),
               beside = arena_printf(arena, "%s.new", state->path);
    int fd = open(beside.s, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return RC_BROKEN;
    }
    bool whole = write(fd, text.s, text.len) == (ssize_t)text.len;
    whole = whole && (state->line_count > 0 || fsync(fd) == 0);
    whole = close(fd) == 0 && whole;
    return whole && rename(beside.s, state->path) == 0 ? RC_OK : RC_BROKEN;
}
