/* The server home: one loop that owns the store. Callbacks only collect; a turn runs the core calls of all
 * that came together, commits once, and only then lets answers, sends and wake-ups go. What may block (the
 * downstream, webhooks) runs in libuv's thread pool and touches neither store nor loop.
 *   server.c         life: opening, timers, signals, stopping
 *   server_turn.c    the turn: what runs in which order, what its end means
 *   server_work.c    whom to wake, leases, sends, notifications
 *   server_answer.c  requests, and the operations that a home answers itself */
#ifndef HOME_SERVER_H
#define HOME_SERVER_H

#include <uv.h>

#include "core/ports.h"

struct server;

struct server_options {
    struct world *world; /* its store is store_sqlite, opened with turns */
    bool
        signals; /* SIGTERM and SIGINT stop it, SIGHUP is noted and does nothing, SIGPIPE is ignored */
};

/* Listen and look for work; nothing runs yet. in: world->settings says all. Lives until server_close.
 *   fails  RC_INVALID, RC_CONFLICT, RC_BROKEN as http_server_open · RC_BUSY, RC_BROKEN the store; call->why */
MUST enum rc server_open(struct call *, const struct server_options *, struct server **ret_server);
int server_port(const struct server *); /* 0 = no TCP */
/* Serve until stopped.
 *   out    ret_left: sends that did not end within stop_timeout; they stay leased, their threads still run: end the process
 *          without cleaning up
 *   fails  RC_BROKEN the store's outcome is unknown: nothing of the last turn was answered; end the process at once, without
 *          another commit */
MUST enum rc server_run(struct server *, int *ret_left);
/* Stop as on SIGTERM; from the loop's thread. */
void server_stop(struct server *);
/* After server_run returned RC_OK with nothing left. NULL does nothing. */
void server_close(struct server *);

/* The pool's threads that these settings need: into UV_THREADPOOL_SIZE before libuv starts its first job. */
int server_pool_size(const struct settings *);

#endif
