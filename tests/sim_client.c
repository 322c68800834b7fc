/* Customers and operators of the simulator: what they ask, what they may be answered, and what they hold us to later.
 * Operators are truthful: they confirm what SAP did and deny what it did not. */
#include "sim.h"

#include "base/text.h"
#include "core/name.h"

/* ---- documents and patches ---------------------------------------------------------------------- */

/* Names that the mapping knows, and others; every value is new. `room` is left out: the fault `touch` writes it. */
static void add_member(struct sim *sim, struct text *text, bool patch)
{
    static const char *const plain[] = {"description", "vendor", "product", "note", "x", "y"};
    int n = sim->ask_count++;
    bool deletes = patch && sim_percent(sim, 20);
    switch (sim_random(sim, 10)) {
    case 0:
    case 1:
        text_printf(text,
                    deletes ? "\"location\":{\"building\":null}"
                            : "\"location\":{\"building\":\"b%d\"}",
                    n);
        return;
    case 2:
        text_printf(text, deletes ? "\"location\":null" : "\"location\":{\"floor\":%d}", n);
        return;
    case 3:
        text_printf(text,
                    deletes ? "\"deep\":{\"a\":{\"b\":null}}"
                            : "\"deep\":{\"a\":{\"b\":%d,\"c\":[1,{\"d\":%d}]}}",
                    n, n);
        return;
    case 4:
        text_printf(text, deletes ? "\"deep\":{\"a\":null}" : "\"deep\":%d", n);
        return;
    case 5:
        text_printf(text, sim_percent(sim, 60) ? "\"site\":\"berlin\"" : "\"site\":\"nowhere\"");
        return; /* nowhere: SAP rejects it */
    default: {
        const char *name = plain[sim_random(sim, COUNT_OF(plain))];
        text_printf(text, deletes ? "\"%s\":null" : "\"%s\":\"v%d\"", name, n);
        return;
    }
    }
}

static struct str make_attributes(struct sim *sim, bool patch)
{
    struct text text;
    static const char *const names[] = {"description", "vendor", "product", "location", "deep",
                                        "site",        "note",   "x",       "y"};
    int count = 1 + (int)sim_random(sim, 3), tries = 0;
    text_open(&text, &sim->arena, 4096);
    text_add_char(&text, '{');
    for (int i = 0; i < count && tries < 20; tries++) {
        struct text one;
        text_open(&one, &sim->arena, 1024);
        add_member(sim, &one, patch);
        bool twice = false; /* a member may stand once */
        for (size_t n = 0; n < COUNT_OF(names); n++) {
            struct str quoted = sim_text(sim, "\"%s\":", names[n]);
            twice |= str_starts(text_str(&one), quoted) &&
                     memmem(text.s, text.len, quoted.s, quoted.len) != NULL;
        }
        if (!twice) {
            text_add(&text, i++ ? STR(",") : STR(""));
            text_add(&text, text_str(&one));
        }
    }
    text_add_char(&text, '}');
    return text_str(&text);
}

/* P5: any spelling is the same device */
static struct str spelled(struct sim *sim, int device)
{
    static const char *const spellings[] = {"Pump-%d", "pump-%d", "PUMP-%d", "pUMP-%d"};
    switch (sim_random(sim, 4)) {
    case 0:
        return sim_text(sim, "Pump-%d", device);
    case 1:
        return sim_text(sim, "PUMP-%d", device);
    default:
        return sim_text(sim, "pump-%d", device);
    }
    (void)spellings;
}

/* ---- asks ------------------------------------------------------------------------------------------ */

void sim_ask_post(struct sim *sim, struct sim_ask *ret_ask, const char *target, struct str body)
{
    *ret_ask = (struct sim_ask){.kind = SIM_OTHER,
                                .device = SIM_SYSTEM,
                                .who = SIM_OWNERS,
                                .method = STR("POST"),
                                .target = sim_text(sim, "%s", target),
                                .body = body};
}

void sim_ask_action(struct sim *sim, struct sim_ask *ret_ask, int device, const char *action,
                    int64_t seq)
{
    struct str target = sim_text(sim, "/devices/" STR_FMT "/actions", STR_ARG(sim->names[device]));
    struct str what = seq ? sim_text(sim, ",\"seq\":%lld", (long long)seq) : STR("");
    struct str body =
        sim_text(sim, "{\"action\":\"%s\",\"reason\":\"a run\"" STR_FMT "}", action, STR_ARG(what));
    sim_ask_post(sim, ret_ask, target.s, body);
    ret_ask->kind = str_is(str_of(action), "cancel") ? SIM_CANCEL : SIM_ACTION;
    ret_ask->device = device;
    ret_ask->seq = seq;
}

