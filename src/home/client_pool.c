/* Many calls in flight: a multi handle whose easy handles are used again, so that connections stay open. */
#include "home/client_exchange.h"

struct client_pool {
    struct client *client;
    CURLM *multi;
    int in_flight, busy;
    struct exchange *last; /* handed out by client_pool_next: free again with the next call */
    struct exchange exchanges[];
};

struct client_pool *client_pool_open(struct client *client, int in_flight)
{
    assert(in_flight > 0 && in_flight <= CLIENT_IN_FLIGHT_MAX);
    struct client_pool *pool = arena_alloc(
        client->args->arena, sizeof *pool + (size_t)in_flight * sizeof pool->exchanges[0]);
    pool->client = client;
    pool->in_flight = in_flight;
    pool->multi = curl_multi_init();
    bool whole = pool->multi != NULL;
    for (int i = 0; i < in_flight; i++) {
        arena_open(&pool->exchanges[i].arena, 4 * CLIENT_ANSWER_MAX_BYTES);
        pool->exchanges[i].easy = whole ? curl_easy_init() : NULL;
        whole = whole && pool->exchanges[i].easy;
    }
    if (!whole) {
        client_pool_close(pool);
        command_fail(client->args, EXIT_FAILED, "libcurl does not start");
        return NULL;
    }
    curl_multi_setopt(pool->multi, CURLMOPT_MAXCONNECTS, (long)in_flight);
    return pool;
}

static void pool_release(struct client_pool *pool)
{
    if (pool->last) {
        pool->last->busy = false;
        pool->last = NULL;
        pool->busy--;
    }
}

void client_pool_close(struct client_pool *pool)
{
    if (!pool) {
        return;
    }
    for (int i = 0; i < pool->in_flight; i++) {
        struct exchange *exchange = &pool->exchanges[i];
        if (exchange->easy) {
            if (exchange->busy && exchange != pool->last) {
                curl_multi_remove_handle(pool->multi, exchange->easy);
            }
            curl_easy_cleanup(exchange->easy);
        }
        exchange_close(exchange);
    }
    if (pool->multi) {
        curl_multi_cleanup(pool->multi);
    }
}

bool client_pool_has_room(const struct client_pool *pool)
{
    return pool->busy - (pool->last != NULL) < pool->in_flight;
}

int client_pool_count(const struct client_pool *pool)
{
    return pool->busy - (pool->last != NULL);
}

void client_pool_send(struct client_pool *pool, const struct client_request *request, void *context)
{
    pool_release(pool);
    struct exchange *exchange = NULL;
    for (int i = 0; i < pool->in_flight && !exchange; i++) {
        exchange = pool->exchanges[i].busy ? NULL : &pool->exchanges[i];
    }
    assert(exchange);
    exchange->busy = true;
    exchange->context = context;
    pool->busy++;
    exchange_set(pool->client, exchange, request);
    CURLMcode code = curl_multi_add_handle(pool->multi, exchange->easy);
    assert(code == CURLM_OK);
}

/* One that has ended, if there is one. */
static struct exchange *pool_ended(struct client_pool *pool)
{
    int left = 0;
    struct exchange *exchange = NULL;
    for (CURLMsg *message; (message = curl_multi_info_read(pool->multi, &left));) {
        if (message->msg == CURLMSG_DONE) {
            CURLcode code = message->data.result; /* gone with remove_handle */
            curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &exchange);
            exchange_end(exchange, code);
            curl_multi_remove_handle(pool->multi, exchange->easy);
            return exchange;
        }
    }
    return NULL;
}

bool client_pool_next(struct client_pool *pool, int64_t wait_ms, struct client_done *ret_done)
{
    int running = 0;
    pool_release(pool);
    struct exchange *exchange = pool_ended(pool);
    if (!exchange) {
        CURLMcode code = curl_multi_perform(pool->multi, &running);
        exchange = pool_ended(pool);
        if (!exchange && code == CURLM_OK && wait_ms > 0) {
            code = curl_multi_poll(pool->multi, NULL, 0, (int)min_i64(wait_ms, 60000), NULL);
            if (code == CURLM_OK) {
                code = curl_multi_perform(pool->multi, &running);
            }
            exchange = pool_ended(pool);
        }
        assert(code == CURLM_OK);
    }
    if (!exchange) {
        return false;
    }
    pool->last = exchange;
    *ret_done = (struct client_done){exchange->context, &exchange->answer};
    return true;
}
