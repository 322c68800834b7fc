/* The command line: what the parser takes and refuses, and that help, man page and completions say what the table
 * says. The real table is held against a real server by e2e_cli.py. */
#include "home/command.h"
#include "home/import_line.h"
#include "home/import_state.h"
#include "home/manual.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct option see_options[] = {
    {"colour", 'c', OPTION_CHOICE, false, "red|green|blue", "which one", 0, 0},
    {"count", 'n', OPTION_NUMBER, false, "COUNT", "how many", 1, 9},
    {"wait", 'w', OPTION_SPAN, false, "TIME", "how long", 100, 60000},
    {"set", 's', OPTION_TEXT, true, "NAME=VALUE", "a setting", 0, 0},
    {"dry-run", 0, OPTION_FLAG, false, NULL, "do nothing", 0, 0},
    {"out", 'o', OPTION_FILE, false, "FILE", "where to", 0, 0},
    {NULL, 0, OPTION_END, false, NULL, NULL, 0, 0},
};
static const struct option client_options[] = {
    {"url", 'u', OPTION_TEXT, false, "URL", "the server", 0, 0},
    {NULL, 0, OPTION_END, false, NULL, NULL, 0, 0},
};

static struct args ran; /* what the function of the sub-command was given */
static int run_count;

static int run(const struct args *args)
{
    ran = *args;
    run_count++;
    return EXIT_PARTIAL;
}

static const struct command commands[] = {
    {.name = "see",
     .help = "look at something",
     .also = "watch view",
     .text = "First paragraph. Second sentence.\n\nAnother paragraph with a \\ in it.",
     .operands = {{"NAME", "what to look at", false, false, false},
                  {"MORE", "and these", true, true, false}},
     .options = see_options,
     .is_client = true,
     .examples = {{"demo see x", "look at x"}},
     .exits = "10 15",
     .run = run},
    {.name = "keys list", .help = "list them", .run = run},
    {.name = "keys make",
     .help = "make one",
     .operands = {{"ID", "which", false, false, false}},
     .run = run},
    {.name = NULL},
};
static const struct command_table table = {.program = "demo",
                                           .help = "A demonstration of sub-commands.",
                                           .version = "1.2.3",
                                           .commands = commands,
                                           .client_options = client_options};
static struct command_table run_table; /* what run_line runs; made from table if nobody did */

/* Run a line and keep what it says: words apart by blanks. */
static struct arena said_arena;
static struct str said_out, said_err;

static struct str slurp(const char *path)
{
    char room[65536];
    FILE *file = fopen(path, "re");
    CHECK(file != NULL);
    size_t len = fread(room, 1, sizeof room, file);
    fclose(file);
    return arena_copy(&said_arena, (struct str){room, len});
}

