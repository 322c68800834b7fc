/* What sub-commands print: a table with a heading on a terminal, lines with tabs and no heading in a pipe, so
 * that `cut` and `sort` need no help. Text that came from elsewhere is printed here and nowhere else: what a terminal would
 * obey in it is shown as \uXXXX, which in JSON is the same text. */
#ifndef HOME_PRINT_H
#define HOME_PRINT_H

#include <stdio.h>

#include "base/json.h"

#define PRINT_COLUMNS_MAX 12

/* Text of foreign origin, with nothing in it that a terminal obeys; keep: control characters that stay ("\n\t"). */
void print_text(FILE *, struct str, const char *keep);
/* The same of a JSON text, and a newline: it still is JSON, of the same value. */
void print_json(FILE *, struct str);

struct print_table {
    struct arena *arena;
    const char *const *heads;
    int column_count;
    struct str *cells; /* row by row */
    size_t cell_count, cell_room;
    bool terminal; /* else plain: rows are printed at once */
};

void print_open(struct print_table *, struct arena *, const char *const *heads, int column_count);
/* One row: column_count cells; in a pipe it is out at once, on a terminal with print_close. Cells must live as long as the table. */
void print_row(struct print_table *, const struct str *cells);
/* Print a table's rows (terminal); "none" if there are none. */
void print_close(struct print_table *);
/* Is standard output a terminal? */
bool print_is_terminal(void);

/* A JSON value as a cell: text without quotes, "-" for null and what is missing, objects and arrays as JSON. */
struct str print_cell(struct arena *, yyjson_val *);
/* The member at a path of names with dots ("pending.count") as a cell. */
struct str print_member(struct arena *, yyjson_val *object, const char *path);
/* An object as two columns, name and value; members of objects named in `flatten` (blank between; "a.b" for one inside
 * another) become rows of their own. */
void print_object(struct arena *, yyjson_val *object, const char *flatten);
/* The number n with the right form of a word: "1 device", "2 devices". */
struct str print_count(struct arena *, int64_t n, const char *word);

#endif
