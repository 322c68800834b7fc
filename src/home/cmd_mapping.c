/* `hourbell mapping init`: a first downstream.json from what the service says of itself and a sample of devices. It asks the service
 * once and writes nothing there; what it made is held against the service, as `check downstream` does. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapters/clock_system.h"
#include "adapters/downstream_file.h"
#include "adapters/downstream_odata.h"
#include "adapters/sap_propose.h"
#include "adapters/sap_talk.h"
#include "adapters/secrets_file.h"
#include "home/cmd.h"
#include "home/config_args.h"
#include "home/findings.h"
#include "home/import_line.h"
#include "home/print.h"
#include "home/start.h"
#include "home/text_file.h"

/* Enough of a mapping to ask the service; one of V4 describes itself to V2 as well. */
#define ANY_FIELD                                                                                  \
    "\"protocol\":\"v2\",\"entity\":\"Any\",\"key\":[{\"field\":\"Key\",\"from\":\"ref\"}],"       \
    "\"mapping_version\":1,"                                                                       \
    "\"resolve\":{\"field\":\"Any\"},\"fields\":[{\"field\":\"Any\",\"const\":\"\"}]}"

struct drafted {
    const struct args *args;
    struct config config;
    struct clock_system clock;
    struct world world;
    struct call call;
    struct str head, xml;
    struct edmx edmx;
    struct edmx_set set;
    struct sample sample;
    struct proposal proposal;
};

/* ---- what stands in front: address, logon ------------------------------------------------------------------------- */

static void add_member(struct text *out, const char *name, struct str value)
{
    text_printf(out, "\"%s\": ", name);
    text_add_json(out, value);
}

static void add_auth(struct drafted *draft, struct text *out)
{
    struct str type = str_of(args_text(draft->args, "auth", "basic"));
    text_add(out, STR(" \"auth\": {"));
    add_member(out, "type", type);
    if (str_is(type, "basic")) {
        text_add(out,
                 STR(", \"user\": \"secret:sap/user\", \"password\": \"secret:sap/password\""));
    } else if (str_is(type, "oauth2_client_credentials")) {
        text_add(out, STR(", \"client_id\": \"secret:sap/client_id\", "
                          "\"client_secret\": \"secret:sap/client_secret\", "));
        add_member(out, "token_url", str_of(args_text(draft->args, "token-url", "")));
    } else if (str_is(type, "bearer")) {
        text_add(out, STR(", \"token\": \"secret:sap/token\""));
    }
    text_add(out, STR("},\n"));
}

static void write_head(struct drafted *draft)
{
    struct text out;
    const char *query;
    text_open(&out, draft->args->arena, 65536);
    text_add(&out, STR(" "));
    add_member(&out, "base_url", str_of(args_operand(draft->args, 0, "")));
    text_add(&out, STR(",\n"));
    for (int i = 0; (query = args_nth(draft->args, "query", i)) != NULL; i++) {
        struct str value = str_of(query), name = text_cut(&value, '=');
        text_add(&out, i ? STR(", ") : STR(" \"query\": {"));
        text_add_json(&out, name);
        text_add(&out, STR(": "));
        text_add_json(&out, value);
    }
    text_add(&out, args_has(draft->args, "query") ? STR("},\n") : STR(""));
    add_auth(draft, &out);
    draft->head = text_str(&out);
}

/* ---- what the service says --------------------------------------------------------------------------------------------- */

static int ask_with(struct drafted *draft)
{
    struct downstream *downstream = NULL;
    struct outcome outcome = {0};
    struct str json = arena_printf(draft->args->arena, "{" STR_FMT ANY_FIELD, STR_ARG(draft->head));
    draft->call.item_count = 0;
    if (downstream_file_open_text(&draft->call, STR("odata"), STR("the options"), json,
                                  draft->world.secrets, 1, &downstream) != RC_OK) {
        const struct problem_item *item = &draft->call.items[0];
        return draft->call.item_count
                   ? command_fail(draft->args, EXIT_INVALID, STR_FMT ": " STR_FMT,
                                  STR_ARG(item->pointer), STR_ARG(item->detail))
                   : command_fail(draft->args, EXIT_INVALID, "%s", draft->call.why);
    }
    downstream_odata_metadata(downstream, &draft->call, &draft->world, &outcome, &draft->xml);
    downstream_file_close(downstream);
    return outcome.class == OUTCOME_EFFECT ? EXIT_DONE : findings_fail(draft->args, &outcome);
}

