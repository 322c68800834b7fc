/* Torture: each story is told again and again, and each time the n-th call of a port fails, n = 1, 2, ... until
 * the story ends without having met the fault. Clients repeat what failed, as clients do, with the same
 * Idempotency-Key; the home goes on, as homes do. However it failed, nothing crashes, nothing leaks, no accepted
 * update is lost or doubled, no device has two effects in one window, and in the end SAP holds what was asked.
 * Four ways to fail: the store is busy; it breaks and nothing was written; it breaks after it was written;
 * somebody else's commit came first. */
#include "adapters/clock_manual.h"
#include "adapters/downstream_mock.h"
#include "adapters/secrets_file.h"
#include "adapters/store_sqlite.h"
#include "base/text.h"
#include "core/api.h"
#include "core/check.h"
#include "core/deliver.h"
#include "core/notice.h"
#include "core/plan.h"
#include "core/update.h"
#include "test.h"

#define HOUR_MS INT64_C(3600000)
#define START_MS (INT64_C(498730) * HOUR_MS + 5 * 60000) /* five past */
#define TRIES_MAX 8
#define PASSES_MAX 40 /* of the home within one moment */
#define PATIENCE 200  /* moments until all must be quiet */
#define STEPS_MAX 24
#define LOG_MAX 200
#define NOT_REPEATABLE (-1) /* instead of a step's number: without an Idempotency-Key */

/* --- a store that breaks after it has written --------------------------------------------------------- */
struct proxy {
    struct store store;
    struct store *inner;
    int break_after_in; /* 1 = the next commit; 0 = none */
};

static struct store *inner(struct store *store)
{
    return ((struct proxy *)store)->inner;
}

static enum rc proxy_commit(struct store *store, struct call *call, const struct change *change)
{
    struct proxy *proxy = (struct proxy *)store;
    enum rc rc = proxy->inner->ops->commit(proxy->inner, call, change);
    bool breaks = proxy->break_after_in > 0 && --proxy->break_after_in == 0;
    return breaks && rc == RC_OK ? RC_BROKEN : rc;
}

/* clang-format off */
#define PASS(name, parameters, arguments) \
    static enum rc proxy_##name parameters { return inner(store)->ops->name arguments; }
PASS(device_get, (struct store *store, struct call *call, struct str key, struct device *ret), (inner(store), call, key, ret))
PASS(device_list, (struct store *store, struct call *call, struct str realm, struct str owner, struct str prefix, struct str after, int limit, struct device_page *ret),
     (inner(store), call, realm, owner, prefix, after, limit, ret))
PASS(log_list, (struct store *store, struct call *call, struct str key, int64_t from, int64_t to, bool newest, int limit, struct entry_page *ret),
     (inner(store), call, key, from, to, newest, limit, ret))
PASS(log_covering, (struct store *store, struct call *call, struct str key, int64_t seq, int limit, struct entry_page *ret), (inner(store), call, key, seq, limit, ret))
PASS(body_get, (struct store *store, struct call *call, struct str key, int64_t delivery, struct body *ret), (inner(store), call, key, delivery, ret))
PASS(reply_get, (struct store *store, struct call *call, struct str owner, struct str key, struct reply *ret), (inner(store), call, owner, key, ret))
PASS(work_list, (struct store *store, struct call *call, enum work work, struct str realm, int shard, int64_t until_ms, struct str after, int limit, struct work_page *ret),
     (inner(store), call, work, realm, shard, until_ms, after, limit, ret))
PASS(work_count, (struct store *store, struct call *call, struct work_counts *ret), (inner(store), call, ret))
PASS(key_get, (struct store *store, struct call *call, struct str id, struct key *ret), (inner(store), call, id, ret))
PASS(key_list, (struct store *store, struct call *call, struct str after, int limit, struct key_page *ret), (inner(store), call, after, limit, ret))
PASS(notice_done, (struct store *store, struct call *call, struct str key, int64_t seq, int64_t again_at_ms), (inner(store), call, key, seq, again_at_ms))
PASS(expire, (struct store *store, struct call *call, int64_t history_ms, int limit, int *ret), (inner(store), call, history_ms, limit, ret))
PASS(ping, (struct store *store, struct call *call), (inner(store), call))
/* clang-format on */

