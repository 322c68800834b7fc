/* Answers to bytes. An answer waits until those before it on its connection are out; a turn's answers of
 * one connection leave in one write. While a client does not read, nothing more of it is read either
 * (http_parse holds), and all unread answers together are capped. After the last answer the connection
 * is half-closed first, so that bytes still arriving cannot destroy it (RFC 9112 section 9.6). */
#include "base/text.h"
#include "home/http_connection.h"

#define BATCH_MAX 16 /* answers of one write */

static const struct {
    int status;
    const char *phrase;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

static const char *reason_of(int status)
{
    for (size_t i = 0; i < COUNT_OF(reasons); i++) {
        if (reasons[i].status == status) {
            return reasons[i].phrase;
        }
    }
    return ""; /* may be empty: RFC 9112 section 4 */
}

/* --- one answer ------------------------------------------------------------------------------------ */

struct head_writer {
    char *at;
};

static void put(struct head_writer *writer, struct str part)
{
    if (part.len) {
        memcpy(writer->at, part.s, part.len);
        writer->at += part.len;
    }
}

static void put_header(struct head_writer *writer, struct str name, struct str value)
{
    put(writer, name);
    put(writer, STR(": "));
    char *from = writer->at;
    put(writer, value);
    for (char *c = from; c < writer->at; c++) { /* no value may end its line: response splitting */
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            *c = ' ';
        }
    }
    put(writer, STR("\r\n"));
}

/* The Date header's value; made anew once a second. */
static struct str date_of(struct http_server *server)
{
    int64_t now_ms = clock_now_ms(server->options.world->clock);
    int64_t second = now_ms / 1000;
    if (server->date_second != second || server->date_bytes == 0) {
        struct arena arena;
        arena_open(&arena, 0);
        struct str date = http_date(&arena, now_ms);
        assert(date.len <= sizeof server->date);
        memcpy(server->date, date.s, date.len);
        server->date_bytes = date.len;
        server->date_second = second;
        arena_close(&arena);
    }
    return (struct str){server->date, server->date_bytes};
}

static void render(struct http_exchange *exchange)
{
    const struct response *response = &exchange->response;
    struct http_server *server = exchange->connection->server;
    bool without_body = response->status == 204 || response->status == 304;
    char line[96], length[24];
    int line_bytes = snprintf(line, sizeof line, "HTTP/1.1 %d %s\r\n", response->status,
                              reason_of(response->status));
    int length_bytes = snprintf(length, sizeof length, "%zu", response->body.len);
    struct str date = date_of(server);
    size_t room = (size_t)line_bytes + date.len + exchange->call.id.len + 160;
    for (size_t i = 0; i < response->header_count; i++) {
        room += response->headers[i].name.len + response->headers[i].value.len + 4;
    }
    char *head = arena_alloc(&exchange->arena, room);
    struct head_writer writer = {head};
    put(&writer, (struct str){line, (size_t)line_bytes});
    put_header(&writer, STR("date"), date);
    put_header(&writer, STR("x-request-id"), exchange->call.id);
    for (size_t i = 0; i < response->header_count; i++) {
        put_header(&writer, response->headers[i].name, response->headers[i].value);
    }
    if (!without_body) {
        put_header(&writer, STR("content-length"), (struct str){length, (size_t)length_bytes});
    }
    if (exchange->close) {
        put_header(&writer, STR("connection"), STR("close"));
    } else if (exchange->old_version) {
        put_header(&writer, STR("connection"), STR("keep-alive"));
    }
    put(&writer, STR("\r\n"));
    assert(writer.at <= head + room);
    exchange->wire[0] = (struct str){head, (size_t)(writer.at - head)};
    exchange->wire[1] = without_body || exchange->head_only ? STR_NONE : response->body;
}

static void cut(struct http_exchange *exchange)
{
    for (int i = 0; i < 2; i++) {
        if (exchange->wire[i].len > exchange->cut_bytes) {
            exchange->wire[i].len = exchange->cut_bytes;
        }
        exchange->cut_bytes -= exchange->wire[i].len;
    }
}

void http_answer_mark(struct http_connection *connection)
{
    if (!connection->to_flush) {
        connection->to_flush = true;
        connection->flush_next = connection->server->to_flush;
        connection->server->to_flush = connection;
    }
}

void http_server_answer(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;
    struct http_server *server = connection->server;
    assert(exchange->state == HTTP_AT_HOME && exchange->response.status >= 200);
    if (server->draining) {
        exchange->close = true;
    }
    if (server->options.on_answer) {
        server->options.on_answer(server->options.context, exchange);
    }
    exchange->state = HTTP_ANSWERED;
    connection->home_count--;
    if (connection->closing) {
        http_connection_free(connection);
        return;
    }
    render(exchange);
    if (exchange->cut) {
        cut(exchange);
    }
    http_answer_mark(connection);
}

void http_server_answer_cut(struct http_exchange *exchange, size_t sent_bytes)
{
    exchange->cut = true;
    exchange->cut_bytes = sent_bytes;
    http_server_answer(exchange);
}

void http_server_drop(struct http_exchange *exchange)
{
    struct http_connection *connection = exchange->connection;
    exchange->state = HTTP_ANSWERED;
    connection->home_count--;
    if (!connection->closing) {
        http_connection_reset(connection);
    } else {
        http_connection_free(connection);
    }
}

/* --- writing ----------------------------------------------------------------------------------------- */