/* Create or update: one of the spellings of a device's name, and attributes. */
static void ask_write(struct sim *sim, struct sim_ask *ask, int device, bool is_update)
{
    struct str name = spelled(sim, device);
    ask->kind = is_update ? SIM_UPDATE : SIM_CREATE;
    ask->attributes = make_attributes(sim, is_update);
    ask->target = is_update ? STR("/update-device") : STR("/create-device");
    ask->body =
        arena_printf(&sim->arena, "{\"device_name\":\"" STR_FMT "\",\"attributes\":" STR_FMT "}",
                     STR_ARG(name), STR_ARG(ask->attributes));
    if (is_update && sim_percent(sim, 8)) {
        ask->if_match = sim_text(sim, "\"%d\"", 1 + (int)sim_random(sim, 12));
    }
}

/* Confirm or deny what SAP's log says. */
static const char *truth_about(struct sim *sim, int device)
{
    struct call *call = sim_call(sim);
    struct device record = sim_device(sim, call, device);
    struct body body;
    if (record.flight.delivery == 0 || store_body_get(sim->world.store, call, record.key,
                                                      record.flight.delivery, &body) != RC_OK) {
        return "deny";
    }
    return sim_had_effect(sim, body.repeat_id) ? "confirm" : "deny";
}

static void ask_operator(struct sim *sim, struct sim_ask *ask, int device)
{
    static const char *const actions[] = {"hold",    "resume",  "resume", "deliver_now", "discard",
                                          "redrive", "confirm", "deny",   "resend_all"};
    switch (sim_random(sim, 8)) {
    case 0:
        sim_ask_post(sim, ask, "/redrives", STR("{\"limit\":10,\"dry_run\":false}"));
        return;
    case 1: {
        static const char *const words[] = {"hold", "resume", "resume", "resume", "probe"};
        const char *word = words[sim_random(sim, COUNT_OF(words))];
        word = sim->password_is_old ? "resume" : word; /* probed once it is mended */
        sim_ask_post(sim, ask, "/downstream/actions",
                     sim_text(sim, "{\"action\":\"%s\",\"reason\":\"a run\"}", word));
        return;
    }
    default: {
        const char *action = actions[sim_random(sim, COUNT_OF(actions))];
        if (strcmp(action, "confirm") == 0 || strcmp(action, "deny") == 0) {
            action = truth_about(sim, device);
        }
        sim_ask_action(sim, ask, device, action, 0);
        ask->once = true;
        return;
    }
    }
}

static void ask_read(struct sim *sim, struct sim_ask *ask, int device)
{
    static const char *const targets[] = {"/devices/pump-%d", "/devices/pump-%d/pending",
                                          "/devices/pump-%d/updates", "/devices/pump-%d/log"};
    (void)targets;
    ask->kind = SIM_READ;
    ask->method = STR("GET");
    switch (sim_random(sim, 5)) {
    case 0:
        ask->target = sim_text(sim, "/devices/pump-%d/pending", device);
        return;
    case 1:
        ask->target = sim_text(sim, "/devices/pump-%d/updates", device);
        return;
    case 2:
        ask->target =
            sim_text(sim, "/devices/pump-%d/updates/%d", device, 1 + (int)sim_random(sim, 20));
        return;
    case 3:
        ask->target = STR("/devices");
        return;
    default:
        ask->target = sim_text(sim, "/devices/pump-%d", device);
        return;
    }
}

void sim_ask_new(struct sim *sim, struct sim_ask *ret_ask)
{
    int device = (int)sim_random(sim, SIM_DEVICES);
    if (sim->kept_count > 0 && sim_percent(sim, 12)) {
        *ret_ask = sim->kept[sim_random(sim, (uint64_t)sim->kept_count)];
        sim->counts[SIM_REPEATS]++;
        return;
    }
    *ret_ask =
        (struct sim_ask){.device = device, .who = sim->owners[device], .method = STR("POST")};
    uint64_t what = sim_random(sim, 100);
    if (what < 6 || (sim->seen_version[device] == 0 && what < 70)) {
        ask_write(sim, ret_ask, device, false);
    } else if (what < 70) {
        ask_write(sim, ret_ask, device, true);
    } else if (what < 78) {
        int64_t last = sim->seen_seq[device] < 1 ? 1 : sim->seen_seq[device];
        int64_t seq = max_i64(1, last - (int64_t)sim_random(sim, 4));
        sim_ask_action(sim, ret_ask, device, "cancel", seq);
        ret_ask->who = sim_percent(sim, 70) ? sim->owners[device] : SIM_OWNERS;
    } else if (what < 90) {
        ask_operator(sim, ret_ask, device);
    } else {
        ask_read(sim, ret_ask, device);
    }
    bool writes = ret_ask->kind != SIM_READ && ret_ask->kind != SIM_OTHER && !ret_ask->once;
    if (writes && sim_percent(sim, 50)) {
        ret_ask->idempotency_key = sim_text(sim, "ask-%d", sim->ask_count++);
    }
}

/* ---- sending, and what the answer means -------------------------------------------------------------- */

