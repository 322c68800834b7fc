/* The server home in process: real loop, real sockets, real store on a disk that can fail; a clock that
 * stands still and a downstream that does what the test says. The test turns the loop itself. */
#ifndef TESTS_SERVER_RIG_H
#define TESTS_SERVER_RIG_H

#include <pthread.h>

#include "adapters/clock_manual.h"
#include "core/ports.h"
#include "home/server_inner.h"
#include "test.h"

#define RIG_START_MS (INT64_C(490000) * 3600000 + 1200000) /* twenty past */

struct rig_downstream {
    struct downstream port; /* first */
    pthread_mutex_t lock;
    pthread_cond_t go;
    bool hold; /* sends wait until rig_let_go */
    _Atomic int started_count, ended_count;
    enum outcome_class class;
    int64_t pause_ms; /* the rest that it asks for; 0 = none */
    char body[256];   /* of the last send */
};

struct rig {
    struct arena arena;
    struct clock_manual clock;
    struct settings settings;
    struct store *store;
    struct rig_downstream downstream;
    struct notifier notifier;
    struct world world;
    struct server *server;
    const char *vfs;               /* NULL = the system's */
    struct str operator, customer; /* header lines "x-api-key: ...\r\n" */
};

struct rig_client {
    int fd;
};

/* in: tweak may change the settings before the start; NULL = none. */
void rig_open(struct rig *, const char *vfs, void (*tweak)(struct settings *));
void rig_close(struct rig *); /* stops the server in order */
/* The process is gone without a word, and starts again on the same files. */
void rig_crash(struct rig *);
/* The loop turns until nothing happens at once; done: or until it says so (20 s at most). */
void rig_turn(struct rig *);
void rig_turn_until(struct rig *, bool (*done)(struct rig *));
void rig_let_go(struct rig *);
/* The lines of base/diag so far. */
struct str rig_log(void);

void rig_connect(struct rig *, struct rig_client *);
void rig_send(struct rig_client *, struct str bytes);
/* All that came until the server closed. */
struct str rig_receive(struct rig *, struct rig_client *);
/* One request on a connection of its own. headers: lines, or "". out: the whole answer. */
struct str rig_ask(struct rig *, const char *method, const char *target, struct str headers,
                   const char *body);

#endif
