/* The home that scenarios are played in: see scenario.h. Its steps are those of a home without turns; `lease`,
 * `settle` and `crash` take a delivery apart where a story needs it. At the end every log is checked. */
#include <stdio.h>
#include <stdlib.h>

#include "adapters/clock_manual.h"
#include "adapters/downstream_mock.h"
#include "adapters/store_sqlite.h"
#include "base/text.h"
#include "core/breaker.h"
#include "core/check.h"
#include "core/deliver.h"
#include "core/name.h"
#include "core/notice.h"
#include "core/plan.h"
#include "scenario.h"

#define START_MS INT64_C(1795428300000) /* 2026-11-23T10:05:00Z */
#define TOLD_MAX 256
#define ROUNDS_MAX 1000

struct scenario_home {
    struct clock_manual clock;
    struct settings settings;
    struct store_faults faults;
    struct store *store;
    struct downstream *downstream;
    struct notifier notifier;
    struct world world;
    struct call call; /* of the latest step */
    struct lease lease;
    bool has_lease;
    struct str told[TOLD_MAX];
    int told_count;
};

/* --- the world --------------------------------------------------------------------------------------------- */
static enum told note_event(struct notifier *notifier, struct call *call, const struct event *event,
                            int64_t *ret_again_at_ms)
{
    struct scenario_home *home =
        (struct scenario_home *)((char *)notifier - offsetof(struct scenario_home, notifier));
    (void)call, (void)ret_again_at_ms;
    CHECK(home->told_count < TOLD_MAX);
    home->told[home->told_count++] = event->type;
    return TOLD_DONE;
}

static const struct notifier_ops notifier_ops = {note_event};

static struct call *begin(struct scenario *scenario)
{
    struct call *call = &scenario->home->call;
    call_open(call, &scenario->arena, &scenario->home->world);
    return call;
}

static void must(struct scenario *scenario, enum rc rc, const char *what)
{
    if (rc != RC_OK) {
        scenario_fail(scenario, "%s: rc %d: %s", what, (int)rc, scenario->home->call.why);
    }
}

/* A key for "as WHO", and its id as $WHO_key. */
static void add_key(struct scenario *scenario, const char *who, const char *owner)
{
    struct call *call = begin(scenario);
    struct arena *arena = &scenario->arena;
    struct key_new new = {.owner = str_of(owner),
                          .label = str_of(who),
                          .role = owner[0] ? ROLE_CUSTOMER : ROLE_OPERATOR,
                          .realm = STR("live")};
    struct key key;
    struct str credential;
    must(scenario,
         auth_create(&scenario->home->world, call, STR("system"), &new, &key, &credential),
         "a key");
    scenario_capture(scenario, arena_printf(arena, "%s_key", who), key.id);
    scenario_capture(scenario, arena_printf(arena, "%s_credential", who), credential);
    struct str pair = arena_printf(arena, STR_FMT ":" STR_FMT, STR_ARG(key.id),
                                   STR_ARG(str_from(credential, key.id.len + 1)));
    scenario_capture(scenario, arena_printf(arena, "%s_basic", who), text_base64(arena, pair));
    scenario_capture(scenario, arena_printf(arena, "%s_secret", who),
                     str_from(credential, key.id.len + 1));
}

static void open_store(struct scenario *scenario)
{
    struct scenario_home *home = scenario->home;
    must(scenario, store_sqlite_open(begin(scenario), "hourbell.db", NULL, &home->store), "open");
    home->store->faults = &home->faults;
    home->world.store = home->store;
}

/* What takes time at SAP takes it here too. */
static void pass_time(void *context, int64_t ms)
{
    struct scenario_home *home = context;
    clock_manual_advance(&home->clock, ms);
}

static void open_downstream(struct scenario *scenario)
{
    struct scenario_home *home = scenario->home;
    struct downstream_mock_options options = {
        .sap = {.control = true}, .hooks = {.context = home, .wait = pass_time}, .slots = 1};
    must(scenario, downstream_mock_open(begin(scenario), &options, NULL, &home->downstream),
         "downstream");
    home->world.downstream = home->downstream;
}

