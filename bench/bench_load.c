/* A load generator for one HTTP server on loopback: many kept-alive connections, one request at a time on each.
 *   closed loop  each connection asks again as soon as it has its answer: how much does the server carry?
 *   open loop    (--rate) requests become due by a clock, whatever the server does; a latency counts from the moment at
 *                which its request was due, so a server that stalls cannot hide the waiting of those behind
 * It prints one JSON line. Any status but the expected one is counted and makes the exit status 1.
 * Not wrk: that has no open loop, and its script costs more than the server under test. */
#include "base/base.h"
#include "bench_device.h"
#include "bench_http.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 4096
#define REQUEST_MAX_BYTES 2048
#define ANSWER_MAX_BYTES 32768
#define SECOND_NS INT64_C(1000000000)
#define STUCK_NS (30 * SECOND_NS) /* no answer at all for this long: the run is over */

enum kind { KIND_CREATE, KIND_UPDATE, KIND_GET, KIND_PATH };

struct options {
    struct bench_address address;
    enum kind kind;
    const char *path;     /* KIND_PATH: POST this with the body of a create */
    char key_header[256]; /* "x-api-key: ...\r\n" or empty */
    int connection_count, expected_status;
    int64_t first,
        devices;           /* create numbers from first on; update and get choose of 0..devices-1 */
    int64_t request_count; /* closed loop: stop after so many; 0 = by time */
    bool in_order;         /* update: devices one after the other instead of by chance */
    double seconds, warmup_s, rate;
};

struct connection {
    int fd;
    int64_t due_ns; /* of the request on its way; 0 = none */
    size_t request_len, sent, answer_len;
    char request[REQUEST_MAX_BYTES], answer[ANSWER_MAX_BYTES];
};

struct run {
    struct options options;
    struct connection *connections;
    int *idle; /* open loop: numbers of connections without a request */
    int idle_count, epoll_fd;
    uint64_t chance;
    int64_t started_ns, counted_from_ns, ends_ns, last_answer_ns;
    int64_t issued, answered, counted, wrong;
    int64_t statuses[600];
    struct bench_times times;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

/* ---- requests --------------------------------------------------------------------------------- */

static void write_request(struct run *run, struct connection *connection)
{
    const struct options *options = &run->options;
    char body[BENCH_BODY_MAX_BYTES] = "", name[BENCH_NAME_BYTES + 1];
    const char *path = options->kind == KIND_UPDATE ? "/update-device" : "/create-device";
    int body_len = 0, len = 0;
    uint64_t chance = bench_chance(&run->chance);
    int64_t number = options->first + run->issued;
    if (options->kind == KIND_GET || (options->kind == KIND_UPDATE && !options->in_order)) {
        number = (int64_t)(chance % (uint64_t)options->devices);
    }
    if (options->kind == KIND_GET) {
        bench_name(number, name);
        len = snprintf(connection->request, sizeof connection->request,
                       "GET /devices/%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n", name,
                       options->key_header);
    } else {
        body_len = options->kind == KIND_UPDATE ? bench_update_body(number, chance, body)
                                                : bench_create_body(number, body);
        len = snprintf(connection->request, sizeof connection->request,
                       "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                       "Content-Length: %d\r\n%s\r\n%s",
                       options->kind == KIND_PATH ? options->path : path, body_len,
                       options->key_header, body);
    }
    assert(len > 0 && (size_t)len < sizeof connection->request);
    connection->request_len = (size_t)len;
    connection->sent = 0;
    connection->answer_len = 0;
    run->issued++;
}

/* ---- connections ------------------------------------------------------------------------------ */

static void connection_send(struct connection *connection)
{
    while (connection->sent < connection->request_len) {
        ssize_t sent = send(connection->fd, connection->request + connection->sent,
                            connection->request_len - connection->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {
            return; /* EPOLLOUT is always armed, edge-triggered */
        }
        if (sent < 0) {
            bench_die("send");
        }
        connection->sent += (size_t)sent;
    }
}

static void connection_ask(struct run *run, struct connection *connection, int64_t due_ns)
{
    connection->due_ns = due_ns;
    write_request(run, connection);
    connection_send(connection);
}

static bool is_over(const struct run *run, int64_t at_ns)
{
    const struct options *options = &run->options;
    return options->request_count > 0 ? run->issued >= options->request_count
                                      : at_ns >= run->ends_ns;
}

/* A whole answer came. */
static void take_answer(struct run *run, struct connection *connection, int status)
{
    int64_t at_ns = now_ns();
    run->answered++;
    run->last_answer_ns = at_ns;
    if (status != run->options.expected_status) {
        if (run->wrong++ == 0) {
            fprintf(stderr, "bench_load: first unexpected answer:\n%.*s\n",
                    (int)connection->answer_len, connection->answer);
        }
    }
    run->statuses[status > 0 && status < 600 ? status : 0]++;
    if (connection->due_ns >= run->counted_from_ns) {
        run->counted++;
        bench_times_add(&run->times, at_ns - connection->due_ns);
    }
    connection->due_ns = 0;
    if (run->options.rate > 0) {
        run->idle[run->idle_count++] = (int)(connection - run->connections);
    } else if (!is_over(run, at_ns)) {
        connection_ask(run, connection, at_ns);
    }
}

static void connection_receive(struct run *run, struct connection *connection)
{
    for (;;) {
        ssize_t got = recv(connection->fd, connection->answer + connection->answer_len,
                           sizeof connection->answer - connection->answer_len, 0);
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got <= 0) {
            fprintf(stderr, "bench_load: a connection was closed after %lld answers\n",
                    (long long)run->answered);
            exit(1);
        }
        connection->answer_len += (size_t)got;
        struct bench_message answer;
        if (bench_message_read(connection->answer, connection->answer_len, &answer)) {
            if (answer.bytes != connection->answer_len || connection->due_ns == 0) {
                fprintf(stderr, "bench_load: more than one answer to a request\n");
                exit(1);
            }
            take_answer(run, connection, answer.status);
            return; /* nothing more can come before it is asked for; then a new edge tells */
        }
        if (connection->answer_len == sizeof connection->answer) {
            fprintf(stderr, "bench_load: an answer is larger than %d bytes\n", ANSWER_MAX_BYTES);
            exit(1);
        }
    }
}

static void open_connections(struct run *run)
{
    run->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    run->connections = calloc((size_t)run->options.connection_count, sizeof *run->connections);
    run->idle = calloc((size_t)run->options.connection_count, sizeof *run->idle);
    if (run->epoll_fd < 0 || !run->connections || !run->idle) {
        bench_die("epoll_create1");
    }
    for (int i = 0; i < run->options.connection_count; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                                    .data.u32 = (uint32_t)i};
        run->connections[i].fd = bench_connect(&run->options.address);
        if (epoll_ctl(run->epoll_fd, EPOLL_CTL_ADD, run->connections[i].fd, &event) != 0) {
            bench_die("epoll_ctl");
        }
        run->idle[run->idle_count++] = i;
    }
}

