/* `hourbell serve`: settings, secrets, store, downstream, notifier, the first keys; then the server home
 * until it is told to stop. Everything that is wrong at the start ends it with one sentence and an exit
 * code; nothing is served half. The world is filled here, in one literal. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "adapters/clock_system.h"
#include "adapters/downstream_file.h"
#include "adapters/notifier_webhook.h"
#include "adapters/secrets_file.h"
#include "adapters/store_sqlite.h"
#include "base/diag.h"
#include "core/auth.h"
#include "home/cmd.h"
#include "home/config_args.h"
#include "home/data_dir.h"
#include "home/log_lines.h"
#include "home/server.h"
#include "home/start.h"

#define CUSTOMER_OWNER                                                                             \
    STR("customer") /* of a customer's key given beforehand, unless the secret customer_owner says */

/* What serve opened, in the order of opening. */
struct serving {
    struct clock_system clock;
    struct secrets *secrets;
    struct store *store;
    struct notifier *notifier;
    struct downstream *downstream;
    struct world world;
    struct server *server;
};

static enum exit_code exit_of(enum rc rc)
{
    switch (rc) {
    case RC_OK:
        return EXIT_DONE;
    case RC_CONFLICT:
        return EXIT_CONFLICT;
    case RC_INVALID:
    case RC_NOT_FOUND:
        return EXIT_INVALID;
    default:
        return EXIT_FAILED;
    }
}

/* --- the process ---------------------------------------------------------------------------------------- */

static void set_log_level(struct str name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (int i = 0; i < (int)COUNT_OF(names); i++) {
        if (str_is(name, names[i])) {
            log_lines_open((enum diag_level)i);
        }
    }
}

/* As many files as the system allows, and as many pool threads as the settings need: before libuv's first job. */
static void set_limits(const struct settings *settings)
{
    struct rlimit files;
    char count[16];
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (files.rlim_cur != RLIM_INFINITY &&
        (int64_t)files.rlim_cur < settings->max_connections + 64) {
        DIAG(DIAG_WARN, "few_files", DIAG_NUMBER("limit", (int64_t)files.rlim_cur),
             DIAG_NUMBER("max_connections", settings->max_connections));
    }
    snprintf(count, sizeof count, "%d", server_pool_size(settings));
    (void)setenv("UV_THREADPOOL_SIZE", count, 1);
}

/* --- the first keys ---------------------------------------------------------------------------------------- */

static enum rc adopt(struct world *world, struct call *call, const char *secret,
                     const struct key_new *new)
{
    struct str credential;
    bool added = false;
    enum rc rc = secrets_get(world->secrets, call, str_of(secret), &credential);
    if (rc == RC_NOT_FOUND) {
        call_forget(call);
        return RC_OK;
    }
    if (rc == RC_OK) {
        rc = auth_adopt(world, call, credential, new, &added);
    }
    if (rc != RC_OK) {
        return call_why(call, rc, "the secret %s", secret);
    }
    if (added) {
        DIAG(DIAG_INFO, "key_adopted", DIAG_TEXT("secret", str_of(secret)));
    }
    return RC_OK;
}

/* Keys given beforehand; without any operator's key one is made, and shown after its commit. */
static enum rc first_keys(struct world *world, struct call *call, struct str *ret_secret)
{
    struct key_new operator= {
        .label = STR("given at the start"), .role = ROLE_OPERATOR, .realm = STR("live")};
    struct key_new customer = {.label = STR("given at the start"),
                               .role = ROLE_CUSTOMER,
                               .realm = STR("live"),
                               .owner = CUSTOMER_OWNER};
    struct key key;
    struct str owner;
    bool has_operator = false;
    enum rc rc = secrets_get(world->secrets, call, STR("customer_owner"), &owner);
    if (rc == RC_OK) {
        customer.owner = owner;
    } else if (rc != RC_NOT_FOUND) {
        return rc;
    }
    call_forget(call);
    TRY(adopt(world, call, "operator_key", &operator));
    TRY(adopt(world, call, "customer_key", &customer));
    TRY(auth_has_operator(world, call, &has_operator));
    if (has_operator) {
        return RC_OK;
    }
    operator.label = STR("made at the first start");
    return auth_create(world, call, STR("system"), &operator, & key, ret_secret);
}

/* On a terminal for the person in front of it; else standard error is somebody's log, and no log may hold a secret:
 * then into a file for the owner's eyes. */