void scenario_open(struct scenario *scenario)
{
    struct scenario_home *home = calloc(1, sizeof(*home));
    CHECK(home != NULL);
    scenario->home = home;
    clock_manual_open(&home->clock, START_MS, 1);
    settings_default(&home->settings);
    home->notifier = (struct notifier){.ops = &notifier_ops, .customers = true};
    home->world = (struct world){
        .notifier = &home->notifier, .clock = &home->clock.clock, .settings = &home->settings};
    open_downstream(scenario);
    open_store(scenario);
    add_key(scenario, "operator", "");
    add_key(scenario, "acme", "acme");
    add_key(scenario, "globex", "globex");
}

static void check_logs(struct scenario *scenario)
{
    struct scenario_home *home = scenario->home;
    struct device_page page;
    struct check_report report = {0};
    struct call *call = begin(scenario);
    home->faults = (struct store_faults){0};
    must(scenario,
         store_device_list(home->store, call, STR("live"), STR_NONE, STR_NONE, STR_NONE, PAGE_MAX,
                           &page),
         "list");
    for (int i = 0; i < page.count; i++) {
        must(scenario, check_device(&home->world, call, page.items[i].key, &report), "check");
    }
    CHECK_STR(str_of(report.first), "");
}

void scenario_close(struct scenario *scenario)
{
    check_logs(scenario);
    store_sqlite_close(scenario->home->store);
    downstream_mock_close(scenario->home->downstream);
    free(scenario->home);
}

struct str scenario_credential(struct scenario *scenario, struct str who)
{
    return str_is(who, "nobody")
               ? STR_NONE
               : scenario_fill(scenario, arena_printf(&scenario->arena, "${" STR_FMT "_credential}",
                                                      STR_ARG(who)));
}

void scenario_ask(struct scenario *scenario, const struct request *request,
                  struct response *ret_response, struct str *ret_id)
{
    struct call *call = begin(scenario);
    enum rc rc = api_handle(&scenario->home->world, call, request, ret_response);
    int status = ret_response->status;
    CHECK(rc == RC_OK || (rc == RC_BUSY && status == 503) || (rc == RC_BROKEN && status == 500));
    *ret_id = call->id;
}

/* --- steps ---------------------------------------------------------------------------------------------------- */
static struct str device_key(struct scenario *scenario, struct str name)
{
    struct str checked, key;
    must(scenario, name_device_key(begin(scenario), STR("live"), name, STR_NONE, &checked, &key),
         "name");
    return key;
}

/* Everything that is due at this clock, until nothing moves any more; then who has to be told. */
static void run(struct scenario *scenario)
{
    struct scenario_home *home = scenario->home;
    bool moved = true;
    int count = 1;
    for (int round = 0; moved; round++) {
        struct plan_request request = {.shard = SHARD_ALL, .limit = WAKES_MAX};
        struct plan_result result;
        struct wake wakes[WAKES_MAX];
        CHECK(round < ROUNDS_MAX);
        moved = false;
        struct call *call = begin(scenario);
        must(scenario, plan(&home->world, call, &request, &result), "plan");
        int wake_count = call->wake_count;
        memcpy(wakes, call->wakes, sizeof(wakes));
        for (int i = 0; i < wake_count; i++) {
            enum rc rc = deliver(&home->world, begin(scenario), wakes[i].key);
            moved |= rc == RC_OK;
            CHECK(rc == RC_OK || rc == RC_NOT_DUE);
        }
    }
    while (count) {
        must(scenario, notices_send(&home->world, begin(scenario), PAGE_MAX, &count), "notices");
    }
}

static void move_clock(struct scenario *scenario, struct str words)
{
    struct clock_manual *clock = &scenario->home->clock;
    bool step = str_starts(words, STR("step "));
    words = step ? str_from(words, 5) : words;
    bool back = words.len && words.s[0] == '-';
    int64_t ms;
    if (words.len < 2 || !strchr("+-", words.s[0]) || (back && !step) ||
        settings_span_read(str_from(words, 1), &ms) != RC_OK) {
        scenario_fail(scenario, "clock wants +SPAN, step +SPAN or step -SPAN");
    }
    if (step) { /* a home compares wall and boot time, and tells the core */
        clock_manual_step(clock, back ? -ms : ms);
        must(scenario,
             breaker_clock(&scenario->home->world, begin(scenario), STR("live"),
                           STR("the clock stepped")),
             "clock");
    } else {
        clock_manual_advance(clock, ms);
    }
}

