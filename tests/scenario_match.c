/* Placeholders of scenarios: see tests/scenarios/README.md. */
#include "scenario.h"

#include <ctype.h>

#include "base/iso_time.h"
#include "base/text.h"

void scenario_capture(struct scenario *scenario, struct str name, struct str text)
{
    struct capture *capture = scenario->captures;
    while (capture < scenario->captures + scenario->capture_count &&
           !str_equal(capture->name, name)) {
        capture++;
    }
    if (capture == scenario->captures + scenario->capture_count) {
        CHECK(scenario->capture_count < SCENARIO_NAMES_MAX);
        scenario->capture_count++;
    }
    *capture =
        (struct capture){arena_copy(&scenario->arena, name), arena_copy(&scenario->arena, text)};
}

static struct str captured(struct scenario *scenario, struct str name)
{
    for (int i = 0; i < scenario->capture_count; i++) {
        if (str_equal(scenario->captures[i].name, name)) {
            return scenario->captures[i].text;
        }
    }
    scenario_fail(scenario, "$" STR_FMT " was never captured", STR_ARG(name));
}

struct str scenario_fill(struct scenario *scenario, struct str text)
{
    struct text filled;
    text_open(&filled, &scenario->arena, SCENARIO_LINE_MAX_BYTES);
    while (text.len) {
        const char *mark = memmem(text.s, text.len, "${", 2);
        size_t before = mark ? (size_t)(mark - text.s) : text.len;
        text_add(&filled, str_head(text, before));
        text = str_from(text, before);
        if (mark) {
            text = str_from(text, 2);
            text_add(&filled, captured(scenario, text_cut(&text, '}')));
        }
    }
    CHECK(!filled.full);
    return text_str(&filled);
}