static const struct store_ops proxy_ops = {
    proxy_device_get, proxy_device_list, proxy_log_list,   proxy_log_covering, proxy_body_get,
    proxy_reply_get,  proxy_work_list,   proxy_work_count, proxy_key_get,      proxy_key_list,
    proxy_commit,     proxy_notice_done, proxy_expire,     proxy_ping};

/* --- the home ------------------------------------------------------------------------------------------- */
enum way { WAY_BUSY, WAY_BROKEN, WAY_BROKEN_AFTER, WAY_CONFLICT, WAY_COUNT };

struct rig {
    struct arena arena; /* for the whole story */
    struct clock_manual clock;
    struct settings settings;
    struct proxy proxy;
    struct store_faults faults;
    struct secrets *secrets;
    struct downstream *downstream;
    struct notifier notifier;
    struct world world;
    struct str customer, boss; /* credentials */
    int told_count, update_count;
};

static enum told count_told(struct notifier *notifier, struct call *call, const struct event *event,
                            int64_t *ret_again_at_ms)
{
    struct rig *rig = (struct rig *)((char *)notifier - offsetof(struct rig, notifier));
    (void)call, (void)event, (void)ret_again_at_ms;
    rig->told_count++;
    return TOLD_DONE;
}

static const struct notifier_ops count_ops = {count_told};

static struct str add_key(struct rig *rig, const char *owner)
{
    struct call call;
    struct key key;
    struct str credential;
    struct key_new new = {.owner = str_of(owner),
                          .role = owner[0] ? ROLE_CUSTOMER : ROLE_OPERATOR,
                          .realm = STR("live")};
    call_open(&call, &rig->arena, &rig->world);
    CHECK_RC(auth_create(&rig->world, &call, STR("system"), &new, &key, &credential), RC_OK);
    return credential;
}

static void rig_open(struct rig *rig)
{
    struct call call;
    struct downstream_mock_options options = {.slots = 1};
    *rig = (struct rig){.proxy.store.ops = &proxy_ops};
    arena_open(&rig->arena, 0);
    clock_manual_open(&rig->clock, START_MS, 1);
    settings_default(&rig->settings);
    rig->notifier = (struct notifier){.ops = &count_ops, .customers = true};
    rig->world = (struct world){.store = &rig->proxy.store,
                                .notifier = &rig->notifier,
                                .clock = &rig->clock.clock,
                                .settings = &rig->settings};
    call_open(&call, &rig->arena, &rig->world);
    CHECK_RC(store_sqlite_open(&call, ":memory:", NULL, &rig->proxy.inner), RC_OK);
    CHECK_RC(secrets_file_open(&call, STR(""), &rig->secrets), RC_OK);
    rig->world.secrets = rig->secrets;
    if (downstream_mock_open(&call, &options, rig->secrets, &rig->downstream) != RC_OK) {
        FAIL("%s", call.why);
    }
    rig->world.downstream = rig->downstream;
    rig->boss = add_key(rig, "");
    rig->customer = add_key(rig, "acme");
}

static void rig_close(struct rig *rig)
{
    downstream_mock_close(rig->downstream);
    secrets_file_close(rig->secrets);
    store_sqlite_close(rig->proxy.inner);
    arena_close(&rig->arena);
}

static void arm(struct rig *rig, enum way way, int n)
{
    rig->proxy.store.faults = &rig->faults;
    rig->faults = (struct store_faults){0};
    if (way == WAY_BROKEN_AFTER) {
        rig->proxy.break_after_in = n;
    } else if (way == WAY_CONFLICT) {
        rig->faults.fail_commit_in = n;
        rig->faults.fail_with = RC_CONFLICT;
    } else {
        rig->faults.fail_in = n;
        rig->faults.fail_with = way == WAY_BUSY ? RC_BUSY : RC_BROKEN;
    }
}

static bool has_struck(const struct rig *rig)
{
    return rig->faults.fail_in == 0 && rig->faults.fail_commit_in == 0 &&
           rig->proxy.break_after_in == 0;
}

