/* See mock_state.h. */
#include "home/mock_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"

static void file_close(FILE **file)
{
    if (*file) {
        (void)fclose(*file);
    }
}

static void line_free(char **line)
{
    free(*line);
}

enum rc mock_state_load(struct call *call, struct sap_mock *sap, const char *path)
{
    CLEANUP(file_close) FILE *file = fopen(path, "re");
    CLEANUP(line_free) char *line = NULL;
    size_t room = 0;
    int number = 0;
    if (!file) {
        return errno == ENOENT ? RC_OK
                               : call_why(call, RC_BROKEN, "%s: %s", path, strerrordesc_np(errno));
    }
    for (ssize_t size; (size = getline(&line, &room, file)) >= 0;) {
        struct arena arena;
        arena_open(&arena, 0);
        bool good = sap_mock_row_load(sap, &arena, call->now_ms, (struct str){line, (size_t)size});
        arena_close(&arena);
        number++;
        if (!good) {
            return call_why(call, RC_INVALID, "%s: line %d is no row", path, number);
        }
    }
    return ferror(file) ? call_why(call, RC_BROKEN, "%s cannot be read", path) : RC_OK;
}

enum rc mock_state_save(struct call *call, const struct sap_mock *sap, const char *path)
{
    struct str fresh = arena_printf(call->arena, "%s.new", path);
    FILE *file = fopen(fresh.s, "we");
    bool good = file != NULL;
    for (size_t row = 0; good && row < sap_mock_row_count(sap); row++) {
        struct arena arena;
        arena_open(&arena, 0);
        struct str json = sap_mock_row_json(sap, &arena, row);
        good = fwrite(json.s, 1, json.len, file) == json.len && fputc('\n', file) == '\n';
        arena_close(&arena);
    }
    good = good && fflush(file) == 0 && fsync(fileno(file)) == 0;
    good = (!file || fclose(file) == 0) && good;
    if (!good || rename(fresh.s, path) != 0) {
        return call_why(call, RC_BROKEN, "%s: %s", path, strerrordesc_np(errno));
    }
    return RC_OK;
}
