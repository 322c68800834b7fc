#include "server_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapters/store_sqlite.h"
#include "base/diag.h"
#include "core/auth.h"

/* --- the world --------------------------------------------------------------------------------------- */

static enum rc encode(struct downstream *port, struct call *call, struct str name, struct str base,
                      struct str target, struct str *ret_bytes)
{
    (void)port, (void)name;
    *ret_bytes = str_equal(base, target) ? STR_NONE : arena_copy(call->arena, target);
    return RC_OK;
}

static void send_it(struct downstream *port, struct call *call, struct world *world,
                    const struct lease *lease, struct outcome *ret_outcome)
{
    struct rig_downstream *downstream = (struct rig_downstream *)port;
    (void)call;
    pthread_mutex_lock(&downstream->lock);
    int64_t sent_at_ms =
        clock_now_ms(world->clock); /* before the wait: tests move the clock meanwhile */
    downstream->started_count++;
    snprintf(downstream->body, sizeof downstream->body, STR_FMT, STR_ARG(lease->body.bytes));
    while (downstream->hold) {
        pthread_cond_wait(&downstream->go, &downstream->lock);
    }
    downstream->ended_count++;
    *ret_outcome = (struct outcome){.class = downstream->class,
                                    .code = STR("TEST"),
                                    .started_at_ms = sent_at_ms,
                                    .sent_at_ms = sent_at_ms};
    if (downstream->pause_ms) {
        ret_outcome->pause_until_ms = sent_at_ms + downstream->pause_ms;
        ret_outcome->detail = STR("it asked for rest");
    }
    pthread_mutex_unlock(&downstream->lock);
}

static void check_it(struct downstream *port, struct call *call, struct world *world,
                     struct outcome *ret_outcome)
{
    (void)port, (void)call, (void)world;
    *ret_outcome = (struct outcome){.class = OUTCOME_EFFECT};
}

static const struct downstream_ops downstream_ops = {
    .encode = encode, .send = send_it, .read_back = send_it, .check = check_it};

static enum told tell(struct notifier *notifier, struct call *call, const struct event *event,
                      int64_t *ret_again_at_ms)
{
    (void)notifier, (void)call, (void)ret_again_at_ms;
    DIAG(DIAG_INFO, "told", DIAG_TEXT("type", event->type), DIAG_TEXT("body", event->body));
    return TOLD_DONE;
}

static const struct notifier_ops notifier_ops = {.tell = tell};

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static char lines[1 << 20]; /* of the whole test */
static size_t lines_bytes;

static void keep_line(void *context, struct str line)
{
    (void)context;
    pthread_mutex_lock(&log_lock);
    if (lines_bytes + line.len <= sizeof lines) {
        memcpy(lines + lines_bytes, line.s, line.len);
        lines_bytes += line.len;
    }
    pthread_mutex_unlock(&log_lock);
}

struct str rig_log(void)
{
    pthread_mutex_lock(&log_lock);
    struct str log = {lines, lines_bytes};
    pthread_mutex_unlock(&log_lock);
    return log;
}

/* --- life ------------------------------------------------------------------------------------------------ */

static struct str key_line(struct rig *rig, enum role role, const char *owner)
{
    struct call call;
    struct key key;
    struct str secret;
    struct key_new new = {
        .role = role, .owner = str_of(owner), .realm = STR("live"), .label = STR("test")};
    call_open(&call, &rig->arena, &rig->world);
    CHECK_RC(auth_create(&rig->world, &call, STR("test"), &new, &key, &secret), RC_OK);
    return arena_printf(&rig->arena, "x-api-key: " STR_FMT "\r\n", STR_ARG(secret));
}

static void start(struct rig *rig)
{
    struct call call;
    struct store_sqlite_options options = {.turns = true, .vfs = rig->vfs};
    struct server_options server_options = {.world = &rig->world};
    call_open(&call, &rig->arena, &rig->world);
    if (store_sqlite_open(&call, "hourbell.db", &options, &rig->store) != RC_OK) {
        FAIL("store: %s", call.why);
    }
    rig->world.store = rig->store;
    if (!rig->operator.len) {
        store_sqlite_turn_begin(rig->store);
        rig->operator= key_line(rig, ROLE_OPERATOR, "");
        rig->customer = key_line(rig, ROLE_CUSTOMER, "acme");
        CHECK_RC(store_sqlite_turn_commit(rig->store, &call), RC_OK);
    }
    if (server_open(&call, &server_options, &rig->server) != RC_OK) {
        FAIL("server: %s", call.why);
    }
}