/* --- what a home does, however often something fails ------------------------------------------------------ */
/* Settle; where the store is busy again with the same outcome; where it breaks the outcome is lost, as when a process ends. */
static void settle(struct rig *rig, const struct lease *lease, const struct outcome *outcome)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        struct arena arena;
        struct call call;
        arena_open(&arena, 0);
        call_open(&call, &arena, &rig->world);
        enum rc rc = deliver_settle(&rig->world, &call, lease, outcome);
        arena_close(&arena);
        if (rc != RC_BUSY && rc != RC_CONFLICT) {
            CHECK(rc == RC_OK || rc == RC_NOT_DUE || rc == RC_BROKEN);
            return;
        }
    }
    FAIL("a settle does not come through");
}

/* out: something moved */
static bool wake(struct rig *rig, struct str key)
{
    struct arena arena;
    struct call call;
    struct lease lease = {0};
    struct outcome outcome = {0};
    arena_open(&arena, 0);
    call_open(&call, &arena, &rig->world);
    enum rc rc = deliver_lease(&rig->world, &call, key, &lease);
    if (rc == RC_OK) {
        call.on_pool = true;
        deliver_send(&rig->world, &call, &lease, &outcome);
        settle(rig, &lease, &outcome);
    } else {
        CHECK(rc == RC_NOT_DUE || rc == RC_CONFLICT || rc == RC_BUSY || rc == RC_BROKEN);
    }
    arena_close(&arena);
    return rc != RC_NOT_DUE;
}

static bool pass(struct rig *rig)
{
    struct arena arena;
    struct call call;
    struct plan_request request = {.shard = SHARD_ALL, .limit = WAKES_MAX};
    struct plan_result result;
    int told = 0;
    arena_open(&arena, 0);
    call_open(&call, &arena, &rig->world);
    enum rc rc = plan(&rig->world, &call, &request, &result);
    CHECK(rc == RC_OK || rc == RC_BUSY || rc == RC_BROKEN);
    bool moved = rc != RC_OK;
    for (int i = 0; i < call.wake_count; i++) {
        moved |= wake(rig, call.wakes[i].key);
    }
    call_open(&call, &arena, &rig->world);
    rc = notices_send(&rig->world, &call, PAGE_MAX, &told);
    CHECK(rc == RC_OK || rc == RC_BUSY || rc == RC_BROKEN || rc == RC_CONFLICT);
    arena_close(&arena);
    return moved || rc != RC_OK || told > 0;
}

static void run(struct rig *rig)
{
    for (int i = 0; pass(rig); i++) {
        CHECK(i < PASSES_MAX);
    }
}

/* Is nothing left to do? */
static bool is_quiet(struct rig *rig)
{
    struct arena arena;
    struct call call;
    struct work_counts counts;
    arena_open(&arena, 0);
    call_open(&call, &arena, &rig->world);
    enum rc rc = store_work_count(&rig->proxy.store, &call, &counts);
    arena_close(&arena);
    return rc == RC_OK && !counts.count[WORK_OPEN] && !counts.count[WORK_FLIGHT] &&
           !counts.count[WORK_UNCERTAIN] && !counts.count[WORK_NOTICE];
}

static void become_quiet(struct rig *rig)
{
    run(rig);
    for (int i = 0; !is_quiet(rig); i++) {
        CHECK(i < PATIENCE);
        clock_manual_advance(&rig->clock, 7 * 60000);
        run(rig);
    }
}

/* --- what a client does ------------------------------------------------------------------------------------ */
struct step {
    const char *method, *target,
        *body;          /* method: or "hour", "run", "sap" with a fault's status in target */
    int status;         /* what the client must get in the end */
    int status_if_lost; /* or this, once the fault has struck; 0 = the same */
    bool boss;
};

static bool is_update(const struct step *step)
{
    return str_is(str_of(step->target), "/update-device") && step->status == 202;
}

