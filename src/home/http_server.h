/* HTTP/1.1 on libuv and llhttp: bytes become complete requests, answers become bytes. Knows nothing of
 * devices. It collects: on_request is called from a read callback and must only note the exchange down;
 * the home answers it later, in any order, and the answers leave in the order of the requests.
 * What breaks the protocol is answered here (400, 408, 413, 431, 503) and its connection closed; a good
 * request before it still gets its answer. All functions belong to the loop's thread.
 * source RFC 9110, RFC 9112 */
#ifndef HOME_HTTP_SERVER_H
#define HOME_HTTP_SERVER_H

#include <uv.h>

#include "core/ports.h"

#define HTTP_HEAD_MAX_BYTES 16384  /* target, names and values of one request together */
#define HTTP_TARGET_MAX_BYTES 8192 /* of the request line */
#define HTTP_HEADERS_MAX 64        /* header lines of one request */
#define HTTP_PIPELINE_MAX 16       /* requests of one connection that may wait for their answers */
#define HTTP_UNSENT_MAX_BYTES                                                                      \
    ((size_t)64 << 20)      /* answers that clients do not read, all together */
#define HTTP_LINGER_MS 2000 /* how long a closing connection may still send what nobody reads */

struct http_server;
struct http_connection;

/* Where a header line stands in the head's bytes while they still move. */
struct http_span {
    uint16_t name_at, name_bytes, value_at, value_bytes;
};

/* One request and its answer. Owned by the server; between on_request and http_server_answer (or _drop)
 * the home may use the public part and hang it into its own list. */
struct http_exchange {
    struct arena arena;     /* call.arena points here */
    struct call call;       /* opened when the request was complete */
    struct request request; /* HEAD arrives as GET; the target in origin-form or "*" */
    struct response
        response; /* the home fills it; its texts live in the arena, or as long as the server */
    uint64_t received_at_ns;    /* uv_hrtime: the request was complete */
    size_t request_bytes;       /* head and body, as counted against the caps */
    struct http_exchange *next; /* the home's, while it has the exchange */
    void *home;                 /* the home's, while it has the exchange */

    /* private */
    struct http_connection *connection;
    struct http_exchange *later; /* the connection's next one */
    struct header headers[HTTP_HEADERS_MAX];
    struct http_span spans[HTTP_HEADERS_MAX];
    char *head; /* target, then names and values */
    size_t head_bytes, head_room_bytes, target_bytes, span_count;
    char *body;
    size_t body_bytes, body_room_bytes, raw_bytes, cut_bytes;
    struct str wire[2]; /* the answer as it leaves: head, body */
    enum { HTTP_READING, HTTP_AT_HOME, HTTP_ANSWERED } state;
    bool in_value, head_complete, complete, head_only, close, old_version, wants_continue, cut;
};

struct http_options {
    struct world *world;    /* its clock only: ids, the Date header */
    struct str bind;        /* "127.0.0.1:8080", "[::1]:0"; "" = none */
    struct str unix_socket; /* path; "" = none */
    bool behind_proxy; /* allows an address that is not loopback; no peer counts as loopback then */
    int64_t max_connections_per_peer; /* 0 = no cap; never of the Unix socket */
    int64_t max_connections, header_timeout_ms, body_timeout_ms, idle_timeout_ms;
    size_t body_max_bytes; /* 0 = BODY_MAX_BYTES */
    /* A complete request. rule: only collect; answer outside of this callback. */
    void (*on_request)(void *context, struct http_exchange *);
    /* An answer is final, also one that was made here: for the log and the metrics. May be NULL. */
    void (*on_answer)(void *context, const struct http_exchange *);
    void *context;
};

/* Start to listen. options are copied, their texts must live as long as the server.
 *   fails  RC_INVALID an address that is none, or not loopback without behind_proxy · RC_CONFLICT address or socket
 *          in use · RC_BROKEN; call->why says what */
MUST enum rc http_server_open(uv_loop_t *, struct call *, const struct http_options *,
                              struct http_server **ret_server);
/* The TCP port really used; 0 = none. */
int http_server_port(const struct http_server *);
int64_t http_server_connection_count(const struct http_server *);

/* exchange->response is final. Bytes leave at the next http_server_flush; the exchange is no longer the home's. */
void http_server_answer(struct http_exchange *);
/* Write what was answered; once per turn. */
void http_server_flush(struct http_server *);
/* For a mock: no answer, the connection breaks (RST) · the same after the first sent_bytes of the answer. */
void http_server_drop(struct http_exchange *);
void http_server_answer_cut(struct http_exchange *, size_t sent_bytes);

/* Stop listening; every answer from now on says `Connection: close`. Requests still come in until http_server_close. */
void http_server_drain(struct http_server *);
/* No whole request waits for its answer, no answer waits to be written? (Half a request does not count.) */
bool http_server_is_idle(const struct http_server *);
/* Close everything; the loop must run until it is empty, then http_server_free. Exchanges that the home still has must
 * be answered or dropped before that. NULL does nothing. */
void http_server_close(struct http_server *);
void http_server_free(struct http_server *);

#endif
