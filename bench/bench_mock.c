/* A downstream that takes its time: answers every request with an empty 204, --delay-ms after it came. One thread, any
 * number of connections. GET /count is answered at once with the number of requests answered so far and of those
 * waiting now and at most, so that a bench can tell what the sender kept busy. Prints its address, ends on SIGTERM. */
#include "base/base.h"
#include "bench_http.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>

#define CONNECTIONS_MAX 4096
#define REQUEST_MAX_BYTES 131072
#define SECOND_NS INT64_C(1000000000)
#define LISTENER UINT32_MAX

struct connection {
    int fd; /* -1: free */
    bool waits;
    size_t len;
    char *request;
};

/* The delay is the same for all, so a ring in order of arrival is in order of time too. */
struct waiting {
    uint32_t connection;
    int64_t due_ns;
};

struct mock {
    int listener_fd, epoll_fd;
    int64_t delay_ns, answered, most_waiting;
    struct connection connections[CONNECTIONS_MAX];
    struct waiting ring[CONNECTIONS_MAX]; /* one request at a time on each connection */
    size_t ring_first, ring_count;
};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void answer(const struct connection *connection, const char *text, size_t len)
{
    /* some hundred bytes into an empty socket buffer: it fits, or the other side is gone */
    if (send(connection->fd, text, len, MSG_NOSIGNAL) != (ssize_t)len && errno != EPIPE &&
        errno != ECONNRESET) {
        bench_die("send");
    }
}

static void answer_count(const struct mock *mock, const struct connection *connection)
{
    char body[128], head[256];
    int body_len =
        snprintf(body, sizeof body, "{\"answered\":%lld,\"waiting\":%zu,\"most\":%lld}\n",
                 (long long)mock->answered, mock->ring_count, (long long)mock->most_waiting);
    int len = snprintf(head, sizeof head,
                       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                       "Content-Length: %d\r\n\r\n%s",
                       body_len, body);
    answer(connection, head, (size_t)len);
}

static void answer_due(struct mock *mock)
{
    static const char text[] = "HTTP/1.1 204 No Content\r\n\r\n";
    int64_t now = now_ns();
    while (mock->ring_count > 0 && mock->ring[mock->ring_first].due_ns <= now) {
        struct connection *connection = &mock->connections[mock->ring[mock->ring_first].connection];
        mock->ring_first = (mock->ring_first + 1) % CONNECTIONS_MAX;
        mock->ring_count--;
        mock->answered++;
        connection->waits = false;
        if (connection->fd >= 0) {
            answer(connection, text, sizeof text - 1);
        }
    }
}

static void connection_receive(struct mock *mock, uint32_t number)
{
    struct connection *connection = &mock->connections[number];
    ssize_t got = recv(connection->fd, connection->request + connection->len,
                       REQUEST_MAX_BYTES - connection->len, 0);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    if (got <= 0) {
        close(connection->fd);
        connection->fd = -1;
        return;
    }
    connection->len += (size_t)got;
    struct bench_message message;
    if (!bench_message_read(connection->request, connection->len, &message)) {
        if (connection->len == REQUEST_MAX_BYTES) {
            fprintf(stderr, "bench_mock: a request is larger than %d bytes\n", REQUEST_MAX_BYTES);
            exit(1);
        }
        return;
    }
    if (message.bytes != connection->len || connection->waits) {
        fprintf(stderr, "bench_mock: a second request before the answer to the first\n");
        exit(1);
    }
    connection->len = 0;
    if (strncmp(connection->request, "GET /count ", 11) == 0) {
        answer_count(mock, connection);
        return;
    }
    mock->ring[(mock->ring_first + mock->ring_count++) % CONNECTIONS_MAX] =
        (struct waiting){number, now_ns() + mock->delay_ns};
    mock->most_waiting = max_i64(mock->most_waiting, (int64_t)mock->ring_count);
    connection->waits = true;
}

static void connection_accept(struct mock *mock)
{
    int on = 1;
    int fd = accept4(mock->listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    for (uint32_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct connection *connection = &mock->connections[i];
        if (connection->fd < 0 && !connection->waits) {
            struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
            connection->fd = fd;
            connection->len = 0;
            connection->request =
                connection->request ? connection->request : malloc(REQUEST_MAX_BYTES);
            if (!connection->request ||
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
                epoll_ctl(mock->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
                bench_die("accept");
            }
            return;
        }
    }
    fprintf(stderr, "bench_mock: more than %d connections\n", CONNECTIONS_MAX);
    exit(1);
}

static void open_listener(struct mock *mock, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int on = 1;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = LISTENER};
    mock->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    mock->listener_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (mock->epoll_fd < 0 || mock->listener_fd < 0 ||
        setsockopt(mock->listener_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(mock->listener_fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(mock->listener_fd, 4096) != 0 ||
        getsockname(mock->listener_fd, (struct sockaddr *)&address, &len) != 0 ||
        epoll_ctl(mock->epoll_fd, EPOLL_CTL_ADD, mock->listener_fd, &event) != 0) {
        bench_die("listen");
    }
    printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
}

static void turn(struct mock *mock)
{
    struct epoll_event events[256];
    int64_t wait_ns = SECOND_NS;
    if (mock->ring_count > 0) {
        wait_ns = max_i64(mock->ring[mock->ring_first].due_ns - now_ns(), 0);
    }
    struct timespec wait = {wait_ns / SECOND_NS, wait_ns % SECOND_NS};
    int count = epoll_pwait2(mock->epoll_fd, events, COUNT_OF(events), &wait, NULL);
    if (count < 0 && errno != EINTR) {
        bench_die("epoll_pwait2");
    }
    for (int i = 0; i < count; i++) {
        if (events[i].data.u32 == LISTENER) {
            connection_accept(mock);
        } else {
            connection_receive(mock, events[i].data.u32);
        }
    }
    answer_due(mock);
}

int main(int argc, char **argv)
{
    static struct mock mock;
    static const struct option known[] = {
        {"port", 1, NULL, 'p'}, {"delay-ms", 1, NULL, 'd'}, {NULL, 0, NULL, 0}};
    int port = 0, given;
    while ((given = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (given == 'p') {
            port = (int)strtol(optarg, NULL, 10);
        } else if (given == 'd') {
            mock.delay_ns = strtoll(optarg, NULL, 10) * 1000000;
        } else {
            fprintf(stderr, "usage: bench_mock [--port N] [--delay-ms N]\n");
            return 2;
        }
    }
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        mock.connections[i].fd = -1;
    }
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    open_listener(&mock, port);
    while (!stopped) {
        turn(&mock);
    }
    printf("%lld requests answered\n", (long long)mock.answered);
    return 0;
}
