/* Sub-commands: finding the one that is meant, checking its options against its row, and running it. The rule:
 * nothing runs on a command line that was not understood as a whole, and whoever mistypes is told the
 * nearest word. What a command does is its own; help is help.c's, man page and completions are manual.c's. */
#include "home/command.h"

#include <stdarg.h>

#include "base/nearest.h"
#include "base/text.h"
#include "home/manual.h"
#include "home/print.h"

#define WORD_MAX 64
#define RUN_MAX_BYTES ((size_t)1 << 30) /* of one run: a table of every device */
#define NAMES_MAX 128        /* commands and what people try instead, or options of one command */
#define WORDS_MAX_BYTES 1024 /* of one remark */

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

/* ---- telling ------------------------------------------------------------------------------------------------ */

static const char *exit_name(enum exit_code exit_code)
{
    switch (exit_code) {
    case EXIT_USAGE:
        return "usage";
    case EXIT_NOT_FOUND:
        return "not_found";
    case EXIT_CONFLICT:
        return "conflict";
    case EXIT_AUTH:
        return "unauthorized";
    case EXIT_INVALID:
        return "invalid";
    case EXIT_UNREACHABLE:
        return "unreachable";
    case EXIT_PARTIAL:
        return "partial";
    default:
        return "failed";
    }
}

static void tell_json(struct arena *arena, enum exit_code exit_code, struct str words)
{
    struct text text;
    struct str detail = text_cut(&words, '\n');
    struct str hint = str_from(words, words.len ? strspn(words.s, " \n\t") : 0);
    const char *name = exit_name(exit_code);
    text_open(&text, arena, 8 * WORDS_MAX_BYTES);
    text_printf(&text, "{\"type\":\"urn:hourbell:problem:%s\",\"title\":", name);
    text_add_json(&text, str_of(command_exit_text((int)exit_code)));
    text_printf(&text, ",\"code\":\"%s\",\"detail\":", name);
    text_add_json(&text, detail);
    text_printf(&text, ",\"exit_code\":%d", (int)exit_code);
    if (hint.len) {
        text_add(&text, STR(",\"hint\":"));
        text_add_json(&text, hint);
    }
    text_add_char(&text, '}');
    print_json(stderr, text_str(&text));
}

/* Lines for people: what it is about, and words in which newlines and tabs are ours. */
static void tell_words(const struct args *args, const char *words)
{
    bool known = args && args->command;
    fprintf(stderr, "hourbell%s%s: ", known ? " " : "", known ? args->command->name : "");
    print_text(stderr, str_of(words), "\n\t");
    fputc('\n', stderr);
}

int command_fail(const struct args *args, enum exit_code exit_code, const char *format, ...)
{
    char words[WORDS_MAX_BYTES];
    va_list list;
    va_start(list, format);
    vsnprintf(words, sizeof words, format, list);
    va_end(list);
    fflush(stdout);
    if (args && args->json) {
        tell_json(args->arena, exit_code, str_of(words));
    } else {
        tell_words(args, words);
    }
    return (int)exit_code;
}

