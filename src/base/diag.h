/* Diagnostic lines: one JSON object per line on standard error (or a sink of the home's choice).
 * No control byte ever reaches it. The core does not write lines; adapters and homes do. */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include "base/base.h"

enum diag_level { DIAG_ERROR, DIAG_WARN, DIAG_INFO, DIAG_DEBUG };

/* One member of a line. */
struct diag_field {
    const char *name;
    struct str text; /* used when is_number is false */
    int64_t number;
    bool is_number;
};

#define DIAG_TEXT(field_name, value) ((struct diag_field){.name = (field_name), .text = (value)})
#define DIAG_NUMBER(field_name, value)                                                             \
    ((struct diag_field){.name = (field_name), .number = (value), .is_number = true})

/* Where lines go: called once per line, text ends with \n. NULL = standard error by write(2). */
typedef void diag_sink(void *context, struct str line);
void diag_set(enum diag_level most, diag_sink *sink, void *context);
bool diag_wants(enum diag_level);
/* {"at":...,"level":...,"event":...,fields...}; at_ms 0 = the wall clock. safe: from any thread. */
void diag_line(enum diag_level, int64_t at_ms, const char *event, const struct diag_field *,
               size_t count);
#define DIAG(level, event, ...)                                                                    \
    diag_line((level), 0, (event), (struct diag_field[]){__VA_ARGS__},                             \
              sizeof((struct diag_field[]){__VA_ARGS__}) / sizeof(struct diag_field))

#endif