struct batch {
    uv_buf_t buffers[2 * BATCH_MAX];
    unsigned buffer_count;
    int exchange_count;
    size_t size_bytes;
};

static void collect(struct http_connection *connection, struct batch *batch)
{
    *batch = (struct batch){0};
    for (struct http_exchange *exchange = connection->first;
         exchange && exchange->state == HTTP_ANSWERED && batch->exchange_count < BATCH_MAX;
         exchange = exchange->later) {
        for (int i = 0; i < 2; i++) {
            if (exchange->wire[i].len) {
                union { /* libuv's buffers are not const, but it only reads them here */
                    const char *in;
                    char *out;
                } bytes = {exchange->wire[i].s};
                batch->buffers[batch->buffer_count++] =
                    uv_buf_init(bytes.out, (unsigned)exchange->wire[i].len);
                batch->size_bytes += exchange->wire[i].len;
            }
        }
        batch->exchange_count++;
        if (exchange->close || exchange->cut) {
            break;
        }
    }
}

/* The written exchanges are done. false: the connection is over. */
static bool finish(struct http_connection *connection, int count)
{
    bool close = false, broken = false;
    for (int i = 0; i < count; i++) {
        close = connection->first->close;
        broken = connection->first->cut;
        http_exchange_finish(connection);
    }
    if (broken) {
        http_connection_reset(connection);
    } else if (close || (connection->ended && !connection->first)) {
        http_answer_linger(connection);
    }
    return !broken && !connection->closing && !connection->lingering;
}

static void on_written(uv_write_t *request, int status)
{
    struct http_connection *connection = request->data;
    connection->writing = false;
    connection->server->unsent_bytes -= connection->unsent_bytes;
    connection->unsent_bytes = 0;
    if (connection->closing) {
        return; /* its close callback frees the exchanges */
    }
    if (status < 0) {
        http_connection_close(connection);
    } else if (finish(connection, connection->written_count)) {
        http_answer_mark(connection);
        http_connection_wait(connection, false);
    }
}

/* What the socket did not take at once waits in libuv. */
static void write_rest(struct http_connection *connection, struct batch *batch, size_t sent_bytes)
{
    struct http_server *server = connection->server;
    unsigned first = 0;
    size_t rest_bytes = batch->size_bytes - sent_bytes;
    while (sent_bytes >= batch->buffers[first].len) {
        sent_bytes -= batch->buffers[first++].len;
    }
    batch->buffers[first].base += sent_bytes;
    batch->buffers[first].len -= sent_bytes;
    if (rest_bytes > HTTP_UNSENT_MAX_BYTES - server->unsent_bytes) {
        http_connection_reset(connection); /* too many clients do not read; this one pays */
        return;
    }
    connection->request.write.data = connection;
    if (uv_write(&connection->request.write, &connection->io.stream, batch->buffers + first,
                 batch->buffer_count - first, on_written) != 0) {
        http_connection_close(connection);
        return;
    }
    connection->writing = true;
    connection->written_count = batch->exchange_count;
    connection->unsent_bytes = rest_bytes;
    server->unsent_bytes += rest_bytes;
    http_connection_read(connection, false);
}

/* The body that a client waits to send (RFC 9110 section 10.1.1), once it is its turn. */
static void send_continue(struct http_connection *connection)
{
    struct http_exchange *exchange = connection->first;
    if (exchange && exchange == connection->current && exchange->wants_continue) {
        char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
        uv_buf_t buffer = uv_buf_init(text, sizeof text - 1);
        exchange->wants_continue = false;
        int sent = uv_try_write(&connection->io.stream, &buffer, 1);
        if (sent != (int)buffer.len &&
            sent != UV_EAGAIN) { /* full: it sends its body anyway, after a while */
            http_connection_close(connection);
        }
    }
}

void http_answer_flush(struct http_connection *connection)
{
    while (!connection->closing && !connection->writing && !connection->lingering) {
        struct batch batch;
        collect(connection, &batch);
        if (batch.exchange_count == 0) {
            send_continue(connection);
            http_parse_more(connection);
            break;
        }
        int sent = batch.size_bytes
                       ? uv_try_write(&connection->io.stream, batch.buffers, batch.buffer_count)
                       : 0;
        if (sent < 0 && sent != UV_EAGAIN) {
            http_connection_close(connection);
            return;
        }
        size_t sent_bytes = sent < 0 ? 0 : (size_t)sent;
        if (sent_bytes < batch.size_bytes) {
            write_rest(connection, &batch, sent_bytes);
            break;
        }
        if (!finish(connection, batch.exchange_count)) {
            return;
        }
    }
    http_connection_wait(connection, false);
}

void http_server_flush(struct http_server *server)
{
    while (server->to_flush) {
        struct http_connection *connection = server->to_flush;
        server->to_flush = connection->flush_next;
        connection->to_flush = false;
        http_answer_flush(connection);
    }
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct http_connection *connection = request->data;
    if (status < 0 && !connection->closing) {
        http_connection_close(connection);
    }
}

void http_answer_linger(struct http_connection *connection)
{
    connection->stopped = true;
    if (connection->ended) {
        http_connection_close(connection);
        return;
    }
    connection->lingering = true;
    connection->request.shutdown.data = connection;
    if (uv_shutdown(&connection->request.shutdown, &connection->io.stream, on_shutdown) != 0) {
        http_connection_close(connection);
        return;
    }
    http_connection_read(connection, true);
    http_connection_wait(connection, true);
}
