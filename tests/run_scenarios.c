/* Plays tests/scenarios/<name>.txt against the product in this process, one test each; what they say and how is told
 * in tests/scenarios/README.md. Each answer is also written to transcript/<name>.ndjson beside this program, for
 * tests/validate_openapi.py. Scenarios with `home: server` need a socket: tests/e2e_scenarios.py plays those. */
#include <dirent.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "scenario.h"

#define HEADERS_MAX 16
#define SCENARIOS_MAX 512

/* A request as its lines are read, and its answer. */
struct turn {
    struct str who;
    struct header headers[HEADERS_MAX];
    size_t header_count;
    struct str method, target;
    struct text body, expected;
    bool asked, in_body, loopback, plain;
    struct response response;
    struct str request_id;
    FILE *transcript;
};

_Noreturn void scenario_fail(const struct scenario *scenario, const char *format, ...)
{
    char words[8192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    test_fail(scenario->path, scenario->line, "%s", words);
}

/* --- asking ---------------------------------------------------------------------------------------------- */
static void write_transcript(struct scenario *scenario, const struct turn *turn)
{
    const struct response *response = &turn->response;
    struct text text;
    text_open(&text, &scenario->arena, (size_t)16 << 20);
    text_printf(&text, "{\"line\":%d,\"method\":", scenario->line);
    text_add_json(&text, turn->method);
    text_add(&text, STR(",\"target\":"));
    text_add_json(&text, turn->target);
    text_printf(&text, ",\"status\":%d,\"headers\":{\"x-request-id\":", response->status);
    text_add_json(&text, turn->request_id);
    for (size_t i = 0; i < response->header_count; i++) {
        text_add_char(&text, ',');
        text_add_json(&text, response->headers[i].name);
        text_add_char(&text, ':');
        text_add_json(&text, response->headers[i].value);
    }
    text_add(&text, STR("},\"body\":"));
    text_add_json(&text, response->body);
    text_add(&text, STR("}\n"));
    CHECK(!text.full);
    fwrite(text.s, 1, text.len, turn->transcript);
}

static void add_header(struct turn *turn, struct str name, struct str value)
{
    CHECK(turn->header_count < HEADERS_MAX);
    turn->headers[turn->header_count++] = (struct header){name, value};
}

static void ask(struct scenario *scenario, struct turn *turn)
{
    struct str credential = scenario_credential(scenario, turn->who);
    if (credential.len) {
        add_header(turn, STR("x-api-key"), credential);
    }
    if (turn->body.len && !turn->plain) {
        add_header(turn, STR("content-type"), STR("application/json"));
    }
    struct request request = {.method = turn->method,
                              .target = turn->target,
                              .headers = turn->headers,
                              .header_count = turn->header_count,
                              .body = text_str(&turn->body),
                              .loopback = turn->loopback};
    scenario_ask(scenario, &request, &turn->response, &turn->request_id);
    write_transcript(scenario, turn);
    turn->asked = true;
}

/* --- request lines ------------------------------------------------------------------------------------------ */
static bool is_header(struct str line)
{
    size_t name = 0;
    while (name < line.len &&
           ((line.s[name] >= 'a' && line.s[name] <= 'z') || line.s[name] == '-')) {
        name++;
    }
    return name > 0 && name + 1 < line.len && line.s[name] == ':' && line.s[name + 1] == ' ';
}

static void begin_request(struct scenario *scenario, struct turn *turn, struct str line)
{
    struct str method = text_cut(&line, ' ');
    *turn = (struct turn){.who = turn->who,
                          .method = method,
                          .target = scenario_fill(scenario, line),
                          .loopback = turn->loopback,
                          .transcript = turn->transcript};
    text_open(&turn->body, &scenario->arena, SCENARIO_LINE_MAX_BYTES);
    text_open(&turn->expected, &scenario->arena, SCENARIO_LINE_MAX_BYTES);
}

static void repeat_text(struct scenario *scenario, struct turn *turn, struct str line)
{
    int64_t count;
    if (text_to_i64(text_cut(&line, ' '), &count) != RC_OK) {
        scenario_fail(scenario, ">* wants: COUNT TEXT");
    }
    for (int64_t i = 0; i < count; i++) {
        text_add(&turn->body, line);
    }
    CHECK(!turn->body.full);
}

static void read_request(struct scenario *scenario, struct turn *turn, struct str line)
{
    if (str_starts(line, STR(">*"))) {
        repeat_text(scenario, turn, text_trim(str_from(line, 2)));
        turn->in_body = true;
        return;
    }
    if (str_starts(line, STR(">|"))) {
        struct str exact = str_from(line, str_starts(line, STR(">| ")) ? 3 : 2);
        text_add(&turn->body, scenario_fill(scenario, exact));
        turn->in_body = true;
        return;
    }
    line = text_trim(str_from(line, 1));
    if (!turn->method.len || turn->asked) {
        begin_request(scenario, turn, line);
    } else if (!turn->in_body && is_header(line)) {
        struct str name = text_cut(&line, ':'), value = scenario_fill(scenario, text_trim(line));
        bool none = str_is(value, "-");
        turn->plain |= str_is(name, "content-type");
        if (!none) {
            add_header(turn, name, value);
        }
    } else {
        text_add(&turn->body, scenario_fill(scenario, line));
        turn->in_body = true;
    }
}

/* --- answer lines --------------------------------------------------------------------------------------------- */
static void expect_status(struct scenario *scenario, struct turn *turn, struct str line)
{
    int64_t status;
    struct str code = line;
    if (text_to_i64(text_cut(&code, ' '), &status) != RC_OK) {
        scenario_fail(scenario, "an answer begins with its status");
    }
    if (status != turn->response.status) {
        scenario_fail(scenario, "status is %d, expected %d: " STR_FMT, turn->response.status,
                      (int)status, STR_ARG(turn->response.body));
    }
    struct str type = response_header(&turn->response, "content-type");
    if (code.len) {
        if (!str_is(type, "application/problem+json")) {
            scenario_fail(scenario, "the answer is " STR_FMT, STR_ARG(type));
        }
        scenario_match(scenario,
                       arena_printf(&scenario->arena,
                                    "{\"status\":%d,\"code\":\"" STR_FMT
                                    "\",\"type\":\"urn:hourbell:problem:" STR_FMT
                                    "\",\"request_id\":\"" STR_FMT "\",\"...\":0}",
                                    (int)status, STR_ARG(code), STR_ARG(code),
                                    STR_ARG(turn->request_id)),
                       turn->response.body);
    }
}

static void expect_header(struct scenario *scenario, struct turn *turn, struct str line)
{
    struct str name = text_cut(&line, ':'), wanted = text_trim(line), value = STR("-");
    for (size_t i = 0; i < turn->response.header_count; i++) {
        if (str_equal(turn->response.headers[i].name, name)) {
            value = turn->response.headers[i].value;
        }
    }
    if (str_is(name, "x-request-id")) {
        value = turn->request_id;
    }
    if (str_is(value, "-") && !str_is(wanted, "-")) {
        scenario_fail(scenario, STR_FMT " is missing", STR_ARG(name));
    }
    if (!scenario_fits(scenario, wanted, value)) {
        scenario_fail(scenario, STR_FMT " is " STR_FMT, STR_ARG(name), STR_ARG(value));
    }
}

static void read_answer(struct scenario *scenario, struct turn *turn, struct str line)
{
    line = text_trim(str_from(line, 1));
    if (!turn->asked) {
        if (!turn->method.len) {
            scenario_fail(scenario, "an answer without a request");
        }
        ask(scenario, turn);
        expect_status(scenario, turn, line);
    } else if (str_starts(line, STR("bytes "))) {
        if (!scenario_fits(scenario, str_from(line, 6), turn->response.body)) {
            scenario_fail(scenario, "the bytes are " STR_FMT, STR_ARG(turn->response.body));
        }
    } else if (!turn->expected.len && is_header(line)) {
        expect_header(scenario, turn, line);
    } else {
        text_add(&turn->expected, line);
    }
}

/* The body that was expected has been read to its end. */
static void finish_answer(struct scenario *scenario, struct turn *turn)
{
    if (turn->method.len && !turn->asked) {
        scenario_fail(scenario, "the request before has no answer");
    }
    if (turn->expected.len) {
        scenario_match(scenario, text_str(&turn->expected), turn->response.body);
        turn->expected.len = 0;
    }
}

/* --- a file ------------------------------------------------------------------------------------------------------ */
static struct str read_file(struct arena *arena, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        FAIL("cannot read %s", path);
    }
    struct text text;
    char chunk[4096];
    text_open(&text, arena, SCENARIO_LINE_MAX_BYTES);
    for (size_t len; (len = fread(chunk, 1, sizeof(chunk), file)) > 0;) {
        text_add(&text, (struct str){chunk, len});
    }
    fclose(file);
    CHECK(!text.full);
    return text_str(&text);
}