static enum rc show_key(struct call *call, struct str data_dir, struct str secret)
{
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr,
                "hourbell: the first operator key was made; it is shown only now:\n  " STR_FMT "\n",
                STR_ARG(secret));
        return RC_OK;
    }
    const char *path = arena_printf(call->arena, STR_FMT "/operator.key", STR_ARG(data_dir)).s;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = fd >= 0 && dprintf(fd, STR_FMT "\n", STR_ARG(secret)) > 0 && fsync(fd) == 0;
    if (fd >= 0) {
        close(fd);
    }
    if (!written) {
        return call_why(call, RC_BROKEN, "%s: %s", path, strerrordesc_np(errno));
    }
    DIAG(DIAG_WARN, "first_operator_key", DIAG_TEXT("file", str_of(path)),
         DIAG_TEXT("detail", STR("take it from there, keep it, and remove the file")));
    return RC_OK;
}

static enum rc keys(struct world *world, struct call *call, struct str data_dir)
{
    struct str secret = STR_NONE;
    store_sqlite_turn_begin(world->store);
    enum rc rc = first_keys(world, call, &secret);
    if (rc != RC_OK) {
        store_sqlite_turn_rollback(world->store);
        return rc;
    }
    TRY(store_sqlite_turn_commit(world->store, call));
    return secret.len ? show_key(call, data_dir, secret) : RC_OK;
}

/* --- the world ------------------------------------------------------------------------------------------------ */

static enum rc open_world(struct serving *serving, struct call *call,
                          const struct settings *settings)
{
    struct str path = arena_printf(call->arena, STR_FMT "/" DATA_FILE, STR_ARG(settings->data_dir));
    struct store_sqlite_options options = {.turns = true};
    int slots = (int)settings->downstream_concurrency;
    TRY(start_secrets(call, settings, &serving->secrets));
    TRY(start_data_dir(call, settings));
    TRY(store_sqlite_open(call, path.s, &options, &serving->store));
    TRY(start_downstream(call, settings, serving->secrets, slots, &serving->downstream));
    serving->world = (struct world){
        .store = serving->store,
        .downstream = serving->downstream,
        .secrets = serving->secrets,
        .clock = &serving->clock.clock,
        .settings = settings,
    };
    TRY(notifier_webhook_open(call, &serving->world, &serving->notifier));
    serving->world.notifier = serving->notifier;
    return RC_OK;
}

static void close_world(struct serving *serving)
{
    notifier_webhook_close(serving->notifier);
    downstream_file_close(serving->downstream);
    store_sqlite_close(serving->store);
    secrets_file_close(serving->secrets);
}

static enum rc open_all(struct serving *serving, struct call *call, const struct settings *settings)
{
    struct server_options options = {.world = &serving->world, .signals = true};
    TRY(open_world(serving, call, settings));
    TRY(keys(&serving->world, call, settings->data_dir));
    TRY(server_open(call, &options, &serving->server));
    DIAG(DIAG_INFO, "listening", DIAG_TEXT("bind", settings->bind),
         DIAG_NUMBER("port", server_port(serving->server)),
         DIAG_TEXT("unix_socket", settings->unix_socket), DIAG_TEXT("data_dir", settings->data_dir),
         DIAG_NUMBER("window_ms", settings->window_ms), DIAG_NUMBER("pid", getpid()));
    return RC_OK;
}

int cmd_serve(const struct args *args)
{
    static struct serving serving; /* pool jobs may outlive this function, see server_run */
    static struct config config;
    struct call call;
    int left = 0;
    if (config_args_load(args, &config) != RC_OK) {
        return EXIT_INVALID;
    }
    set_log_level(config.settings.log_level);
    set_limits(&config.settings);
    clock_system_open(&serving.clock);
    serving.world = (struct world){.clock = &serving.clock.clock, .settings = &config.settings};
    call_open(&call, args->arena, &serving.world);
    enum rc rc = open_all(&serving, &call, &config.settings);
    if (rc != RC_OK) {
        close_world(&serving);
        log_lines_flush();
        return command_fail(args, exit_of(rc), "%s", call.why[0] ? call.why : "it cannot start");
    }
    rc = server_run(serving.server, &left);
    log_lines_flush();
    if (rc != RC_OK) {
        _exit(
            EXIT_FAILED); /* no answer, no commit, no cleaning up: the outcome of the last one is unknown */
    }
    if (left > 0) {
        store_sqlite_close(
            serving.store); /* their leases stay; their threads end with the process */
        _exit(EXIT_DONE);
    }
    server_close(serving.server);
    close_world(&serving);
    DIAG(DIAG_INFO, "stopped", DIAG_NUMBER("pid", getpid()));
    log_lines_flush();
    return EXIT_DONE;
}
