/* Sub-commands: finding the one that is meant, checking its options against its row, and running it. The rule:
 * nothing runs on a command line that was not understood as a whole, and whoever mistypes is told the
 * nearest word. What a command does is its own; help is help.c's, man page and completions are manual.c's. */
#include "home/command.h"

#include <stdarg.h>

#include "base/text.h"
#include "home/manual.h"
#include "home/nearest.h"

#define WORD_MAX 64
#define RUN_MAX_BYTES ((size_t)1 << 30) /* of one run: a table of every device */
#define NAMES_MAX 64                    /* commands, or options of one command */

const struct option command_common_options[] = {
    {"json", 'j', OPTION_FLAG, false, NULL, "answer in JSON: one document, or one per line", 0, 0},
    {"help", 'h', OPTION_FLAG, false, NULL, "print this help", 0, 0},
    {NULL, 0, OPTION_END, false, NULL, NULL, 0, 0},
};

/* ---- values that were given ---------------------------------------------------------------------- */

bool args_has(const struct args *args, const char *option)
{
    return args_nth(args, option, 0) != NULL;
}

/* A flag's value is "": so that args_has and args_nth need no second question. */
const char *args_nth(const struct args *args, const char *option, int n)
{
    for (int i = 0; i < args->given_count; i++) {
        if (strcmp(args->given[i].option->name, option) == 0 && n-- == 0) {
            return args->given[i].value ? args->given[i].value : "";
        }
    }
    return NULL;
}

const char *args_text(const struct args *args, const char *option, const char *fallback)
{
    for (int i = args->given_count - 1; i >= 0; i--) {
        if (strcmp(args->given[i].option->name, option) == 0) {
            return args->given[i].value;
        }
    }
    return fallback;
}

int64_t args_number(const struct args *args, const char *option, int64_t fallback)
{
    const char *value = args_text(args, option, NULL);
    int64_t number = fallback;
    if (value && text_to_i64(str_of(value), &number) != RC_OK) {
        assert(!"the parser has checked it");
    }
    return number;
}

int64_t args_span_ms(const struct args *args, const char *option, int64_t fallback_ms)
{
    const char *value = args_text(args, option, NULL);
    int64_t span_ms = fallback_ms;
    if (value && settings_span_read(str_of(value), &span_ms) != RC_OK) {
        assert(!"the parser has checked it");
    }
    return span_ms;
}

const char *args_operand(const struct args *args, int at, const char *fallback)
{
    return at < args->operand_count ? args->operands[at] : fallback;
}

int command_fail(const struct args *args, enum exit_code exit_code, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fflush(stdout);
    fprintf(stderr, "hourbell%s%s: ", args && args->command ? " " : "",
            args && args->command ? args->command->name : "");
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return (int)exit_code;
}

/* ---- finding the command ----------------------------------------------------------------------------- */

/* Do the words begin with this name? out: how many words it has; 0 = no. */
static int name_matches(const char *name, int argc, char *const *argv)
{
    const char *blank = strchr(name, ' ');
    size_t first_len = blank ? (size_t)(blank - name) : strlen(name);
    if (argc < 1 || strlen(argv[0]) != first_len || memcmp(argv[0], name, first_len) != 0) {
        return 0;
    }
    if (!blank) {
        return 1;
    }
    return argc >= 2 && strcmp(argv[1], blank + 1) == 0 ? 2 : 0;
}

const struct command *command_find(const struct command_table *table, int argc, char *const *argv,
                                   int *ret_words)
{
    for (const struct command *command = table->commands; command->name; command++) {
        int words = name_matches(command->name, argc, argv);
        if (words) {
            *ret_words = words;
            return command;
        }
    }
    return NULL;
}

/* Is the word the first of two-word commands? */
static bool is_group(const struct command_table *table, const char *word)
{
    size_t len = strlen(word);
    for (const struct command *command = table->commands; command->name; command++) {
        if (strncmp(command->name, word, len) == 0 && command->name[len] == ' ') {
            return true;
        }
    }
    return false;
}

static int unknown_command(const struct command_table *table, int argc, char *const *argv)
{
    char asked[2 * WORD_MAX];
    bool group = is_group(table, argv[0]);
    bool second = group && argc > 1 && argv[1][0] != '-';
    snprintf(asked, sizeof asked, "%.60s%s%.60s", argv[0], second ? " " : "",
             second ? argv[1] : "");
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (const struct command *command = table->commands; command->name && count < NAMES_MAX - 1;
         command++) {
        names[count++] = command->name;
    }
    names[count++] = "help";
    int near = nearest(str_of(asked), names, count);
    if (group && !second) {
        fprintf(stderr, "%s: '%s' needs one more word. See '%s help %s'.\n", table->program, asked,
                table->program, asked);
    } else {
        fprintf(stderr, "%s: '%s' is not a command. See '%s help'.\n", table->program, asked,
                table->program);
        if (near >= 0) {
            fprintf(stderr, "\nThe most similar command is\n\t%s\n", names[near]);
        }
    }
    return EXIT_USAGE;
}

