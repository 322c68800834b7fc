/* Outbound HTTP(S) by libcurl: one easy handle, hence one connection, per client. Follows no redirect, takes
 * no proxy from the environment, sends Content-Length always, keeps an idle connection for less than SAP's 60 s,
 * and refuses libcurl's silent repeat of a write. */
#ifndef ADAPTERS_HTTP_CLIENT_H
#define ADAPTERS_HTTP_CLIENT_H

#include <sys/socket.h>

#include "adapters/outbound.h"

#define HTTP_CONNECT_TIMEOUT_MS 5000
#define HTTP_IDLE_MAX_S                                                                            \
    50 /* SAP's ICM and Web Dispatcher close at 60 s: SAP Help, "icm/keep_alive_timeout" */

struct http_client_options {
    struct str proxy;           /* "" = none */
    struct str ca_file;         /* "" = the system's */
    struct str ca_pem;          /* trusted roots in memory, instead of ca_file; "" = none */
    int64_t connect_timeout_ms; /* 0 = HTTP_CONNECT_TIMEOUT_MS */
    int64_t idle_max_s; /* a connection that rested longer is not used again; 0 = HTTP_IDLE_MAX_S */
    /* Sign each request after AWS's Signature Version 4: "aws:amz:<region>:<service>"; "" = no. Only for POSTs of "/" with a
     * content-type of their own: libcurl before 8.14 signs other shapes wrong. The answer says whether it was signed. */
    struct str sign_scope, sign_key_id, sign_secret;
    /* May we connect to this address? Asked for the very address that the socket is then connected to, after the one
     * resolution, so a name cannot point elsewhere between check and use. NULL = any. safe: must be callable from any thread */
    bool (*address_allowed)(void *context, const struct sockaddr *, socklen_t size_bytes);
    void *context;
    const char *resolve; /* for tests: "NAME:PORT:ADDRESS,ADDRESS" is what the resolver says;
                            not copied; NULL = it is asked */
};

struct http_client;
/* fails: RC_BROKEN out of memory, too long a text. The strings of the options are copied, but ca_pem: it must outlive the client. */
MUST enum rc http_client_open(struct call *, const struct http_client_options *,
                              struct http_client **ret_client);
void http_client_close(struct http_client *); /* wipes the secret; NULL does nothing */
/* Carry one request out; blocks. One thread at a time. The clock is asked just before the first byte. */
void http_client_perform(struct http_client *, struct call *, struct clock *,
                         const struct outbound *, struct inbound *ret_answer);

/* A transport of `slots` clients. Each slot is used by one thread at a time, different ones in parallel. */
MUST enum rc http_client_transport_open(struct call *, const struct http_client_options *,
                                        int slots, struct transport **ret_transport);
void http_client_transport_close(struct transport *);

#endif
