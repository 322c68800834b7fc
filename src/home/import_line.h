/* One line of an import: what it asks for, checked as far as this side can; the rules of names and documents are the
 * server's, but for the folding of the name, which keeps the lines of one device in order. */
#ifndef HOME_IMPORT_LINE_H
#define HOME_IMPORT_LINE_H

#include "core/model.h"

enum import_op { IMPORT_CREATE, IMPORT_UPDATE, IMPORT_UPSERT };

struct import_line {
    enum import_op op;
    struct str name;       /* as written; "" where the line has none */
    struct str key;        /* folded; the name itself where it breaks a rule */
    struct str attributes; /* JSON */
    struct str owner;      /* "" = none */
    enum problem problem;  /* PROBLEM_NONE, or why it cannot be sent */
    struct str detail;     /* of the problem */
};

struct import_rules {
    enum import_op mode; /* of a line without "op" */
    struct str owner;    /* of a line without "owner"; "" = none */
    bool check_names;    /* refuse names here too: a dry run asks no server */
};

/* Read a line (without its newline). out: in call->arena; a line that cannot be sent has a problem. */
void import_line_read(struct call *, struct str text, const struct import_rules *,
                      struct import_line *ret_line);
/* The body of its create or update request. */
struct str import_line_body(struct arena *, const struct import_line *, bool create);
enum import_op import_op_of(struct str name, enum import_op fallback);

#endif
