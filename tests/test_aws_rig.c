/* notifier_sns and secrets_ssm on the rig: tests/aws/test_store.py sets the stage and looks at what arrived. Without
 * it these tests do nothing. */
#include <stdlib.h>

#include "adapters/notifier_sns.h"
#include "adapters/secrets_ssm.h"
#include "dynamo_rig.h"
#include "store_desk.h"
#include "test.h"

static struct aws *open_aws(struct desk *desk)
{
    struct aws_options options = dynamo_options();
    struct aws *aws;
    desk_open(desk, NULL);
    CHECK_RC(aws_open(&desk->call, &options, &aws), RC_OK);
    return aws;
}

TEST(an_event_arrives_behind_its_topic)
{
    const char *topic = getenv("HOURBELL_TEST_TOPIC");
    struct event event = {.id = STR("e-1"),
                          .type = STR("update.delivered"),
                          .owner = STR("acme"),
                          .at_ms = 1,
                          .body = STR("{\"id\":\"e-1\",\"text\":\"1+2 & \xc3\xa4 = 100%\"}")};
    struct desk desk;
    struct notifier *sns;
    int64_t again_at_ms;
    if (!topic) {
        return;
    }
    struct aws *aws = open_aws(&desk);
    struct notifier_sns_options options = {.customers_topic = str_of(topic)};
    notifier_sns_open(aws, &options, &sns);
    CHECK_INT(notifier_tell(sns, &desk.call, &event, &again_at_ms), TOLD_DONE);
    notifier_sns_close(sns);
    aws_close(aws);
    desk_close(&desk);
}

TEST(a_secret_comes_out_of_the_parameter_store)
{
    const char *prefix = getenv("HOURBELL_TEST_SECRETS");
    struct desk desk;
    struct secrets *secrets;
    struct str value = STR_NONE;
    if (!prefix) {
        return;
    }
    struct aws *aws = open_aws(&desk);
    secrets_ssm_open(aws, str_of(prefix), &secrets);
    CHECK_RC(secrets_get(secrets, &desk.call, STR("sap/password"), &value), RC_OK);
    CHECK_STR(value, "p\xc3\xa4ss {} \"word\"");
    CHECK_RC(secrets_get(secrets, &desk.call, STR("sap/absent"), &value), RC_NOT_FOUND);
    secrets_ssm_close(secrets);
    aws_close(aws);
    desk_close(&desk);
}
