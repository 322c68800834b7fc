/* The files and folders of a start: opened by `serve`, tried by `config --check`. */
#include "home/start.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/downstream_file.h"
#include "adapters/notifier_webhook.h"
#include "adapters/secrets_file.h"
#include "home/data_dir.h"

enum rc start_secrets(struct call *call, const struct settings *settings,
                      struct secrets **ret_secrets)
{
    enum rc rc = secrets_file_open(call, settings->secrets_file, ret_secrets);
    return rc == RC_OK ? RC_OK : call_why(call, rc, "secrets_file");
}

enum rc start_downstream(struct call *call, const struct settings *settings,
                         struct secrets *secrets, int slots, struct downstream **ret_downstream)
{
    enum rc rc = downstream_file_open(call, settings->downstream, settings->downstream_file,
                                      secrets, slots, ret_downstream);
    return rc == RC_OK ? RC_OK : call_why(call, rc, "downstream_file");
}

/* Data whose restore was cut short are neither the old nor the new ones. */
static enum rc check_restored(struct call *call, struct str data_dir)
{
    const char *path = arena_printf(call->arena, STR_FMT "/" DATA_RESTORING, STR_ARG(data_dir)).s;
    return access(path, F_OK) == 0
               ? call_why(
                     call, RC_INVALID,
                     "data_dir: %s: a restore was cut short here; run `hourbell restore` again",
                     path)
               : RC_OK;
}

enum rc start_data_dir(struct call *call, const struct settings *settings)
{
    const char *path = arena_copy(call->arena, settings->data_dir).s;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return call_why(call, RC_INVALID, "data_dir: %s: %s", path, strerrordesc_np(errno));
    }
    return check_restored(call, settings->data_dir);
}

/* ---- would it start? ------------------------------------------------------------------------------------------ */

/* Could it be made, or is it there and ours to write into? Only making it tells, so it is made and taken away again. */
static enum rc try_data_dir(struct call *call, const struct settings *settings)
{
    const char *path = arena_copy(call->arena, settings->data_dir).s;
    struct stat status;
    if (stat(path, &status) != 0) {
        TRY(start_data_dir(call, settings));
        return rmdir(path) == 0 ? RC_OK
                                : call_why(call, RC_BROKEN, "data_dir: %s was made to try it: %s",
                                           path, strerrordesc_np(errno));
    }
    if (!S_ISDIR(status.st_mode)) {
        return call_why(call, RC_INVALID, "data_dir: %s: %s", path, strerrordesc_np(ENOTDIR));
    }
    if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        return call_why(call, RC_INVALID, "data_dir: %s: %s", path, strerrordesc_np(errno));
    }
    return check_restored(call, settings->data_dir);
}

struct trial {
    struct call *call;
    void (*tell)(void *context, const char *words);
    void *context;
    int fault_count;
};

/* out: was it right? */
static bool judge(struct trial *trial, enum rc rc)
{
    if (rc != RC_OK) {
        trial->tell(trial->context, trial->call->why);
        trial->call->why[0] = '\0';
        trial->fault_count++;
    }
    return rc == RC_OK;
}

int start_check(struct call *call, const struct world *given,
                void (*tell)(void *context, const char *words), void *context)
{
    const struct settings *settings = given->settings;
    struct world world = *given;
    struct secrets *secrets = NULL;
    struct downstream *downstream = NULL;
    struct notifier *notifier = NULL;
    struct trial trial = {.call = call, .tell = tell, .context = context};
    judge(&trial, try_data_dir(call, settings));
    if (judge(&trial, start_secrets(call, settings, &secrets))) { /* the others ask for secrets */
        world.secrets = secrets;
        judge(&trial, start_downstream(call, settings, secrets, 1, &downstream));
        judge(&trial, notifier_webhook_open(call, &world, &notifier));
    }
    notifier_webhook_close(notifier);
    downstream_file_close(downstream);
    secrets_file_close(secrets);
    return trial.fault_count;
}
