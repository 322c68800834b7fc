/* The mock SAP as a downstream in the same process: the real connector (downstream_odata.c), with the mock behind its
 * transport instead of a socket. For tests, the simulator and the test realm: no network, no sleeping; time is
 * world->clock, and what takes time asks the hook `wait`. */
#ifndef ADAPTERS_DOWNSTREAM_MOCK_H
#define ADAPTERS_DOWNSTREAM_MOCK_H

#include "adapters/outbound.h"
#include "adapters/sap_config.h"
#include "adapters/sap_mock.h"

/* All may be NULL. They are called with the mock's lock free, on the thread that sends. */
struct downstream_mock_hooks {
    void *context;
    /* So much time passes now: advance the manual clock. Without it an answer's delay takes no time. */
    void (*wait)(void *context, int64_t ms);
    /* The connection stands; next comes the check of send_before, then the first byte. */
    void (*before)(void *context, const struct outbound *);
    /* The mock has done what it does; the sender has not heard of it yet. */
    void (*after)(void *context, const struct outbound *, const struct sap_answer *);
};

struct downstream_mock_options {
    struct str mapping; /* text of a downstream.json; "" = downstream_mock_mapping */
    struct sap_mock_options sap;
    struct downstream_mock_hooks hooks;
    struct clock
        *clock; /* of the mock's machine; NULL = the world's, so that both are set wrong together */
    int slots;  /* 0 = 4 */
};

/* The mapping of the test realm and of the demonstration: the name in an extension field that holds 256 characters,
 * free text in others like it, so that any name and any text can be delivered. The same as the repository's downstream.json. */
extern const char downstream_mock_mapping[];

/* fails: RC_INVALID the mapping · RC_NOT_FOUND a secret */
MUST enum rc downstream_mock_open(struct call *, const struct downstream_mock_options *,
                                  struct secrets *, struct downstream **ret_downstream);
void downstream_mock_close(struct downstream *);

/* The mock itself, for faults, rows and the log; lock it where senders run on other threads. */
struct sap_mock *downstream_mock_sap(struct downstream *);
void downstream_mock_lock(struct downstream *);
void downstream_mock_unlock(struct downstream *);
const struct sap_config *downstream_mock_config(struct downstream *);
/* The connection to the mock cannot be made at all (true), or can again. */
void downstream_mock_unplug(struct downstream *, bool unplugged);

#endif