static int ask_service(struct drafted *draft)
{
    struct secrets *secrets = NULL;
    if (start_secrets(&draft->call, &draft->config.settings, &secrets) != RC_OK) {
        return command_fail(draft->args, EXIT_INVALID, "%s", draft->call.why);
    }
    draft->world.secrets = secrets;
    int code = ask_with(draft);
    draft->world.secrets = NULL;
    secrets_file_close(secrets);
    return code;
}

static int read_metadata(struct drafted *draft)
{
    const char *path = args_text(draft->args, "metadata", NULL);
    int code = path ? text_file_read(draft->args, path, SAP_ANSWER_MAX_BYTES, &draft->xml)
                    : ask_service(draft);
    if (code == EXIT_DONE && sap_edmx_read(&draft->call, draft->xml, &draft->edmx) != RC_OK) {
        return command_fail(draft->args, EXIT_INVALID, "%s", draft->call.why);
    }
    return code;
}

/* The set that was asked for; else Equipment, or the only one. */
static int choose_set(struct drafted *draft)
{
    struct text names;
    struct str only = draft->edmx.set_count == 1 ? draft->edmx.sets[0] : STR("Equipment");
    struct str wanted = str_of(args_text(draft->args, "entity", NULL));
    if (sap_edmx_set(&draft->edmx, &draft->call, wanted.len ? wanted : only, &draft->set) ==
        RC_OK) {
        return EXIT_DONE;
    }
    text_open(&names, draft->args->arena, 2000);
    for (int i = 0; i < draft->edmx.set_count; i++) {
        text_printf(&names, "%s" STR_FMT, i ? ", " : "", STR_ARG(draft->edmx.sets[i]));
    }
    return command_fail(draft->args, EXIT_NOT_FOUND,
                        "say --entity, one of the service's sets\n" STR_FMT,
                        STR_ARG(text_str(&names)));
}

/* ---- the sample ---------------------------------------------------------------------------------------------------------- */

static int read_line(struct drafted *draft, struct str text, int number)
{
    static const struct import_rules rules = {.mode = IMPORT_UPSERT};
    struct import_line line;
    struct arena arena;
    struct call call;
    arena_open(&arena, 0);
    call_open(&call, &arena, &draft->world);
    import_line_read(&call, text, &rules, &line);
    int code = EXIT_DONE;
    if (line.problem != PROBLEM_NONE) {
        code = command_fail(draft->args, EXIT_INVALID, "line %d of the sample: " STR_FMT, number,
                            STR_ARG(line.detail));
    } else if (line.attributes.len && sap_sample_add(&draft->sample, &call, draft->args->arena,
                                                     line.attributes) != RC_OK) {
        code =
            command_fail(draft->args, EXIT_INVALID, "line %d of the sample: %s", number, call.why);
    }
    arena_close(&arena);
    return code;
}

static int read_lines(struct drafted *draft, FILE *file)
{
    char *room = NULL;
    size_t room_bytes = 0;
    ssize_t size;
    int code = EXIT_DONE, number = 0;
    while (code == EXIT_DONE && (size = getline(&room, &room_bytes, file)) >= 0) {
        struct str line = {room, (size_t)size};
        line.len -= line.len && line.s[line.len - 1] == '\n';
        number++;
        if (text_trim(line).len) {
            code = read_line(draft, line, number);
        }
    }
    if (code == EXIT_DONE && ferror(file)) {
        code = command_fail(draft->args, EXIT_INVALID, "the sample: %s", strerrordesc_np(errno));
    }
    free(room);
    return code;
}

static int read_sample(struct drafted *draft)
{
    const char *path = args_text(draft->args, "sample", NULL);
    bool standard = path && strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : path ? fopen(path, "re") : NULL;
    if (!path) {
        return EXIT_DONE;
    }
    if (!file) {
        return command_fail(draft->args, EXIT_NOT_FOUND, "%s: %s", path, strerrordesc_np(errno));
    }
    int code = read_lines(draft, file);
    if (!standard) {
        (void)fclose(file); /* it was only read */
    }
    return code;
}