/* Once. out: the status; the store's trouble is one that a client repeats */
static int ask(struct rig *rig, const struct step *step, int number)
{
    struct arena arena;
    struct call call;
    struct response response = {0};
    char repeat_key[32];
    snprintf(repeat_key, sizeof repeat_key, "step-%d", number);
    bool repeatable = number != NOT_REPEATABLE;
    repeatable =
        repeatable && (strstr(step->target, "-device") || strstr(step->target, "/actions"));
    repeatable = repeatable && !str_is(str_of(step->target), "/downstream/actions");
    struct header headers[] = {{STR("x-api-key"), step->boss ? rig->boss : rig->customer},
                               {STR("content-type"), STR("application/json")},
                               {STR("idempotency-key"), str_of(repeat_key)}};
    struct request request = {.method = str_of(step->method),
                              .target = str_of(step->target),
                              .headers = headers,
                              .header_count = repeatable ? 3 : 2,
                              .body = step->body ? str_of(step->body) : STR_NONE};
    arena_open(&arena, 0);
    call_open(&call, &arena, &rig->world);
    enum rc rc = api_handle(&rig->world, &call, &request, &response);
    CHECK(rc == RC_OK || (rc == RC_BUSY && response.status == 503) ||
          (rc == RC_BROKEN && response.status == 500));
    int status = response.status;
    if (rc == RC_OK && status != step->status && status != step->status_if_lost) {
        printf("%s %s: %d " STR_FMT "\n", step->method, step->target, status,
               STR_ARG(response.body));
    }
    arena_close(&arena);
    return status;
}

static void insist(struct rig *rig, const struct step *step, int number)
{
    for (int i = 0; i < TRIES_MAX; i++) {
        int status = ask(rig, step, number);
        if (status == step->status || (has_struck(rig) && status == step->status_if_lost)) {
            rig->update_count += is_update(step);
            return;
        }
        CHECK(status == 503 || status == 500);
    }
    FAIL("%s %s does not come through", step->method, step->target);
}

static void play(struct rig *rig, const struct step *steps)
{
    for (int i = 0; i < STEPS_MAX && steps[i].method; i++) {
        const struct step *step = &steps[i];
        if (str_is(str_of(step->method), "hour")) {
            clock_manual_set(&rig->clock, (rig->clock.now_ms / HOUR_MS + 1) * HOUR_MS + 1000);
        } else if (str_is(str_of(step->method), "run")) {
            run(rig);
        } else if (str_is(str_of(step->method), "sap")) {
            struct sap_fault fault = {.method = STR("WRITE"), .status = step->status};
            fault.code = step->target ? str_of(step->target) : STR_NONE;
            fault.drop = step->status ? SAP_DROP_NONE : SAP_DROP_AFTER;
            sap_mock_fault(downstream_mock_sap(rig->downstream), &fault);
        } else {
            insist(rig, step, i);
        }
    }
}

/* --- what must hold in the end ------------------------------------------------------------------------------- */
static void check_windows(struct rig *rig)
{
    const struct sap_mock *sap = downstream_mock_sap(rig->downstream);
    for (size_t i = 0; i < sap_mock_log_count(sap); i++) {
        const struct sap_log *line = sap_mock_log_at(sap, i);
        for (size_t j = 0; line->effect && j < i; j++) {
            const struct sap_log *before = sap_mock_log_at(sap, j);
            CHECK(!before->effect || !str_equal(before->name, line->name) ||
                  before->at_ms / HOUR_MS < line->at_ms / HOUR_MS);
        }
    }
}

static void check_log(struct rig *rig, struct call *call, const struct device *device,
                      int *update_count)
{
    struct entry_page page;
    CHECK_RC(
        store_log_list(&rig->proxy.store, call, device->key, 0, device->seq, false, LOG_MAX, &page),
        RC_OK);
    for (int i = 0; i < page.count; i++) {
        struct update_view view;
        if (page.items[i].kind != ENTRY_update) {
            continue;
        }
        (*update_count)++;
        CHECK_RC(update_view(&rig->world, call, device, page.items[i].seq, &view), RC_OK);
        CHECK(view.state != UPDATE_pending && view.state != UPDATE_sending &&
              view.state != UPDATE_uncertain);
    }
}