static int run_line(const char *line)
{
    char *argv[32] = {(char *)(uintptr_t) "demo"};
    int argc = 1;
    if (!said_arena.max_bytes) {
        arena_open(&said_arena, 0);
    }
    struct str copy = arena_copy(&said_arena, str_of(line));
    for (char *at = (char *)(uintptr_t)copy.s; *at;) {
        size_t len = strcspn(at, " ");
        argv[argc++] = at;
        at += len + (at[len] == ' ');
        at[-1] = at[-1] == ' ' ? '\0' : at[-1];
    }
    struct command_table mine = table;
    mine.commands = run_table.commands ? run_table.commands : commands;
    fflush(NULL);
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    CHECK(freopen("out", "we", stdout) && freopen("err", "we", stderr));
    int exit_code = command_run(&mine, argc, argv);
    fflush(NULL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    said_out = slurp("out");
    said_err = slurp("err");
    return exit_code;
}

static void done(void)
{
    arena_close(&said_arena);
}

TEST(options_and_operands_may_be_mixed)
{
    CHECK_INT(run_line("see a --colour green -n 3 b --wait=2s --dry-run -s x=1 --set y=2"),
              EXIT_PARTIAL);
    CHECK_INT(run_count, 1);
    CHECK_INT(ran.operand_count, 2);
    CHECK_STR(str_of(ran.command->name), "see");
    CHECK_INT(ran.given_count, 6);
    done();
}

static int look_ahead(const struct args *args)
{
    CHECK_STR(str_of(args_text(args, "url", "none")), "unix:/x");
    CHECK(args_has(args, "json") && args->json);
    CHECK_INT(args_number(args, "count", 0), 3);
    CHECK_INT(args->operand_count, 2);
    CHECK_STR(str_of(args_operand(args, 1, "none")), "-b");
    return EXIT_DONE;
}

TEST(options_of_all_clients_may_stand_before_the_command)
{
    struct command own[COUNT_OF(commands)];
    memcpy(own, commands, sizeof own);
    own[0].run = look_ahead;
    run_table.commands = own;
    CHECK_INT(run_line("-u unix:/x --json see a -n 3 -- -b"), EXIT_DONE);
    run_table.commands = NULL;
    CHECK_INT(run_line("--url=x keys list"), EXIT_USAGE); /* which is no client */
    CHECK_HAS(said_err, "there is no option --url");
    CHECK_INT(run_line("--url x see a --json"), EXIT_PARTIAL);
    CHECK_INT(run_line("--json help see"), EXIT_DONE);
    CHECK_INT(run_line("help see --json"), EXIT_DONE);
    CHECK_HAS(said_out, "usage: demo see");
    CHECK_INT(run_line("--url x --version"), EXIT_DONE);
    CHECK_INT(run_line("--url"), EXIT_USAGE);
    CHECK_INT(said_out.len, 0);
    CHECK_HAS(said_err, "usage: demo COMMAND");
    CHECK_INT(run_line("see a -- --json"), EXIT_PARTIAL);
    CHECK(!ran.json);
    done();
}

static int fail_with_a_hint(const struct args *args)
{
    command_note(args, "line %d", 1);
    return command_fail(args, EXIT_CONFLICT, "\"%s\" is taken\n  Take another.", "a\xff");
}

/* P11: programs read what went wrong without guessing at words */
TEST(with_json_a_failure_is_one_object_on_standard_error)
{
    struct command own[COUNT_OF(commands)];
    memcpy(own, commands, sizeof own);
    own[0].run = fail_with_a_hint;
    run_table.commands = own;
    CHECK_INT(run_line("see a --json"), EXIT_CONFLICT);
    CHECK_INT(said_out.len, 0);
    CHECK_STR(
        said_err,
        "{\"note\":\"line 1\"}\n"
        "{\"type\":\"urn:hourbell:problem:conflict\",\"title\":\"conflict: taken, another state or "
        "revision, or in use by another "
        "process\",\"code\":\"conflict\",\"detail\":\"\\\"a\xef\xbf\xbd\\\" is "
        "taken\",\"exit_code\":11,\"hint\":\"Take another.\"}\n");
    CHECK_INT(run_line("see a"), EXIT_CONFLICT);
    CHECK_STR(said_err,
              "hourbell see: line 1\nhourbell see: \"a\xef\xbf\xbd\" is taken\n  Take another.\n");
    done();
}

static int look(const struct args *args)
{
    CHECK_STR(str_of(args_text(args, "colour", "none")), "blue");
    CHECK_INT(args_number(args, "count", 0), 9);
    CHECK_INT(args_span_ms(args, "wait", 0), 2000);
    CHECK_STR(str_of(args_nth(args, "set", 1)), "y=2");
    CHECK(args_nth(args, "set", 2) == NULL);
    CHECK(args_has(args, "dry-run") && args_has(args, "url") && !args_has(args, "out"));
    CHECK_STR(str_of(args_text(args, "out", "-")), "-");
    CHECK_STR(str_of(args_operand(args, 1, "")), "-");
    CHECK_STR(str_of(args_operand(args, 2, "")), "--not-an-option");
    CHECK_STR(str_of(args_operand(args, 3, "none")), "none");
    return EXIT_DONE;
}

TEST(values_are_there_for_the_function)
{
    struct command own[COUNT_OF(commands)];
    memcpy(own, commands, sizeof own);
    own[0].run = look;
    struct command_table mine = table;
    mine.commands = own;
    char *argv[] = {"demo", "see", "-cblue", "--count=9",      "-w2s", "--set",
                    "x=1",  "-s",  "y=2",    "--dry-run",      "-u",   "unix:/x",
                    "a",    "-",   "--",     "--not-an-option"};
    CHECK_INT(command_run(&mine, COUNT_OF(argv), argv), EXIT_DONE);
}

TEST(what_is_not_understood_runs_nothing)
{
    static const struct {
        const char *line, *words;
    } cases[] = {
        {"see", "NAME is missing: what to look at"},
        {"see a --colour pink", "--colour is one of red|green|blue, not 'pink'"},
        {"see a --colour re", "not 're'"},
        {"see a --colour", "--colour needs a value: red|green|blue"},
        {"see a -n 0", "--count is a whole number from 1 to 9, not '0'"},
        {"see a -n 10", "not '10'"},
        {"see a -n 1x", "not '1x'"},
        {"see a -w 99ms", "--wait is a time (500ms, 10s, 2min, 1h) from 100ms to 1min, not '99ms'"},
        {"see a -w soon", "not 'soon'"},
        {"see a --dry-run=yes", "--dry-run takes no value"},
        {"see a -n 1 -n 2", "--count was given twice"},
        {"see a --color red", "there is no option --color; did you mean --colour?"},
        {"see a -x", "there is no option -x"},
        {"keys list more", "'more' is one word too many"},
        {"keys make", "ID is missing"},
        {"se a", "The most similar command is\n\tsee"},
        {"keys lst", "The most similar command is\n\tkeys list"},
        {"keys", "'keys' needs one more word"},
        {"nonsense", "'nonsense' is not a command"},
        {"help nonsense", "'nonsense' is not a command"},
        {"help --completion tcsh", "one of bash, zsh, fish"},
        {"view", "The most similar command is\n\tsee"},
        {"see a --colour bleu", "not 'bleu'; did you mean blue?"},
        {"--count 3 see a", "--count stands before the command; such options come behind it"},
        {"--json --count 3 see a", "\"detail\":\"--count stands before the command"},
        {"see a --json -n 0", "{\"type\":\"urn:hourbell:problem:usage\",\"title\":\""},
        {"see a -j -n 0",
         "\"detail\":\"--count is a whole number from 1 to 9, not '0'\",\"exit_code\":2}\n"},
        {"se a --json",
         "\"code\":\"usage\",\"detail\":\"'se' is not a command. See 'demo help'.\","},
        {"se a --json", "\"hint\":\"The most similar command is\\n\\tsee\"}\n"},
        {"keys --json", "\"detail\":\"'keys' needs one more word."},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        CHECK_INT(run_line(cases[i].line), EXIT_USAGE);
        CHECK_HAS(said_err, cases[i].words);
        CHECK_INT(said_out.len, 0);
    }
    CHECK_INT(run_count, 0);
    done();
}

TEST(an_empty_operand_is_no_name)
{
    char *argv[] = {"demo", "keys", "make", ""};
    CHECK_INT(command_run(&table, COUNT_OF(argv), argv), EXIT_USAGE);
    CHECK_INT(run_count, 0);
}

TEST(more_options_than_there_is_room_for_are_refused)
{
    char *argv[2 * OPTION_GIVEN_MAX + 8] = {"demo", "see", "a"};
    int argc = 3;
    for (int i = 0; i <= OPTION_GIVEN_MAX; i++) {
        argv[argc++] = "-s";
        argv[argc++] = "x=1";
    }
    CHECK_INT(command_run(&table, argc, argv), EXIT_USAGE);
    CHECK_INT(run_count, 0);
}

TEST(help_says_what_the_table_says)
{
    CHECK_INT(run_line("help see"), EXIT_DONE);
    CHECK_HAS(said_out, "usage: demo see [OPTION]... NAME [MORE]...");
    CHECK_HAS(said_out, "Look at something.");
    CHECK_HAS(said_out, "-c, --colour red|green|blue");
    CHECK_HAS(said_out, "      --dry-run");
    CHECK_HAS(said_out, "-u, --url URL");
    CHECK_HAS(said_out, "-j, --json");
    CHECK_HAS(said_out, "  # look at x\n  demo see x\n");
    CHECK_HAS(said_out, "  10    not found");
    CHECK_HAS_NOT(said_out, "  11    ");
    struct str help = said_out;
    CHECK_INT(run_line("see --help"), EXIT_DONE);
    CHECK_BYTES(said_out, help);
    CHECK_INT(run_line("see x -h --colour red"), EXIT_DONE);
    CHECK_BYTES(said_out, help);
    CHECK_INT(run_line("keys list --help"), EXIT_DONE);
    CHECK_HAS(said_out, "List them.");
    CHECK_HAS_NOT(said_out, "--url");
    CHECK_INT(run_line("help keys"), EXIT_DONE);
    CHECK_HAS(said_out, "keys list");
    CHECK_HAS(said_out, "keys make");
    CHECK_HAS_NOT(said_out, "look at something");
    CHECK_INT(run_line("keys --help"), EXIT_DONE);
    CHECK_HAS(said_out, "keys make");
    CHECK_INT(run_line("--version"), EXIT_DONE);
    CHECK_STR(said_out, "demo 1.2.3\n");
    done();
}

TEST(the_list_of_commands_is_printed_where_none_is_given)
{
    CHECK_INT(run_line("help"), EXIT_DONE);
    CHECK_HAS(said_out, "  see             look at something\n");
    struct str help = said_out;
    CHECK_INT(run_line("--help"), EXIT_DONE);
    CHECK_BYTES(said_out, help);
    char *argv[] = {"demo"};
    fflush(NULL);
    CHECK_INT(command_run(&table, 1, argv), EXIT_USAGE);
    CHECK_INT(run_line("--json"), EXIT_USAGE);
    CHECK_INT(said_out.len, 0);
    CHECK_HAS(said_err, "{\"type\":\"urn:hourbell:problem:usage\"");
    done();
}

TEST(the_man_page_holds_every_command_option_setting_and_exit_code)
{
    CHECK_INT(run_line("help --man"), EXIT_DONE);
    CHECK_HAS(said_out, ".Sh NAME\n");
    CHECK_HAS(said_out, ".It Cm \"see\" Oo Ar option ... Oc Ar NAME Oo Ar MORE ... Oc\n");
    CHECK_HAS(said_out, "Fl c , Fl \\-colour Ar \"red|green|blue\"");
    CHECK_HAS(said_out,
              "First paragraph.\nSecond sentence.\n.Pp\nAnother paragraph with a \\e in it.\n");
    CHECK_HAS(said_out, ".It Cm boundary_guard\n");
    CHECK_HAS(said_out, ".It Cm stop_timeout\n");
    CHECK_HAS(said_out, ".It 15\n");
    CHECK_HAS(said_out, ".Sh EXAMPLES\n");
    done();
}

TEST(completions_hold_every_command_and_option)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};
    for (size_t i = 0; i < COUNT_OF(shells); i++) {
        char line[64];
        snprintf(line, sizeof line, "help --completion%c%s", i ? ' ' : '=', shells[i]);
        CHECK_INT(run_line(line), EXIT_DONE);
        static const char *const words[] = {"see",    "keys",           "list",    "make",
                                            "colour", "red green blue", "dry-run", "json"};
        for (size_t j = 0; j < COUNT_OF(words); j++) {
            CHECK_HAS(said_out, words[j]);
        }
    }
    done();
}

