/* Events to SNS: one Publish, in the query protocol, the only one that SNS speaks. Whoever has no topic reads the log. */
#include "adapters/notifier_sns.h"

#include <stdlib.h>

#include "adapters/notifier_log.h"
#include "base/diag.h"
#include "base/text.h"

#define FORM_MAX_BYTES ((size_t)1 << 20)
#define SUBJECT_MAX_CHARS 99 /* SNS API reference, Publish: less than 100, no line break */
#define TOPIC_ROOM 512

struct notifier_sns {
    struct notifier notifier; /* the port; first */
    struct aws *aws;
    char operators_topic[TOPIC_ROOM], customers_topic[TOPIC_ROOM];
};

static void add(struct text *form, struct call *call, const char *name, struct str value)
{
    text_printf(form, "&%s=", name);
    text_add(form, text_percent(call->arena, value));
}

static void add_attribute(struct text *form, struct call *call, int number, const char *name,
                          struct str value)
{
    text_printf(form,
                "&MessageAttributes.entry.%d.Name=%s"
                "&MessageAttributes.entry.%d.Value.DataType=String"
                "&MessageAttributes.entry.%d.Value.StringValue=",
                number, name, number, number);
    text_add(form, text_percent(call->arena, value));
}

static struct str make_form(struct call *call, const char *topic, const struct event *event)
{
    struct text form;
    text_open(&form, call->arena, FORM_MAX_BYTES);
    text_add(&form, STR("Action=Publish&Version=2010-03-31"));
    add(&form, call, "TopicArn", str_of(topic));
    add(&form, call, "Subject",
        str_head(event->type, (size_t)min_i64((int64_t)event->type.len, SUBJECT_MAX_CHARS)));
    add(&form, call, "Message", event->body);
    add_attribute(&form, call, 1, "type", event->type);
    if (!event->operators && event->owner.len) {
        add_attribute(&form, call, 2, "owner", event->owner);
    }
    assert(!form.full); /* a body is at most a log entry's data, thrice as long in a form */
    return text_str(&form);
}

static void log_failure(struct call *call, const struct event *event,
                        const struct aws_answer *answer)
{
    DIAG(DIAG_WARN, "notice_failed", DIAG_TEXT("type", event->type),
         DIAG_TEXT("event_id", event->id), DIAG_NUMBER("status", answer->status),
         DIAG_TEXT("code", answer->type),
         DIAG_TEXT("why", answer->message.len ? answer->message : str_of(call->why)));
}

/* A refusal by rights or of a missing topic is mended by people: the core tries again, for days. */
static enum told sns_tell(struct notifier *notifier, struct call *call, const struct event *event,
                          int64_t *ret_again_at_ms)
{
    struct notifier_sns *sns = (struct notifier_sns *)notifier;
    const char *topic = event->operators ? sns->operators_topic : sns->customers_topic;
    struct aws_answer answer = {0};
    *ret_again_at_ms = 0;
    if (!topic[0]) {
        notifier_log_line(event);
        return TOLD_DONE;
    }
    struct aws_request request = {
        .service = AWS_SNS, .body = make_form(call, topic, event), .repeatable = true};
    enum rc rc = aws_call(sns->aws, call, &request, &answer);
    if (rc == RC_OK && answer.status == 200) {
        return TOLD_DONE;
    }
    log_failure(call, event, &answer);
    bool is_refused = rc == RC_OK && (str_is(answer.type, "InvalidParameter") ||
                                      str_is(answer.type, "ParameterValueInvalid"));
    return is_refused ? TOLD_NEVER : TOLD_AGAIN; /* the same bytes would be refused for ever */
}

static void keep(char into[TOPIC_ROOM], struct str topic)
{
    if (topic.len >= TOPIC_ROOM) {
        abort(); /* an ARN: our template's, not a user's */
    }
    memcpy(into, topic.len ? topic.s : "", topic.len);
}

void notifier_sns_open(struct aws *aws, const struct notifier_sns_options *options,
                       struct notifier **ret_notifier)
{
    static const struct notifier_ops ops = {.tell = sns_tell};
    struct notifier_sns *sns = calloc(1, sizeof *sns);
    if (!sns) {
        abort();
    }
    sns->notifier = (struct notifier){.ops = &ops, .customers = options->customers_topic.len > 0};
    sns->aws = aws;
    keep(sns->operators_topic, options->operators_topic);
    keep(sns->customers_topic, options->customers_topic);
    *ret_notifier = &sns->notifier;
}

void notifier_sns_close(struct notifier *notifier)
{
    free(notifier);
}
