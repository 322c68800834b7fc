/* What kind of SAP a run has to do with: the version of the protocol, the habits that differ from system to system, and
 * what goes wrong. Nothing here breaks SAP's word: what says "not done" was not done. */
#include "fixture_sap.h"
#include "sim.h"

#define SETTLE_LIMIT_MS 1000 /* late commits stay so far below late_limit */

/* ---- habits -------------------------------------------------------------------------------------- */

static struct str with(struct sim *sim, struct str mapping, const char *from, const char *to)
{
    return to ? fixture_sap_with(&sim->arena, mapping, from, to) : mapping;
}

/* One of some texts that may stand in a place of the mapping; NULL = as it is. */
static const char *one_of(struct sim *sim, const char *const *texts, uint64_t count)
{
    return texts[sim_random(sim, count)];
}

static struct str draw_mapping(struct sim *sim)
{
    static const char *const verbs[] = {NULL, NULL, "\"verb\":\"MERGE\"", "\"verb\":\"tunnel\""};
    static const char *const repeats[] = {NULL, NULL, "\"repeatability\":\"gateway\"",
                                          "\"repeatability\":\"off\""};
    static const char *const looks[] = {NULL, NULL, "\"read_after_write\":\"off\"",
                                        "\"read_after_write\":\"sample\"",
                                        "\"read_after_write\":\"always\""};
    struct str mapping = str_of(downstream_mock_mapping);
    sim->profile.v4 = sim_percent(sim, 40);
    sim->profile.etags = sim_percent(sim, 85);
    bool blind = sim_percent(sim, 15);
    if (sim->profile.v4) {
        mapping = fixture_sap_as_v4(&sim->arena, mapping);
    } else {
        mapping = with(sim, mapping, "\"verb\":\"PATCH\"", one_of(sim, verbs, COUNT_OF(verbs)));
    }
    mapping =
        with(sim, mapping, "\"repeatability\":\"oasis\"", one_of(sim, repeats, COUNT_OF(repeats)));
    mapping =
        with(sim, mapping, "\"read_after_write\":\"changed\"", one_of(sim, looks, COUNT_OF(looks)));
    if (blind) {
        mapping =
            with(sim, mapping, "\"concurrency\":\"etag\",\"read_before_write\":true",
                 sim_percent(sim, 50) ? "\"concurrency\":\"overwrite\",\"read_before_write\":false"
                                      : "\"concurrency\":\"overwrite\",\"read_before_write\":true");
    }
    sim->counts[SIM_V4] += sim->profile.v4;
    sim->counts[SIM_BLIND] += blind;
    sim->counts[SIM_WITHOUT_ETAGS] += !sim->profile.etags;
    return mapping;
}

static void draw_habits(struct sim *sim)
{
    static const int64_t statuses[] = {428, 412, 0}, locks[] = {400, 409, 423, 500};
    struct sap_mock *sap = downstream_mock_sap(sim->downstream);
    sap_mock_switch(sap, SAP_MOCK_repeat_oasis, (int64_t)sim_random(sim, 2));
    sap_mock_switch(sap, SAP_MOCK_repeat_gateway, (int64_t)sim_random(sim, 4));
    sap_mock_switch(sap, SAP_MOCK_log_reads, 1);
    sap_mock_switch(sap, SAP_MOCK_etags, sim->profile.etags);
    sap_mock_switch(sap, SAP_MOCK_if_match_status, statuses[sim_random(sim, COUNT_OF(statuses))]);
    sap_mock_switch(sap, SAP_MOCK_lock_status, locks[sim_random(sim, COUNT_OF(locks))]);
    sap_mock_switch(sap, SAP_MOCK_update_status, sim_percent(sim, 50) ? 200 : 204);
    sap_mock_switch(sap, SAP_MOCK_location, (int64_t)sim_random(sim, 5));
    sap_mock_switch(sap, SAP_MOCK_pad_keys, (int64_t)sim_random(sim, 2));
    sap_mock_switch(sap, SAP_MOCK_token_on_head, (int64_t)sim_random(sim, 2));
    sap_mock_switch(sap, SAP_MOCK_session_ms, sim_percent(sim, 30) ? 30000 : 1800000);
    sap_mock_switch(sap, SAP_MOCK_error_form,
                    sim_percent(sim, 30) ? (int64_t)sim_random(sim, 6) : 0);
}

/* ---- logon ------------------------------------------------------------------------------------------ */

static enum rc secret(struct secrets *secrets, struct call *call UNUSED, struct str name,
                      struct str *ret_value)
{
    const struct sim *sim = (struct sim *)((char *)secrets - offsetof(struct sim, secrets));
    struct str password = sim->password_is_old ? STR("the old one") : fixture_sap_guarded.password;
    *ret_value = str_is(name, "sap/user") ? fixture_sap_guarded.user : password;
    return RC_OK;
}