static bool is_uuid7(struct str text)
{
    static const char shape[] = "xxxxxxxx-xxxx-7xxx-vxxx-xxxxxxxxxxxx";
    for (size_t i = 0; i < text.len && text.len == sizeof(shape) - 1; i++) {
        char c = text.s[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        bool fits = shape[i] == 'x'   ? hex
                    : shape[i] == 'v' ? strchr("89ab", c) != NULL
                                      : c == shape[i];
        if (!fits) {
            return false;
        }
    }
    return text.len == sizeof(shape) - 1;
}

static bool is_time(struct str text)
{
    int64_t at_ms;
    char again[ISO_TIME_BYTES + 1];
    if (iso_time_read(text, &at_ms) != RC_OK) {
        return false;
    }
    iso_time_write(at_ms, again);
    return str_is(text, again);
}

static bool is_class(struct str pattern, struct str text)
{
    int64_t number;
    return str_is(pattern, "$ANY") || (str_is(pattern, "$TIME") && is_time(text)) ||
           (str_is(pattern, "$UUID") && is_uuid7(text)) ||
           (str_is(pattern, "$INT") && text_to_i64(text, &number) == RC_OK);
}

bool scenario_fits(struct scenario *scenario, struct str pattern, struct str text)
{
    if (!pattern.len || pattern.s[0] != '$') {
        return str_equal(pattern, text);
    }
    if (pattern.len > 1 && isupper((unsigned char)pattern.s[1])) {
        return is_class(pattern, text);
    }
    struct str class = str_from(pattern, 1);
    bool takes = memchr(class.s, '=', class.len) != NULL;
    struct str name = text_cut(&class, '=');
    if (!takes) {
        return str_equal(captured(scenario, name), text);
    }
    scenario_capture(scenario, name, text);
    return !class.len || is_class(class, text);
}

/* --- JSON ------------------------------------------------------------------------------------------------ */
static struct str shown(struct scenario *scenario, yyjson_val *value)
{
    struct str text = json_write(&scenario->arena, value);
    return str_head(text, text.len < 2000 ? text.len : 2000);
}

static void match(struct scenario *scenario, struct str pointer, yyjson_val *expected,
                  yyjson_val *actual);

static void match_object(struct scenario *scenario, struct str pointer, yyjson_val *expected,
                         yyjson_val *actual)
{
    struct arena *arena = &scenario->arena;
    bool open = json_member(expected, "...") != NULL;
    yyjson_obj_iter members = yyjson_obj_iter_with(expected);
    for (yyjson_val *name; (name = yyjson_obj_iter_next(&members));) {
        struct str at = json_pointer(arena, pointer, json_str(name));
        yyjson_val *found = yyjson_obj_getn(actual, json_str(name).s, json_str(name).len);
        if (str_is(json_str(name), "...")) {
            continue;
        }
        if (!found) {
            scenario_fail(scenario, STR_FMT " is missing in " STR_FMT, STR_ARG(at),
                          STR_ARG(shown(scenario, actual)));
        }
        match(scenario, at, yyjson_obj_iter_get_val(name), found);
    }
    members = yyjson_obj_iter_with(actual);
    for (yyjson_val *name; !open && (name = yyjson_obj_iter_next(&members));) {
        if (!yyjson_obj_getn(expected, json_str(name).s, json_str(name).len)) {
            scenario_fail(scenario, STR_FMT " was not expected in " STR_FMT,
                          STR_ARG(json_pointer(arena, pointer, json_str(name))),
                          STR_ARG(shown(scenario, actual)));
        }
    }
}

static void match_array(struct scenario *scenario, struct str pointer, yyjson_val *expected,
                        yyjson_val *actual)
{
    if (yyjson_arr_size(expected) != yyjson_arr_size(actual)) {
        scenario_fail(scenario, STR_FMT " has %zu items, expected %zu: " STR_FMT, STR_ARG(pointer),
                      yyjson_arr_size(actual), yyjson_arr_size(expected),
                      STR_ARG(shown(scenario, actual)));
    }
    for (size_t i = 0; i < yyjson_arr_size(expected); i++) {
        match(scenario,
              json_pointer(&scenario->arena, pointer, arena_printf(&scenario->arena, "%zu", i)),
              yyjson_arr_get(expected, i), yyjson_arr_get(actual, i));
    }
}

/* Strings and numbers as text; what else there is as JSON. */
static struct str text_of(struct scenario *scenario, yyjson_val *value)
{
    if (yyjson_is_str(value)) {
        return json_str(value);
    }
    return yyjson_is_raw(value) ? json_raw(value) : json_write(&scenario->arena, value);
}

static void match(struct scenario *scenario, struct str pointer, yyjson_val *expected,
                  yyjson_val *actual)
{
    if (yyjson_is_obj(expected) && yyjson_is_obj(actual)) {
        match_object(scenario, pointer, expected, actual);
        return;
    }
    if (yyjson_is_arr(expected) && yyjson_is_arr(actual)) {
        match_array(scenario, pointer, expected, actual);
        return;
    }
    struct str pattern = json_str(expected);
    bool placeholder = pattern.len > 1 && pattern.s[0] == '$';
    bool same_type = yyjson_get_type(expected) == yyjson_get_type(actual);
    bool fits = placeholder ? scenario_fits(scenario, pattern, text_of(scenario, actual))
                            : same_type &&
                                  str_equal(text_of(scenario, expected), text_of(scenario, actual));
    if (!fits) {
        scenario_fail(scenario, STR_FMT " is " STR_FMT ", expected " STR_FMT, STR_ARG(pointer),
                      STR_ARG(shown(scenario, actual)), STR_ARG(shown(scenario, expected)));
    }
}

void scenario_match(struct scenario *scenario, struct str expected, struct str actual)
{
    yyjson_val *left, *right;
    struct json_fault fault = {0};
    if (json_read(&scenario->arena, expected, 32, &left, &fault) != RC_OK) {
        scenario_fail(scenario, "the expected JSON is none: %s", fault.why);
    }
    if (json_read(&scenario->arena, actual, 32, &right, &fault) != RC_OK) {
        scenario_fail(scenario, "the answer is no JSON: %s: " STR_FMT, fault.why, STR_ARG(actual));
    }
    match(scenario, STR(""), left, right);
}