void rig_open(struct rig *rig, const char *vfs, void (*tweak)(struct settings *))
{
    *rig = (struct rig){.vfs = vfs};
    arena_open(&rig->arena, 0);
    diag_set(DIAG_DEBUG, keep_line, rig);
    clock_manual_open(&rig->clock, RIG_START_MS, 7);
    settings_default(&rig->settings);
    rig->settings.bind = STR("127.0.0.1:0");
    rig->settings.data_dir = STR(".");
    rig->settings.downstream_rps = 0;
    if (tweak) {
        tweak(&rig->settings);
    }
    rig->downstream.port.ops = &downstream_ops;
    rig->downstream.port.reads_back = true;
    rig->downstream.class = OUTCOME_EFFECT;
    pthread_mutex_init(&rig->downstream.lock, NULL);
    pthread_cond_init(&rig->downstream.go, NULL);
    rig->notifier = (struct notifier){.ops = &notifier_ops, .customers = true};
    rig->world = (struct world){.downstream = &rig->downstream.port,
                                .notifier = &rig->notifier,
                                .clock = &rig->clock.clock,
                                .settings = &rig->settings};
    start(rig);
}

void rig_let_go(struct rig *rig)
{
    pthread_mutex_lock(&rig->downstream.lock);
    rig->downstream.hold = false;
    pthread_cond_broadcast(&rig->downstream.go);
    pthread_mutex_unlock(&rig->downstream.lock);
}

static void stop(struct rig *rig)
{
    int left = 0;
    if (rig->server->state < SERVER_DRAINS) { /* the second one cuts stop_delay short */
        server_stop(rig->server);
    }
    CHECK_RC(server_run(rig->server, &left), RC_OK);
    CHECK_INT(left, 0);
    server_close(rig->server);
}

void rig_close(struct rig *rig)
{
    rig_let_go(rig);
    stop(rig);
    store_sqlite_close(rig->store);
    diag_set(DIAG_ERROR, NULL, NULL);
    arena_close(&rig->arena);
}

/* What the loop still has is thrown away; the store sees no more of it. */
void rig_crash(struct rig *rig)
{
    store_sqlite_close(rig->store);
    rig->server->broken = true; /* no turn any more */
    rig_let_go(rig);
    while (rig->server->requests) {
        struct http_exchange *exchange = rig->server->requests;
        rig->server->requests = exchange->next;
        http_server_drop(exchange);
    }
    rig->server->stop_now = true;
    server_close(rig->server);
    start(rig);
}

static void nothing(uv_idle_t *idle)
{
    (void)idle;
}

void rig_turn(struct rig *rig)
{
    for (int i = 0; i < 4; i++) {
        uv_idle_start(&rig->server->idle,
                      nothing); /* the clock of the test moved, libuv's did not */
        uv_run(&rig->server->loop, UV_RUN_NOWAIT);
    }
}

void rig_turn_until(struct rig *rig, bool (*done)(struct rig *))
{
    uint64_t until_ns = uv_hrtime() + UINT64_C(20000000000);
    while (!done(rig)) {
        CHECK(uv_hrtime() < until_ns);
        rig_turn(rig);
    }
}

/* --- clients --------------------------------------------------------------------------------------------------- */

void rig_connect(struct rig *rig, struct rig_client *client)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)server_port(rig->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *client = (struct rig_client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    CHECK_INT(connect(client->fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
}

void rig_send(struct rig_client *client, struct str bytes)
{
    CHECK_INT(send(client->fd, bytes.s, bytes.len, MSG_NOSIGNAL), bytes.len);
}

struct str rig_receive(struct rig *rig, struct rig_client *client)
{
    static char got[1 << 20];
    size_t got_bytes = 0;
    uint64_t until_ns = uv_hrtime() + UINT64_C(20000000000);
    for (;;) {
        ssize_t len = recv(client->fd, got + got_bytes, sizeof got - got_bytes, 0);
        if (len > 0) {
            got_bytes += (size_t)len;
        } else if (len == 0 || errno != EAGAIN || rig->server->broken) {
            break;
        } else {
            CHECK(uv_hrtime() < until_ns);
            rig_turn(rig);
        }
    }
    close(client->fd);
    return arena_copy(&rig->arena, (struct str){got, got_bytes});
}

struct str rig_ask(struct rig *rig, const char *method, const char *target, struct str headers,
                   const char *body)
{
    struct rig_client client;
    rig_connect(rig, &client);
    rig_send(&client,
             arena_printf(&rig->arena,
                          "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" STR_FMT
                          "%sContent-Length: %zu\r\n\r\n%s",
                          method, target, STR_ARG(headers),
                          body[0] ? "Content-Type: application/json\r\n" : "", strlen(body), body));
    return rig_receive(rig, &client);
}
