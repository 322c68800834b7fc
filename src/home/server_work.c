/* Whom to wake, and the jobs in the pool. The truth about due work is in the store: what is kept here is
 * a short queue of keys and the moments of the next looks, so a lost or doubled wake-up does no harm.
 * A job starts after the commit of its lease and is counted until the commit of its settle. */
#include "base/diag.h"
#include "core/name.h"
#include "core/plan.h"
#include "home/server_inner.h"

#define SPARE_MAX 1100  /* jobs kept for reuse: all that can be in flight, and some */
#define BURST_US 200000 /* of downstream_rps that may be made up for */

/* --- jobs ------------------------------------------------------------------------------------------------ */

void job_push(struct job_list *list, struct job *job)
{
    job->next = NULL;
    if (!list->first) {
        list->end = &list->first;
    }
    *list->end = job;
    list->end = &job->next;
    list->count++;
}

struct job *job_pop(struct job_list *list)
{
    struct job *job = list->first;
    if (job) {
        list->first = job->next;
        list->count--;
    }
    return job;
}

struct job *job_take(struct server *server, enum job_kind kind)
{
    struct job *job = server->spare;
    struct arena arena;
    if (job) {
        server->spare = job->next;
        server->spare_count--;
        arena = job->arena;
    } else {
        job = malloc(sizeof *job);
        if (!job) {
            abort();
        }
        arena_open(&arena, 0);
    }
    memset(job, 0, sizeof *job);
    job->arena = arena;
    job->server = server;
    job->kind = kind;
    job->work.data = job;
    call_open(&job->call, &job->arena, server->world);
    job->call.now_ms = server->now_ms;
    return job;
}

void job_free(struct server *server, struct job *job)
{
    if (server->spare_count < SPARE_MAX) {
        arena_reset(&job->arena);
        job->next = server->spare;
        server->spare = job;
        server->spare_count++;
    } else {
        arena_close(&job->arena);
        free(job);
    }
}

/* In a thread of the pool: the job's own call and the world, nothing of the loop's. */
static void run_send(uv_work_t *work)
{
    struct job *job = work->data;
    deliver_send(job->server->world, &job->call, &job->lease, &job->outcome);
}

static void run_notice(uv_work_t *work)
{
    struct job *job = work->data;
    job->told = notice_send(job->server->world, &job->call, &job->notice, &job->again_at_ms);
}

static void on_job_ended(uv_work_t *work, int status)
{
    struct job *job = work->data;
    (void)status; /* nobody cancels jobs */
    job->call.on_pool = false;
    job_push(&job->server->ended, job);
}

void job_queue(struct server *server, struct job *job, uv_work_cb run)
{
    job->call.on_pool = true;
    job->started_ns = uv_hrtime();
    if (uv_queue_work(&server->loop, &job->work, run, on_job_ended) != 0) {
        abort(); /* its arguments were wrong */
    }
}

void work_start(struct server *server, struct job_list *jobs)
{
    struct job *job;
    while ((job = job_pop(jobs))) {
        job_queue(server, job, job->kind == JOB_SEND ? run_send : run_notice);
    }
}

/* --- whom to wake ------------------------------------------------------------------------------------------ */

static void due_push(struct server *server, struct str key)
{
    if (server->due_count == DUE_MAX) {
        server->plan_at_ms = 0; /* the store knows it */
        return;
    }
    assert(key.len <= KEY_MAX_BYTES);
    struct due *due = &server->due[(server->due_first + server->due_count++) % DUE_MAX];
    memcpy(due->key, key.s, key.len);
    due->key_bytes = key.len;
}

void work_wakes(struct server *server, const struct call *call)
{
    for (int i = 0; i < call->wake_count; i++) {
        if (call->wakes[i].at_ms <= server->now_ms) {
            due_push(server, call->wakes[i].key);
        } else {
            server->plan_at_ms = min_i64(server->plan_at_ms, call->wakes[i].at_ms);
        }
    }
}

int64_t work_next_send_ms(const struct server *server)
{
    int64_t wait_us = server->next_send_us - server->boot_ms * 1000 - BURST_US;
    return server->now_ms + (wait_us > 0 ? (wait_us + 999) / 1000 : 0);
}

bool work_can_lease(struct server *server)
{
    return server->state == SERVER_RUNS && server->due_count > 0 &&
           server->send_count < server->settings->downstream_concurrency &&
           work_next_send_ms(server) <= server->now_ms && server->retry_at_ms <= server->now_ms;
}

/* A call may start: the bucket that downstream_rps fills pays for it. */
static void pay_send(struct server *server)
{
    if (server->settings->downstream_rps > 0) {
        int64_t step_us = max_i64(1000000 / server->settings->downstream_rps, 1);
        server->next_send_us = max_i64(server->next_send_us, server->boot_ms * 1000) + step_us;
    }
}

