/* Secrets of the Parameter Store, against a receiver on loopback. */
#include "adapters/secrets_ssm.h"

#include "aws_bench.h"
#include "test.h"

#define VALUE(text)                                                                                \
    AWS_ANSWER("200 OK", "{\"Parameter\":{\"Name\":\"x\",\"Value\":\"" text "\",\"Version\":1}}")
#define MISSING AWS_ANSWER("400 B", "{\"__type\":\"ParameterNotFound\"}")

struct safe {
    struct aws_bench bench;
    struct clock_manual clock;
    struct secrets *secrets;
};

static void safe_open(struct safe *safe, bool is_manual)
{
    clock_manual_open(&safe->clock, 1000000, 1);
    aws_bench_open(&safe->bench, is_manual ? &safe->clock.clock : NULL);
    secrets_ssm_open(safe->bench.aws, STR("/hourbell/prod"), &safe->secrets);
}

static void safe_close(struct safe *safe)
{
    secrets_ssm_close(safe->secrets);
    aws_bench_close(&safe->bench);
}

static void check_value(struct safe *safe, const char *name, const char *value)
{
    struct str found = STR("untouched");
    enum rc rc = secrets_get(safe->secrets, &safe->bench.call, str_of(name), &found);
    CHECK_RC(rc, value ? RC_OK : RC_NOT_FOUND);
    CHECK_STR(found, value ? value : "untouched");
}

TEST(a_secret_is_read_below_the_prefix_decrypted)
{
    struct safe safe;
    safe_open(&safe, false);
    receiver_answer(&safe.bench.receiver, VALUE("s3cret\\u00e4"));
    check_value(&safe, "sap/password", "s3cret\xc3\xa4");
    CHECK_STR(receiver_header(&safe.bench.receiver, 0, "X-Amz-Target"), "AmazonSSM.GetParameter");
    CHECK_STR(receiver_body(&safe.bench.receiver, 0),
              "{\"Name\":\"/hourbell/prod/sap/password\",\"WithDecryption\":true}");
    safe_close(&safe);
}

TEST(what_was_read_is_kept_for_five_minutes)
{
    struct safe safe;
    safe_open(&safe, true);
    receiver_answer(&safe.bench.receiver, VALUE("one"));
    receiver_answer(&safe.bench.receiver, VALUE("two"));
    receiver_answer(&safe.bench.receiver, VALUE("three"));
    check_value(&safe, "sap/user", "one");
    clock_manual_advance(&safe.clock, SECRETS_KEPT_MS - 1);
    check_value(&safe, "sap/user", "one");
    clock_manual_advance(&safe.clock, 1);
    check_value(&safe, "sap/user", "two");
    check_value(&safe, "sap/password", "three");
    CHECK_INT(receiver_count(&safe.bench.receiver), 3);
    safe_close(&safe);
}

TEST(what_is_missing_is_remembered_too)
{
    struct safe safe;
    safe_open(&safe, true);
    receiver_answer(&safe.bench.receiver, MISSING);
    receiver_answer(&safe.bench.receiver, VALUE("now"));
    check_value(&safe, "webhook/next", NULL);
    check_value(&safe, "webhook/next", NULL);
    CHECK_INT(receiver_count(&safe.bench.receiver), 1);
    clock_manual_advance(&safe.clock, SECRETS_KEPT_MS);
    check_value(&safe, "webhook/next", "now");
    safe_close(&safe);
}

TEST(a_refresh_reads_anew)
{
    struct safe safe;
    safe_open(&safe, true);
    receiver_answer(&safe.bench.receiver, VALUE("old"));
    receiver_answer(&safe.bench.receiver, VALUE("new"));
    check_value(&safe, "sap/user", "old");
    secrets_ssm_refresh(safe.secrets);
    check_value(&safe, "sap/user", "new");
    safe_close(&safe);
}

/* P9: neither the value nor the credentials of AWS */
TEST(a_failure_is_told_without_any_value_and_is_not_kept)
{
    struct safe safe;
    struct str value;
    safe_open(&safe, false);
    receiver_answer(&safe.bench.receiver,
                    AWS_ANSWER("400 B", "{\"__type\":\"AccessDeniedException\","
                                        "\"message\":\"not authorized\"}"));
    receiver_answer(&safe.bench.receiver, AWS_ANSWER("200 OK", "{\"Parameter\":{}}"));
    receiver_answer(&safe.bench.receiver, VALUE("now"));
    CHECK_RC(secrets_get(safe.secrets, &safe.bench.call, STR("sap/user"), &value), RC_BROKEN);
    CHECK_HAS(str_of(safe.bench.call.why), "sap/user: 400 AccessDeniedException not authorized");
    CHECK_RC(secrets_get(safe.secrets, &safe.bench.call, STR("sap/user"), &value), RC_BROKEN);
    check_value(&safe, "sap/user", "now");
    CHECK_INT(receiver_count(&safe.bench.receiver), 3);
    safe_close(&safe);
}
