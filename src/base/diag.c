/* Lines for the operator: one JSON object, one write, whatever thread it comes from. Texts from outside
 * are escaped and cut, so a line is always whole and always one line. This file is the one place of
 * base that reads a clock and writes to a descriptor. */
#include "base/diag.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/iso_time.h"
#include "base/text.h"

#define LINE_MAX_BYTES 16384
#define FIELD_MAX_BYTES 2048 /* of one text before escaping; the rest is cut */
#define TAIL_BYTES 24        /* room for `,"cut":true}` and the newline */

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static _Atomic int most_wanted = DIAG_INFO;
static diag_sink *line_sink; /* set before threads start */
static void *sink_context;

void diag_set(enum diag_level most, diag_sink *sink, void *context)
{
    line_sink = sink;
    sink_context = context;
    atomic_store(&most_wanted, (int)most);
}

bool diag_wants(enum diag_level level)
{
    return (int)level <= atomic_load_explicit(&most_wanted, memory_order_relaxed);
}

static int64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void write_to_stderr(struct str line)
{
    while (line.len) {
        ssize_t written = write(STDERR_FILENO, line.s, line.len);
        if (written < 0 && errno != EINTR) {
            return; /* nobody is left to tell */
        }
        line = str_from(line, written < 0 ? 0 : (size_t)written);
    }
}

/* The first bytes of a long text, not cutting a character in two. */
static struct str shortened(struct str text)
{
    size_t length = text.len < FIELD_MAX_BYTES ? text.len : FIELD_MAX_BYTES;
    while (length < text.len && length > 0 && ((unsigned char)text.s[length] & 0xc0) == 0x80) {
        length--;
    }
    return str_head(text, length);
}

/* ,"name":value as far as it fits; false: it was cut or left out. */
static bool add_field(struct text *line, const struct diag_field *field)
{
    size_t before = line->len;
    struct str text = field->is_number ? STR_NONE : shortened(field->text);
    text_add_char(line, ',');
    text_add_json(line, str_of(field->name));
    text_add_char(line, ':');
    if (field->is_number) {
        text_printf(line, "%lld", (long long)field->number);
    } else {
        text_add_json(line, text);
    }
    if (line->full) {
        line->len = before;
        line->full = false;
        return false;
    }
    return field->is_number || text.len == field->text.len;
}

void diag_line(enum diag_level level, int64_t at_ms, const char *event,
               const struct diag_field *fields, size_t count)
{
    if (!diag_wants(level)) {
        return;
    }
    CLEANUP(arena_close) struct arena arena;
    arena_open(&arena, (size_t)8 * LINE_MAX_BYTES);
    struct text line;
    text_open(&line, &arena, LINE_MAX_BYTES - TAIL_BYTES);
    char at[ISO_TIME_BYTES + 1];
    iso_time_write(at_ms ? at_ms : wall_ms(), at);
    text_printf(&line, "{\"at\":\"%s\",\"level\":\"%s\",\"event\":", at, level_names[level]);
    text_add_json(&line, shortened(str_of(event)));
    bool whole = true;
    for (size_t i = 0; i < count; i++) {
        whole = add_field(&line, &fields[i]) && whole;
    }
    line.max_bytes += TAIL_BYTES;
    text_add(&line, whole ? STR("}\n") : STR(",\"cut\":true}\n"));
    if (line_sink) {
        line_sink(sink_context, text_str(&line));
    } else {
        write_to_stderr(text_str(&line));
    }
}
