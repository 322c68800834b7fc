/* Secrets of the Parameter Store, kept for a while. What is missing is remembered too: optional secrets are asked
 * for at each send. After a failure an old value is not used: its time is over. */
#include "adapters/secrets_ssm.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/json.h"

#define NAME_ROOM 256   /* of prefix and name */
#define VALUE_ROOM 8193 /* SSM: an advanced parameter has at most 8 KB */
#define KEPT_MAX 16
#define ANSWER_DEPTH_MAX 8

struct kept {
    char name[NAME_ROOM], value[VALUE_ROOM];
    size_t value_len;
    bool is_missing;
    int64_t until_ms; /* by aws_boot_ms; 0 = free */
};

struct secrets_ssm {
    struct secrets secrets; /* the port; first */
    struct aws *aws;
    char prefix[NAME_ROOM];
    pthread_mutex_t lock; /* of all below, and of aws */
    struct kept kept[KEPT_MAX];
    int next;
};

static void forget(struct kept *kept)
{
    OPENSSL_cleanse(kept->value, sizeof kept->value);
    *kept = (struct kept){0};
}

/* The living one of a name, or NULL. */
static struct kept *find(struct secrets_ssm *ssm, struct str name)
{
    int64_t now_ms = aws_boot_ms(ssm->aws);
    for (int i = 0; i < KEPT_MAX; i++) {
        struct kept *kept = &ssm->kept[i];
        if (kept->until_ms && str_is(name, kept->name)) {
            if (kept->until_ms > now_ms) {
                return kept;
            }
            forget(kept);
        }
    }
    return NULL;
}

static struct kept *keep(struct secrets_ssm *ssm, struct str name, struct str value,
                         bool is_missing)
{
    struct kept *kept = &ssm->kept[ssm->next++ % KEPT_MAX];
    forget(kept);
    memcpy(kept->name, name.s, name.len);
    memcpy(kept->value, value.len ? value.s : "", value.len);
    kept->value_len = value.len;
    kept->is_missing = is_missing;
    kept->until_ms = aws_boot_ms(ssm->aws) + SECRETS_KEPT_MS;
    return kept;
}

static enum rc fetch(struct secrets_ssm *ssm, struct call *call, struct str name,
                     struct kept **ret_kept)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    struct aws_answer answer;
    yyjson_val *found = NULL;
    json_add_str(doc, root, "Name",
                 arena_printf(call->arena, "%s/" STR_FMT, ssm->prefix, STR_ARG(name)));
    json_add_bool(doc, root, "WithDecryption", true);
    struct aws_request request = {.service = AWS_SSM,
                                  .target = "GetParameter",
                                  .body = json_write_mut(call->arena, doc),
                                  .repeatable = true};
    TRY(aws_call(ssm->aws, call, &request, &answer));
    if (str_is(answer.type, "ParameterNotFound")) {
        *ret_kept = keep(ssm, name, STR_NONE, true);
        return RC_OK;
    }
    if (answer.status != 200) { /* an error's text holds no value */
        return call_why(call, RC_BROKEN, "GetParameter " STR_FMT ": %d " STR_FMT " " STR_FMT,
                        STR_ARG(name), answer.status, STR_ARG(answer.type),
                        STR_ARG(answer.message));
    }
    if (json_read(call->arena, answer.body, ANSWER_DEPTH_MAX, &found, NULL) == RC_OK) {
        found = json_member(json_member(found, "Parameter"), "Value");
    }
    struct str value = json_str(found);
    if (!yyjson_is_str(found) || value.len >= VALUE_ROOM) {
        return call_why(call, RC_BROKEN, "GetParameter " STR_FMT ": the answer has no value",
                        STR_ARG(name));
    }
    *ret_kept = keep(ssm, name, value, value.len == 0);
    return RC_OK;
}

static enum rc ssm_get(struct secrets *secrets, struct call *call, struct str name,
                       struct str *ret_value)
{
    struct secrets_ssm *ssm = (struct secrets_ssm *)secrets;
    struct kept *kept;
    enum rc rc = RC_OK;
    if (name.len + strlen(ssm->prefix) + 1 >= NAME_ROOM) {
        return RC_NOT_FOUND;
    }
    pthread_mutex_lock(&ssm->lock);
    kept = find(ssm, name);
    if (!kept) {
        rc = fetch(ssm, call, name, &kept);
    }
    if (rc == RC_BUSY) {
        rc = RC_BROKEN; /* the port knows no other failure */
    }
    if (rc == RC_OK && kept->is_missing) {
        rc = RC_NOT_FOUND;
    }
    if (rc == RC_OK) {
        *ret_value = arena_copy(call->arena, (struct str){kept->value, kept->value_len});
    }
    pthread_mutex_unlock(&ssm->lock);
    return rc;
}

void secrets_ssm_open(struct aws *aws, struct str prefix, struct secrets **ret_secrets)
{
    static const struct secrets_ops ops = {.get = ssm_get};
    struct secrets_ssm *ssm = calloc(1, sizeof *ssm);
    if (!ssm || prefix.len >= NAME_ROOM) {
        abort();
    }
    ssm->secrets.ops = &ops;
    ssm->aws = aws;
    memcpy(ssm->prefix, prefix.len ? prefix.s : "", prefix.len);
    pthread_mutex_init(&ssm->lock, NULL);
    *ret_secrets = &ssm->secrets;
}

void secrets_ssm_refresh(struct secrets *secrets)
{
    struct secrets_ssm *ssm = (struct secrets_ssm *)secrets;
    pthread_mutex_lock(&ssm->lock);
    for (int i = 0; i < KEPT_MAX; i++) {
        forget(&ssm->kept[i]);
    }
    pthread_mutex_unlock(&ssm->lock);
}

void secrets_ssm_close(struct secrets *secrets)
{
    struct secrets_ssm *ssm = (struct secrets_ssm *)secrets;
    if (!ssm) {
        return;
    }
    secrets_ssm_refresh(secrets);
    pthread_mutex_destroy(&ssm->lock);
    free(ssm);
}
