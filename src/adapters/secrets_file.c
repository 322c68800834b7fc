/* The file is read once; credentials and environment are looked up when asked, since neither changes
 * under a running process. A name is made of [a-z0-9_-] and '/', so it can point nowhere else. */
#include "adapters/secrets_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/table.h"
#include "base/text.h"

#define ENVIRONMENT_PREFIX "HOURBELL_SECRET_"

struct secrets_file {
    struct secrets secrets; /* the port; first */
    char text[SECRETS_FILE_MAX_BYTES];
    size_t text_bytes;
};

static void fd_close(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
    }
}

/* All of a file up to room bytes. out: ret_bytes > room: there is more. false: errno says why. */
static bool read_all(int fd, char *room, size_t room_bytes, size_t *ret_bytes)
{
    size_t bytes = 0;
    for (;;) {
        char more;
        bool is_full = bytes == room_bytes;
        ssize_t got = read(fd, is_full ? &more : room + bytes, is_full ? 1 : room_bytes - bytes);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0 || is_full) {
            *ret_bytes = bytes + (got > 0);
            return got >= 0;
        }
        bytes += (size_t)got;
    }
}

static bool is_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char at = name.s[i];
        if (!((at >= 'a' && at <= 'z') || (at >= '0' && at <= '9') || at == '_' || at == '-' ||
              (at == '/' && i > 0 && i + 1 < name.len))) {
            return false;
        }
    }
    return name.len > 0 && name.len <= SECRET_NAME_MAX_BYTES;
}

/* --- the file --------------------------------------------------------------------------------------- */
/* The next line that says something. out: false: that was all. */
static bool next_line(struct str *rest, int *line_no, struct str *ret_line)
{
    while (rest->len) {
        struct str line = text_cut(rest, '\n');
        if (line.len && line.s[line.len - 1] == '\r') {
            line.len--;
        }
        line = text_trim(line);
        (*line_no)++;
        if (line.len && line.s[0] != '#') {
            *ret_line = line;
            return true;
        }
    }
    return false;
}

/* out: ret_value untouched if the name is not there */
static void find(const struct secrets_file *file, struct str name, struct str *ret_value)
{
    struct str rest = {file->text, file->text_bytes}, line;
    int line_no = 0;
    while (next_line(&rest, &line_no, &line)) {
        struct str value = line, there = text_trim(text_cut(&value, '='));
        if (str_equal(there, name)) {
            *ret_value = text_trim(value);
            return;
        }
    }
}

static const char *line_fault(struct str line, struct table *seen)
{
    struct str value = line, name = text_trim(text_cut(&value, '='));
    if (!memchr(line.s, '=', line.len)) {
        return "no name=value";
    }
    if (!is_name(name)) {
        return "a name is made of a-z 0-9 _ - and / between";
    }
    if (text_trim(value).len > SECRET_MAX_BYTES) {
        return "the value is too long";
    }
    return table_put(seen, name, 0) ? "the name stands twice" : NULL;
}

static enum rc check_lines(struct call *call, const struct secrets_file *file, struct str path)
{
    struct str rest = {file->text, file->text_bytes}, line;
    struct table seen;
    int line_no = 0;
    table_open(&seen, call->arena);
    if (memchr(file->text, '\0', file->text_bytes)) {
        return call_why(call, RC_INVALID, STR_FMT ": holds a NUL byte", STR_ARG(path));
    }
    while (next_line(&rest, &line_no, &line)) {
        const char *fault = line_fault(line, &seen);
        if (fault) {
            return call_why(call, RC_INVALID, STR_FMT ":%d: %s", STR_ARG(path), line_no, fault);
        }
    }
    return RC_OK;
}

static enum rc load(struct call *call, struct secrets_file *file, struct str path)
{
    struct stat info;
    const char *name = arena_copy(call->arena, path).s;
    CLEANUP(fd_close) int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return call_why(call, errno == ENOENT ? RC_NOT_FOUND : RC_BROKEN, "%s: %s", name,
                        strerrordesc_np(errno));
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return call_why(call, RC_INVALID, "%s: is no file", name);
    }
    if (info.st_mode & (S_IRWXG | S_IRWXO)) {
        return call_why(call, RC_INVALID,
                        "%s: others may read it (mode %03o): chmod 600 makes it yours alone", name,
                        (unsigned)(info.st_mode & 0777));
    }
    if (!read_all(fd, file->text, sizeof file->text, &file->text_bytes)) {
        return call_why(call, RC_BROKEN, "%s: %s", name, strerrordesc_np(errno));
    }
    if (file->text_bytes > sizeof file->text) {
        file->text_bytes = 0;
        return call_why(call, RC_INVALID, "%s: larger than %d bytes", name, SECRETS_FILE_MAX_BYTES);
    }
    return check_lines(call, file, path);
}