static const struct secrets_ops secret_ops = {.get = secret};

void sim_sap_password(struct sim *sim)
{
    sim->password_is_old = sim->profile.guarded && !sim->password_is_old && !sim->quiet;
    sim->counts[SIM_PASSWORDS] += sim->password_is_old;
    if (sim->password_is_old) { /* SAP also counts refusals whose answer is lost, and those nobody can know of */
        sap_mock_faults_clear(downstream_mock_sap(sim->downstream));
    }
}

void sim_sap_open(struct sim *sim, struct call *call, struct downstream_mock_options *options)
{
    const char *basic =
        "{\"type\":\"basic\",\"user\":\"secret:sap/user\",\"password\":\"secret:sap/password\"}";
    options->mapping = draw_mapping(sim);
    if (sim->profile.guarded) {
        options->sap = fixture_sap_guarded;
        options->mapping = with(sim, options->mapping, "{\"type\":\"none\"}", basic);
    }
    sim->secrets.ops = &secret_ops;
    sim->world.secrets = &sim->secrets;
    CHECK_RC(downstream_mock_open(call, options, &sim->secrets, &sim->downstream), RC_OK);
    draw_habits(sim);
}

/* ---- faults ----------------------------------------------------------------------------------------- */

#define MESSAGE(text)                                                                              \
    {                                                                                              \
        text, sizeof text - 1                                                                      \
    }

static void fault_of_write(struct sim *sim, struct sap_fault *fault)
{
    static const struct sap_fault faults[] = {
        {.drop = SAP_DROP_BEFORE},
        {.drop = SAP_DROP_AFTER},
        {.drop = SAP_DROP_HALF},
        {.status = 503, .retry_after = MESSAGE("120")},
        {.status = 503},
        {.status = 429, .retry_after = MESSAGE("30")},
        {.status = 429, .retry_after = MESSAGE("99999999999")},
        {.lock = true},
        {.lock = true},
        {.status = 400, .code = MESSAGE("ZHB/020"), .message = MESSAGE("Not today")},
        {.status = 504, .commit = true},
        {.status = 504},
        {.status = 502, .commit = true},
        {.status = 500},
        {.status = 500,
         .commit = true,
         .content_type = MESSAGE("text/html"),
         .body = MESSAGE("<html>500 Timeout</html>")},
        {.status = 401},
        {.status = 404, .message = MESSAGE("gone")},
        {.status = 412, .message = MESSAGE("stale")},
        {.status = 403, .csrf = MESSAGE("REQUIRED")},
        {.touch = true},
        {.touch = true},
        {.delay_ms = 30000},
        {.delay_ms = 70000},
        {.expire = true},
        {.expire = true},
    };
    *fault = faults[sim_random(sim, COUNT_OF(faults))];
    fault->method = STR("WRITE");
    if (sim_percent(sim, 4)) { /* done, and yet SAP calls it an error */
        *fault = (struct sap_fault){
            .method = STR("WRITE"),
            .sap_message = sim->profile.v4 ? STR("[{\"message\":\"hm\",\"numericSeverity\":4}]")
                                           : STR("{\"message\":\"hm\",\"severity\":\"error\"}")};
    }
    if (sim->profile.late && sim_percent(sim, 30)) {
        int64_t most_ms = sim->settings.late_limit_ms - SETTLE_LIMIT_MS;
        *fault = (struct sap_fault){.method = STR("WRITE"),
                                    .drop = SAP_DROP_AFTER,
                                    .late_ms = 1 + (int64_t)sim_random(sim, (uint64_t)most_ms)};
        sim->counts[SIM_LATE]++;
    }
}

static void fault_of_read(struct sim *sim, struct sap_fault *fault)
{
    static const struct sap_fault faults[] = {
        {.drop = SAP_DROP_AFTER}, {.status = 503}, {.status = 500},   {.delay_ms = 15000},
        {.expire = true},         {.status = 429}, {.delay_ms = 900}, {.drop = SAP_DROP_HALF},
    };
    *fault = faults[sim_random(sim, COUNT_OF(faults))];
    fault->method = STR("READ");
}

void sim_fault(struct sim *sim)
{
    struct sap_fault fault;
    if (sim->password_is_old) {
        return;
    }
    if (sim_percent(sim, 70)) {
        fault_of_write(sim, &fault);
    } else {
        fault_of_read(sim, &fault);
    }
    fault.times = sim_percent(sim, 10) ? 1 + (int)sim_random(sim, 8) : 1;
    sap_mock_fault(downstream_mock_sap(sim->downstream), &fault);
    sim->counts[SIM_LOCKS] += fault.lock;
    sim->counts[SIM_SESSIONS_LOST] += fault.expire;
    sim->counts[SIM_STALE] += fault.touch;
    sim->counts[SIM_THROTTLED] += fault.status == 429 || fault.status == 503;
}
