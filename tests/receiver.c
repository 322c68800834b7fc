/* The receiver: see receiver.h. */
#include "receiver.h"

#include "base/text.h"
#include "test.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX_BYTES 200000

/* Read one whole request; its length is in content-length. */
static char *read_request(int fd)
{
    char *request = calloc(1, REQUEST_MAX_BYTES);
    size_t bytes = 0;
    while (bytes < REQUEST_MAX_BYTES - 1) {
        ssize_t got = recv(fd, request + bytes, REQUEST_MAX_BYTES - 1 - bytes, 0);
        if (got <= 0) {
            break;
        }
        bytes += (size_t)got;
        const char *end = strstr(request, "\r\n\r\n");
        const char *length = strcasestr(request, "\r\ncontent-length:");
        if (end &&
            bytes >= (size_t)(end + 4 - request) + (length ? strtoul(length + 17, NULL, 10) : 0)) {
            break;
        }
    }
    return request;
}

static void *receive(void *context)
{
    struct receiver *receiver = context;
    for (;;) {
        int fd = accept(receiver->listen_fd, NULL, NULL);
        if (fd < 0) {
            return NULL;
        }
        char *request = read_request(fd);
        pthread_mutex_lock(&receiver->lock);
        int number = receiver->request_count++;
        int which = number < receiver->answer_count ? number : receiver->answer_count - 1;
        const char *answer = which >= 0 ? receiver->answers[which] : NULL;
        if (number < RECEIVER_REQUESTS_MAX) {
            receiver->requests[number] = request;
            request = NULL;
        }
        pthread_mutex_unlock(&receiver->lock);
        free(request);
        if (answer) {
            (void)send(fd, answer, strlen(answer), MSG_NOSIGNAL);
        }
        close(fd);
    }
}

void receiver_open(struct receiver *receiver)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof in;
    *receiver = (struct receiver){.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    CHECK(receiver->listen_fd >= 0);
    CHECK_INT(bind(receiver->listen_fd, (struct sockaddr *)&in, sizeof in), 0);
    CHECK_INT(listen(receiver->listen_fd, 16), 0);
    CHECK_INT(getsockname(receiver->listen_fd, (struct sockaddr *)&in, &size), 0);
    receiver->port = ntohs(in.sin_port);
    pthread_mutex_init(&receiver->lock, NULL);
    CHECK_INT(pthread_create(&receiver->thread, NULL, receive, receiver), 0);
}

void receiver_close(struct receiver *receiver)
{
    shutdown(receiver->listen_fd, SHUT_RDWR);
    pthread_join(receiver->thread, NULL);
    close(receiver->listen_fd);
    for (int i = 0; i < RECEIVER_REQUESTS_MAX; i++) {
        free(receiver->requests[i]);
    }
    pthread_mutex_destroy(&receiver->lock);
}

void receiver_answer(struct receiver *receiver, const char *answer)
{
    pthread_mutex_lock(&receiver->lock);
    CHECK(receiver->answer_count < RECEIVER_REQUESTS_MAX);
    receiver->answers[receiver->answer_count++] = answer;
    pthread_mutex_unlock(&receiver->lock);
}

int receiver_count(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    int count = receiver->request_count;
    pthread_mutex_unlock(&receiver->lock);
    return count;
}

static struct str request(struct receiver *receiver, int number)
{
    pthread_mutex_lock(&receiver->lock);
    CHECK(number < receiver->request_count && number < RECEIVER_REQUESTS_MAX);
    struct str text = str_of(receiver->requests[number]);
    pthread_mutex_unlock(&receiver->lock);
    return text;
}

struct str receiver_line(struct receiver *receiver, int number)
{
    struct str rest = request(receiver, number);
    return text_cut(&rest, '\r');
}

struct str receiver_body(struct receiver *receiver, int number)
{
    struct str whole = request(receiver, number);
    const char *end = strstr(whole.s, "\r\n\r\n");
    CHECK(end);
    return str_from(whole, (size_t)(end + 4 - whole.s));
}

struct str receiver_header(struct receiver *receiver, int number, const char *name)
{
    struct str rest = request(receiver, number);
    while (rest.len) {
        struct str line = text_cut(&rest, '\n'), value = line;
        struct str there = text_cut(&value, ':');
        if (str_is(there, name)) {
            value.len -= value.len && value.s[value.len - 1] == '\r';
            return text_trim(value);
        }
        if (line.len <= 1) {
            break;
        }
    }
    return STR_NONE;
}
