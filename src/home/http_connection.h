/* What the files of the HTTP server share: http_server.c (listeners, its own life), http_connection.c
 * (life and deadlines of connections), http_peers.c (whose they are), http_parse.c (bytes to requests), http_answer.c (answers to bytes). Nobody else includes
 * this. An idle connection costs this struct (about 1 KB) and no exchange. */
#ifndef HOME_HTTP_CONNECTION_H
#define HOME_HTTP_CONNECTION_H

#include <llhttp.h>

#include "core/api.h"
#include "home/http_server.h"

#define HTTP_READ_BYTES 65536 /* the one read buffer of all connections */
#define HTTP_POOL_MAX 512     /* exchanges kept for reuse */
#define HTTP_PEER_BUCKETS 1024
#define HTTP_REST_MS 200 /* before that a client that waits for nothing is about to ask again */
#define HTTP_LINGER_MAX_BYTES ((size_t)1 << 20) /* thrown away from a closing connection */

/* What a connection waits for; each kind has one span for all, so its list is in order of the deadline. */
enum http_wait { WAIT_NONE, WAIT_IDLE, WAIT_HEAD, WAIT_BODY, WAIT_WRITE, WAIT_LINGER, WAIT_COUNT };

struct http_connection {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } io;
    llhttp_t parser;
    struct http_server *server;
    struct http_exchange *first, *last; /* in order of arrival */
    struct http_exchange *current; /* the last one while it is being read; NULL between messages */
    int queued_count;              /* exchanges in the list */
    int home_count;                /* of them at home; they outlive the connection */
    char *held;                    /* bytes that wait for room in the pipeline */
    size_t held_bytes;
    union {
        uv_write_t write;
        uv_shutdown_t shutdown;
    } request;
    size_t unsent_bytes; /* of the write under way */
    size_t lingered_bytes;
    int written_count; /* exchanges that the write under way finishes */
    enum http_wait wait;
    uint64_t since_ms;                     /* uv_now */
    struct http_connection *older, *newer; /* in the list of its wait */
    struct http_connection *flush_next;
    struct http_connection *before, *after; /* in the list of all */
    struct http_peer *peer;                 /* NULL = not counted */
    enum problem refusal;                   /* set by the parser's callbacks */
    const char *refusal_detail;
    int line_blanks; /* seen in the request line */
    bool line_done, line_foreign, loopback, reading, writing, stopped, ended, lingering, closing,
        closed, to_flush, saw_cr;
};

struct http_waiting {
    struct http_connection *oldest, *newest;
    uint64_t span_ms;
};

struct http_server {
    struct http_options options;
    uv_loop_t *loop;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
    uv_timer_t timer; /* rings at the earliest deadline, but only starts `idle` */
    uv_idle_t
        idle; /* keeps the loop from sleeping, so that `check` runs after the sockets were read */
    uv_check_t check;     /* ends connections whose time is up */
    uint64_t timer_at_ms; /* 0 = not set */
    struct http_waiting waiting[WAIT_COUNT];
    struct http_connection *connections; /* all, newest first */
    struct http_connection *to_flush;
    struct http_peer *peers[HTTP_PEER_BUCKETS];
    struct http_exchange *pool;
    int pool_count;
    int64_t connection_count;
    size_t unsent_bytes;
    int exchange_count; /* not in the pool */
    int port, handle_count;
    char date[32];
    size_t date_bytes;
    int64_t date_second;
    bool has_tcp, has_pipe, listening_tcp, listening_pipe, draining, closing;
    char read_buffer[HTTP_READ_BYTES];
};

/* http_connection.c */
struct http_connection *http_connection_open(struct http_server *, bool tcp);
/* After the sockets were read: end those whose time is up, write what was answered. */
void http_connection_check(uv_check_t *);
struct http_exchange *http_exchange_take(struct http_connection *);
/* Take the first exchange off its connection, and keep it for reuse. */
void http_exchange_finish(struct http_connection *);
void http_exchange_free(struct http_server *, struct http_exchange *);
void http_connection_wait(struct http_connection *, bool restart);
void http_connection_read(struct http_connection *, bool wanted);
/* Make room for another one: close the one that rests longest, if it does so for HTTP_REST_MS. */
bool http_connection_evict(struct http_server *);
void http_connection_close(struct http_connection *);
void http_connection_reset(struct http_connection *); /* RST: what was not sent is lost */
/* Free it if its handle is closed and no exchange is at home any more. */
void http_connection_free(struct http_connection *);

/* http_peers.c */
/* Count an accepted connection to its address. out: how many that one has now; 0 = it is not counted. */
int64_t http_peer_take(struct http_connection *);
void http_peer_give(struct http_connection *);

/* http_parse.c */
void http_parse_open(struct http_connection *);
/* Take bytes in. rule: may stop early and hold the rest until http_parse_more. */
void http_parse(struct http_connection *, const char *bytes, size_t len);
/* There is room again: go on with the bytes held, then with reading. */
void http_parse_more(struct http_connection *);
/* Answer with a problem instead of what is being read, and close after it. */
void http_parse_refuse(struct http_connection *, enum problem, const char *detail);

/* http_answer.c */
/* Have it flushed before the loop sleeps again. */
void http_answer_mark(struct http_connection *);
void http_answer_flush(struct http_connection *);
/* The last answer is out: half-close and wait for the peer's end, so that no RST takes the answer from it. */
void http_answer_linger(struct http_connection *);

#endif
