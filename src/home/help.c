/* The help of the command line, printed from the table of sub-commands: what one of them takes, and the list
 * of them all. The man page and the completions say the same in other forms: manual.c. */
#include "home/manual.h"

#include <ctype.h>

#define HELP_COLUMNS 80

/* Break a text into lines; \n\n starts a paragraph. */
static void print_wrapped(FILE *out, const char *text, int indent)
{
    int column = 0;
    for (const char *at = text; *at;) {
        if (at[0] == '\n' && at[1] == '\n') {
            fputs("\n\n", out);
            column = 0;
            at += 2;
            continue;
        }
        at += strspn(at, " \n");
        int len = (int)strcspn(at, " \n");
        if (len == 0) {
            break;
        }
        if (column && column + 1 + len > HELP_COLUMNS) {
            fputc('\n', out);
            column = 0;
        }
        column +=
            fprintf(out, "%*s%.*s", column ? 1 : indent, column || indent ? " " : "", len, at);
        at += len;
    }
    fputc('\n', out);
}

/* Two columns; the right one goes on below itself. */
static void print_row(FILE *out, const char *left, const char *help, int width)
{
    int column = fprintf(out, "  %-*s", width, left);
    if ((int)strlen(left) > width) {
        fputc('\n', out);
        column = 0;
    }
    for (bool first = true; *help; first = false) {
        int len = (int)strcspn(help, " ");
        if (!first && column + 1 + len > HELP_COLUMNS) {
            fputc('\n', out);
            column = 0;
        }
        column += column == 0 ? fprintf(out, "%*s  %.*s", width + 2, "", len, help)
                              : fprintf(out, "%s%.*s", first ? "  " : " ", len, help);
        help += len + (help[len] == ' ');
    }
    fputc('\n', out);
}

static void print_options(FILE *out, const char *title, const struct option *options)
{
    if (!options || options->type == OPTION_END) {
        return;
    }
    fprintf(out, "\n%s:\n", title);
    for (const struct option *option = options; option->type != OPTION_END; option++) {
        char left[128], letter[8] = "    ";
        if (option->letter) {
            snprintf(letter, sizeof letter, "-%c, ", option->letter);
        }
        snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name, option->value ? " " : "",
                 option->value ? option->value : "");
        print_row(out, left, option->help, 26);
    }
}

void command_usage(const struct command_table *table, const struct command *command, FILE *out)
{
    fprintf(out, "%s %s", table->program, command->name);
    if (command->options || command->is_client) {
        fprintf(out, " [OPTION]...");
    }
    for (int i = 0; i < OPERANDS_MAX && command->operands[i].name; i++) {
        const struct operand *operand = &command->operands[i];
        fprintf(out, " %s%s%s%s", operand->optional ? "[" : "", operand->name,
                operand->optional ? "]" : "", operand->repeats ? "..." : "");
    }
}

const char *command_exit_text(int exit_code)
{
    switch (exit_code) {
    case EXIT_DONE:
        return "done";
    case EXIT_FAILED:
        return "failed; the message says why";
    case EXIT_USAGE:
        return "the command line was not understood";
    case EXIT_NOT_FOUND:
        return "not found";
    case EXIT_CONFLICT:
        return "conflict: taken, another state or revision, or in use by another process";
    case EXIT_AUTH:
        return "no valid key, or its role does not allow this";
    case EXIT_INVALID:
        return "the input breaks a rule; the message names the member and the rule";
    case EXIT_UNREACHABLE:
        return "the server cannot be reached, or cannot take the request now";
    case EXIT_PARTIAL:
        return "done in part; what is left was told";
    default:
        return NULL;
    }
}

static void print_exits(FILE *out, const char *exits)
{
    fprintf(out, "\nexit codes:\n");
    for (int code = 0; code <= EXIT_PARTIAL; code++) {
        char digits[16];
        snprintf(digits, sizeof digits, "%d", code);
        if (command_exit_text(code) && (code <= EXIT_USAGE || (exits && strstr(exits, digits)))) {
            print_row(out, digits, command_exit_text(code), 4);
        }
    }
}

static void help_command(const struct command_table *table, const struct command *command,
                         FILE *out)
{
    fprintf(out, "usage: ");
    command_usage(table, command, out);
    fprintf(out, "\n\n%c%s.\n", toupper((unsigned char)command->help[0]), command->help + 1);
    if (command->text) {
        fputc('\n', out);
        print_wrapped(out, command->text, 0);
    }
    if (command->operands[0].name) {
        fprintf(out, "\noperands:\n");
        for (int i = 0; i < OPERANDS_MAX && command->operands[i].name; i++) {
            print_row(out, command->operands[i].name, command->operands[i].help, 26);
        }
    }
    print_options(out, "options", command->options);
    if (command->is_client) {
        print_options(out, "options of all commands that talk to a server", table->client_options);
    }
    print_options(out, "options of all commands", command_common_options);
    if (command->examples[0].line) {
        fprintf(out, "\nexamples:\n");
        for (int i = 0; i < EXAMPLES_MAX && command->examples[i].line; i++) {
            fprintf(out, "  # %s\n  %s\n", command->examples[i].what, command->examples[i].line);
        }
    }
    print_exits(out, command->exits);
}

void command_list(const struct command_table *table, const char *group, FILE *out)
{
    for (const struct command *command = table->commands; command->name; command++) {
        size_t len = group ? strlen(group) : 0;
        if (!group || (strncmp(command->name, group, len) == 0 && command->name[len] == ' ')) {
            print_row(out, command->name, command->help, 14);
        }
    }
}

void command_help(const struct command_table *table, const struct command *command, FILE *out)
{
    if (command) {
        help_command(table, command, out);
        return;
    }
    fprintf(out, "usage: %s COMMAND [OPTION]... [OPERAND]...\n\n", table->program);
    print_wrapped(out, table->help, 0);
    fprintf(out, "\ncommands:\n");
    command_list(table, NULL, out);
    print_row(out, "help", "explain a command; print the man page or completions", 14);
    print_options(out, "options of all commands that talk to a server", table->client_options);
    print_options(out, "options of all commands", command_common_options);
    fprintf(out,
            "\nThese options may stand before the command too. With --json errors are JSON as "
            "well, on\n"
            "standard error.\n"
            "\nSee '%s help COMMAND' for one command, '%s help --man' for the man page, and\n"
            "'%s help --completion bash|zsh|fish' for completions.\n",
            table->program, table->program, table->program);
}