static void set_setting(struct scenario *scenario, struct str words)
{
    struct settings *settings = &scenario->home->settings;
    struct str value = words, name = text_cut(&value, ' ');
    int64_t number = 0;
    enum rc rc = text_to_i64(value, &number);
#define MS(setting, fallback, min, max, help)                                                      \
    if (str_is(name, #setting)) {                                                                  \
        must(scenario, settings_span_read(value, &settings->setting##_ms), "set");                 \
        return;                                                                                    \
    }
#define INT(setting, fallback, min, max, help)                                                     \
    if (str_is(name, #setting)) {                                                                  \
        must(scenario, rc, "set");                                                                 \
        settings->setting = number;                                                                \
        return;                                                                                    \
    }
#define NOTHING(...)
    SETTINGS(MS, INT, INT, NOTHING, NOTHING, NOTHING)
#undef MS
#undef INT
#undef NOTHING
    scenario_fail(scenario, "no such setting: " STR_FMT, STR_ARG(name));
}

static void lease(struct scenario *scenario, struct str name)
{
    struct scenario_home *home = scenario->home;
    struct str key = device_key(scenario, name);
    must(scenario, deliver_lease(&home->world, begin(scenario), key, &home->lease), "lease");
    home->has_lease = true;
}

static void settle(struct scenario *scenario, struct str words)
{
    struct scenario_home *home = scenario->home;
    struct outcome outcome = {0};
    (void)words;
    CHECK(home->has_lease);
    home->has_lease = false;
    deliver_send(&home->world, begin(scenario), &home->lease, &outcome);
    must(scenario, deliver_settle(&home->world, begin(scenario), &home->lease, &outcome), "settle");
}

static void restart(struct scenario *scenario, struct str words)
{
    (void)words;
    scenario->home->has_lease = false;
    store_sqlite_close(scenario->home->store);
    open_store(scenario);
}

static void run_line(struct scenario *scenario, struct str words)
{
    (void)words;
    run(scenario);
}

/* "fault busy 2": the second operation on the store from now on. "fault commit broken 1": the first commit. */
static void inject(struct scenario *scenario, struct str words)
{
    struct store_faults *faults = &scenario->home->faults;
    bool commit = str_starts(words, STR("commit "));
    words = commit ? str_from(words, 7) : words;
    struct str word = text_cut(&words, ' ');
    int64_t at;
    if (text_to_i64(words, &at) != RC_OK || !(str_is(word, "busy") || str_is(word, "broken"))) {
        scenario_fail(scenario, "fault wants: [commit] busy|broken N");
    }
    faults->fail_with = str_is(word, "busy") ? RC_BUSY : RC_BROKEN;
    *(commit ? &faults->fail_commit_in : &faults->fail_in) = (int)at;
}

/* "told update.delivered 2": so many events of this type so far. */
static void check_told(struct scenario *scenario, struct str words)
{
    struct scenario_home *home = scenario->home;
    struct str count = words, type = text_cut(&count, ' ');
    int64_t expected = -1, actual = 0;
    must(scenario, text_to_i64(count, &expected), "told TYPE COUNT");
    for (int i = 0; i < home->told_count; i++) {
        actual += str_equal(home->told[i], type);
    }
    if (actual != expected) {
        scenario_fail(scenario, STR_FMT " was told %lld times", STR_ARG(type), (long long)actual);
    }
}

/* --- SAP --------------------------------------------------------------------------------------------------------- */
static struct sap_mock *sap_of(struct scenario *scenario)
{
    return downstream_mock_sap(scenario->home->downstream);
}

/* The controls that `hourbell mock-sap --control` has on HTTP. */
static void control(struct scenario *scenario, const char *path, struct str body)
{
    struct sap_answer answer = {0};
    const struct request request = {.method = STR("POST"), .target = str_of(path), .body = body};
    int64_t now_ms = scenario->home->clock.now_ms;
    sap_mock_handle(sap_of(scenario), &scenario->arena, now_ms, &request, &answer);
    if (answer.status >= 300) {
        scenario_fail(scenario, "the mock: %d " STR_FMT, answer.status, STR_ARG(answer.body));
    }
}

/* The row of a device in any spelling. */
static struct str row_json(struct scenario *scenario, struct str name)
{
    struct str key = device_key(scenario, name);
    int64_t row = sap_mock_row_find(sap_of(scenario), str_from(key, strlen("live/")));
    if (row < 0) {
        scenario_fail(scenario, "SAP has no " STR_FMT, STR_ARG(name));
    }
    return sap_mock_row_json(sap_of(scenario), &scenario->arena, (size_t)row);
}

static void check_count(struct scenario *scenario, struct str word, struct str count)
{
    struct sap_mock *sap = sap_of(scenario);
    int64_t expected = -1, calls = 0, effects = 0;
    must(scenario, text_to_i64(count, &expected), "a count");
    sap_mock_advance(sap, scenario->home->clock.now_ms);
    for (size_t i = 0; i < sap_mock_log_count(sap); i++) {
        calls += sap_mock_log_at(sap, i)->write;
        effects += sap_mock_log_at(sap, i)->effect;
    }
    int64_t actual = str_is(word, "calls")     ? calls
                     : str_is(word, "effects") ? effects
                                               : (int64_t)sap_mock_row_count(sap);
    if (actual != expected) {
        scenario_fail(scenario, "SAP saw %lld " STR_FMT, (long long)actual, STR_ARG(word));
    }
}

/* Somebody else in SAP changes a row: its number, then the members of the line. */
static void put_row(struct scenario *scenario, struct str name, struct str members)
{
    yyjson_val *row;
    must(scenario, json_read(&scenario->arena, row_json(scenario, name), 4, &row, NULL), "row");
    control(scenario, "/_mock/rows",
            arena_printf(&scenario->arena, "{\"Equipment\":\"" STR_FMT "\"," STR_FMT,
                         STR_ARG(json_member_str(row, "Equipment", STR_NONE)),
                         STR_ARG(str_from(members, 1))));
}

static void play_sap(struct scenario *scenario, struct str words)
{
    struct str rest = words, word = text_cut(&rest, ' ');
    if (str_is(word, "calls") || str_is(word, "effects") || str_is(word, "rows")) {
        check_count(scenario, word, rest);
    } else if (str_is(word, "row")) {
        const char *brace = memchr(rest.s, '{', rest.len);
        CHECK(brace != NULL);
        struct str name = text_trim(str_head(rest, (size_t)(brace - rest.s)));
        scenario_match(scenario, str_from(rest, (size_t)(brace - rest.s)),
                       row_json(scenario, name));
    } else if (str_is(word, "put")) {
        struct str members = rest, name = text_cut(&members, ' ');
        put_row(scenario, name, members);
    } else if (str_is(word, "fault")) {
        control(scenario, "/_mock/faults", rest);
    } else if (str_is(word, "switch")) {
        control(scenario, "/_mock/switches", rest);
    } else if (str_is(word, "expire")) {
        control(scenario, "/_mock/expire", STR_NONE);
    } else if (str_is(word, "unplugged")) {
        downstream_mock_unplug(scenario->home->downstream, str_is(rest, "yes"));
    } else {
        scenario_fail(scenario, "no such line: sap " STR_FMT, STR_ARG(words));
    }
}

static const struct {
    const char *word;
    void (*play)(struct scenario *, struct str words);
} directives[] = {
    {"clock", move_clock}, {"set", set_setting}, {"run", run_line},
    {"lease", lease},      {"settle", settle},   {"restart", restart},
    {"fault", inject},     {"sap", play_sap},    {"told", check_told},
};

void scenario_do(struct scenario *scenario, struct str line)
{
    struct str words = line, word = text_cut(&words, ' ');
    for (size_t i = 0; i < COUNT_OF(directives); i++) {
        if (str_is(word, directives[i].word)) {
            directives[i].play(scenario, scenario_fill(scenario, words));
            return;
        }
    }
    scenario_fail(scenario, "no such line: " STR_FMT, STR_ARG(line));
}
