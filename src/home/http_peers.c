/* How many connections each address has: a table of the addresses that have any, so that nobody can take
 * all places for himself. A network of IPv6 (/64) is one peer, since each machine has as many
 * addresses as it likes; the Unix socket has no peers. Nothing is counted while no cap is set. */
#include <stdlib.h>

#include "home/http_connection.h"

struct http_peer {
    struct http_peer *next; /* of its bucket */
    uint64_t key[2];
    int64_t count;
};

/* false: a Unix socket, or nobody knows. */
static bool key_of(struct http_connection *connection, uint64_t *ret_key)
{
    struct sockaddr_storage peer = {0};
    int len = sizeof peer;
    if (connection->io.handle.type != UV_TCP ||
        uv_tcp_getpeername(&connection->io.tcp, (struct sockaddr *)&peer, &len) != 0) {
        return false;
    }
    ret_key[0] = 0;
    ret_key[1] = 0;
    if (peer.ss_family == AF_INET) {
        memcpy(&ret_key[1], &((struct sockaddr_in *)&peer)->sin_addr, 4);
        return true;
    }
    const struct in6_addr *address = &((struct sockaddr_in6 *)&peer)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        memcpy(&ret_key[1], &address->s6_addr[12], 4);
    } else {
        memcpy(&ret_key[0], address->s6_addr, 8);
    }
    return true;
}

/* Where the server lies seeds it, so nobody outside chooses who meets whom in a bucket. */
static struct http_peer **bucket_of(struct http_server *server, const uint64_t *key)
{
    uint64_t hash = (key[0] ^ (uint64_t)(uintptr_t)server) * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ hash >> 29 ^ key[1]) * UINT64_C(0xbf58476d1ce4e5b9);
    return &server->peers[(hash >> 32) % HTTP_PEER_BUCKETS];
}

static struct http_peer **find(struct http_server *server, const uint64_t *key)
{
    struct http_peer **at = bucket_of(server, key);
    while (*at && ((*at)->key[0] != key[0] || (*at)->key[1] != key[1])) {
        at = &(*at)->next;
    }
    return at;
}

int64_t http_peer_take(struct http_connection *connection)
{
    uint64_t key[2];
    if (connection->server->options.max_connections_per_peer == 0 || !key_of(connection, key)) {
        return 0;
    }
    struct http_peer **at = find(connection->server, key);
    if (!*at) {
        *at = calloc(1, sizeof **at);
        if (!*at) {
            abort();
        }
        memcpy((*at)->key, key, sizeof key);
    }
    connection->peer = *at;
    return ++connection->peer->count;
}

void http_peer_give(struct http_connection *connection)
{
    struct http_peer *peer = connection->peer;
    connection->peer = NULL;
    if (peer && --peer->count == 0) {
        struct http_peer **at = find(connection->server, peer->key);
        *at = peer->next;
        free(peer);
    }
}