/* A plan that woke devices of which none could start is not repeated at once. */
int64_t work_plan_ms(const struct server *server)
{
    bool fruitless = server->plan_woke && server->leased_since_plan == 0;
    return fruitless ? max_i64(server->plan_at_ms, server->planned_at_ms + PLAN_PAUSE_MS)
                     : server->plan_at_ms;
}

void work_plan(struct server *server, struct turn *turn)
{
    struct plan_result result;
    struct plan_request request = {.shard = SHARD_ALL,
                                   .limit = WAKES_MAX,
                                   .after = server->plan_after,
                                   .state = server->plan_state};
    if (server->state != SERVER_RUNS || server->due_count > 0 ||
        server->now_ms < server->plan_at_ms ||
        server->send_count >= server->settings->downstream_concurrency ||
        server->retry_at_ms > server->now_ms) {
        return;
    }
    struct call *call = turn_call(server, turn);
    if (plan(server->world, call, &request, &result) != RC_OK) {
        server->plan_at_ms = server->now_ms + FAILED_PAUSE_MS;
        DIAG(DIAG_ERROR, "plan_failed", DIAG_TEXT("why", str_of(call->why)));
        return;
    }
    server->plan_state = result.more ? result.state : WORK_NONE;
    server->plan_after = STR_NONE;
    if (result.more && result.after.len && result.after.len <= sizeof server->plan_room) {
        memcpy(server->plan_room, result.after.s, result.after.len);
        server->plan_after = (struct str){server->plan_room, result.after.len};
    }
    server->plan_at_ms = server->now_ms + (result.more ? 0 : server->settings->plan_interval_ms);
    if (result.next_at_ms) {
        server->plan_at_ms = min_i64(server->plan_at_ms, result.next_at_ms);
    }
    server->planned_at_ms = server->now_ms;
    server->plan_woke = call->wake_count > 0;
    server->leased_since_plan = 0;
    work_wakes(server, call);
    call->wake_count = 0;
}

void work_lease(struct server *server, struct turn *turn)
{
    for (int i = 0; i < TURN_LEASES_MAX && work_can_lease(server); i++) {
        struct due *due = &server->due[server->due_first];
        struct job *job = job_take(server, JOB_SEND);
        struct str key = arena_copy(&job->arena, (struct str){due->key, due->key_bytes});
        server->due_first = (server->due_first + 1) % DUE_MAX;
        server->due_count--;
        job->rc = deliver_lease(server->world, &job->call, key, &job->lease);
        if (job->rc == RC_OK) {
            job_push(&turn->leased, job);
            DIAG(DIAG_DEBUG, "lease", DIAG_TEXT("key", job->lease.key),
                 DIAG_TEXT("request_id", job->call.id),
                 DIAG_NUMBER("delivery", job->lease.body.delivery),
                 DIAG_NUMBER("lease_no", job->lease.lease_no));
            server->send_count++;
            server->leased_since_plan++;
            pay_send(server);
        } else {
            job_push(&turn->settled, job); /* its wakes and counts hold if the turn does */
        }
    }
}

void work_notices(struct server *server, struct turn *turn)
{
    struct notice_list list;
    int room = (int)(server->settings->webhook_concurrency - server->notice_count);
    if (server->now_ms < server->notice_at_ms || room <= 0 || server->state >= SERVER_DRAINS ||
        server->retry_at_ms > server->now_ms) {
        return;
    }
    struct call *call = turn_call(server, turn);
    if (notices_due(server->world, call, (int)min_i64(room, PAGE_MAX), &list) != RC_OK) {
        server->notice_at_ms = server->now_ms + FAILED_PAUSE_MS;
        DIAG(DIAG_ERROR, "notices_failed", DIAG_TEXT("why", str_of(call->why)));
        return;
    }
    server->notice_at_ms = list.more ? server->now_ms
                                     : min_i64(list.next_at_ms ? list.next_at_ms : TIME_NEVER_MS,
                                               server->now_ms + server->settings->plan_interval_ms);
    for (int i = 0; i < list.count; i++) {
        if (!list.items[i].moot) {
            struct job *job = job_take(server, JOB_NOTICE);
            /* the job's own: the list's arena is the turn's */
            notice_copy(&job->arena, &list.items[i], &job->notice);
            job_push(&turn->told, job);
            server->notice_count++;
        }
    }
}

/* --- what came back --------------------------------------------------------------------------------------------- */

/* The same call goes on: its id is the delivery's in the log and was the downstream's correlation header. */
static void call_again(struct server *server, struct call *call)
{
    call->now_ms = server->now_ms;
    call_forget(call);
    call->wake_count = 0;
    call->wrote = call->noticed = false;
    memset(call->tallies, 0, sizeof call->tallies);
}

