/* The state table of a device's work. Every commit passes work_check: a state that cannot follow, or an
 * after-image that contradicts its state, is our own mistake and stops the process before it is stored. */
#include "core/work.h"

#include "core/name.h"
#include "core/window.h"

struct work_rule {
    const char *name;
    unsigned next; /* bit set of the states that may follow */
};

#define BIT(state) (1u << WORK_##state)

static const struct work_rule rules[WORK_COUNT] = {
    [WORK_NONE] = {"none", BIT(NONE) | BIT(OPEN)},
    [WORK_OPEN] = {"open", BIT(NONE) | BIT(OPEN) | BIT(FLIGHT)},
    [WORK_FLIGHT] = {"flight", BIT(NONE) | BIT(OPEN) | BIT(FLIGHT) | BIT(UNCERTAIN) | BIT(DEAD)},
    [WORK_UNCERTAIN] = {"uncertain", BIT(NONE) | BIT(OPEN) | BIT(UNCERTAIN) | BIT(DEAD)},
    [WORK_DEAD] = {"dead", BIT(NONE) | BIT(OPEN) | BIT(DEAD)},
    [WORK_NOTICE] = {"notice", 0},
};

const char *work_name(enum work work)
{
    return rules[work].name;
}

enum work work_of(struct str name)
{
    for (int i = 0; i < WORK_NOTICE; i++) {
        if (str_is(name, rules[i].name)) {
            return (enum work)i;
        }
    }
    return WORK_COUNT;
}

void work_check(enum work before, const struct device *after)
{
    bool sealed = after->flight.delivery != 0;
    assert(after->version > 0 && after->seq >= 0);
    if (name_is_system(after->key)) {
        return; /* its work is the probe: breaker.c */
    }
    assert(rules[before].next & (1u << after->work));
    assert(after->pending_count >= 0 && after->pending_bytes >= 0);
    assert(sealed == (after->work == WORK_FLIGHT || after->work == WORK_UNCERTAIN));
    assert((after->from_seq == 0) == (after->work == WORK_NONE));
    assert((after->at_ms == 0) == (after->work == WORK_NONE));
    assert(after->work != WORK_NONE || after->pending_count == 0);
    assert(!sealed ||
           (after->flight.from_seq <= after->flight.to_seq && after->flight.to_seq <= after->seq));
    assert(after->doc.len <= DOC_STORED_MAX_BYTES && after->revision > 0);
}

void work_none(struct device *device)
{
    device->work = WORK_NONE;
    device->at_ms = device->due_at_ms = device->from_seq = 0;
    device->pending_count = device->pending_bytes = 0;
}

void work_open(const struct settings *settings, struct device *device, int64_t now_ms)
{
    device->work = WORK_OPEN;
    device->at_ms = max_i64(window_look_at(settings, device, now_ms), 1);
}

void work_reopen(const struct settings *settings, struct device *device, const struct pending *left,
                 int64_t now_ms)
{
    device->pending_count = left->count;
    device->pending_bytes = left->bytes;
    if (left->count == 0 && !device->resend_all) {
        work_none(device);
        return;
    }
    device->from_seq =
        left->count ? left->first_seq : device->seq; /* the latest entry is no update */
    device->due_at_ms = window_due(settings, left->count ? left->first_at_ms : now_ms);
    work_open(settings, device, now_ms);
}
