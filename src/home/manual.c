/* The man page in mdoc, printed from the table of sub-commands and the table of settings, so that it cannot
 * say anything else than the program does. A test holds it against `mandoc -T lint`. */
#include "home/manual.h"

#include <ctype.h>

#include "home/config.h"

#define LINE_COLUMNS 78 /* mandoc -T lint wants at most 80 */

/* One word: a backslash is \e, a hyphen is no dash. out: columns. */
static int mdoc_word(FILE *out, struct str word)
{
    int columns = 0;
    for (size_t i = 0; i < word.len; i++) {
        columns += word.s[i] == '\\'  ? fprintf(out, "\\e")
                   : word.s[i] == '-' ? fprintf(out, "\\-")
                                      : fprintf(out, "%c", word.s[i]);
    }
    return columns;
}

/* A line as it stands, which must not begin like a request. */
static void mdoc_line(FILE *out, const char *text)
{
    if (text[0] == '.' || text[0] == '\'') {
        fputs("\\&", out);
    }
    mdoc_word(out, str_of(text));
    fputc('\n', out);
}

/* Text, in lines of its own making; a new sentence is a new line, \n\n is a new paragraph. */
static void mdoc_text(FILE *out, const char *text)
{
    int column = 0;
    bool ended = false; /* the word before ended a sentence */
    for (const char *at = text; *at;) {
        size_t len = strcspn(at, " \n");
        bool sentence = ended && isupper((unsigned char)at[0]);
        if (column && (sentence || column + 1 + (int)len > LINE_COLUMNS - 4)) {
            fputc('\n', out);
            column = 0;
        }
        if (column) {
            column += fprintf(out, " ");
        } else if (at[0] == '.' || at[0] == '\'') {
            column += fprintf(out, "\\&");
        }
        column += mdoc_word(out, (struct str){at, len});
        ended = len && (at[len - 1] == '.' || at[len - 1] == ':');
        at += len;
        if (at[0] == '\n' && at[1] == '\n') {
            fputs("\n.Pp\n", out);
            column = 0;
        }
        at += strspn(at, " \n");
    }
    fputc('\n', out);
}

/* Quoted as one argument of a request. */
static void mdoc_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"') {
            fputs("\"\"", out);
        } else if (*text == '\\') {
            fputs("\\e", out);
        } else {
            fputc(*text, out);
        }
    }
    fputc('"', out);
}

static void mdoc_options(FILE *out, const struct option *options)
{
    if (!options || options->type == OPTION_END) {
        return;
    }
    fputs(".Bl -tag -width Ds -compact\n", out);
    for (const struct option *option = options; option->type != OPTION_END; option++) {
        fprintf(out, ".It ");
        if (option->letter) {
            fprintf(out, "Fl %c , ", option->letter);
        }
        fprintf(out, "Fl \\-%s", option->name);
        if (option->value) {
            fprintf(out, " Ar ");
            mdoc_quoted(out, option->value);
        }
        fputc('\n', out);
        mdoc_text(out, option->help);
    }
    fputs(".El\n", out);
}

static void mdoc_command(FILE *out, const struct command *command)
{
    fprintf(out, ".It Cm ");
    mdoc_quoted(out, command->name);
    if (command->options || command->is_client) {
        fprintf(out, " Oo Ar option ... Oc");
    }
    for (int i = 0; i < OPERANDS_MAX && command->operands[i].name; i++) {
        const struct operand *operand = &command->operands[i];
        fprintf(out, " %sAr %s%s%s", operand->optional ? "Oo " : "", operand->name,
                operand->repeats ? " ..." : "", operand->optional ? " Oc" : "");
    }
    fputc('\n', out);
    fprintf(out, "%c%s.\n", toupper((unsigned char)command->help[0]), command->help + 1);
    if (command->text) {
        fputs(".Pp\n", out);
        mdoc_text(out, command->text);
    }
    if (command->operands[0].name) {
        fputs(".Pp\n.Bl -tag -width Ds -compact\n", out);
        for (int i = 0; i < OPERANDS_MAX && command->operands[i].name; i++) {
            fprintf(out, ".It Ar %s\n", command->operands[i].name);
            mdoc_text(out, command->operands[i].help);
        }
        fputs(".El\n", out);
    }
    if (command->options && command->options->type != OPTION_END) {
        fputs(".Pp\n", out);
        mdoc_options(out, command->options);
    }
}

