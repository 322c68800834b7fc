/* The mock SAP on HTTP: http_server.c in front of sap_mock.c. It carries out what the mock asks of the connection:
 * delays, closing before or after the work, half an answer, the end of an idle connection after 60 s. */
#ifndef HOME_MOCK_SERVER_H
#define HOME_MOCK_SERVER_H

#include <uv.h>

#include "adapters/sap_mock.h"
#include "core/ports.h"

struct mock_server;

struct mock_server_options {
    struct world *world;  /* its clock only */
    struct sap_mock *sap; /* the caller's */
    struct str bind;      /* "127.0.0.1:0" */
    int log_fd;           /* each call as a line of JSON; -1 = none */
    bool behind_proxy;    /* allows an address that is not loopback */
    int64_t idle_ms;      /* a connection that rests so long is closed; 0 = 60 s, as SAP's ICM */
};

/* fails: as http_server_open */
MUST enum rc mock_server_open(uv_loop_t *, struct call *, const struct mock_server_options *,
                              struct mock_server **ret_server);
int mock_server_port(const struct mock_server *);
/* Stop listening, drop what waits; run the loop until it is empty, then free. From the loop's thread. */
void mock_server_close(struct mock_server *);
void mock_server_free(struct mock_server *);

#endif
