/* One exchange with a server: an easy handle, the request as it goes out, and what came. Shared by single calls
 * (client.c) and many in flight (client_pool.c). */
#ifndef HOME_CLIENT_EXCHANGE_H
#define HOME_CLIENT_EXCHANGE_H

#include "home/client.h"

struct exchange {
    CURL *easy;
    struct curl_slist *headers;
    struct arena arena; /* request and answer; reset with each request */
    struct text body;
    struct client_answer answer;
    void *context;
    bool busy;
};

/* Everything but the transfer itself. */
void exchange_set(const struct client *, struct exchange *, const struct client_request *);
/* The transfer has ended so: fill the answer. */
void exchange_end(struct exchange *, CURLcode);
/* All but the easy handle. */
void exchange_close(struct exchange *);

#endif