static void mdoc_settings(FILE *out)
{
    struct arena arena;
    struct settings settings;
    arena_open(&arena, 0);
    settings_default(&settings);
    for (enum config_id id = 0; id < CONFIG_COUNT; id++) {
        struct str fallback = config_value(&arena, &settings, id);
        struct str text = arena_printf(&arena, STR_FMT " (default: " STR_FMT ")",
                                       STR_ARG(config_range(&arena, id)),
                                       STR_ARG(fallback.len ? fallback : STR("none")));
        fprintf(out, ".It Cm %s\n", config_setting(id)->name);
        mdoc_text(out, config_setting(id)->help);
        fputs(".br\n", out);
        mdoc_text(out, text.s);
    }
    arena_close(&arena);
}

static const struct {
    const char *name, *help;
} environment[] = {
    {"HOURBELL_URL", "the server that clients talk to, as --url"},
    {"HOURBELL_KEY", "the credential of clients, <id>.<secret>"},
    {"HOURBELL_KEY_FILE",
     "a file whose first line is the credential; must not be readable by others"},
    {"HOURBELL_CONF", "the settings file of the server, as --file"},
    {"HOURBELL_<NAME>", "a setting of the server, in upper case; stronger than the file"},
    {"HOURBELL_SECRET_<NAME>", "a secret of the server, / in its name written as __"},
    {"CREDENTIALS_DIRECTORY", "a folder of secrets, one file each, as systemd makes it"},
};

void manual_print(const struct command_table *table, FILE *out)
{
    fprintf(
        out,
        ".\\\" hourbell %s\n.Dd November 22, 2026\n.Dt HOURBELL 1\n.Os\n.Sh NAME\n.Nm hourbell\n"
        ".Nd device registry that tells SAP once an hour\n.Sh SYNOPSIS\n.Nm\n.Ar command\n.Op "
        "Ar option ...\n"
        ".Op Ar operand ...\n.Nm\n.Cm help\n.Op Ar command | Fl \\-man | Fl \\-completion Ar "
        "shell\n.Sh DESCRIPTION\n",
        table->version);
    mdoc_text(out, table->help);
    fputs(
        ".Pp\nOptions and operands may be mixed;\n.Fl \\-\nends the options.\n"
        "Options of all commands, and of all that talk to a server,\nmay stand before the command "
        "too.\n"
        "On a terminal lists are tables with a heading;\nin a pipe they are lines with tabs and "
        "no heading.\n"
        "What goes wrong is told on standard error;\nwith\n.Fl \\-json\nas a JSON object in the "
        "form of a problem document\n(RFC 9457; "
        "the server\\(aqs own where there was one).\n"
        ".Pp\nOptions of all commands:\n.Pp\n",
        out);
    mdoc_options(out, command_common_options);
    fputs(".Pp\nOptions of all commands that talk to a server:\n.Pp\n", out);
    mdoc_options(out, table->client_options);
    fputs(".Ss Commands\n.Bl -tag -width Ds\n", out);
    for (const struct command *command = table->commands; command->name; command++) {
        mdoc_command(out, command);
    }
    fputs(
        ".El\n.Ss Settings\nOf the server; stronger to weaker: flag, environment, file, default.\n"
        "The file that comes with the program explains each.\n.Bl -tag -width Ds -compact\n",
        out);
    mdoc_settings(out);
    fputs(".El\n.Sh ENVIRONMENT\n.Bl -tag -width Ds -compact\n", out);
    for (size_t i = 0; i < COUNT_OF(environment); i++) {
        fprintf(out, ".It Ev ");
        mdoc_quoted(out, environment[i].name);
        fputc('\n', out);
        mdoc_text(out, environment[i].help);
    }
    fputs(".El\n.Sh EXIT STATUS\n.Bl -tag -width Ds -compact\n", out);
    for (int code = 0; code <= EXIT_PARTIAL; code++) {
        if (command_exit_text(code)) {
            fprintf(out, ".It %d\n", code);
            mdoc_text(out, command_exit_text(code));
        }
    }
    fputs(".El\n.Sh EXAMPLES\n", out);
    for (const struct command *command = table->commands; command->name; command++) {
        for (int i = 0; i < EXAMPLES_MAX && command->examples[i].line; i++) {
            mdoc_text(out, command->examples[i].what);
            fputs(".Bd -literal -offset indent\n", out);
            mdoc_line(out, command->examples[i].line);
            fputs(".Ed\n.Pp\n", out);
        }
    }
    fputs("All commands and their options are above.\n.Sh SEE ALSO\n"
          ".Lk https://www.rfc-editor.org/rfc/rfc7396 \"JSON Merge Patch\"\n"
          ".Lk https://www.rfc-editor.org/rfc/rfc9457 \"Problem Details for HTTP APIs\"\n"
          ".Lk https://www.standardwebhooks.com \"Standard Webhooks\"\n",
          out);
}