/* ---- parsing ------------------------------------------------------------------------------------------- */

struct tables {
    const struct option *lists[3];
};

static struct tables tables_of(const struct command_table *table, const struct command *command)
{
    static const struct option none[] = {{NULL, 0, OPTION_END, false, NULL, NULL, 0, 0}};
    return (struct tables){
        {command->options ? command->options : none,
         command->is_client && table->client_options ? table->client_options : none,
         command_common_options}};
}

static const struct option *option_find(const struct tables *tables, const char *name, size_t len,
                                        char letter)
{
    for (size_t i = 0; i < COUNT_OF(tables->lists); i++) {
        for (const struct option *option = tables->lists[i]; option->type != OPTION_END; option++) {
            if (letter ? option->letter == letter
                       : strlen(option->name) == len && memcmp(option->name, name, len) == 0) {
                return option;
            }
        }
    }
    return NULL;
}

static enum rc unknown_option(const struct args *args, const struct tables *tables,
                              const char *given)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    struct str asked = str_head(str_of(given), strcspn(given, "="));
    for (size_t i = 0; i < COUNT_OF(tables->lists); i++) {
        for (const struct option *option = tables->lists[i]; option->type != OPTION_END; option++) {
            if (count < NAMES_MAX) {
                names[count++] = option->name;
            }
        }
    }
    int near = nearest(str_from(asked, strspn(given, "-")), names, count);
    command_fail(args, EXIT_USAGE, "there is no option " STR_FMT "%s%s%s See 'hourbell help %s'.",
                 STR_ARG(asked), near >= 0 ? "; did you mean --" : "", near >= 0 ? names[near] : "",
                 near >= 0 ? "?" : ".", args->command->name);
    return RC_INVALID;
}

