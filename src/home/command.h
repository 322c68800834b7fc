/* Sub-commands as a table: from it come the parser, the help, the man page and the completions (manual.h).
 * To add one: a function in src/home/cmd_<name>.c, a row in main_hourbell.c. A function gets options that
 * were already checked against its row, and returns the exit code of the process. */
#ifndef HOME_COMMAND_H
#define HOME_COMMAND_H

#include <stdio.h>

#include "core/model.h"

#define OPTION_GIVEN_MAX 64 /* options on one command line, repeats included */

enum option_type {
    OPTION_END,    /* ends a table */
    OPTION_FLAG,   /* no value */
    OPTION_TEXT,   /* any value */
    OPTION_FILE,   /* the same; completions offer files */
    OPTION_FOLDER, /* the same; completions offer folders */
    OPTION_NUMBER, /* a whole number, min..max */
    OPTION_SPAN,   /* 500ms, 10s, 2min, 1h or seconds: milliseconds, min..max */
    OPTION_CHOICE, /* one of the words in `value`, separated by | */
};

struct option {
    const char *name; /* given as --name VALUE or --name=VALUE */
    char letter;      /* -x; 0 = none */
    enum option_type type;
    bool repeats;      /* may be given several times */
    const char *value; /* how help names the value: "FILE"; of a choice its words */
    const char *help;  /* one line; no full stop */
    int64_t min, max;  /* of numbers and spans; max 0 = no limits */
};

struct operand {
    const char *name; /* "NAME"; NULL ends the list */
    const char *help;
    bool optional;
    bool repeats; /* the last one only */
    bool is_path; /* completions offer files */
};

struct example {
    const char *line, *what; /* line NULL ends the list */
};

struct args;

#define OPERANDS_MAX 4
#define EXAMPLES_MAX 4
struct command {
    const char *name; /* one word, or two: "keys create" */
    const char *help; /* one line; no full stop */
    const char *also; /* words that people try instead of its name, blanks between; NULL = none */
    const char *text; /* paragraphs for help and man page, \n\n between them; NULL = none */
    struct operand operands[OPERANDS_MAX];
    const struct option *options; /* ends with OPTION_END; NULL = none */
    bool is_client;               /* talks to a server: takes the options of all clients too */
    bool has_settings;            /* its settings are explained in the man page: serve, config */
    struct example examples[EXAMPLES_MAX];
    const char *exits;               /* exit codes besides 0, 1 and 2, as digits: "10 12 14" */
    int (*run)(const struct args *); /* returns enum exit_code */
};

/* What was given. Values live as long as argv. */
struct args {
    const struct command *command;
    struct arena *arena; /* for the whole run */
    bool json;           /* what goes wrong is told in JSON too: command_fail */
    struct {
        const struct option *option;
        const char *value; /* NULL of a flag */
    } given[OPTION_GIVEN_MAX];
    int given_count;
    const char *const *operands;
    int operand_count;
};

bool args_has(const struct args *, const char *option);
/* The value given last; the fallback if none was. */
const char *args_text(const struct args *, const char *option, const char *fallback);
int64_t args_number(const struct args *, const char *option, int64_t fallback);
int64_t args_span_ms(const struct args *, const char *option, int64_t fallback_ms);
/* The n-th of a repeated option, 0 the first; NULL = there are no more. */
const char *args_nth(const struct args *, const char *option, int n);
const char *args_operand(const struct args *, int at, const char *fallback);

struct command_table {
    const char *program, *help, *version;
    const struct command *commands; /* ends with name NULL */
    const struct option *client_options;
};

/* Parse the command line and run what it asks for: a sub-command, help, or --version.
 *   out    the exit code; EXIT_USAGE after telling on standard error what is wrong, with the nearest known word
 *   rule   options and operands may be mixed; -- ends options; a single - is an operand; options of all clients and of all
 *          commands may stand before the command too */
int command_run(const struct command_table *, int argc, char *const *argv);
/* The parser alone. fails: RC_INVALID, told on standard error. in: argc, argv from behind the command's words. */
MUST enum rc command_parse(const struct command_table *, const struct command *, int argc,
                           char *const *argv, struct args *ret_args);
/* The command of these words; ret_words how many of them (1 or 2) were its name. NULL = none. */
const struct command *command_find(const struct command_table *, int argc, char *const *argv,
                                   int *ret_words);
/* Print the help of one command, or of the program (NULL). */
void command_help(const struct command_table *, const struct command *, FILE *);
/* Tell on standard error what is wrong; hands exit_code on, for `return`. What stands behind the first newline is a hint.
 *   out    with the program's and the command's name in front; with --json one line, a JSON object in the form of a problem
 *          document (RFC 9457): type, title, code, detail, exit_code, hint. Standard output is left to results. */
int command_fail(const struct args *, enum exit_code, const char *format, ...) PRINTF(3, 4);
/* Tell on standard error what is no failure but good to know; with --json {"note":"..."}. */
void command_note(const struct args *, const char *format, ...) PRINTF(2, 3);

#endif