/* --- looking up --------------------------------------------------------------------------------------- */
/* out: ret_value "" = not there */
static enum rc from_credentials(struct call *call, struct str name, struct str *ret_value)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char text[SECRET_MAX_BYTES + 1];
    size_t bytes = 0;
    if (!folder || !folder[0]) {
        return RC_OK;
    }
    struct str path = arena_printf(call->arena, "%s/" STR_FMT, folder, STR_ARG(name));
    for (size_t i = path.len - name.len; i < path.len; i++) {
        if (path.s[i] == '/') {
            ((char *)(uintptr_t)path.s)[i] = '.'; /* the arena's own copy */
        }
    }
    CLEANUP(fd_close) int fd = open(path.s, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return errno == ENOENT
                   ? RC_OK
                   : call_why(call, RC_BROKEN, "%s: %s", path.s, strerrordesc_np(errno));
    }
    if (!read_all(fd, text, sizeof text, &bytes) || bytes > SECRET_MAX_BYTES) {
        return call_why(call, RC_BROKEN, "%s: cannot be read, or is longer than %d bytes", path.s,
                        SECRET_MAX_BYTES);
    }
    bytes -= bytes > 0 && text[bytes - 1] == '\n';
    *ret_value = arena_copy(call->arena, (struct str){text, bytes});
    OPENSSL_cleanse(text, sizeof text);
    return RC_OK;
}

static struct str from_environment(struct call *call, struct str name)
{
    struct text variable;
    text_open(&variable, call->arena, sizeof ENVIRONMENT_PREFIX + 2 * SECRET_NAME_MAX_BYTES);
    text_add(&variable, STR(ENVIRONMENT_PREFIX));
    for (size_t i = 0; i < name.len; i++) {
        char at = name.s[i];
        text_add_char(&variable, at >= 'a' && at <= 'z'   ? (char)(at - 'a' + 'A')
                                 : at >= '0' && at <= '9' ? at
                                                          : '_');
        if (at == '/') {
            text_add_char(&variable, '_');
        }
    }
    text_add_char(&variable, '\0');
    return str_of(getenv(text_str(&variable).s));
}

static enum rc file_get(struct secrets *secrets, struct call *call, struct str name,
                        struct str *ret_value)
{
    const struct secrets_file *file = (const struct secrets_file *)secrets;
    struct str value = STR_NONE;
    if (!is_name(name)) {
        return call_why(call, RC_BROKEN, "a secret cannot have the name \"" STR_FMT "\"",
                        STR_ARG(name));
    }
    TRY(from_credentials(call, name, &value));
    if (value.len == 0) {
        value = from_environment(call, name);
    }
    if (value.len == 0) {
        find(file, name, &value);
    }
    if (value.len == 0) {
        return call_why(call, RC_NOT_FOUND, "there is no secret \"" STR_FMT "\"", STR_ARG(name));
    }
    *ret_value = arena_copy(call->arena, value);
    return RC_OK;
}

enum rc secrets_file_open(struct call *call, struct str path, struct secrets **ret_secrets)
{
    static const struct secrets_ops ops = {.get = file_get};
    struct secrets_file *file = calloc(1, sizeof *file);
    if (!file) {
        abort();
    }
    file->secrets.ops = &ops;
    enum rc rc = path.len ? load(call, file, path) : RC_OK;
    if (rc != RC_OK) {
        secrets_file_close(&file->secrets);
        return rc;
    }
    *ret_secrets = &file->secrets;
    return RC_OK;
}

void secrets_file_close(struct secrets *secrets)
{
    struct secrets_file *file = (struct secrets_file *)secrets;
    if (file) {
        OPENSSL_cleanse(file->text, sizeof file->text);
        free(file);
    }
}