static bool choice_has(const char *choices, const char *value)
{
    size_t len = strlen(value);
    for (const char *at = choices; at; at = strchr(at, '|'), at = at ? at + 1 : NULL) {
        if (len && strncmp(at, value, len) == 0 && (at[len] == '|' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

static enum rc number_check(const struct args *args, const struct option *option, const char *value)
{
    int64_t number = 0;
    bool span = option->type == OPTION_SPAN;
    enum rc rc =
        span ? settings_span_read(str_of(value), &number) : text_to_i64(str_of(value), &number);
    bool out = option->max != 0 && (number < option->min || number > option->max);
    if (rc == RC_OK && !out) {
        return RC_OK;
    }
    const char *unit = span ? " ms" : "";
    if (option->max) {
        command_fail(args, EXIT_USAGE, "--%s is %s from %lld%s to %lld%s, not '%s'", option->name,
                     span ? "a time (500ms, 10s, 2min, 1h)" : "a whole number",
                     (long long)option->min, unit, (long long)option->max, unit, value);
    } else {
        command_fail(args, EXIT_USAGE, "--%s is %s, not '%s'", option->name,
                     span ? "a time (500ms, 10s, 2min, 1h)" : "a whole number", value);
    }
    return RC_INVALID;
}

static enum rc value_check(const struct args *args, const struct option *option, const char *value)
{
    switch (option->type) {
    case OPTION_NUMBER:
    case OPTION_SPAN:
        return number_check(args, option, value);
    case OPTION_CHOICE:
        if (!choice_has(option->value, value)) {
            command_fail(args, EXIT_USAGE, "--%s is one of %s, not '%s'", option->name,
                         option->value, value);
            return RC_INVALID;
        }
        return RC_OK;
    default:
        return RC_OK;
    }
}

static enum rc option_take(struct args *args, const struct option *option, const char *value)
{
    if (!option->repeats && args_nth(args, option->name, 0)) {
        command_fail(args, EXIT_USAGE, "--%s was given twice", option->name);
        return RC_INVALID;
    }
    if (args->given_count == OPTION_GIVEN_MAX) {
        command_fail(args, EXIT_USAGE, "more than %d options", OPTION_GIVEN_MAX);
        return RC_INVALID;
    }
    if (value) {
        TRY(value_check(args, option, value));
    }
    args->given[args->given_count].option = option;
    args->given[args->given_count++].value = value;
    return RC_OK;
}

/* "--name", "--name=value", "-x", "-xvalue"; takes the next word as the value where one is needed. */
static enum rc option_parse(struct args *args, const struct tables *tables, int argc,
                            char *const *argv, int *at)
{
    const char *word = argv[*at], *value = NULL;
    const struct option *option;
    if (word[1] == '-') {
        size_t len = strcspn(word + 2, "=");
        option = option_find(tables, word + 2, len, 0);
        value = word[2 + len] == '=' ? word + 2 + len + 1 : NULL;
    } else {
        option = option_find(tables, "", 0, word[1]);
        value = word[2] ? word + 2 : NULL;
    }
    if (!option) {
        return unknown_option(args, tables, word);
    }
    if (option->type == OPTION_FLAG && value) {
        command_fail(args, EXIT_USAGE, "--%s takes no value", option->name);
        return RC_INVALID;
    }
    if (option->type != OPTION_FLAG && !value) {
        if (*at + 1 == argc) {
            command_fail(args, EXIT_USAGE, "--%s needs a value: %s", option->name, option->value);
            return RC_INVALID;
        }
        value = argv[++*at];
    }
    return option_take(args, option, value);
}

static enum rc operands_check(const struct args *args)
{
    const struct operand *operand = args->command->operands;
    int most = 0;
    for (int i = 0; i < OPERANDS_MAX && operand[i].name; i++) {
        most = operand[i].repeats ? INT32_MAX : most + 1;
        if (!operand[i].optional && args->operand_count <= i) {
            command_fail(args, EXIT_USAGE, "%s is missing: %s. See 'hourbell help %s'.",
                         operand[i].name, operand[i].help, args->command->name);
            return RC_INVALID;
        }
    }
    if (args->operand_count > most) {
        command_fail(args, EXIT_USAGE, "'%s' is one word too many. See 'hourbell help %s'.",
                     args->operands[most], args->command->name);
        return RC_INVALID;
    }
    return RC_OK;
}

enum rc command_parse(const struct command_table *table, const struct command *command, int argc,
                      char *const *argv, struct args *args)
{
    struct tables tables = tables_of(table, command);
    const char **operands = arena_array(args->arena, const char *, (size_t)argc + 1);
    bool only_operands = false;
    args->command = command;
    args->given_count = args->operand_count = 0;
    args->operands = operands;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (!only_operands && strcmp(word, "--") == 0) {
            only_operands = true;
        } else if (only_operands || word[0] != '-' || word[1] == '\0') {
            operands[args->operand_count++] = word;
        } else {
            TRY(option_parse(args, &tables, argc, argv, &i));
        }
    }
    return args_has(args, "help") ? RC_OK : operands_check(args);
}

/* ---- the way in ------------------------------------------------------------------------------------------- */

static int run_help(const struct command_table *table, int argc, char *const *argv)
{
    int words = 0;
    if (argc == 0) {
        command_help(table, NULL, stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[0], "--man") == 0 && argc == 1) {
        manual_print(table, stdout);
        return EXIT_DONE;
    }
    if (strncmp(argv[0], "--completion", 12) == 0) {
        const char *shell = argv[0][12] == '=' ? argv[0] + 13 : argc > 1 ? argv[1] : "";
        if (manual_completion(table, str_of(shell), stdout) == RC_OK) {
            return EXIT_DONE;
        }
        fprintf(stderr, "%s help: --completion is one of bash, zsh, fish, not '%s'\n",
                table->program, shell);
        return EXIT_USAGE;
    }
    const struct command *command = command_find(table, argc, argv, &words);
    if (command && words == argc) {
        command_help(table, command, stdout);
        return EXIT_DONE;
    }
    if (argc == 1 && is_group(table, argv[0])) {
        fprintf(stdout, "commands of '%s %s':\n", table->program, argv[0]);
        command_list(table, argv[0], stdout);
        return EXIT_DONE;
    }
    return unknown_command(table, argc, argv);
}

int command_run(const struct command_table *table, int argc, char *const *argv)
{
    int words = 0;
    if (argc < 2) {
        command_help(table, NULL, stdout);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        return run_help(table, argc - 2, argv + 2);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("%s %s\n", table->program, table->version);
        return EXIT_DONE;
    }
    const struct command *command = command_find(table, argc - 1, argv + 1, &words);
    if (!command) {
        if (argc == 3 && is_group(table, argv[1]) &&
            (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
            return run_help(table, 1, argv + 1);
        }
        return unknown_command(table, argc - 1, argv + 1);
    }
    struct arena arena;
    arena_open(&arena, RUN_MAX_BYTES);
    struct args args = {.arena = &arena};
    int exit_code = EXIT_USAGE;
    if (command_parse(table, command, argc - 1 - words, argv + 1 + words, &args) == RC_OK) {
        if (args_has(&args, "help")) {
            command_help(table, command, stdout);
            exit_code = EXIT_DONE;
        } else {
            exit_code = command->run(&args);
        }
    }
    arena_close(&arena);
    if (fflush(stdout) != 0 && exit_code == EXIT_DONE) {
        fprintf(stderr, "%s: cannot write to standard output\n", table->program);
        exit_code = EXIT_FAILED;
    }
    return exit_code;
}
