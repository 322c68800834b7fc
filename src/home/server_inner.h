/* What the files of the server home share. Nobody else includes this. */
#ifndef HOME_SERVER_INNER_H
#define HOME_SERVER_INNER_H

#include "core/deliver.h"
#include "core/notice.h"
#include "home/http_server.h"
#include "home/metrics.h"
#include "home/server.h"

#define TURN_REQUESTS_MAX 1024                /* of one turn, and */
#define TURN_REQUESTS_NS 50000000             /* no new one after so long, or */
#define TURN_ANSWERS_BYTES ((size_t)32 << 20) /* so many bytes of answers */
#define TURN_JOBS_MAX 512                     /* settles of one turn */
#define TURN_LEASES_MAX 256
#define TURN_OWN_MAX 8
#define DUE_MAX 1024 /* keys that wait for a lease in memory; more stay in the store */
#define VOID_PAUSE_MS                                                                              \
    250 /* after a turn that the store could not take, before its own work is tried again */
#define PLAN_PAUSE_MS 50     /* after a plan that led to no lease */
#define FAILED_PAUSE_MS 1000 /* after a plan, lease or list that failed by a fault of ours */
#define NOTICE_PAUSE_MS 20   /* between a commit and the look for what to tell */
#define EXPIRE_EVERY_MS 60000
#define EXPIRE_AGAIN_MS 100
#define EXPIRE_LIMIT 200
#define WORK_COUNTS_MS 5000 /* how old gauges of the store may be */
#define DRAIN_TURNS 3       /* after the listener closed: what had arrived is read and answered */
#define DRAIN_LOOK_MS 20
#define BACKUP_PAGES 128 /* of one step between two turns */

enum job_kind { JOB_SEND, JOB_NOTICE, JOB_BACKUP };

/* Work for the pool. It owns its arena and call, which are the pool's while it runs. */
struct job {
    uv_work_t work;
    struct server *server;
    struct job *next;
    struct arena arena;
    struct call call;
    enum job_kind kind;
    enum rc rc; /* of the turn's call for it */
    uint64_t started_ns;
    struct lease lease; /* JOB_SEND */
    struct outcome outcome;
    struct notice notice; /* JOB_NOTICE */
    enum told told;
    int64_t again_at_ms;
};

struct job_list {
    struct job *first, **end; /* end: where the next one is hung */
    int count;
};

struct due {
    char key[KEY_MAX_BYTES];
    size_t key_bytes;
};

enum backup_state { BACKUP_NONE, BACKUP_ASKED, BACKUP_COPIES, BACKUP_VERIFIES, BACKUP_DONE };

struct backup {
    enum backup_state state;
    struct http_exchange *exchange; /* who asked */
    struct store_backup *copy;
    struct arena arena;
    struct call call;
    struct str path;
    uint64_t started_ns;
    int64_t started_at_ms;
    enum rc rc; /* of BACKUP_DONE */
};

enum server_state { SERVER_RUNS, SERVER_WAITS, SERVER_DRAINS, SERVER_ENDS };

struct server {
    struct world *world;
    const struct settings *settings;
    uv_loop_t loop;
    struct http_server *http;
    uv_check_t check; /* the turn */
    uv_idle_t idle;   /* active while there is something to do at once */
    uv_timer_t timer; /* next look; only starts `idle` */
    uv_timer_t stop_timer;
    uv_signal_t signals[3];
    int signal_count, handle_count;
    enum server_state state;
    int drain_turns,
        admitted_count; /* admitted: requests that had come before the draining began */
    bool broken, stop_now;

    struct http_exchange *requests, **requests_end; /* collected, oldest first */
    int request_count;
    struct job_list ended;                     /* jobs that came back */
    struct job *spare;                         /* for reuse */
    int spare_count, send_count, notice_count; /* in flight, until their settle is durable */

    struct due *due; /* ring of keys to lease */
    int due_first, due_count;
    int64_t plan_at_ms, notice_at_ms, expire_at_ms,
        retry_at_ms;       /* wall; retry: jobs that the store did not take */
    struct str plan_after; /* in plan_room */
    char plan_room[1024];
    enum work plan_state;
    int64_t planned_at_ms;
    int leased_since_plan;
    bool plan_woke;
    int64_t next_send_us; /* token bucket: boot time from which the next send is allowed */

    int64_t now_ms, boot_ms; /* of this turn */
    int64_t clock_offset_ms; /* wall - boot at the last look */
    bool clock_known, clock_pending;
    struct str clock_why;

    struct metrics metrics;
    struct work_counts counts;
    int64_t counts_at_boot_ms;
    bool store_full; /* the last turn that wrote was void */
    struct backup backup;
    struct arena arena; /* of the turn's own calls */
};

/* One turn: its calls, until their end is known. */
struct turn {
    struct http_exchange *answered, **answered_end;
    struct job_list settled, leased, told; /* jobs that came back · to start after the commit */
    struct call *own[TURN_OWN_MAX]; /* the turn's own calls: clock, plan, notices, expire, counts */
    int own_count;
    bool clock_written; /* the hold after a step of the clock is in this turn */
};

/* server_turn.c */
bool server_has_something(const struct server *);
void server_turn(struct server *);
/* Start `idle` if something can be done at once, else set the timer for the next look. */
void server_rest(struct server *);
struct call *turn_call(struct server *, struct turn *);

/* server_work.c */
void work_plan(struct server *, struct turn *);
void work_lease(struct server *, struct turn *);
void work_notices(struct server *, struct turn *);
void work_settle(struct server *, struct turn *);
void work_start(struct server *, struct job_list *);
void work_void(struct server *, struct turn *);
void work_settled(struct server *, struct turn *);
void work_wakes(struct server *, const struct call *);
bool work_can_lease(struct server *);
int64_t work_plan_ms(const struct server *);
int64_t work_next_send_ms(const struct server *);
struct job *job_take(struct server *, enum job_kind);
void job_free(struct server *, struct job *);
void job_push(struct job_list *, struct job *);
struct job *job_pop(struct job_list *);
void job_queue(struct server *, struct job *, uv_work_cb run);

/* server_answer.c */
void answer_request(struct server *, struct http_exchange *);
void answer_log(void *server, const struct http_exchange *);
void answer_busy(struct http_exchange *);
/* Between two turns. out: is there more to do at once? */
bool backup_step(struct server *);
void backup_verified(struct server *, const struct job *);
void backup_answer(struct server *, struct turn *);
void backup_give_up(struct server *);

#endif