/* ---- the run ---------------------------------------------------------------------------------- */

/* Open loop: send what is due, as far as connections are free. Returns how long nothing more becomes due. */
static int64_t issue_due(struct run *run)
{
    for (;;) {
        int64_t due_ns = run->started_ns +
                         (int64_t)((double)run->issued * (double)SECOND_NS / run->options.rate);
        int64_t at_ns = now_ns();
        if (due_ns >= run->ends_ns || run->idle_count == 0) {
            return 100000000;
        }
        if (due_ns > at_ns) {
            return due_ns - at_ns;
        }
        connection_ask(run, &run->connections[run->idle[--run->idle_count]], due_ns);
    }
}

static void turn(struct run *run, int64_t wait_ns)
{
    struct epoll_event events[256];
    struct timespec wait = {wait_ns / SECOND_NS, wait_ns % SECOND_NS};
    int count = epoll_pwait2(run->epoll_fd, events, COUNT_OF(events), &wait, NULL);
    if (count < 0 && errno != EINTR) {
        bench_die("epoll_pwait2");
    }
    for (int i = 0; i < count; i++) {
        struct connection *connection = &run->connections[events[i].data.u32];
        if (connection->due_ns == 0) {
            continue;
        }
        if (events[i].events & EPOLLOUT) {
            connection_send(connection);
        }
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
            connection_receive(run, connection);
        }
    }
}

static void run_load(struct run *run)
{
    const struct options *options = &run->options;
    open_connections(run);
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    run->started_ns = run->last_answer_ns = now_ns();
    run->counted_from_ns = run->started_ns + (int64_t)(options->warmup_s * (double)SECOND_NS);
    run->ends_ns = run->counted_from_ns + (int64_t)(options->seconds * (double)SECOND_NS);
    for (int i = 0; options->rate <= 0 && i < options->connection_count; i++) {
        if (!is_over(run, run->started_ns)) {
            connection_ask(run, &run->connections[i], now_ns());
        }
    }
    for (;;) {
        int64_t wait_ns = options->rate > 0 ? issue_due(run) : 100000000;
        bool all_asked = options->rate > 0
                             ? run->started_ns + (int64_t)((double)run->issued * (double)SECOND_NS /
                                                           options->rate) >=
                                   run->ends_ns
                             : is_over(run, now_ns());
        if (all_asked && run->answered == run->issued) {
            return;
        }
        turn(run, wait_ns);
        if (now_ns() - run->last_answer_ns > STUCK_NS) {
            fprintf(stderr, "bench_load: no answer for 30 s; %lld of %lld came\n",
                    (long long)run->answered, (long long)run->issued);
            exit(1);
        }
    }
}