static void check_row(struct rig *rig, struct call *call, const struct device *device)
{
    struct sap_mock *sap = downstream_mock_sap(rig->downstream);
    yyjson_val *doc = NULL;
    int64_t row = sap_mock_row_find(sap, str_from(device->key, strlen("live/")));
    CHECK_RC(json_read(call->arena, device->doc, JSON_MAX_DEPTH, &doc, NULL), RC_OK);
    if (device->work == WORK_DEAD || (row < 0 && device->base == 0)) {
        return;
    }
    CHECK(row >= 0);
    CHECK_BYTES(sap_mock_row_value(sap, (size_t)row, "EquipmentName"),
                json_member_str(doc, "description", STR("")));
    CHECK_BYTES(sap_mock_row_value(sap, (size_t)row, "AssetRoom"),
                json_member_str(doc, "room", STR("")));
}

static void check_end(struct rig *rig)
{
    struct arena arena;
    struct call call;
    struct device_page page;
    struct check_report report = {0};
    int update_count = 0;
    arena_open(&arena, 0);
    call_open(&call, &arena, &rig->world);
    CHECK_RC(store_device_list(&rig->proxy.store, &call, STR("live"), STR_NONE, STR_NONE, STR_NONE,
                               PAGE_MAX, &page),
             RC_OK);
    for (int i = 0; i < page.count; i++) {
        CHECK_RC(check_device(&rig->world, &call, page.items[i].key, &report), RC_OK);
        check_log(rig, &call, &page.items[i], &update_count);
        check_row(rig, &call, &page.items[i]);
    }
    CHECK_STR(str_of(report.first), "");
    CHECK_INT(update_count, rig->update_count); /* none lost, none doubled */
    CHECK(rig->told_count > 0);
    check_windows(rig);
    arena_close(&arena);
}

/* out: the fault struck */
static bool tell_story(const struct step *steps, enum way way, int n)
{
    struct rig rig;
    rig_open(&rig);
    arm(&rig, way, n);
    play(&rig, steps);
    become_quiet(&rig);
    bool struck = has_struck(&rig);
    rig.proxy.store.faults = NULL;
    rig.proxy.break_after_in = 0;
    check_end(&rig);
    rig_close(&rig);
    return struck;
}

static void torture(const struct step *steps, int least)
{
    for (enum way way = 0; way < WAY_COUNT; way++) {
        int n = 1;
        while (printf("way %d, call %d\n", (int)way, n), tell_story(steps, way, n)) {
            n++;
        }
        CHECK(n > (way == WAY_BUSY || way == WAY_BROKEN ? least : least / 4)); /* it did strike */
    }
}

/* --- what 503 says ------------------------------------------------------------------------------------------------ */
/* Versions of all records and the number of keys: what a request may change. */
static struct str state_of(struct rig *rig)
{
    struct call call;
    struct device_page devices;
    struct device record;
    struct key_page keys;
    struct text text;
    call_open(&call, &rig->arena, &rig->world);
    text_open(&text, &rig->arena, 10000);
    CHECK_RC(store_device_list(rig->proxy.inner, &call, STR("live"), STR_NONE, STR_NONE, STR_NONE,
                               PAGE_MAX, &devices),
             RC_OK);
    for (int i = 0; i < devices.count; i++) {
        text_printf(&text, STR_FMT " %lld\n", STR_ARG(devices.items[i].key),
                    (long long)devices.items[i].version);
    }
    CHECK_RC(store_device_get(rig->proxy.inner, &call, STR("live/!system"), &record), RC_OK);
    CHECK_RC(store_key_list(rig->proxy.inner, &call, STR(""), PAGE_MAX, &keys), RC_OK);
    text_printf(&text, "system %lld\n%d keys\n", (long long)record.version, keys.count);
    return text_str(&text);
}

/* One request, without a key, at a device that waits with two updates; its n-th port call finds the store busy.
 * out: the fault struck */