void work_settle(struct server *server, struct turn *turn)
{
    struct job *job;
    if (server->retry_at_ms > server->now_ms) {
        return;
    }
    for (int i = 0; i < TURN_JOBS_MAX && (job = job_pop(&server->ended)); i++) {
        if (job->kind == JOB_BACKUP) {
            backup_verified(server, job);
            job_free(server, job);
            continue;
        }
        call_again(server, &job->call);
        if (job->kind == JOB_SEND) {
            job->rc = deliver_settle(server->world, &job->call, &job->lease, &job->outcome);
            server->send_count--;
        } else {
            job->rc =
                notice_done(server->world, &job->call, &job->notice, job->told, job->again_at_ms);
            server->notice_count--;
        }
        job_push(&turn->settled, job);
    }
}

static const char *const class_names[] = {
    [OUTCOME_EFFECT] = "effect", [OUTCOME_SAME] = "same",     [OUTCOME_NO_EFFECT] = "no_effect",
    [OUTCOME_STOP] = "stop",     [OUTCOME_UNSURE] = "unsure", [OUTCOME_REJECTED] = "rejected",
};

static void log_settle(const struct job *job)
{
    const struct outcome *outcome = &job->outcome;
    bool fine =
        (outcome->class == OUTCOME_EFFECT || outcome->class == OUTCOME_SAME) && job->rc == RC_OK;
    DIAG(fine ? DIAG_INFO : DIAG_WARN, job->rc == RC_NOT_DUE ? "outcome_void" : "outcome",
         DIAG_TEXT("key", job->lease.key), DIAG_TEXT("request_id", job->call.id),
         DIAG_NUMBER("delivery", job->lease.body.delivery),
         DIAG_NUMBER("lease_no", job->lease.lease_no),
         DIAG_TEXT("class", str_of(class_names[outcome->class])), DIAG_TEXT("code", outcome->code),
         DIAG_TEXT("detail", fine ? STR_NONE : outcome->detail),
         DIAG_NUMBER("duration_us", (int64_t)((uv_hrtime() - job->started_ns) / 1000)));
    if (job->call.tallies[TALLY_breaker_opened]) {
        DIAG(DIAG_ERROR, "downstream_stopped", DIAG_TEXT("code", outcome->code),
             DIAG_TEXT("detail", outcome->detail));
    }
    if (job->call.tallies[TALLY_downstream_paused]) {
        char until[ISO_TIME_BYTES + 1];
        iso_time_write(outcome->pause_until_ms, until);
        DIAG(DIAG_WARN, "downstream_paused", DIAG_TEXT("code", outcome->code),
             DIAG_TEXT("detail", outcome->detail), DIAG_TEXT("until", str_of(until)));
    }
}

/* The turn holds: what its jobs came to is final, but for those that the store did not take. */
void work_settled(struct server *server, struct turn *turn)
{
    struct job *job;
    while ((job = job_pop(&turn->settled))) {
        bool leased = job->started_ns == 0; /* it never ran: a lease that was not to be */
        if (job->rc == RC_BUSY && !leased) {
            server->retry_at_ms = server->now_ms + VOID_PAUSE_MS;
            *(job->kind == JOB_SEND ? &server->send_count : &server->notice_count) += 1;
            job_push(&server->ended, job);
            continue;
        }
        metrics_tallies(&server->metrics, job->call.tallies);
        work_wakes(server, &job->call);
        if (job->call.noticed) {
            server->notice_at_ms = min_i64(server->notice_at_ms, server->now_ms + NOTICE_PAUSE_MS);
        }
        if (job->rc ==
            RC_BROKEN) { /* our own fault: the lease ends by itself, and the delivery is uncertain then */
            DIAG(DIAG_ERROR, leased ? "lease_failed" : "settle_failed",
                 DIAG_TEXT("key", job->lease.key), DIAG_TEXT("why", str_of(job->call.why)));
        }
        if (!leased && job->kind == JOB_SEND) {
            log_settle(job);
        }
        job_free(server, job);
    }
}

/* The turn does not hold: nothing is sent, and what came back is written down by a later turn. */
void work_void(struct server *server, struct turn *turn)
{
    struct job *job;
    while ((job = job_pop(&turn->leased))) {
        server->send_count--;
        job_free(server, job);
    }
    while ((job = job_pop(&turn->told))) {
        server->notice_count--;
        job_free(server, job);
    }
    while ((job = job_pop(&turn->settled))) {
        if (job->started_ns == 0) {
            job_free(server, job);
        } else {
            *(job->kind == JOB_SEND ? &server->send_count : &server->notice_count) += 1;
            job_push(&server->ended, job);
        }
    }
    server->due_count = 0;
    server->plan_after = STR_NONE;
    server->plan_state = WORK_NONE;
    server->retry_at_ms = server->now_ms + VOID_PAUSE_MS;
    server->plan_at_ms = server->notice_at_ms = server->retry_at_ms;
}
