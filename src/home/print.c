/* Tables for terminals and plain lines for pipes. Widths are counted in code points, which is right for most
 * scripts and one column off for wide ones; nobody's data depends on it. */
#include "home/print.h"

#include <unistd.h>

#include "base/text.h"

#define CELL_WIDTH_MAX 60 /* of a column on a terminal that is not the last */

bool print_is_terminal(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

void print_text(FILE *out, struct str text, const char *keep)
{
    char room[TEXT_SHOWN_BYTES];
    while (text.len) {
        struct str piece = text_cut_shown(&text, keep, room);
        fwrite(piece.s, 1, piece.len, out);
    }
}

void print_json(FILE *out, struct str json)
{
    print_text(out, json, "\t\r\n");
    fputc('\n', out);
}

static int width_of(struct str text)
{
    char room[TEXT_SHOWN_BYTES];
    int width = 0;
    while (text.len) {
        struct str piece = text_cut_shown(&text, "", room);
        for (size_t i = 0; i < piece.len; i++) {
            width += ((unsigned char)piece.s[i] & 0xC0) != 0x80;
        }
    }
    return width;
}

void print_open(struct print_table *table, struct arena *arena, const char *const *heads,
                int column_count)
{
    assert(column_count > 0 && column_count <= PRINT_COLUMNS_MAX);
    *table = (struct print_table){.arena = arena,
                                  .heads = heads,
                                  .column_count = column_count,
                                  .terminal = print_is_terminal()};
}

void print_row(struct print_table *table, const struct str *cells)
{
    if (!table->terminal) {
        for (int i = 0; i < table->column_count; i++) {
            print_text(stdout, cells[i], "");
            putchar(i + 1 < table->column_count ? '\t' : '\n');
        }
        return;
    }
    size_t count = (size_t)table->column_count;
    if (table->cell_count + count > table->cell_room) {
        size_t room = table->cell_room ? 2 * table->cell_room : 32 * count;
        table->cells = arena_grow(table->arena, table->cells, table->cell_room * sizeof *cells,
                                  room * sizeof *cells);
        table->cell_room = room;
    }
    memcpy(table->cells + table->cell_count, cells, count * sizeof *cells);
    table->cell_count += count;
}

static void print_line(const struct print_table *table, const struct str *cells, const int *widths)
{
    for (int i = 0; i < table->column_count; i++) {
        bool last = i + 1 == table->column_count;
        print_text(stdout, cells[i], "");
        int fill = widths[i] - width_of(cells[i]);
        printf("%*s", last ? 0 : (fill > 0 ? fill : 0) + 2, "");
    }
    putchar('\n');
}

void print_close(struct print_table *table)
{
    int widths[PRINT_COLUMNS_MAX];
    struct str heads[PRINT_COLUMNS_MAX];
    if (!table->terminal) {
        return;
    }
    for (int i = 0; i < table->column_count; i++) {
        heads[i] = str_of(table->heads[i]);
        widths[i] = width_of(heads[i]);
        for (size_t at = (size_t)i; at < table->cell_count; at += (size_t)table->column_count) {
            int width = width_of(table->cells[at]);
            widths[i] = width > widths[i] ? width : widths[i];
        }
        widths[i] = widths[i] > CELL_WIDTH_MAX ? CELL_WIDTH_MAX : widths[i];
    }
    if (table->cell_count == 0) {
        puts("none");
        return;
    }
    print_line(table, heads, widths);
    for (size_t at = 0; at < table->cell_count; at += (size_t)table->column_count) {
        print_line(table, table->cells + at, widths);
    }
}

struct str print_cell(struct arena *arena, yyjson_val *value)
{
    if (!value || yyjson_is_null(value)) {
        return STR("-");
    }
    if (yyjson_is_str(value)) {
        return json_str(value).len ? json_str(value) : STR("-");
    }
    if (yyjson_is_bool(value)) {
        return yyjson_get_bool(value) ? STR("yes") : STR("no");
    }
    return json_write(arena, value);
}

struct str print_member(struct arena *arena, yyjson_val *object, const char *path)
{
    struct str rest = str_of(path);
    while (rest.len) {
        size_t len = 0;
        while (len < rest.len && rest.s[len] != '.') {
            len++;
        }
        object = json_member(object, arena_copy(arena, str_head(rest, len)).s);
        rest = str_from(rest, len < rest.len ? len + 1 : len);
    }
    return print_cell(arena, object);
}

/* Is the word among words, with blanks between? */
static bool among(const char *words, struct str word)
{
    for (const char *at = words; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        if (len == word.len && memcmp(at, word.s, len) == 0) {
            return true;
        }
        at += len;
    }
    return false;
}

/* The members of an object as rows "path.name", those of objects in it that are named in `flatten` too: two levels. */
static void print_members(struct print_table *table, yyjson_val *object, struct str path,
                          const char *flatten)
{
    struct arena *arena = table->arena;
    size_t at, count, inner_at, inner_count;
    yyjson_val *name, *value, *inner_name, *inner_value;
    yyjson_obj_foreach(object, at, count, name, value)
    {
        struct str row =
            arena_printf(arena, STR_FMT "." STR_FMT, STR_ARG(path), STR_ARG(json_str(name)));
        if (!yyjson_is_obj(value) || !among(flatten, row)) {
            print_row(table, (struct str[]){row, print_cell(arena, value)});
            continue;
        }
        yyjson_obj_foreach(value, inner_at, inner_count, inner_name, inner_value)
        {
            struct str inner = arena_printf(arena, STR_FMT "." STR_FMT, STR_ARG(row),
                                            STR_ARG(json_str(inner_name)));
            print_row(table, (struct str[]){inner, print_cell(arena, inner_value)});
        }
    }
}

void print_object(struct arena *arena, yyjson_val *object, const char *flatten)
{
    static const char *const heads[] = {"MEMBER", "VALUE"};
    struct print_table table;
    size_t at, count;
    yyjson_val *name, *value;
    print_open(&table, arena, heads, 2);
    yyjson_obj_foreach(object, at, count, name, value)
    {
        if (!yyjson_is_obj(value) || !among(flatten, json_str(name))) {
            print_row(&table, (struct str[]){json_str(name), print_cell(arena, value)});
            continue;
        }
        print_members(&table, value, json_str(name), flatten);
    }
    print_close(&table);
}

struct str print_count(struct arena *arena, int64_t n, const char *word)
{
    return arena_printf(arena, "%lld %s%s", (long long)n, word, n == 1 ? "" : "s");
}