void command_note(const struct args *args, const char *format, ...)
{
    char words[WORDS_MAX_BYTES];
    va_list list;
    va_start(list, format);
    vsnprintf(words, sizeof words, format, list);
    va_end(list);
    if (args->json) {
        struct text text;
        text_open(&text, args->arena, 8 * WORDS_MAX_BYTES);
        text_add(&text, STR("{\"note\":"));
        text_add_json(&text, str_of(words));
        text_add_char(&text, '}');
        print_json(stderr, text_str(&text));
    } else {
        tell_words(args, words);
    }
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

/* Is the word among words, with blanks between? */
static bool among(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = words; at; at = strchr(at, ' '), at = at ? at + 1 : NULL) {
        if (len && strncmp(at, word, len) == 0 && (at[len] == ' ' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

/* The command that was probably meant: by a word that people try instead, else by its letters. NULL = none. */
static const char *nearest_command(const struct command_table *table, const char *asked)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (const struct command *command = table->commands; command->name && count < NAMES_MAX - 1;
         command++) {
        if (command->also && among(command->also, asked)) {
            return command->name;
        }
        names[count++] = command->name;
    }
    names[count++] = "help";
    int near = nearest(str_of(asked), names, count);
    return near >= 0 ? names[near] : NULL;
}

static int unknown_command(const struct command_table *table, const struct args *args, int argc,
                           char *const *argv)
{
    char asked[2 * WORD_MAX];
    bool group = is_group(table, argv[0]);
    bool second = group && argc > 1 && argv[1][0] != '-';
    snprintf(asked, sizeof asked, "%.60s%s%.60s", argv[0], second ? " " : "",
             second ? argv[1] : "");
    if (group && !second) {
        return command_fail(args, EXIT_USAGE, "'%s' needs one more word. See '%s help %s'.", asked,
                            table->program, asked);
    }
    const char *near = nearest_command(table, asked);
    return command_fail(args, EXIT_USAGE, "'%s' is not a command. See '%s help'.%s%s", asked,
                        table->program, near ? "\n\nThe most similar command is\n\t" : "",
                        near ? near : "");
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

static struct str nearest_choice(struct arena *arena, const char *choices, const char *value)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (struct str rest = str_of(choices); rest.len && count < NAMES_MAX;) {
        names[count++] = arena_copy(arena, text_cut(&rest, '|')).s;
    }
    int near = nearest(str_of(value), names, count);
    return near >= 0 ? str_of(names[near]) : STR_NONE;
}

/* "100", or as a span "100ms", "30s", "1h". */
static const char *amount(char *room, size_t room_bytes, int64_t number, bool span)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
    size_t i = 0;
    while (span && number % units[i].ms != 0) {
        i++;
    }
    snprintf(room, room_bytes, "%lld%s", (long long)(span ? number / units[i].ms : number),
             span && number ? units[i].unit : "");
    return room;
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
    char least[32], most[32];
    if (option->max == INT64_MAX) {
        command_fail(args, EXIT_USAGE, "--%s is a whole number, %lld or more, not '%s'",
                     option->name, (long long)option->min, value);
    } else if (option->max) {
        command_fail(args, EXIT_USAGE, "--%s is %s from %s to %s, not '%s'", option->name,
                     span ? "a time (500ms, 10s, 2min, 1h)" : "a whole number",
                     amount(least, sizeof least, option->min, span),
                     amount(most, sizeof most, option->max, span), value);
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
            struct str near = nearest_choice(args->arena, option->value, value);
            command_fail(args, EXIT_USAGE, "--%s is one of %s, not '%s'%s" STR_FMT "%s",
                         option->name, option->value, value, near.len ? "; did you mean " : "",
                         STR_ARG(near), near.len ? "?" : "");
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

/* The option that a word names: "--name", "--name=value", "-x", "-xvalue". out: its value in the word, NULL = none there. */
static const struct option *option_of(const struct tables *tables, const char *word,
                                      const char **ret_value)
{
    if (word[1] == '-') {
        size_t len = strcspn(word + 2, "=");
        *ret_value = word[2 + len] == '=' ? word + 2 + len + 1 : NULL;
        return option_find(tables, word + 2, len, 0);
    }
    *ret_value = word[2] ? word + 2 : NULL;
    return option_find(tables, "", 0, word[1]);
}

/* Takes the next word as the value where one is needed. */
static enum rc option_parse(struct args *args, const struct tables *tables, int argc,
                            char *const *argv, int *at)
{
    const char *word = argv[*at], *value = NULL;
    const struct option *option = option_of(tables, word, &value);
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
    for (int i = 0; i < args->operand_count && i < OPERANDS_MAX && operand[i].name; i++) {
        if (args->operands[i][0] ==
            '\0') { /* a variable of the shell that is not set, most often */
            command_fail(args, EXIT_USAGE, "%s is empty: %s", operand[i].name, operand[i].help);
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

static int run_help(const struct command_table *table, const struct args *args, int argc,
                    char *const *argv)
{
    int words = 0;
    while (argc > 0 &&
           (strcmp(argv[argc - 1], "--json") == 0 || strcmp(argv[argc - 1], "-j") == 0)) {
        argc--; /* there is no help in JSON */
    }
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
        return command_fail(args, EXIT_USAGE, "--completion is one of bash, zsh, fish, not '%s'",
                            shell);
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
    return unknown_command(table, args, argc, argv);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* How many words before the command are options, with their values. fails: RC_INVALID, told. */
static enum rc leading_count(const struct command_table *table, const struct args *args, int argc,
                             char *const *argv, int *ret_count)
{
    const struct command anything = {.is_client = true};
    struct tables tables = tables_of(table, &anything);
    int at = 1;
    while (at < argc && argv[at][0] == '-' && argv[at][1] && !is_help(argv[at]) &&
           strcmp(argv[at], "--version") != 0) {
        const char *value = NULL;
        const struct option *option = option_of(&tables, argv[at], &value);
        if (!option) {
            command_fail(args, EXIT_USAGE,
                         "%s stands before the command; such options come behind it: %s COMMAND %s",
                         argv[at], table->program, argv[at]);
            return RC_INVALID;
        }
        at += option->type != OPTION_FLAG && !value ? 2 : 1;
    }
    *ret_count = (at < argc ? at : argc) - 1;
    return RC_OK;
}

/* Asked for on the command line, however the rest of it is to be understood? */
static bool wants_json(int argc, char *const *argv)
{
    bool json = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        json = json || strcmp(argv[i], "--json") == 0 || strcmp(argv[i], "-j") == 0;
    }
    return json;
}

/* The command's own words, the options that stood before it, and the rest. */
static int run_command(const struct command_table *table, struct args *args, int leading, int argc,
                       char *const *argv)
{
    int words = 0;
    char *const *own = argv + 1 + leading;
    int own_count = argc - 1 - leading;
    const struct command *command = command_find(table, own_count, own, &words);
    if (!command) {
        if (own_count == 2 && is_group(table, own[0]) && is_help(own[1])) {
            return run_help(table, args, 1, own);
        }
        return unknown_command(table, args, own_count, own);
    }
    char **behind = arena_array(args->arena, char *, (size_t)argc + 1);
    memcpy(behind, argv + 1, (size_t)leading * sizeof *behind);
    memcpy(behind + leading, own + words, (size_t)(own_count - words) * sizeof *behind);
    if (command_parse(table, command, leading + own_count - words, behind, args) != RC_OK) {
        return EXIT_USAGE;
    }
    args->json = args_has(args, "json");
    if (args_has(args, "help")) {
        command_help(table, command, stdout);
        return EXIT_DONE;
    }
    return command->run(args);
}

static int run_any(const struct command_table *table, struct args *args, int argc,
                   char *const *argv)
{
    int leading = 0;
    if (leading_count(table, args, argc, argv, &leading) != RC_OK) {
        return EXIT_USAGE;
    }
    const char *first = leading + 1 < argc ? argv[leading + 1] : NULL;
    if (!first && args->json) {
        return command_fail(args, EXIT_USAGE, "no command was given\n\nSee '%s help'.",
                            table->program);
    }
    if (!first) {
        command_help(table, NULL, stderr);
        return EXIT_USAGE;
    }
    if (strcmp(first, "help") == 0 || is_help(first)) {
        return run_help(table, args, argc - leading - 2, argv + leading + 2);
    }
    if (strcmp(first, "--version") == 0) {
        printf("%s %s\n", table->program, table->version);
        return EXIT_DONE;
    }
    return run_command(table, args, leading, argc, argv);
}

int command_run(const struct command_table *table, int argc, char *const *argv)
{
    struct arena arena;
    arena_open(&arena, RUN_MAX_BYTES);
    struct args args = {.arena = &arena, .json = wants_json(argc, argv)};
    int exit_code = run_any(table, &args, argc, argv);
    if (fflush(stdout) != 0 && exit_code == EXIT_DONE) {
        exit_code = command_fail(&args, EXIT_FAILED, "standard output cannot be written");
    }
    arena_close(&arena);
    return exit_code;
}