/* ---- import: lines and state --------------------------------------------------------------------------- */

static struct import_line read_line(struct call *call, const char *text)
{
    struct import_line line;
    struct import_rules rules = {.mode = IMPORT_CREATE, .owner = STR("acme"), .check_names = true};
    import_line_read(call, str_of(text), &rules, &line);
    return line;
}

TEST(a_line_says_what_it_asks_for)
{
    struct arena arena;
    struct call *call;
    arena_open(&arena, 0);
    call = arena_new(&arena, struct call);
    call->arena = &arena;
    struct import_line line =
        read_line(call, "{\"device_name\":\" Pump-7 \",\"attributes\":{\"n\":1.50,\"x\":null}}");
    CHECK_INT(line.problem, PROBLEM_NONE);
    CHECK_INT(line.op, IMPORT_CREATE);
    CHECK_STR(line.key, "pump-7"); /* P5: by this key lines are kept in order */
    CHECK_STR(
        import_line_body(&arena, &line, true),
        "{\"device_name\":\" Pump-7 \",\"attributes\":{\"n\":1.50,\"x\":null},\"owner\":\"acme\"}");
    CHECK_STR(import_line_body(&arena, &line, false),
              "{\"device_name\":\" Pump-7 \",\"attributes\":{\"n\":1.50,\"x\":null}}");
    line = read_line(call, "{\"op\":\"upsert\",\"device_name\":\"\\u0130\",\"owner\":\"other\"}");
    CHECK_INT(line.op, IMPORT_UPSERT);
    CHECK_STR(line.owner, "other");
    CHECK_STR(line.attributes, "{}");
    arena_close(&arena);
}

