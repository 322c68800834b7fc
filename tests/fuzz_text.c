/* Does any text break the small readers: numbers, hex, base64, percent-encoding, moments, spans? What one takes, it
 * gives back when written again. */
#include "base/iso_time.h"
#include "base/json.h"
#include "base/text.h"
#include "core/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_encodings(struct arena *arena, struct str text)
{
    struct str bytes, again;
    if (text_unbase64(arena, text, &bytes) == RC_OK) {
        assert(str_equal(text_base64(arena, bytes), text)); /* one spelling */
    }
    if (text_unhex(arena, text, &bytes) == RC_OK) {
        assert(str_equal(text_hex(arena, bytes), text_lower(arena, text)));
    }
    if (text_unpercent(arena, text, false, &bytes) == RC_OK) {
        enum rc rc = text_unpercent(arena, text_percent(arena, bytes), false, &again);
        assert(rc == RC_OK && str_equal(again, bytes) && !memchr(bytes.s, 0, bytes.len));
    }
    enum rc rc = text_unbase64(arena, text_base64(arena, text), &bytes);
    assert(rc == RC_OK && str_equal(bytes, text));
    assert(text_is_utf8(text_utf8(arena, text)));
}

static void check_json_string(struct arena *arena, struct str text)
{
    struct text written;
    yyjson_val *value = NULL;
    text_open(&written, arena, text.len * 6 + 2);
    text_add_json(&written, text);
    assert(!written.full);
    enum rc rc = json_read(arena, text_str(&written), 0, &value, NULL);
    assert(rc == RC_OK && str_equal(json_str(value), text_utf8(arena, text)));
}

static void check_moments(struct arena *arena, struct str text)
{
    int64_t at_ms = 0, again_ms = -1, number = 0;
    if (iso_time_read(text, &at_ms) == RC_OK) {
        enum rc rc = iso_time_read(iso_time(arena, at_ms), &again_ms);
        assert(rc == RC_OK && again_ms == at_ms && at_ms >= 0);
    }
    if (http_date_read(text, &at_ms) == RC_OK) {
        enum rc rc = http_date_read(http_date(arena, at_ms), &again_ms);
        assert(rc == RC_OK && again_ms == at_ms && at_ms >= 0);
    }
    if (text_to_i64(text, &number) == RC_OK) {
        assert(number >= 0);
    }
}

static void check_spans(struct arena *arena, struct str text)
{
    struct spans spans, again;
    struct text written;
    if (settings_spans_read(text, &spans) != RC_OK) {
        return;
    }
    assert(spans.count > 0 && spans.count <= SPANS_MAX);
    text_open(&written, arena, 1000);
    for (int i = 0; i < spans.count; i++) {
        text_printf(&written, "%s%lldms", i ? "," : "", (long long)spans.ms[i]);
    }
    enum rc rc = settings_spans_read(text_str(&written), &again);
    assert(rc == RC_OK && again.count == spans.count);
    assert(memcmp(again.ms, spans.ms, sizeof spans.ms) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct arena arena;
    if (size > 4096) {
        return 0;
    }
    arena_open(&arena, 0);
    check_encodings(&arena, text);
    check_json_string(&arena, text);
    check_moments(&arena, text);
    check_spans(&arena, text);
    arena_close(&arena);
    return 0;
}
