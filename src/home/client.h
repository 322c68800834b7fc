/* A client of hourbell's HTTP interface: where the server is, who asks, single calls, and many calls in
 * flight on kept-alive connections. The credential comes from the environment or a file, never from an
 * argument (arguments are seen by everybody on the machine). The sub-commands say what to ask. */
#ifndef HOME_CLIENT_H
#define HOME_CLIENT_H

#include <curl/curl.h>

#include "base/text.h"
#include "home/command.h"

#define CLIENT_TIMEOUT_MS 30000
#define CLIENT_ANSWER_MAX_BYTES ((size_t)16 << 20)
#define CLIENT_IN_FLIGHT_MAX 1024

struct client_request {
    const char *method;         /* "GET" ... */
    struct str target;          /* "/devices/Pump-7?limit=5", percent-encoded */
    struct str body;            /* "" = none */
    struct str idempotency_key; /* "" = none */
    int64_t if_match;           /* 0 = none */
};

struct client_answer {
    int64_t status;              /* 0 = there was no answer */
    struct str body;             /* JSON as it came */
    int64_t retry_after_ms;      /* 0 = the server said none */
    bool replayed;               /* the answer to an earlier request with this idempotency key */
    char error[CURL_ERROR_SIZE]; /* status 0: why */
};

struct client {
    const struct args *args;
    const char *url;        /* without a / at the end; "http://hourbell" for a Unix socket */
    const char *socket;     /* path of a Unix socket; NULL = none */
    const char *credential; /* header line "x-api-key: ..."; NULL = none */
    int64_t timeout_ms;
    struct arena *arena; /* of answers: args->arena, or that of the page at hand */
    CURL *easy;          /* of single calls */
};

/* Where and who, from options and environment. out: EXIT_DONE, or an exit code after telling why. */
int client_open(const struct args *, struct client *ret_client);
void client_close(struct client *);

/* One call. out: the answer, in client->arena; the exit code that it means: EXIT_DONE for 2xx, EXIT_UNREACHABLE without
 * an answer, else what the problem's code says. Prints nothing. */
int client_call(struct client *, const struct client_request *, struct client_answer *ret_answer);
/* Say on standard error what went wrong, with code, detail and pointers; hands the exit code on. */
int client_tell(const struct client *, const struct client_answer *, int exit_code);
/* The same two in one, and the JSON of a good answer. out: EXIT_DONE: ret_root is set. */
int client_ask(struct client *, const struct client_request *, yyjson_val **ret_root,
               struct client_answer *ret_answer);
/* Every item of a list, page by page, until there are no more or limit were taken. */
struct client_list {
    struct str target; /* "/devices?name_prefix=a", without limit and cursor */
    int64_t limit;     /* 0 = no limit */
    struct str cursor; /* where to begin; "" = at the beginning */
    /* One item; it lives until take returns. out: EXIT_DONE to go on. */
    int (*take)(void *context, struct client *, yyjson_val *item);
    /* After each page, with the cursor of the next one; "" = that was the last. NULL = not needed. */
    int (*page)(void *context, struct client *, struct str next_cursor);
    void *context;
};
/* rule: a page that does not come is asked for again a few times, but for the first one: reading is repeatable. */
int client_pages(struct client *, const struct client_list *);
/* The exit code of an answer. */
int client_exit_code(struct arena *, const struct client_answer *);

/* "/devices/<name>/log": name percent-encoded as one path segment. */
struct str client_device_target(struct client *, struct str name, const char *rest);
/* Percent-encode all but unreserved characters (RFC 3986 section 2.3). out: ends with a NUL. */
struct str client_encode(struct arena *, struct str text);

/* ---- many in flight -------------------------------------------------------------------------------------- */
struct client_pool;
struct client_done {
    void *context;
    const struct client_answer *answer; /* until the next call of client_pool_* */
};

/* out: NULL after telling why. */
struct client_pool *client_pool_open(struct client *, int in_flight);
void client_pool_close(struct client_pool *);
/* Is there room for one more? */
bool client_pool_has_room(const struct client_pool *);
int client_pool_count(const struct client_pool *);
/* Send; copies the request. rule: only if there is room. */
void client_pool_send(struct client_pool *, const struct client_request *, void *context);
/* Wait for one that has ended, at most wait_ms. out: false: none has. */
bool client_pool_next(struct client_pool *, int64_t wait_ms, struct client_done *ret_done);

#endif