static bool busy_at(const struct step *step, int n)
{
    static const struct step before[STEPS_MAX] = {
        {"POST", "/create-device", "{\"device_name\":\"Pump-7\"}", 201, 0, false},
        {"POST", "/update-device", "{\"device_name\":\"Pump-7\",\"attributes\":{\"room\":\"1\"}}",
         202, 0, false},
        {"hour", NULL, NULL, 0, 0, false},
        {"run", NULL, NULL, 0, 0, false},
        {"POST", "/update-device", "{\"device_name\":\"Pump-7\",\"attributes\":{\"room\":\"2\"}}",
         202, 0, false},
        {"GET", "/work?state=open", NULL, 200, 0, true}, /* the boss's first use is written down */
    };
    struct rig rig;
    rig_open(&rig);
    play(&rig, before);
    struct str state = state_of(&rig);
    arm(&rig, WAY_BUSY, n);
    int status = ask(&rig, step, NOT_REPEATABLE);
    bool struck = has_struck(&rig);
    rig.proxy.store.faults = NULL;
    if (status == 503) {
        CHECK_BYTES(state_of(&rig), state);
    } else {
        CHECK_INT(status, step->status);
    }
    rig_close(&rig);
    return struck;
}

/* P6 P11: whoever is told store_busy may ask again as if he had never asked */
TEST(torture_store_busy_means_that_nothing_has_changed)
{
    static const struct step steps[] = {
        {"POST", "/create-device", "{\"device_name\":\"Fan\"}", 201, 0, false},
        {"POST", "/update-device", "{\"device_name\":\"Pump-7\",\"attributes\":{\"room\":\"3\"}}",
         202, 0, false},
        {"POST", "/devices/Pump-7/actions", "{\"action\":\"cancel\",\"seq\":3,\"reason\":\"no\"}",
         200, 0, false},
        {"POST", "/devices/Pump-7/actions", "{\"action\":\"hold\",\"reason\":\"no\"}", 200, 0,
         true},
        {"POST", "/devices/Pump-7/actions", "{\"action\":\"deliver_now\",\"reason\":\"no\"}", 200,
         0, true},
        {"POST", "/devices/Pump-7/actions", "{\"action\":\"resend_all\",\"reason\":\"no\"}", 200, 0,
         true},
        {"POST", "/downstream/actions", "{\"action\":\"hold\",\"reason\":\"no\"}", 200, 0, true},
        {"POST", "/downstream/actions", "{\"action\":\"probe\",\"reason\":\"no\"}", 200, 0, true},
        {"POST", "/keys", "{\"role\":\"operator\"}", 201, 0, true},
    };
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        int n = 1;
        while (printf("%s %s, call %d\n", steps[i].target, steps[i].body, n),
               busy_at(&steps[i], n)) {
            n++;
        }
        CHECK(n > 2);
    }
}

/* --- stories ---------------------------------------------------------------------------------------------------- */
#define UPDATE(body, code)                                                                         \
    {                                                                                              \
        "POST", "/update-device", body, code, 0, false                                             \
    }
#define ACTION(name, body) /* a delivery whose outcome was lost is in the way of some */           \
    {                                                                                              \
        "POST", "/devices/" name "/actions", body, 200, 409, true                                  \
    }

/* P1 P3 P4 */
TEST(torture_create_three_updates_and_one_call)
{
    static const struct step steps[STEPS_MAX] = {
        {"POST", "/create-device",
         "{\"device_name\":\"Pump-7\",\"attributes\":{\"description\":\"new\"}}", 201, 200, false},
        UPDATE("{\"device_name\":\"pump-7\",\"attributes\":{\"description\":\"a\"}}", 202),
        UPDATE("{\"device_name\":\"PUMP-7\",\"attributes\":{\"room\":\"1\"}}", 202),
        UPDATE("{\"device_name\":\"Pump-7\",\"attributes\":{\"description\":\"b\"}}", 202),
        {"GET", "/devices/Pump-7/pending", NULL, 200, 0, false},
        {"hour", NULL, NULL, 0, 0, false},
        {"run", NULL, NULL, 0, 0, false},
        UPDATE("{\"device_name\":\"Pump-7\",\"attributes\":{\"room\":null}}", 202),
        {"GET", "/devices/Pump-7/updates", NULL, 200, 0, false},
        {"GET", "/devices?name_prefix=p", NULL, 200, 0, false},
        {"hour", NULL, NULL, 0, 0, false},
    };
    torture(steps, 40);
}