/* P10 */
TEST(a_line_that_cannot_be_sent_is_named)
{
    static const struct {
        const char *line;
        enum problem problem;
    } cases[] = {
        {"{", PROBLEM_invalid_json},
        {"[]", PROBLEM_not_an_object},
        {"{\"device_name\":\"a\",\"device_name\":\"b\"}", PROBLEM_duplicate_member},
        {"{\"attributes\":{}}", PROBLEM_missing_member},
        {"{\"device_name\":\"a\",\"op\":\"update\"}", PROBLEM_missing_member},
        {"{\"device_name\":7}", PROBLEM_invalid_member},
        {"{\"device_name\":\"a\",\"op\":\"delete\"}", PROBLEM_invalid_member},
        {"{\"device_name\":\"a\",\"atributes\":{}}", PROBLEM_unknown_member},
        {"{\"device_name\":\"a\",\"attributes\":[]}", PROBLEM_not_an_object},
        {"{\"device_name\":\"a/b\"}", PROBLEM_name_invalid},
        {"{\"device_name\":\"a\",\"attributes\":{\"2\":{\"3\":{\"4\":{\"5\":{\"6\":{\"7\":{\"8\":{"
         "\"9\":{}}}}}}}}}}",
         PROBLEM_too_deep},
    };
    struct arena arena;
    arena_open(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct call *call = arena_new(&arena, struct call);
        call->arena = &arena;
        struct import_line line = read_line(call, cases[i].line);
        CHECK_STR(str_of(line.problem ? problem_info(line.problem)->code : "none"),
                  problem_info(cases[i].problem)->code);
        CHECK(line.detail.len > 0);
    }
    arena_close(&arena);
}

