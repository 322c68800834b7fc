/* What every transport shares: when a request may leave, reading the headers of an answer. Pure. */
#include "adapters/outbound.h"

#include "base/text.h"

bool outbound_is_in_time(const struct outbound *outbound, int64_t now_ms)
{
    return now_ms >= outbound->send_from_at_ms &&
           (!outbound->send_before_at_ms || now_ms < outbound->send_before_at_ms);
}

struct str inbound_header(const struct inbound *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (text_equal_nocase(answer->headers[i].name, str_of(name))) {
            return answer->headers[i].value;
        }
    }
    return STR_NONE;
}

int64_t inbound_retry_after(struct str value, int64_t now_ms, int64_t max_ms)
{
    int64_t number = 0, at_ms = 0;
    struct str text = text_trim(value);
    if (text_to_i64(text, &number) == RC_OK) {
        if (number < 0) {
            return 0;
        }
        at_ms = number > max_ms / 1000 ? now_ms + max_ms : now_ms + number * 1000;
    } else if (http_date_read(text, &at_ms) != RC_OK) {
        return 0;
    }
    return at_ms <= now_ms ? 0 : min_i64(at_ms, now_ms + max_ms);
}

const char *inbound_end_name(enum inbound_end end)
{
    static const char *const names[] = {
        [INBOUND_ANSWERED] = "answered",
        [INBOUND_NOT_SENT] = "not_sent",
        [INBOUND_NO_CONNECTION] = "no_connection",
        [INBOUND_INCOMPLETE] = "incomplete",
        [INBOUND_LOST] = "lost",
        [INBOUND_TIMEOUT] = "timeout",
    };
    assert(end >= INBOUND_ANSWERED && end <= INBOUND_TIMEOUT);
    return names[end];
}
