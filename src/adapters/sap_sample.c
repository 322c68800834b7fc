/* See sap_sample.h. A member is of a kind only if all that were seen are. */
#include "adapters/sap_sample.h"

#include "adapters/sap_edm.h"
#include "base/iso_time.h"
#include "base/text.h"

static struct sample_member *member_of(struct sample *sample, struct arena *keep,
                                       struct str pointer)
{
    for (int i = 0; i < sample->count; i++) {
        if (str_equal(sample->members[i].pointer, pointer)) {
            return &sample->members[i];
        }
    }
    if (sample->count == SAMPLE_MEMBERS_MAX) {
        sample->more = true;
        return NULL;
    }
    struct sample_member *member = &sample->members[sample->count++];
    *member = (struct sample_member){
        .pointer = arena_copy(keep, pointer), .days = true, .moments = true, .decimals = true};
    return member;
}

/* Digits behind the point of a plain decimal number; -1 = it is none. */
static int64_t digits_behind(struct str number)
{
    struct str rest = number.len && number.s[0] == '-' ? str_from(number, 1) : number;
    bool point = memchr(rest.s ? rest.s : "", '.', rest.len) != NULL;
    struct str whole = text_cut(&rest, '.');
    for (size_t i = 0; i < whole.len + rest.len; i++) {
        char c = i < whole.len ? whole.s[i] : rest.s[i - whole.len];
        if (c < '0' || c > '9') {
            return -1;
        }
    }
    return !whole.len || (point && !rest.len) ? -1 : (int64_t)rest.len;
}

static void look_at(struct sample_member *member, yyjson_val *value)
{
    struct str text = yyjson_is_str(value) ? json_str(value) : json_raw(value);
    int64_t at_ms, behind = digits_behind(text);
    member->count++;
    if (yyjson_is_ctn(value)) {
        member->lists = true;
    } else if (yyjson_is_bool(value)) {
        member->switches = true;
    } else {
        member->texts = member->texts || yyjson_is_str(value);
        member->numbers = member->numbers || yyjson_is_raw(value);
        member->days = member->days && yyjson_is_str(value) && sap_edm_day_read(text, &at_ms);
        member->moments =
            member->moments && yyjson_is_str(value) && iso_time_read(text, &at_ms) == RC_OK;
        member->decimals = member->decimals && behind >= 0;
        member->scale = max_i64(member->scale, behind);
        member->longest = max_i64(member->longest, (int64_t)sap_edm_length(text));
    }
}

enum rc sap_sample_add(struct sample *sample, struct call *call, struct arena *keep,
                       struct str document)
{
    struct json_walk walk;
    yyjson_val *root;
    if (json_read(call->arena, document, JSON_MAX_DEPTH, &root, NULL) != RC_OK ||
        !yyjson_is_obj(root)) {
        return call_why(call, RC_INVALID, "is no document");
    }
    json_walk_open(&walk, call->arena, root, JSON_MAX_DEPTH);
    for (yyjson_val *value; (value = json_walk_next(&walk)) != NULL;) {
        bool inner = yyjson_is_obj(value) && yyjson_obj_size(value) > 0;
        struct sample_member *member =
            value == root || inner ? NULL
                                   : member_of(sample, keep, json_walk_pointer(&walk, STR("")));
        if (yyjson_is_arr(value)) {
            json_walk_skip(&walk);
        }
        if (member) {
            look_at(member, value);
        }
    }
    sample->documents++;
    return RC_OK;
}