/* ---- the result --------------------------------------------------------------------------------------------------------- */

static int write_file(const struct drafted *draft, const char *path)
{
    struct str json = draft->proposal.json;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        return command_fail(draft->args, errno == EEXIST ? EXIT_CONFLICT : EXIT_FAILED, "%s: %s",
                            path, strerrordesc_np(errno));
    }
    FILE *file = fdopen(fd, "w");
    if (!file) {
        abort();
    }
    bool written = fwrite(json.s, 1, json.len, file) == json.len;
    written = fclose(file) == 0 && written;
    return written ? EXIT_DONE
                   : command_fail(draft->args, EXIT_FAILED, "%s: %s", path, strerrordesc_np(errno));
}

static int write_result(const struct drafted *draft)
{
    const char *path = args_text(draft->args, "output", NULL);
    if (path) {
        return write_file(draft, path);
    }
    print_text(stdout, draft->proposal.json, "\n");
    return fflush(stdout) == 0 && !ferror(stdout)
               ? EXIT_DONE
               : command_fail(draft->args, EXIT_FAILED, "standard output cannot be written");
}

/* The file as it will be read: what does it say to the service? out: how much a person must decide */
static int check_result(struct drafted *draft, int *ret_open)
{
    struct sap_config config;
    struct sap_findings findings;
    *ret_open = 0;
    for (int i = 0; i < draft->proposal.remark_count; i++) {
        const struct propose_remark *one = &draft->proposal.remarks[i];
        command_note(draft->args, "%s" STR_FMT, one->open ? "to do: " : "", STR_ARG(one->words));
        *ret_open += one->open;
    }
    draft->call.item_count = 0;
    if (sap_config_read(&draft->call, draft->args->arena, draft->proposal.json, &config) != RC_OK) {
        findings = findings_of_call(&draft->call);
    } else if (sap_metadata_compare(&config, &draft->call, draft->xml, &findings) != RC_OK) {
        return command_fail(draft->args, EXIT_FAILED, "%s", draft->call.why);
    }
    for (int i = 0; i < findings.count; i++) {
        const struct sap_finding *one = &findings.items[i];
        command_note(draft->args, "%sline %d: " STR_FMT, one->note ? "" : "to do: ",
                     json_line(draft->args->arena, draft->proposal.json, one->pointer),
                     STR_ARG(one->words));
        *ret_open += !one->note;
    }
    return EXIT_DONE;
}

static int propose(struct drafted *draft)
{
    struct propose asked = {.head = draft->head,
                            .name_field = str_of(args_text(draft->args, "name-field", ""))};
    int todo = 0;
    if (sap_propose(&asked, &draft->edmx, &draft->set, &draft->sample, &draft->call,
                    &draft->proposal) != RC_OK) {
        return command_fail(draft->args, EXIT_NOT_FOUND,
                            "%s\nSay --name-field: the field that holds the device's name, and is "
                            "searched by",
                            draft->call.why);
    }
    int code = write_result(draft);
    if (code == EXIT_DONE) {
        code = check_result(draft, &todo);
    }
    if (code == EXIT_DONE && todo) {
        return command_fail(draft->args, EXIT_PARTIAL, "%d to do by hand", todo);
    }
    return code;
}

int cmd_mapping_init(const struct args *args)
{
    struct drafted *draft = calloc(1, sizeof *draft);
    if (!draft) {
        abort();
    }
    draft->args = args;
    clock_system_open(&draft->clock);
    draft->world =
        (struct world){.clock = &draft->clock.clock, .settings = &draft->config.settings};
    int code = config_args_load(args, &draft->config) == RC_OK ? EXIT_DONE : EXIT_INVALID;
    if (code == EXIT_DONE) {
        call_open(&draft->call, args->arena, &draft->world);
        write_head(draft);
        code = read_metadata(draft);
    }
    if (code == EXIT_DONE) {
        code = choose_set(draft);
    }
    if (code == EXIT_DONE) {
        code = read_sample(draft);
    }
    if (code == EXIT_DONE) {
        code = propose(draft);
    }
    free(draft);
    return code;
}
