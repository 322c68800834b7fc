/* Events to SNS, against a receiver on loopback. */
#include "adapters/notifier_sns.h"

#include "aws_bench.h"
#include "base/diag.h"
#include "test.h"

#define PUBLISHED                                                                                  \
    AWS_ANSWER("200 OK",                                                                           \
               "<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult>"          \
               "</PublishResponse>")
#define REFUSED(status, code)                                                                      \
    AWS_ANSWER(status, "<ErrorResponse><Error><Type>Sender</Type><Code>" code                      \
                       "</Code><Message>no &amp; no</Message></Error></ErrorResponse>")

static const struct event delivered = {.id = {"e-1", 3},
                                       .type = {"update.delivered", 16},
                                       .owner = {"acme", 4},
                                       .at_ms = 1,
                                       .body = {"{\"id\":\"e-1\",\"a\":\"1+2 & \xc3\xa4\"}", 27}};

static void open_topics(struct aws_bench *bench, struct notifier **ret_notifier)
{
    struct notifier_sns_options options = {.operators_topic = STR("arn:aws:sns:eu-central-1:1:ops"),
                                           .customers_topic =
                                               STR("arn:aws:sns:eu-central-1:1:cus")};
    aws_bench_open(bench, NULL);
    notifier_sns_open(bench->aws, &options, ret_notifier);
}

static enum told tell(struct aws_bench *bench, struct notifier *notifier, const struct event *event)
{
    int64_t again_at_ms = 7;
    enum told told = notifier_tell(notifier, &bench->call, event, &again_at_ms);
    CHECK_INT(again_at_ms, 0);
    return told;
}

/* P8 */
TEST(a_customers_event_is_published_with_its_owner_to_filter_by)
{
    struct aws_bench bench;
    struct notifier *sns;
    open_topics(&bench, &sns);
    CHECK(sns->customers);
    receiver_answer(&bench.receiver, PUBLISHED);
    CHECK_INT(tell(&bench, sns, &delivered), TOLD_DONE);
    CHECK_STR(receiver_body(&bench.receiver, 0),
              "Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aeu-central-1%3A1%3Acus"
              "&Subject=update.delivered&Message=%7B%22id%22%3A%22e-1%22%2C%22a%22%3A%221%2B2%20%26"
              "%20%C3%A4%22%7D&MessageAttributes.entry.1.Name=type"
              "&MessageAttributes.entry.1.Value.DataType=String"
              "&MessageAttributes.entry.1.Value.StringValue=update.delivered"
              "&MessageAttributes.entry.2.Name=owner"
              "&MessageAttributes.entry.2.Value.DataType=String"
              "&MessageAttributes.entry.2.Value.StringValue=acme");
    notifier_sns_close(sns);
    aws_bench_close(&bench);
}

TEST(an_operators_event_goes_to_the_operators_topic_without_owner)
{
    struct aws_bench bench;
    struct notifier *sns;
    struct event event = delivered;
    open_topics(&bench, &sns);
    event.operators = true;
    event.owner = STR_NONE;
    event.type = STR("delivery.dead");
    receiver_answer(&bench.receiver, PUBLISHED);
    CHECK_INT(tell(&bench, sns, &event), TOLD_DONE);
    CHECK_HAS(receiver_body(&bench.receiver, 0), "%3Aops&Subject=delivery.dead&");
    CHECK_HAS_NOT(receiver_body(&bench.receiver, 0), "entry.2");
    notifier_sns_close(sns);
    aws_bench_close(&bench);
}

TEST(what_sns_will_never_take_is_given_up_and_the_rest_is_tried_again)
{
    struct aws_bench bench;
    struct notifier *sns;
    diag_set(DIAG_ERROR, NULL, NULL);
    open_topics(&bench, &sns);
    receiver_answer(&bench.receiver, REFUSED("400 B", "InvalidParameter"));
    receiver_answer(&bench.receiver, REFUSED("403 F", "AuthorizationError"));
    receiver_answer(&bench.receiver, REFUSED("404 N", "NotFound"));
    receiver_answer(&bench.receiver, REFUSED("500 E", "InternalFailure"));
    CHECK_INT(tell(&bench, sns, &delivered), TOLD_NEVER);
    CHECK_INT(tell(&bench, sns, &delivered), TOLD_AGAIN);
    CHECK_INT(tell(&bench, sns, &delivered), TOLD_AGAIN);
    CHECK_INT(receiver_count(&bench.receiver), 3);
    CHECK_INT(tell(&bench, sns, &delivered), TOLD_AGAIN); /* after some tries */
    CHECK(receiver_count(&bench.receiver) > 4);
    notifier_sns_close(sns);
    aws_bench_close(&bench);
}

TEST(without_a_topic_the_log_is_told)
{
    struct aws_bench bench;
    struct notifier *sns;
    struct notifier_sns_options options = {.operators_topic =
                                               STR("arn:aws:sns:eu-central-1:1:ops")};
    diag_set(DIAG_ERROR, NULL, NULL);
    aws_bench_open(&bench, NULL);
    notifier_sns_open(bench.aws, &options, &sns);
    CHECK(!sns->customers);
    CHECK_INT(tell(&bench, sns, &delivered), TOLD_DONE);
    CHECK_INT(receiver_count(&bench.receiver), 0);
    notifier_sns_close(sns);
    notifier_sns_close(NULL);
    aws_bench_close(&bench);
}