static void play_line(struct scenario *scenario, struct turn *turn, struct str line)
{
    bool answer = line.len && line.s[0] == '<';
    bool request = line.len && line.s[0] == '>';
    if (!answer && (turn->asked || !request)) {
        finish_answer(scenario, turn);
        if (turn->asked) {
            turn->method = STR_NONE;
            turn->asked = false;
        }
    }
    if (answer) {
        read_answer(scenario, turn, line);
    } else if (request) {
        read_request(scenario, turn, line);
    } else if (str_starts(line, STR("as "))) {
        turn->who = str_from(line, 3);
    } else if (str_starts(line, STR("loopback "))) {
        turn->loopback = str_is(str_from(line, 9), "yes");
    } else if (line.len && line.s[0] != '#' && !str_starts(line, STR("home: "))) {
        scenario_do(scenario, line);
    }
}

static void play(void)
{
    struct scenario scenario = {0};
    struct turn turn = {.who = STR("acme")};
    char relative[512], transcript[512];
    snprintf(relative, sizeof(relative), "tests/scenarios/%s.txt", test_running->name);
    snprintf(transcript, sizeof(transcript), "transcript/%s.ndjson", test_running->name);
    scenario.path = relative;
    arena_open(&scenario.arena, (size_t)1 << 30);
    mkdir(test_built_path("transcript"), 0777);
    turn.transcript = fopen(test_built_path(transcript), "wb");
    CHECK(turn.transcript != NULL);
    struct str rest = read_file(&scenario.arena, test_source_path(relative));
    scenario_open(&scenario);
    while (rest.len) {
        scenario.line++;
        play_line(&scenario, &turn, text_trim(text_cut(&rest, '\n')));
    }
    play_line(&scenario, &turn, STR_NONE);
    scenario_close(&scenario);
    fclose(turn.transcript);
    arena_close(&scenario.arena);
}

