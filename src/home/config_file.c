/* The form of hourbell.conf. inih splits the lines; what it would take in silence is refused here first: sections, lines
 * that begin with a blank (it glues them to the line before), comments behind a value (it cuts the value), "name: value",
 * over-long lines (it splits them), NUL (it stops there), doubled names (the last would win). So what a person reads in
 * the file is what happens. */
#include "home/config_file.h"

#include "base/text.h"
#include "home/config_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <unistd.h>

struct file_reader {
    struct str name, rest; /* rest: lines not yet handed to inih */
    int line;              /* number of the line handed over last */
    int first_line[CONFIG_COUNT];
    struct config *config;
    struct config_report *report;
};

/* ---- one line ------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static const char *fault_of_bytes(struct str line)
{
    if (line.len > CONFIG_LINE_MAX_BYTES) {
        return "the line is longer than 4096 bytes";
    }
    for (size_t i = 0; i < line.len; i++) {
        if ((unsigned char)line.s[i] < ' ' && line.s[i] != '\t') {
            return "the line holds a control byte";
        }
    }
    return text_is_utf8(line) ? NULL : "the line is not UTF-8";
}

static const char *fault_of_value(struct str value)
{
    for (size_t i = 0; i + 1 < value.len; i++) {
        if (is_blank(value.s[i]) && (value.s[i + 1] == '#' || value.s[i + 1] == ';')) {
            return "a comment stands on a line of its own";
        }
    }
    if (value.len > 0 && (value.s[0] == '#' || value.s[0] == ';')) {
        return "a comment stands on a line of its own";
    }
    if (value.len > 0 && (value.s[0] == '"' || value.s[0] == '\'')) {
        return "a value is written without quotes";
    }
    if (value.len > 0 && value.s[value.len - 1] == '\\') {
        return "there are no continuation lines";
    }
    return NULL;
}

/* NULL: a line that inih reads as we do (blank and comment lines too). */
static const char *fault_of_line(struct str line)
{
    const char *fault = fault_of_bytes(line);
    struct str trimmed = text_trim(line);
    if (fault || trimmed.len == 0 || trimmed.s[0] == '#' || trimmed.s[0] == ';') {
        return fault;
    }
    if (is_blank(line.s[0])) {
        return "a setting begins in the first column: there are no continuation lines";
    }
    if (trimmed.s[0] == '[') {
        return "there are no sections: leave the line out";
    }
    const char *equals = memchr(line.s, '=', line.len), *colon = memchr(line.s, ':', line.len);
    if (!equals || (colon && colon < equals)) {
        return "write NAME = VALUE";
    }
    return fault_of_value(text_trim(str_from(line, (size_t)(equals - line.s) + 1)));
}

/* ---- inih ----------------------------------------------------------------------------------- */

/* fgets for inih: the next line, or an empty one in the place of a line with a fault. */
static char *next_line(char *ret_line, int room_bytes, void *stream)
{
    struct file_reader *reader = stream;
    if (reader->rest.len == 0) {
        return NULL;
    }
    struct str line = text_cut(&reader->rest, '\n');
    reader->line++;
    if (line.len > 0 && line.s[line.len - 1] == '\r') {
        line.len--;
    }
    const char *fault = fault_of_line(line);
    if (fault) {
        config_fault(reader->report, STR_FMT ":%d: %s", STR_ARG(reader->name), reader->line, fault);
        line.len = 0;
    }
    assert(room_bytes > 0 && line.len + 2 <= (size_t)room_bytes);
    if (line.len > 0) {
        memcpy(ret_line, line.s, line.len);
    }
    memcpy(ret_line + line.len, "\n", 2);
    return ret_line;
}

static int take_line(void *user, const char *section, const char *name, const char *value)
{
    struct file_reader *reader = user;
    (void)section; /* there are none: fault_of_line */
    enum config_id id = CONFIG_COUNT;
    struct str where =
        arena_printf(reader->report->arena, STR_FMT ":%d", STR_ARG(reader->name), reader->line);
    if (config_find(str_of(name), &id) == RC_OK) {
        if (reader->first_line[id]) {
            config_fault(reader->report, STR_FMT ": %s stands in line %d already", STR_ARG(where),
                         name, reader->first_line[id]);
            return 1;
        }
        reader->first_line[id] = reader->line;
    }
    config_take(reader->config, reader->report, ORIGIN_FILE, reader->line, where, str_of(name),
                str_of(value));
    return 1;
}

void config_file_parse(struct str name, struct str text, struct config *config,
                       struct config_report *report)
{
    static const struct str byte_order_mark = {"\xef\xbb\xbf", 3};
    struct file_reader reader = {.name = name, .rest = text, .config = config, .report = report};
    if (str_starts(text, byte_order_mark)) { /* some editors put it there, nobody sees it */
        reader.rest = str_from(text, byte_order_mark.len);
    }
    /* Debian's inih can be told at run time; its default cuts lines at 200 bytes */
    ini_max_line = CONFIG_LINE_MAX_BYTES + 3;
    ini_use_stack = true;
    ini_allow_multiline = false;
    ini_allow_inline_comments = false;
    int bad_line = ini_parse_stream(next_line, &reader, take_line, &reader);
    if (bad_line != 0) {
        config_fault(report, STR_FMT ":%d: write NAME = VALUE", STR_ARG(name), bad_line);
    }
}

/* ---- the file ------------------------------------------------------------------------------- */

static void close_fd(const int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

static enum rc read_whole(int fd, char *room, size_t room_bytes, size_t *ret_len)
{
    size_t len = 0;
    while (len < room_bytes) {
        ssize_t got = read(fd, room + len, room_bytes - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return RC_BROKEN;
        }
        if (got == 0) {
            break;
        }
        len += (size_t)got;
    }
    *ret_len = len;
    return RC_OK;
}

void config_file_read(const char *path, bool must_exist, struct config *config,
                      struct config_report *report)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        if (must_exist || errno != ENOENT) {
            config_fault(report, "%s: cannot be read: %s", path, strerrordesc_np(errno));
        }
        return;
    }
    size_t len = 0;
    char *room = arena_alloc(report->arena, CONFIG_FILE_MAX_BYTES + 1);
    if (read_whole(fd, room, CONFIG_FILE_MAX_BYTES + 1, &len) != RC_OK) {
        config_fault(report, "%s: cannot be read: %s", path, strerrordesc_np(errno));
        return;
    }
    if (len > CONFIG_FILE_MAX_BYTES) {
        config_fault(report, "%s: is larger than %d bytes", path, CONFIG_FILE_MAX_BYTES);
        return;
    }
    config->file = arena_copy(report->arena, str_of(path));
    config_file_parse(config->file, (struct str){room, len}, config, report);
}
