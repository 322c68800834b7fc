/* The simulator: the whole server home on a clock that it moves by itself, with customers, operators, SAP's faults,
 * crashes and power failures drawn from one seed. One seed is one run, to the byte: no thread, no wall clock, no sleep.
 *
 *   sim_hourbell.c  a run: what happens in which order, how it comes to rest; the tests
 *   sim_world.c     chance, clocks, the disk, crashes, what the sender and SAP do to each other
 *   sim_sap.c       what kind of SAP it is: version, habits, faults
 *   sim_home.c      the turns of the server: settle, answer, plan, lease, tell; one commit; then what leaves
 *   sim_client.c    what customers and operators ask, and what they must find later
 *   sim_check.c     the invariants, on the store and on SAP's own log */
#ifndef TESTS_SIM_H
#define TESTS_SIM_H

#include "adapters/clock_manual.h"
#include "adapters/downstream_mock.h"
#include "adapters/store_sqlite.h"
#include "core/api.h"
#include "core/breaker.h"
#include "core/check.h"
#include "core/deliver.h"
#include "core/notice.h"
#include "fault_vfs.h"
#include "store_mirror.h"
#include "test.h"

#define SIM_DEVICES 5
#define SIM_OWNERS 2
#define SIM_JOBS 12
#define SIM_DUE 64
#define SIM_ASKS_KEPT 24 /* idempotent requests that may be repeated */
#define SIM_FACTS 1024   /* things that were answered */
#define SIM_EFFECTS 2048 /* lines of SAP's log */
#define SIM_TOLD 1024
#define SIM_NOTICES 1024
#define SIM_DEPTH_MAX 3        /* sends under way at once */
#define SIM_SYSTEM SIM_DEVICES /* index of the system's record */
#define SIM_RECORDS (SIM_DEVICES + 1)

/* What happened in a run, to see that it does. */
#define SIM_COUNT_NAMES(X)                                                                         \
    X(TURNS)                                                                                       \
    X(CRASHES)                                                                                     \
    X(POWER)                                                                                       \
    X(VOIDS)                                                                                       \
    X(STEPS)                                                                                       \
    X(EFFECTS_SEEN)                                                                                \
    X(REPEATS)                                                                                     \
    X(LATE)                                                                                        \
    X(LOOKED_UP)                                                                                   \
    X(V4) X(BLIND) X(WITHOUT_ETAGS) X(LOCKS) X(SESSIONS_LOST) X(STALE) X(THROTTLED) X(PASSWORDS)
enum sim_count {
#define X(name) SIM_##name,
    SIM_COUNT_NAMES(X)
#undef X
        SIM_COUNTS
};

/* What kinds of trouble a run has; drawn from its seed. Steps of the clock and late commits exclude each other: how
 * late a commit may be is measured on the clock that steps. */
struct sim_profile {
    bool crashes, power, steps, late, full_disk, busy_store, lag, short_history, zombies;
    int concurrency, fault_percent;
    bool v4, etags, guarded; /* of SAP; guarded: it wants a password, which changes now and then */
};

enum sim_job_kind { SIM_SEND, SIM_TELL };
enum sim_job_state { SIM_FREE, SIM_READY, SIM_RUNS, SIM_ENDED };
struct sim_job {
    enum sim_job_kind kind;
    enum sim_job_state state;
    int epoch; /* of the process that started it */
    enum rc rc;
    struct arena arena;
    struct call call;
    struct lease lease;
    struct outcome outcome;
    struct notice notice;
    enum told told;
    int64_t again_at_ms;
    bool settled; /* in the turn under way */
};

enum sim_ask_kind { SIM_CREATE, SIM_UPDATE, SIM_CANCEL, SIM_ACTION, SIM_OTHER, SIM_READ };
/* A request, and what came of it. Texts live as long as the run. */
struct sim_ask {
    enum sim_ask_kind kind;
    int device, who; /* who: an owner, or SIM_OWNERS for the operator */
    struct str method, target, body, idempotency_key, if_match, attributes;
    int64_t seq; /* cancel */
    struct response response;
    bool replayed; /* the answer said so */
    bool answered; /* 2xx was seen */
    bool once;     /* what was true then may be wrong later: never asked again */
    int status;
    struct str answer;
    int64_t expires_at_ms; /* of the stored answer */
};

/* A durable answer and what it promised. */
struct sim_fact {
    enum sim_ask_kind kind;
    int device;
    int64_t seq;
    struct str attributes;
};

struct sim_effect {             /* beside each line of SAP's log */
    int64_t true_ms, offset_ms; /* arrival; hourbell's clock minus the true one then */
    struct str repeat_id;       /* of the delivery it was for, whether SAP was told it or not */
};

