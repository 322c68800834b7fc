/* `hourbell check downstream`: does the address answer, do the credentials work, does the mapping fit? One logon attempt only:
 * SAP locks a user after three. Writes nothing. */
#include "adapters/clock_system.h"
#include "adapters/downstream_file.h"
#include "adapters/downstream_odata.h"
#include "adapters/sap_metadata.h"
#include "adapters/secrets_file.h"
#include "home/cmd.h"
#include "home/config_args.h"
#include "home/findings.h"
#include "home/start.h"

/* What is looked at. */
struct look {
    const struct args *args;
    struct call call;
    struct world world;
    struct str name, json; /* of the mapping */
};

static int tell(const struct look *look, const struct sap_findings *findings)
{
    findings_print(look->args, look->name, look->json, findings);
    if (findings->wrong) {
        return command_fail(look->args, EXIT_INVALID, "%d found in " STR_FMT, findings->wrong,
                            STR_ARG(look->name));
    }
    return EXIT_DONE;
}

/* Hold the mapping against what the service says of itself. */
static int compare(struct look *look, struct downstream *downstream)
{
    const struct sap_config *config = downstream_file_sap(downstream);
    struct sap_findings findings = {0};
    struct outcome outcome;
    struct str xml;
    if (!config) {
        return tell(look, &findings); /* a plain downstream says nothing of itself */
    }
    downstream_odata_metadata(downstream, &look->call, &look->world, &outcome, &xml);
    if (outcome.class != OUTCOME_EFFECT) {
        return findings_fail(look->args, &outcome);
    }
    if (sap_metadata_compare(config, &look->call, xml, &findings) != RC_OK) {
        return command_fail(look->args, EXIT_INVALID, "%s", look->call.why);
    }
    int code = tell(look, &findings);
    if (code == EXIT_DONE && !args_has(look->args, "json")) {
        printf(STR_FMT ": %d fields and %d parts of the key fit " STR_FMT " of " STR_FMT "\n",
               STR_ARG(look->name), config->field_count, config->key_count, STR_ARG(config->entity),
               STR_ARG(config->base_url));
    }
    return code;
}

static int look_at(struct look *look, const struct settings *settings)
{
    struct downstream *downstream = NULL;
    struct outcome outcome;
    enum rc rc = downstream_file_open_text(&look->call, settings->downstream, look->name,
                                           look->json, look->world.secrets, 1, &downstream);
    if (rc == RC_INVALID && look->call.item_count) {
        struct sap_findings findings = findings_of_call(&look->call);
        return tell(look, &findings);
    }
    if (rc != RC_OK) {
        return command_fail(look->args, EXIT_INVALID, "%s", look->call.why);
    }
    look->world.downstream = downstream;
    downstream_check(downstream, &look->call, &look->world, &outcome);
    int code = outcome.class == OUTCOME_EFFECT ? compare(look, downstream)
                                               : findings_fail(look->args, &outcome);
    downstream_file_close(downstream);
    return code;
}

int cmd_check_downstream(const struct args *args)
{
    struct config config;
    struct clock_system clock;
    struct secrets *secrets = NULL;
    struct look look = {.args = args};
    if (config_args_load(args, &config) != RC_OK) {
        return EXIT_INVALID;
    }
    clock_system_open(&clock);
    look.world = (struct world){.clock = &clock.clock, .settings = &config.settings};
    look.name = config.settings.downstream_file;
    call_open(&look.call, args->arena, &look.world);
    if (start_secrets(&look.call, &config.settings, &secrets) != RC_OK) {
        return command_fail(args, EXIT_INVALID, "%s", look.call.why);
    }
    look.world.secrets = secrets;
    enum rc rc = downstream_file_read(&look.call, look.name, &look.json);
    int code = rc == RC_OK ? look_at(&look, &config.settings)
                           : command_fail(args, rc == RC_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_INVALID,
                                          "%s", look.call.why);
    secrets_file_close(secrets);
    return code;
}