/* --- one test for each file ---------------------------------------------------------------------------------------- */
/* This program is <repository>/build/<mode>/tests; the harness knows its folders only later. */
static bool folder_of_scenarios(char *ret_path, size_t size)
{
    char program[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);
    if (len <= 0) {
        return false;
    }
    program[len] = '\0';
    *strrchr(program, '/') = '\0';
    return snprintf(ret_path, size, "%s/../../tests/scenarios", program) < (int)size;
}

static bool is_for_server(const char *folder, const char *name)
{
    char path[PATH_MAX], line[256];
    bool server = false;
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path)) {
        return false;
    }
    FILE *file = fopen(path, "rb");
    while (file && !server && fgets(line, sizeof(line), file)) {
        server = strncmp(line, "home: server", 12) == 0;
    }
    if (file) {
        fclose(file);
    }
    return server;
}

__attribute__((constructor)) static void register_all(void)
{
    static struct test all[SCENARIOS_MAX];
    static char names[SCENARIOS_MAX][NAME_MAX + 1];
    char folder[PATH_MAX];
    int count = 0;
    DIR *listing = folder_of_scenarios(folder, sizeof(folder)) ? opendir(folder) : NULL;
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        size_t len = strlen(entry->d_name);
        if (len <= 4 || strcmp(entry->d_name + len - 4, ".txt") != 0 ||
            is_for_server(folder, entry->d_name)) {
            continue;
        }
        assert(count < SCENARIOS_MAX);
        snprintf(names[count], sizeof(names[count]), "%.*s", (int)len - 4, entry->d_name);
        all[count] = (struct test){.file = "tests/scenarios",
                                   .name = names[count],
                                   .line = count,
                                   .limit_s = 60,
                                   .run = play};
        test_register(&all[count++]);
    }
    if (listing) {
        closedir(listing);
    }
}

/* --- all codes ------------------------------------------------------------------------------------------------------- */
#define X(code, status, title, exit_code) {#code, status},
static const struct {
    const char *code;
    int status;
} codes[] = {PROBLEMS(X)};
#undef X

/* P10: each code that the interface names is provoked by some scenario. */
TEST(every_problem_code_is_provoked_by_a_scenario)
{
    struct arena arena;
    struct text all;
    arena_open(&arena, 0);
    text_open(&all, &arena, (size_t)16 << 20);
    const char *folder = test_source_path("tests/scenarios");
    DIR *listing = opendir(folder);
    CHECK(listing != NULL);
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (strstr(entry->d_name, ".txt")) {
            struct str path = arena_printf(&arena, "%s/%s", folder, entry->d_name);
            text_add(&all, read_file(&arena, path.s));
        }
    }
    closedir(listing);
    CHECK(!all.full);
    int missing = 0;
    for (size_t i = 0; i < COUNT_OF(codes); i++) {
        struct str line = arena_printf(&arena, "\n< %d %s\n", codes[i].status, codes[i].code);
        if (!memmem(all.s, all.len, line.s, line.len)) {
            fprintf(stderr, "no scenario provokes %d %s\n", codes[i].status, codes[i].code);
            missing++;
        }
    }
    CHECK_INT(missing, 0);
    arena_close(&arena);
}