struct sim_told {
    struct str id, body;
};
struct sim_expected { /* somebody must be told of this entry */
    int device;
    int64_t seq;
};

struct sim {
    uint64_t seed, chance;
    struct sim_profile profile;
    struct arena arena, turn_arena;
    struct clock_manual clock,
        truth; /* hourbell's, which may be set wrong; SAP's, which is right */
    struct settings settings;
    struct downstream *downstream;
    struct secrets secrets;
    bool password_is_old; /* SAP's was changed, ours not yet */
    struct notifier notifier;
    struct store_faults faults;
    struct store *disk,
        *second; /* second: DynamoDB beside it, HOURBELL_TEST_DYNAMODB; NULL = none */
    struct store_mirror mirror;
    struct world world;
    struct str credentials[SIM_OWNERS + 1];
    struct str names[SIM_DEVICES], keys[SIM_RECORDS];
    int owners[SIM_DEVICES];

    /* the process */
    bool up, quiet;              /* quiet: no more trouble, the run comes to rest */
    int epoch, depth, job_count; /* job_count: sends between lease and settle */
    int64_t clock_offset_ms, plan_at_ms, notice_at_ms;
    int64_t latest_ms; /* that hourbell's clock ever showed: what expired then may be gone */
    bool clock_pending;
    struct {
        struct str key;
        int64_t at_ms;
    } due[SIM_DUE];
    int due_count;
    struct sim_job jobs[SIM_JOBS];
    struct sim_job *running;

    /* what is known outside */
    struct sim_ask kept[SIM_ASKS_KEPT];
    int kept_count, ask_count;
    struct sim_fact facts[SIM_FACTS];
    int fact_count;
    struct sim_effect effects[SIM_EFFECTS];
    struct sim_told told[SIM_TOLD];
    int told_count;
    struct sim_expected expected[SIM_NOTICES];
    int expected_count;
    int64_t seen_version[SIM_RECORDS], seen_seq[SIM_RECORDS];
    int64_t tallies[TALLY_COUNT];
    bool tallies_known; /* false once a commit's end was unknown */
    int64_t counts[SIM_COUNTS];
};

/* sim_world.c */
uint64_t sim_random(struct sim *, uint64_t below); /* 0 .. below - 1 */
bool sim_percent(struct sim *, int percent);
void sim_open(struct sim *, uint64_t seed);
void sim_close(struct sim *);
void sim_start(struct sim *); /* the process */
void sim_crash(struct sim *, enum fault_loss);
void sim_advance(struct sim *, int64_t ms);
void sim_step_clock(struct sim *, int64_t ms);
int64_t sim_true_ms(struct sim *);
int64_t sim_now_ms(struct sim *);
struct str sim_text(struct sim *, const char *format, ...)
    PRINTF(2, 3); /* lives as long as the run */

/* sim_sap.c */
void sim_sap_open(struct sim *, struct call *, struct downstream_mock_options *);
void sim_sap_password(struct sim *); /* it changes in SAP, or the secrets learn the new one */
void sim_fault(struct sim *);        /* queue something for SAP to do */

/* sim_home.c */
void sim_turn(struct sim *, int ask_count);
bool sim_run_job(
    struct sim *); /* a send or a telling, from beginning to end; false: there is none */
void sim_free_jobs(struct sim *);

/* sim_client.c */
void sim_ask_new(struct sim *, struct sim_ask *ret_ask);
void sim_ask_send(struct sim *, struct sim_ask *, struct call *);
void sim_ask_durable(struct sim *, struct sim_ask *,
                     const struct call *);          /* its turn was committed */
void sim_ask_heard(struct sim *, struct sim_ask *); /* and the answer arrived */
void sim_ask_action(struct sim *, struct sim_ask *ret_ask, int device, const char *action,
                    int64_t seq);
void sim_ask_post(struct sim *, struct sim_ask *ret_ask, const char *target, struct str body);

/* sim_check.c */
void sim_check_changed(struct sim *); /* every record that has a new version */
void sim_check_all(struct sim *);     /* everything that holds at any time */
void sim_print(struct sim *);         /* everything, for people */
void sim_check_rest(struct sim *);    /* and what holds once nothing is under way */
struct device sim_device(struct sim *, struct call *, int device);
struct call *sim_call(struct sim *); /* for looking; its arena is the turn's */
bool sim_had_effect(struct sim *, struct str repeat_id);

/* sim_hourbell.c */
void sim_anything(struct sim *); /* one more thing happens, also in the middle of a send */

#endif