/* Which statuses are right for what was asked; 503 may always be. */
static bool is_expected(const struct sim_ask *ask, int status)
{
    static const int expected[][7] = {
        [SIM_CREATE] = {201, 200, 409, 404},
        [SIM_UPDATE] = {202, 200, 404, 412, 429},
        [SIM_CANCEL] = {200, 404, 409},
        [SIM_ACTION] = {200, 404, 409},
        [SIM_OTHER] = {200, 409},
        [SIM_READ] = {200, 404},
    };
    for (size_t i = 0; i < COUNT_OF(expected[0]); i++) {
        if (status == expected[ask->kind][i]) {
            return true;
        }
    }
    return status == 503;
}

void sim_ask_send(struct sim *sim, struct sim_ask *ask, struct call *call)
{
    struct header headers[6] = {{STR("host"), STR("localhost")},
                                {STR("x-api-key"), sim->credentials[ask->who]}};
    size_t count = 2;
    if (ask->body.len) {
        headers[count++] = (struct header){STR("content-type"), STR("application/json")};
    }
    if (ask->idempotency_key.len) {
        headers[count++] = (struct header){STR("idempotency-key"), ask->idempotency_key};
    }
    if (ask->if_match.len) {
        headers[count++] = (struct header){STR("if-match"), ask->if_match};
    }
    struct request request = {.method = ask->method,
                              .target = ask->target,
                              .headers = headers,
                              .header_count = count,
                              .body = ask->body,
                              .loopback = true};
    enum rc rc = api_handle(&sim->world, call, &request, &ask->response);
    int status = ask->response.status;
    if (rc == RC_BROKEN) {
        CHECK(fault_disk.dead);
        return;
    }
    if (!is_expected(ask, status)) {
        FAIL("status %d for " STR_FMT " " STR_FMT " " STR_FMT ": " STR_FMT, status,
             STR_ARG(ask->method), STR_ARG(ask->target), STR_ARG(ask->body),
             STR_ARG(ask->response.body));
    }
    ask->replayed = response_header(&ask->response, "idempotency-replayed").len > 0;
    CHECK(!ask->replayed || ask->idempotency_key.len > 0);
    if (ask->answered && !ask->replayed && status != 503) { /* P6: it was answered before */
        if (sim->latest_ms < ask->expires_at_ms) {
            FAIL("P6: " STR_FMT " was answered %d " STR_FMT ", and now %d " STR_FMT,
                 STR_ARG(ask->body), ask->status, STR_ARG(ask->answer), status,
                 STR_ARG(ask->response.body));
        }
    }
}

static void keep(struct sim *sim, const struct sim_ask *ask)
{
    for (int i = 0; i < sim->kept_count; i++) {
        if (str_equal(sim->kept[i].idempotency_key, ask->idempotency_key)) {
            sim->kept[i] = *ask;
            return;
        }
    }
    int at =
        sim->kept_count < SIM_ASKS_KEPT ? sim->kept_count++ : (int)sim_random(sim, SIM_ASKS_KEPT);
    sim->kept[at] = *ask;
}

static int64_t seq_of(struct sim *sim, struct str json)
{
    yyjson_val *root = NULL;
    CHECK_RC(json_read(&sim->turn_arena, json, 16, &root, NULL), RC_OK);
    return json_member_i64(root, "seq", -1);
}

void sim_ask_durable(struct sim *sim, struct sim_ask *ask, const struct call *call)
{
    int status = ask->response.status;
    bool done = (status >= 200 && status < 300) && !ask->replayed;
    if (done && ask->idempotency_key.len) {
        ask->expires_at_ms = call->now_ms + sim->settings.idempotency_ttl_ms;
    }
    if (done && (status == 201 || status == 202 || ask->kind == SIM_CANCEL ||
                 (ask->kind == SIM_UPDATE && status == 200))) {
        CHECK(sim->fact_count < SIM_FACTS);
        sim->facts[sim->fact_count++] = (struct sim_fact){
            .kind = ask->kind,
            .device = ask->device,
            .seq = ask->kind == SIM_CREATE   ? 0
                   : ask->kind == SIM_CANCEL ? ask->seq
                                             : seq_of(sim, ask->response.body),
            .attributes = ask->attributes,
        };
    }
    if (ask->idempotency_key.len && status != 503) { /* may be asked again, answered or not */
        struct sim_ask again = *ask;
        again.response = (struct response){0};
        again.answered = ask->answered && !done; /* done anew, after the first answer had expired */
        if (ask->replayed && ask->answered &&
            sim->latest_ms < ask->expires_at_ms) { /* P6: the first answer's bytes */
            CHECK_INT(status, ask->status);
            CHECK_BYTES(ask->response.body, ask->answer);
        }
        keep(sim, &again);
    }
}

void sim_ask_heard(struct sim *sim, struct sim_ask *ask)
{
    int status = ask->response.status;
    for (int i = 0; i < sim->kept_count && status >= 200 && status < 300; i++) {
        struct sim_ask *kept = &sim->kept[i];
        if (ask->idempotency_key.len && str_equal(kept->idempotency_key, ask->idempotency_key)) {
            kept->answered = true;
            kept->status = status;
            kept->answer = arena_copy(&sim->arena, ask->response.body);
        }
    }
}
