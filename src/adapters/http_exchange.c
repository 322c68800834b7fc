/* What every transport shares: reading the headers of an answer. Pure. */
#include "adapters/http_exchange.h"

#include "base/text.h"

struct str http_answer_header(const struct http_answer *answer, const char *name)
{
    for (size_t i = 0; i < answer->header_count; i++) {
        if (text_equal_nocase(answer->headers[i].name, str_of(name))) {
            return answer->headers[i].value;
        }
    }
    return STR_NONE;
}

int64_t http_retry_after(struct str value, int64_t now_ms, int64_t max_ms)
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

const char *http_end_name(enum http_end end)
{
    static const char *const names[] = {
        [HTTP_ANSWERED] = "answered",
        [HTTP_NOT_SENT] = "not_sent",
        [HTTP_NO_CONNECTION] = "no_connection",
        [HTTP_INCOMPLETE] = "incomplete",
        [HTTP_LOST] = "lost",
        [HTTP_TIMEOUT] = "timeout",
    };
    assert(end >= HTTP_ANSWERED && end <= HTTP_TIMEOUT);
    return names[end];
}
