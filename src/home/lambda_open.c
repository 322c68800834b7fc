/* From the environment to a world. Only what a function needs is opened: api must not touch the network before its first event, and
 * what has no right to the secrets does without the downstream's credentials. */
#include <stdlib.h>

#include "adapters/downstream_file.h"
#include "adapters/notifier_sns.h"
#include "adapters/secrets_ssm.h"
#include "adapters/store_dynamodb.h"
#include "base/diag.h"
#include "home/config_rules.h"
#include "home/lambda.h"

#define DAY_MS INT64_C(86400000)

/* --- settings ------------------------------------------------------------------------------------------- */

static enum rc read_settings(struct lambda *lambda, struct call *call, char *const *environment)
{
    struct config_report report = {.arena = &lambda->arena};
    settings_default(&lambda->config.settings);
    config_environment(environment, &lambda->config, &report);
    if (report.fault_count == 0) {
        config_rules_check(&lambda->config, &report);
    }
    for (int i = 0; i < report.warning_count && i < CONFIG_REMARKS_MAX; i++) {
        DIAG(DIAG_WARN, "setting", DIAG_TEXT("detail", report.warnings[i]));
    }
    for (int i = 0; i < report.fault_count && i < CONFIG_REMARKS_MAX; i++) {
        DIAG(DIAG_ERROR, "setting", DIAG_TEXT("detail", report.faults[i]));
    }
    return report.fault_count ? call_why(call, RC_INVALID, STR_FMT, STR_ARG(report.faults[0]))
                              : RC_OK;
}

static struct str find(const char *name)
{
    const char *value = getenv(name);
    return value ? str_of(value) : STR_NONE; /* nobody changes these variables */
}

static enum rc read_names(struct lambda *lambda, struct call *call)
{
    unsigned needs = lambda->function->needs;
#define X(member, variable, help) lambda->names.member = find(variable);
    LAMBDA_NAMES(X)
#undef X
    if (needs & NEEDS_STORE && !lambda->names.table.len) {
        return call_why(call, RC_INVALID, "HOURBELL_AWS_TABLE is not set");
    }
    if (needs & (NEEDS_SECRETS | NEEDS_DOWNSTREAM) && !lambda->names.secrets_prefix.len) {
        return call_why(call, RC_INVALID, "HOURBELL_AWS_SECRETS_PREFIX is not set");
    }
    return RC_OK;
}

/* --- the downstream ----------------------------------------------------------------------------------------- */

/* Secrets of functions that map and never send. */
static enum rc no_secret(struct secrets *secrets, struct call *call, struct str name,
                         struct str *ret_value)
{
    (void)secrets, (void)call, (void)name;
    *ret_value = STR("");
    return RC_OK;
}
static const struct secrets_ops no_secrets_ops = {no_secret};
static struct secrets no_secrets = {&no_secrets_ops};

/* downstream.json lies beside the program. */
static struct str mapping_path(struct lambda *lambda)
{
    struct str file = lambda->config.settings.downstream_file;
    const char *folder = getenv("LAMBDA_TASK_ROOT");
    return file.len && file.s[0] != '/' && folder
               ? arena_printf(&lambda->arena, "%s/" STR_FMT, folder, STR_ARG(file))
               : file;
}

static enum rc open_downstream(struct lambda *lambda, struct call *call)
{
    bool sends = lambda->function->needs & NEEDS_DOWNSTREAM;
    struct downstream *downstream = NULL;
    TRY(downstream_file_open(call, lambda->config.settings.downstream, mapping_path(lambda),
                             sends ? lambda->secrets : &no_secrets, 1, &downstream));
    if (!sends) {
        downstream->credentials_sha = STR_NONE; /* whether they are proven is deliver's to judge */
    }
    lambda->world.downstream = downstream;
    lambda->downstream_opened_at_ms = clock_boot_ms(&lambda->clock.clock);
    return RC_OK;
}

enum rc lambda_refresh(struct lambda *lambda, struct call *call)
{
    int64_t age_ms = clock_boot_ms(&lambda->clock.clock) - lambda->downstream_opened_at_ms;
    if (lambda->world.downstream && age_ms < SECRETS_KEPT_MS) {
        return RC_OK;
    }
    downstream_file_close(lambda->world.downstream);
    lambda->world.downstream = NULL;
    return open_downstream(lambda, call);
}

/* --- all ------------------------------------------------------------------------------------------------------ */

/* The roots of Amazon's own endpoints, where the program brings them along (roots.S, static build); else the system's. */
extern const char lambda_roots[] __attribute__((weak));

static enum rc open_aws(struct lambda *lambda, struct call *call)
{
    struct aws_options options = {.clock = &lambda->clock.clock};
    aws_options_read(&options, getenv);
    if (lambda_roots) {
        options.ca_pem = str_of(lambda_roots);
    }
    return aws_open(call, &options, &lambda->aws);
}

static void open_store(struct lambda *lambda)
{
    struct store_dynamodb_options options = {
        .table = lambda->names.table, .history_ms = lambda->config.settings.history_days * DAY_MS};
    struct notifier_sns_options topics = {.operators_topic = lambda->names.operators_topic,
                                          .customers_topic = lambda->names.customers_topic};
    store_dynamodb_open(lambda->aws, &options, &lambda->world.store);
    notifier_sns_open(lambda->aws, &topics, &lambda->world.notifier);
}

enum rc lambda_open(struct lambda *lambda, struct call *call, char *const *environment)
{
    unsigned needs = lambda->function->needs;
    TRY(read_settings(lambda, call, environment));
    TRY(read_names(lambda, call));
    lambda_log_open(lambda);
    TRY(open_aws(lambda, call));
    lambda->world.settings = &lambda->config.settings;
    lambda->world.secrets = &no_secrets;
    if (needs & (NEEDS_SECRETS | NEEDS_DOWNSTREAM)) {
        secrets_ssm_open(lambda->aws, lambda->names.secrets_prefix, &lambda->secrets);
        lambda->world.secrets = lambda->secrets;
    }
    if (needs & NEEDS_STORE) {
        open_store(lambda);
    }
    return needs & (NEEDS_MAPPING | NEEDS_DOWNSTREAM) ? open_downstream(lambda, call) : RC_OK;
}

void lambda_close(struct lambda *lambda)
{
    downstream_file_close(lambda->world.downstream);
    secrets_ssm_close(lambda->secrets);
    notifier_sns_close(lambda->world.notifier);
    store_dynamodb_close(lambda->world.store);
    aws_close(lambda->aws);
    lambda_runtime_close(lambda->runtime);
    arena_close(&lambda->arena);
}