TEST(the_state_of_an_import_is_read_back_as_it_was)
{
    struct arena arena;
    struct import_state state, again;
    arena_open(&arena, 0);
    CHECK_RC(import_state_load(&arena, "state", &again), RC_NOT_FOUND);
    import_state_begin(&state, "state", STR("0123456789abcdef0123456789abcdef"), 1700000000123);
    import_state_pass(&state, STR("one"), 4);
    import_state_pass(&state, STR("two"), 5);
    import_state_count(&state, IMPORT_created, 1, STR_NONE, STR_NONE);
    for (int64_t line = 2; line < 10; line++) {
        import_state_count(&state, IMPORT_refused, line, STR("name_invalid"), STR("a \"rule\""));
    }
    import_state_count(&state, IMPORT_refused, 10, STR("device_exists"), STR("taken"));
    CHECK_RC(import_state_save(&arena, &state), RC_OK);
    CHECK_RC(import_state_load(&arena, "state", &again), RC_OK);
    CHECK_STR(str_of(again.id), state.id);
    CHECK_STR(str_of(again.sha), state.sha);
    CHECK_INT(again.line_count, 2);
    CHECK_INT(again.offset_bytes, 9);
    CHECK_INT(again.started_at_ms, state.started_at_ms);
    CHECK_INT(again.finished, false);
    CHECK_INT(again.results[IMPORT_created], 1);
    CHECK_INT(again.results[IMPORT_refused], 9);
    CHECK_INT(again.reason_count, 2);
    CHECK_STR(str_of(again.reasons[0].detail), "a \"rule\"");
    CHECK_INT(again.reasons[0].count, 8);
    CHECK_INT(again.reasons[0].lines[4], 6);
    CHECK_INT(again.reasons[1].lines[0], 10);
    arena_close(&arena);
}

TEST(the_chain_of_lines_tells_files_apart)
{
    struct import_state one, two, three;
    import_state_begin(&one, NULL, STR_NONE, 0);
    import_state_begin(&two, NULL, STR_NONE, 0);
    import_state_begin(&three, NULL, STR_NONE, 0);
    import_state_pass(&one, STR("ab"), 3);
    import_state_pass(&one, STR("c"), 2);
    import_state_pass(&two, STR("a"), 2);
    import_state_pass(&two, STR("bc"), 3);
    import_state_pass(&three, STR("ab"), 3);
    import_state_pass(&three, STR("c"), 2);
    CHECK(strcmp(one.sha, two.sha) != 0);
    CHECK_STR(str_of(one.sha), three.sha);
}

TEST(a_file_that_is_no_state_is_refused)
{
    static const char *const texts[] = {"", "{}", "nonsense", "{\"import_id\":\"x\"}", "[]"};
    struct arena arena;
    struct import_state state;
    arena_open(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        FILE *file = fopen("state", "we");
        CHECK(file && fputs(texts[i], file) >= 0 && fclose(file) == 0);
        CHECK_RC(import_state_load(&arena, "state", &state), RC_INVALID);
    }
    arena_close(&arena);
}
