/* `hourbell check downstream`: does the address answer, do the credentials work, does the mapping fit? One logon attempt only:
 * SAP locks a user after three. Writes nothing. */
#include <stdio.h>

#include "adapters/clock_system.h"
#include "adapters/downstream_file.h"
#include "adapters/secrets_file.h"
#include "base/text.h"
#include "home/cmd.h"
#include "home/config_args.h"
#include "home/print.h"
#include "home/start.h"

static void print_findings(const struct args *args, struct str findings)
{
    bool json = args_has(args, "json");
    int count = 0;
    fputs(json ? "{\"findings\":[" : "", stdout);
    while (findings.len) {
        struct str line = text_cut(&findings, '\n');
        struct text quoted;
        text_open(&quoted, args->arena, line.len * 6 + 8);
        text_add_json(&quoted, line);
        fputs(json && count++ ? "," : "", stdout);
        print_text(stdout, json ? text_str(&quoted) : line, "");
        fputs(json ? "" : "\n", stdout);
    }
    fputs(json ? "]}\n" : "", stdout);
}

static int judge(const struct args *args, const struct outcome *outcome)
{
    enum exit_code code = outcome->auth                    ? EXIT_AUTH
                          : outcome->class == OUTCOME_STOP ? EXIT_INVALID
                                                           : EXIT_UNREACHABLE;
    return command_fail(args, code, STR_FMT ": " STR_FMT, STR_ARG(outcome->code),
                        STR_ARG(outcome->detail));
}

static int look(const struct args *args, struct downstream *downstream, struct call *call,
                struct world *world)
{
    struct outcome outcome;
    struct str findings;
    downstream_check(downstream, call, world, &outcome);
    if (outcome.class != OUTCOME_EFFECT) {
        return judge(args, &outcome);
    }
    if (downstream_file_inspect(downstream, call, world, &findings) != RC_OK) {
        return command_fail(args, EXIT_UNREACHABLE, "$metadata: %s", call->why);
    }
    print_findings(args, findings);
    return findings.len ? EXIT_FAILED : EXIT_DONE;
}

int cmd_check_downstream(const struct args *args)
{
    struct config config;
    struct clock_system clock;
    struct secrets *secrets = NULL;
    struct downstream *downstream = NULL;
    struct call call;
    if (config_args_load(args, &config) != RC_OK) {
        return EXIT_INVALID;
    }
    clock_system_open(&clock);
    struct world world = {.clock = &clock.clock, .settings = &config.settings};
    call_open(&call, args->arena, &world);
    if (start_secrets(&call, &config.settings, &secrets) != RC_OK) {
        return command_fail(args, EXIT_INVALID, "%s", call.why);
    }
    world.secrets = secrets;
    int code;
    if (start_downstream(&call, &config.settings, secrets, 1, &downstream) == RC_OK) {
        world.downstream = downstream;
        code = look(args, downstream, &call, &world);
    } else {
        code = command_fail(args, EXIT_INVALID, "%s", call.why);
    }
    downstream_file_close(downstream);
    secrets_file_close(secrets);
    return code;
}
