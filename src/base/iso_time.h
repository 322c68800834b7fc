/* Moments as text: RFC 3339, UTC, milliseconds always ("2026-11-22T10:59:59.800Z"), and the two
 * forms of HTTP. Moments are int64 milliseconds since 1970 (_at_ms). Pure: no clock. */
#ifndef BASE_ISO_TIME_H
#define BASE_ISO_TIME_H

#include "base/arena.h"

#define ISO_TIME_BYTES 24
#define TIME_NEVER_MS INT64_C(253402300799000) /* 9999-12-31T23:59:59Z: no automatic look */

/* ret_text must have ISO_TIME_BYTES + 1 bytes. Moments outside the years 1970..9999 are clamped. */
void iso_time_write(int64_t at_ms, char *ret_text);
struct str iso_time(struct arena *, int64_t at_ms);
/* RFC 3339 with Z or an offset. fails: RC_INVALID. */
MUST enum rc iso_time_read(struct str, int64_t *ret_at_ms);
/* IMF-fixdate (RFC 9110 section 5.6.7), writing and reading; reading also takes the two old forms. */
struct str http_date(struct arena *, int64_t at_ms);
MUST enum rc http_date_read(struct str, int64_t *ret_at_ms);

#endif