static void print_result(const struct run *run)
{
    int64_t last_ns = run->options.request_count > 0 || run->options.rate > 0
                          ? run->last_answer_ns
                          : max_i64(run->ends_ns, run->last_answer_ns);
    double seconds = (double)(last_ns - run->counted_from_ns) / (double)SECOND_NS;
    printf("{\"answers\":%lld,\"seconds\":%.3f,\"rate\":%.1f", (long long)run->counted, seconds,
           (double)run->counted / seconds);
    static const double shares[] = {0.5, 0.9, 0.99, 0.999, 1};
    static const char *const names[] = {"p50", "p90", "p99", "p999", "max"};
    for (size_t i = 0; i < COUNT_OF(shares); i++) {
        printf(",\"%s_ms\":%.3f", names[i], (double)bench_times_at(&run->times, shares[i]) / 1e6);
    }
    printf(",\"wrong\":%lld,\"statuses\":{", (long long)run->wrong);
    const char *comma = "";
    for (int i = 0; i < 600; i++) {
        if (run->statuses[i] > 0) {
            printf("%s\"%d\":%lld", comma, i, (long long)run->statuses[i]);
            comma = ",";
        }
    }
    printf("}}\n");
}

/* ---- the command line --------------------------------------------------------------------------- */

static void usage(void)
{
    fprintf(stderr,
            "usage: bench_load --target HOST:PORT --kind create|update|get|PATH [--expect STATUS]\n"
            "    [--connections N] [--seconds S] [--warmup S] [--count N] [--rate PER_SECOND]\n"
            "    [--first N] [--devices N] [--in-order] [--key-file FILE] [--seed N]\n");
    exit(2);
}

static void read_kind(struct options *options, const char *kind)
{
    static const char *const kinds[] = {"create", "update", "get"};
    static const int statuses[] = {201, 202, 200};
    options->kind = KIND_PATH;
    options->path = kind;
    options->expected_status = 201;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (strcmp(kind, kinds[i]) == 0) {
            options->kind = (enum kind)i;
            options->expected_status = statuses[i];
        }
    }
    if (options->kind == KIND_PATH && kind[0] != '/') {
        usage();
    }
}

static void read_key(struct options *options, const char *path)
{
    char key[200] = "";
    FILE *file = fopen(path, "re");
    if (!file || !fgets(key, sizeof key, file)) {
        bench_die(path);
    }
    fclose(file);
    key[strcspn(key, "\r\n")] = '\0';
    snprintf(options->key_header, sizeof options->key_header, "x-api-key: %s\r\n", key);
}

static void read_options(int argc, char **argv, struct run *run)
{
    static const struct option known[] = {
        {"target", 1, NULL, 't'},      {"kind", 1, NULL, 'k'},     {"expect", 1, NULL, 'e'},
        {"connections", 1, NULL, 'c'}, {"seconds", 1, NULL, 's'},  {"warmup", 1, NULL, 'w'},
        {"count", 1, NULL, 'n'},       {"rate", 1, NULL, 'r'},     {"first", 1, NULL, 'f'},
        {"devices", 1, NULL, 'd'},     {"in-order", 0, NULL, 'o'}, {"key-file", 1, NULL, 'K'},
        {"seed", 1, NULL, 'S'},        {NULL, 0, NULL, 0}};
    struct options *options = &run->options;
    bool has_target = false, has_kind = false;
    int expected = 0, given;
    while ((given = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (given) {
        case 't':
            has_target = bench_address_read(optarg, &options->address);
            break;
        case 'k':
            read_kind(options, optarg);
            has_kind = true;
            break;
        case 'e':
            expected = (int)strtol(optarg, NULL, 10);
            break;
        case 'c':
            options->connection_count = (int)strtol(optarg, NULL, 10);
            break;
        case 's':
            options->seconds = strtod(optarg, NULL);
            break;
        case 'w':
            options->warmup_s = strtod(optarg, NULL);
            break;
        case 'n':
            options->request_count = strtoll(optarg, NULL, 10);
            break;
        case 'r':
            options->rate = strtod(optarg, NULL);
            break;
        case 'f':
            options->first = strtoll(optarg, NULL, 10);
            break;
        case 'd':
            options->devices = strtoll(optarg, NULL, 10);
            break;
        case 'o':
            options->in_order = true;
            break;
        case 'K':
            read_key(options, optarg);
            break;
        case 'S':
            run->chance = strtoull(optarg, NULL, 10);
            break;
        default:
            usage();
        }
    }
    options->expected_status = expected ? expected : options->expected_status;
    if (!has_target || !has_kind || optind != argc || options->connection_count < 1 ||
        options->connection_count > CONNECTIONS_MAX || options->devices < 1 ||
        (options->rate > 0 && options->request_count > 0)) {
        usage();
    }
}

int main(int argc, char **argv)
{
    static struct run run = {.options = {.connection_count = 64, .seconds = 10, .devices = 1},
                             .chance = 1};
    read_options(argc, argv, &run);
    run_load(&run);
    print_result(&run);
    return run.wrong == 0 && run.counted > 0 ? 0 : 1;
}