/* P2 P4 */
TEST(torture_sap_refuses_rejects_and_answers_nothing)
{
    static const struct step steps[STEPS_MAX] = {
        {"POST", "/create-device", "{\"device_name\":\"Valve\",\"attributes\":{}}", 201, 200,
         false},
        UPDATE("{\"device_name\":\"Valve\",\"attributes\":{\"description\":\"a\"}}", 202),
        {"sap", NULL, NULL, 503, 0, false},
        {"hour", NULL, NULL, 0, 0, false},
        {"run", NULL, NULL, 0, 0, false},
        UPDATE("{\"device_name\":\"Valve\",\"attributes\":{\"room\":\"2\"}}", 202),
        {"hour", NULL, NULL, 0, 0, false},
        {"run", NULL, NULL, 0, 0, false},
        UPDATE("{\"device_name\":\"Valve\",\"attributes\":{\"description\":\"c\"}}", 202),
        {"sap", NULL, NULL, 400, 0, false}, /* rejected */
        {"hour", NULL, NULL, 0, 0, false},
        {"run", NULL, NULL, 0, 0, false},
        UPDATE("{\"device_name\":\"Valve\",\"attributes\":{\"description\":\"d\"}}", 202),
        {"sap", NULL, NULL, 0, 0, false}, /* executed, and the answer is lost */
        {"hour", NULL, NULL, 0, 0, false},
        {"run", NULL, NULL, 0, 0, false},
    };
    torture(steps, 60);
}

/* P3 P7 */
TEST(torture_cancel_hold_resume_deliver_now_resend)
{
    static const struct step steps[STEPS_MAX] = {
        {"POST", "/create-device", "{\"device_name\":\"Fan\",\"attributes\":{}}", 201, 200, false},
        UPDATE("{\"device_name\":\"Fan\",\"attributes\":{\"description\":\"a\"}}", 202),
        UPDATE("{\"device_name\":\"Fan\",\"attributes\":{\"description\":\"b\"}}", 202),
        {"POST", "/devices/Fan/actions", "{\"action\":\"cancel\",\"seq\":2,\"reason\":\"no\"}", 200,
         0, false},
        ACTION("Fan", "{\"action\":\"hold\",\"reason\":\"a test\"}"),
        {"hour", NULL, NULL, 0, 0, false},
        {"run", NULL, NULL, 0, 0, false},
        ACTION("Fan", "{\"action\":\"resume\",\"reason\":\"a test\"}"),
        {"run", NULL, NULL, 0, 0, false},
        UPDATE("{\"device_name\":\"Fan\",\"attributes\":{\"room\":\"3\"}}", 202),
        ACTION("Fan", "{\"action\":\"deliver_now\",\"reason\":\"a test\"}"),
        {"run", NULL, NULL, 0, 0, false},
        {"hour", NULL, NULL, 0, 0, false},
        {"run", NULL, NULL, 0, 0, false},
        ACTION("Fan", "{\"action\":\"resend_all\",\"reason\":\"a test\"}"),
        {"GET", "/devices/Fan/log", NULL, 200, 0, true},
        {"POST", "/downstream/actions", "{\"action\":\"hold\",\"reason\":\"a test\"}", 200, 409,
         true},
        {"POST", "/downstream/actions", "{\"action\":\"resume\",\"reason\":\"a test\"}", 200, 409,
         true},
        {"GET", "/work?state=open", NULL, 200, 0, true},
    };
    torture(steps, 60);
}

/* P9 P11 */
TEST(torture_keys_are_made_listed_and_deleted)
{
    static const struct step steps[STEPS_MAX] = {
        {"POST", "/keys", "{\"role\":\"customer\",\"owner\":\"globex\"}", 201, 0, true},
        {"GET", "/keys", NULL, 200, 0, true},
        {"GET", "/log", NULL, 200, 0, true},
        {"POST", "/create-device", "{\"device_name\":\"Lamp\",\"attributes\":{}}", 201, 200, false},
        UPDATE("{\"device_name\":\"Lamp\",\"attributes\":{\"description\":\"a\"}}", 202),
        {"POST", "/redrives", "{\"limit\":10,\"dry_run\":false}", 200, 0, true},
        {"GET", "/downstream", NULL, 200, 0, true},
    };
    torture(steps, 20);
}
