/* Operators' events are warnings, since but for the report all of them are failures; customers' are
 * information. A line never fails, so an event is done once its line is out. */
#include "adapters/notifier_log.h"

#include "base/diag.h"

void notifier_log_line(const struct event *event)
{
    bool is_failure = event->operators && !str_is(event->type, "run.report");
    DIAG(is_failure ? DIAG_WARN : DIAG_INFO, "notice", DIAG_TEXT("type", event->type),
         DIAG_TEXT("event_id", event->id),
         DIAG_TEXT("to", event->operators ? STR("operators") : event->owner),
         DIAG_TEXT("body", event->body));
}

static enum told log_tell(struct notifier *notifier, struct call *call, const struct event *event,
                          int64_t *ret_again_at_ms)
{
    (void)notifier, (void)call, (void)ret_again_at_ms;
    notifier_log_line(event);
    return TOLD_DONE;
}

void notifier_log_open(struct notifier_log *log)
{
    static const struct notifier_ops ops = {.tell = log_tell};
    log->notifier = (struct notifier){.ops = &ops};
}
