/* Bytes to requests. llhttp reads the syntax, strictly; what it passes on although RFC 9112 calls it
 * faulty is refused here: two Host lines, codings other than chunked, HTTP/1.0 with a coding, foreign
 * versions and methods, targets with odd bytes, and whatever exceeds a cap. The first fault ends the
 * reading of this connection; requests before it are answered first. Nothing here runs a request. */
#include "base/text.h"
#include "home/http_connection.h"

#define HEAD_RAW_MAX_BYTES (HTTP_HEAD_MAX_BYTES + 4096) /* blanks and line ends come on top */
#define BODY_RAW_FACTOR 8 /* one-byte chunks take 6 bytes for each byte */

static struct http_exchange *current_of(llhttp_t *parser)
{
    return ((struct http_connection *)parser->data)->current;
}

/* Remember why, for http_parse; the value makes llhttp stop. */
static int refuse(llhttp_t *parser, enum problem problem, const char *detail)
{
    struct http_connection *connection = parser->data;
    if (connection->refusal == PROBLEM_NONE) {
        connection->refusal = problem;
        connection->refusal_detail = detail;
    }
    return HPE_USER;
}

static int refuse_head(llhttp_t *parser, enum problem problem, const char *detail)
{
    (void)refuse(parser, problem, detail);
    return -1; /* the only error that on_headers_complete knows */
}

/* --- the head ------------------------------------------------------------------------------------ */

/* Append; names in lower case. false: the head is too large. */
static bool head_add(struct http_exchange *exchange, const char *at, size_t len, bool lower)
{
    if (len > HTTP_HEAD_MAX_BYTES - exchange->head_bytes) {
        return false;
    }
    if (len > exchange->head_room_bytes - exchange->head_bytes) {
        size_t room = exchange->head_room_bytes ? exchange->head_room_bytes : 512;
        while (room < exchange->head_bytes + len) {
            room *= 2;
        }
        exchange->head =
            arena_grow(&exchange->arena, exchange->head, exchange->head_room_bytes, room);
        exchange->head_room_bytes = room;
    }
    char *to = exchange->head + exchange->head_bytes;
    for (size_t i = 0; lower && i < len; i++) {
        to[i] = at[i] >= 'A' && at[i] <= 'Z' ? (char)(at[i] | 0x20) : at[i];
    }
    if (!lower && len) {
        memcpy(to, at, len);
    }
    exchange->head_bytes += len;
    return true;
}

static int on_message_begin(llhttp_t *parser)
{
    struct http_connection *connection = parser->data;
    assert(!connection->current);
    connection->current = http_exchange_take(connection);
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct http_exchange *exchange = current_of(parser);
    if (len > HTTP_TARGET_MAX_BYTES - exchange->target_bytes ||
        !head_add(exchange, at, len, false)) {
        return refuse(parser, PROBLEM_headers_too_large,
                      "The request target is longer than 8192 bytes.");
    }
    exchange->target_bytes += len;
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct http_exchange *exchange = current_of(parser);
    if (exchange->head_complete) { /* a trailer: counted as raw bytes, else ignored */
        return 0;
    }
    if (exchange->span_count == 0 || exchange->in_value) {
        if (exchange->span_count == HTTP_HEADERS_MAX) {
            return refuse(parser, PROBLEM_headers_too_large,
                          "There are more than 64 header lines.");
        }
        exchange->spans[exchange->span_count++] =
            (struct http_span){.name_at = (uint16_t)exchange->head_bytes};
        exchange->in_value = false;
    }
    if (!head_add(exchange, at, len, true)) {
        return refuse(parser, PROBLEM_headers_too_large,
                      "The headers are longer than 16384 bytes.");
    }
    struct http_span *span = &exchange->spans[exchange->span_count - 1];
    span->name_bytes = (uint16_t)(span->name_bytes + len);
    return 0;
}

static int on_header_field_complete(llhttp_t *parser)
{
    struct http_exchange *exchange = current_of(parser);
    if (!exchange->head_complete) {
        exchange->in_value = true;
        exchange->spans[exchange->span_count - 1].value_at = (uint16_t)exchange->head_bytes;
    }
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct http_exchange *exchange = current_of(parser);
    if (exchange->head_complete) {
        return 0;
    }
    if (!head_add(exchange, at, len, false)) {
        return refuse(parser, PROBLEM_headers_too_large,
                      "The headers are longer than 16384 bytes.");
    }
    struct http_span *span = &exchange->spans[exchange->span_count - 1];
    span->value_bytes = (uint16_t)(span->value_bytes + len);
    return 0;
}

/* Now that the head no longer moves. */
static void headers_fill(struct http_exchange *exchange)
{
    for (size_t i = 0; i < exchange->span_count; i++) {
        const struct http_span *span = &exchange->spans[i];
        exchange->headers[i] = (struct header){
            .name = {exchange->head + span->name_at, span->name_bytes},
            .value = text_trim((struct str){exchange->head + span->value_at, span->value_bytes}),
        };
    }
    exchange->request.headers = exchange->headers;
    exchange->request.header_count = exchange->span_count;
}

/* How often a header stands there, and its last value. */
static int header_count(const struct http_exchange *exchange, const char *name,
                        struct str *ret_value)
{
    struct str wanted = str_of(name);
    int count = 0;
    for (size_t i = 0; i < exchange->span_count; i++) {
        if (str_equal(exchange->headers[i].name, wanted)) {
            *ret_value = exchange->headers[i].value;
            count++;
        }
    }
    return count;
}

/* How many bytes there are before the first that is no letter, digit or one of others. */
static size_t span_of(struct str text, const char *others)
{
    size_t len = 0;
    while (len < text.len) {
        unsigned char c = (unsigned char)text.s[len];
        bool letter = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!letter && (c == '\0' || !strchr(others, c))) {
            break;
        }
        len++;
    }
    return len;
}

/* uri-host [":" port] (RFC 9110 section 7.2): a name, which may be empty, or an address in brackets. */
static bool host_is_fine(struct str host)
{
    bool bracketed = host.len && host.s[0] == '[';
    struct str rest = bracketed ? str_from(host, 1) : host;
    rest = str_from(rest, span_of(rest, bracketed ? "-._~!$&'()*+,;=:" : "-._~%!$&'()*+,;="));
    if (bracketed) {
        if (!rest.len || rest.s[0] != ']') {
            return false;
        }
        rest = str_from(rest, 1);
    }
    if (rest.len && rest.s[0] == ':') {
        rest = str_from(rest, 1);
        while (rest.len && rest.s[0] >= '0' && rest.s[0] <= '9') {
            rest = str_from(rest, 1);
        }
    }
    return rest.len == 0;
}

/* The bytes of a URI's path and query, and the few more that clients leave bare in them. */
static bool target_is_fine(struct str target)
{
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.s[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\' || c == '#') {
            return false;
        }
    }
    return true;
}

/* Absolute-form becomes origin-form: a server must take it (RFC 9112 section 3.2.2). An authority without a host
 * is none, and one with a user is a trick (RFC 9110 section 4.2). */
static bool target_fill(struct http_exchange *exchange, uint8_t method)
{
    struct str target = {exchange->head, exchange->target_bytes};
    size_t scheme = 0;
    if (!target_is_fine(target)) {
        return false;
    }
    if (target.len > 7 && strncasecmp(target.s, "http://", 7) == 0) {
        scheme = 7;
    } else if (target.len > 8 && strncasecmp(target.s, "https://", 8) == 0) {
        scheme = 8;
    }
    if (scheme) {
        struct str rest = str_from(target, scheme);
        size_t authority = 0;
        while (authority < rest.len && rest.s[authority] != '/' && rest.s[authority] != '?') {
            authority++;
        }
        if (!authority || rest.s[0] == ':' || !host_is_fine(str_head(rest, authority))) {
            return false;
        }
        rest = str_from(rest, authority);
        target = rest.len && rest.s[0] == '/'
                     ? rest
                     : arena_printf(&exchange->arena, "/" STR_FMT, STR_ARG(rest));
    }
    exchange->request.target = target;
    return target.len && (target.s[0] == '/' || (method == HTTP_OPTIONS && str_is(target, "*")));
}

/* What llhttp lets through, part 1: the shape of the message. */
static const char *framing_fault(const llhttp_t *parser, const struct http_exchange *exchange)
{
    struct str value = STR_NONE;
    const struct http_connection *connection = parser->data;
    if (connection->line_blanks > 2) { /* RFC 9112 section 3 */
        return "The request line has too many blanks.";
    }
    if (connection->line_foreign || parser->http_major != 1 || parser->http_minor > 1) {
        return "The version must be HTTP/1.1 or HTTP/1.0.";
    }
    int count = header_count(exchange, "host", &value);
    if (count > 1 || (count == 0 && parser->http_minor == 1)) {
        return "There must be one Host header.";
    }
    if (count == 1 && !host_is_fine(value)) {
        return "The Host header is malformed.";
    }
    count = header_count(exchange, "transfer-encoding", &value);
    if (count > 0 &&
        (count > 1 || parser->http_minor == 0 || !text_equal_nocase(value, STR("chunked")))) {
        return "The only transfer coding is chunked, said once, in HTTP/1.1.";
    }
    if (count > 0 && (parser->flags & F_CONTENT_LENGTH)) {
        return "Content-Length and Transfer-Encoding exclude each other.";
    }
    return NULL;
}

/* Somebody in between speaks for another machine: the peer's address says nothing then. */
static bool is_forwarded(const struct http_exchange *exchange)
{
    static const char *const names[] = {"forwarded", "x-real-ip", "x-client-ip", "true-client-ip",
                                        "via"};
    struct str value;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (header_count(exchange, names[i], &value) > 0) {
            return true;
        }
    }
    for (size_t i = 0; i < exchange->span_count; i++) {
        if (str_starts(exchange->headers[i].name, STR("x-forwarded-"))) {
            return true;
        }
    }
    return false;
}

/* Did it ask for this machine by a name that is nobody else's? A browser here that some page leads to a name
 * which points to 127.0.0.1 (DNS rebinding) did not. */
static bool host_is_loopback(const struct http_exchange *exchange)
{
    struct str host = STR_NONE;
    if (header_count(exchange, "host", &host) == 0) {
        return true; /* HTTP/1.0, so no browser */
    }
    struct str rest = host, name = text_cut(&rest, ':');
    for (size_t i = 0; i < name.len && str_starts(name, STR("127.")); i++) {
        if (name.s[i] != '.' && (name.s[i] < '0' || name.s[i] > '9')) {
            return false; /* 127.example.com */
        }
    }
    return str_starts(name, STR("127.")) || text_equal_nocase(name, STR("localhost")) ||
           str_is(host, "[::1]") || str_starts(host, STR("[::1]:"));
}

static int on_headers_complete(llhttp_t *parser)
{
    struct http_connection *connection = parser->data;
    struct http_exchange *exchange = connection->current;
    struct str expect = STR_NONE;
    exchange->head_complete = true;
    headers_fill(exchange);
    const char *fault = framing_fault(parser, exchange);
    if (fault) {
        return refuse_head(parser, PROBLEM_invalid_header, fault);
    }
    if (parser->method == HTTP_CONNECT || parser->method == HTTP_TRACE) {
        return refuse_head(parser, PROBLEM_method_not_allowed, "CONNECT and TRACE are not served.");
    }
    if (!target_fill(exchange, parser->method)) {
        return refuse_head(parser, PROBLEM_invalid_header, "The request target is malformed.");
    }
    exchange->head_only = parser->method == HTTP_HEAD;
    exchange->request.method =
        exchange->head_only ? STR("GET") : str_of(llhttp_method_name(parser->method));
    exchange->request.loopback =
        connection->loopback && !is_forwarded(exchange) && host_is_loopback(exchange);
    exchange->old_version = parser->http_minor == 0;
    exchange->close = !llhttp_should_keep_alive(parser);
    parser->upgrade =
        0; /* an offer that we do not take: the request stands for itself (RFC 9110 section 7.8) */
    bool chunked = (parser->flags & F_CHUNKED) != 0;
    size_t body_max = connection->server->options.body_max_bytes;
    if (!chunked && parser->content_length > body_max) {
        return refuse_head(parser, PROBLEM_body_too_large, "");
    }
    if (header_count(exchange, "expect", &expect) && !exchange->old_version) {
        if (!text_equal_nocase(expect, STR("100-continue"))) {
            return refuse_head(parser, PROBLEM_invalid_header,
                               "The only expectation is 100-continue.");
        }
        exchange->wants_continue = chunked || parser->content_length > 0;
    }
    if (!chunked && parser->content_length > 0) {
        exchange->body_room_bytes = (size_t)parser->content_length;
        exchange->body = arena_alloc(&exchange->arena, exchange->body_room_bytes);
    }
    return 0;
}

/* --- the body ------------------------------------------------------------------------------------ */

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct http_connection *connection = parser->data;
    struct http_exchange *exchange = connection->current;
    if (len > connection->server->options.body_max_bytes - exchange->body_bytes) {
        return refuse(parser, PROBLEM_body_too_large, "");
    }
    if (len > exchange->body_room_bytes - exchange->body_bytes) {
        size_t room = exchange->body_room_bytes ? exchange->body_room_bytes : 1024;
        while (room < exchange->body_bytes + len) {
            room *= 2;
        }
        exchange->body =
            arena_grow(&exchange->arena, exchange->body, exchange->body_room_bytes, room);
        exchange->body_room_bytes = room;
    }
    memcpy(exchange->body + exchange->body_bytes, at, len);
    exchange->body_bytes += len;
    return 0;
}

/* What a chunk announces is refused before it comes. */
static int on_chunk_header(llhttp_t *parser)
{
    const struct http_connection *connection = parser->data;
    size_t room = connection->server->options.body_max_bytes - connection->current->body_bytes;
    return parser->content_length > room ? refuse(parser, PROBLEM_body_too_large, "") : 0;
}

static int on_message_complete(llhttp_t *parser)
{
    current_of(parser)->complete = true;
    return HPE_PAUSED; /* http_parse goes on behind it, if there is room */
}

static const llhttp_settings_t parser_settings = {
    .on_message_begin = on_message_begin,
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* --- driving the parser ---------------------------------------------------------------------------- */

void http_parse_open(struct http_connection *connection)
{
    llhttp_init(&connection->parser, HTTP_REQUEST, &parser_settings);
    connection->parser.data = connection;
}

void http_parse_refuse(struct http_connection *connection, enum problem problem, const char *detail)
{
    struct http_exchange *exchange = connection->current;
    if (!exchange) {
        exchange = http_exchange_take(connection);
    }
    struct response *response = &exchange->response;
    connection->current = NULL;
    connection->stopped = true;
    http_connection_read(connection, false);
    call_open(&exchange->call, &exchange->arena, connection->server->options.world);
    exchange->received_at_ns = uv_hrtime();
    exchange->request_bytes = exchange->head_bytes + exchange->body_bytes;
    exchange->close = true;
    exchange->wants_continue = false;
    exchange->state = HTTP_AT_HOME;
    connection->home_count++;
    api_problem(&exchange->call, problem, str_of(detail), response);
    if (problem == PROBLEM_method_not_allowed) { /* must be there: RFC 9110 section 15.5.6 */
        response->headers[response->header_count++] =
            (struct header){STR("allow"), STR("GET, HEAD, POST, DELETE, OPTIONS")};
    }
    http_server_answer(exchange);
}

static void complete(struct http_connection *connection)
{
    struct http_exchange *exchange = connection->current;
    struct http_server *server = connection->server;
    connection->current = NULL;
    connection->line_done = connection->line_foreign = false;
    connection->line_blanks = 0;
    exchange->wants_continue = false;
    exchange->request.body = (struct str){exchange->body, exchange->body_bytes};
    exchange->request_bytes = exchange->head_bytes + exchange->body_bytes;
    exchange->received_at_ns = uv_hrtime();
    call_open(&exchange->call, &exchange->arena, server->options.world);
    exchange->state = HTTP_AT_HOME;
    connection->home_count++;
    if (exchange->close) {
        connection->stopped = true; /* what follows was promised not to come */
        http_connection_read(connection, false);
    }
    server->options.on_request(server->options.context, exchange);
}

/* Empty lines before a request are skipped (RFC 9112 section 2.2), but only whole ones. false: a bare CR or LF. */
static bool skip_empty_lines(struct http_connection *connection, const char **bytes, size_t *len)
{
    while (*len > 0 && (connection->saw_cr || **bytes == '\r' || **bytes == '\n')) {
        if (connection->saw_cr != (**bytes == '\n')) {
            return false;
        }
        connection->saw_cr = !connection->saw_cr;
        ++*bytes;
        --*len;
    }
    return true;
}

/* A head or body may take few bytes of memory and many of the wire: blanks, chunk frames, trailers. So many
 * bytes of the wire may the message being read take. */
static size_t raw_max_bytes(const struct http_connection *connection)
{
    const struct http_exchange *exchange = connection->current;
    size_t body_max = connection->server->options.body_max_bytes;
    return HEAD_RAW_MAX_BYTES +
           (exchange && exchange->head_complete ? BODY_RAW_FACTOR * body_max : 0);
}

/* What llhttp takes in a request line: any number of blanks, and the protocols RTSP and ICE. */
static void look_at_line(struct http_connection *connection, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && !connection->line_done; i++) {
        connection->line_done = bytes[i] == '\n';
        connection->line_foreign |=
            connection->line_blanks == 2 && (bytes[i] == 'R' || bytes[i] == 'I');
        connection->line_blanks += bytes[i] == ' ';
    }
}

/* llhttp stopped, or one of the callbacks above. */
static void refuse_message(struct http_connection *connection, enum llhttp_errno error)
{
    enum problem problem = connection->refusal;
    const char *detail = connection->refusal_detail;
    if (problem == PROBLEM_NONE) {
        problem = PROBLEM_invalid_header;
        detail = error == HPE_PAUSED_H2_UPGRADE ? "HTTP/2 is not spoken here."
                                                : llhttp_get_error_reason(&connection->parser);
    }
    http_parse_refuse(connection, problem, detail);
}

/* One message, or what there is of it. out: how many bytes it took; 0 and stopped: refused. */
static size_t parse_message(struct http_connection *connection, const char *bytes, size_t len)
{
    llhttp_t *parser = &connection->parser;
    size_t raw = connection->current ? connection->current->raw_bytes : 0;
    len = len < raw_max_bytes(connection) - raw ? len : raw_max_bytes(connection) - raw;
    look_at_line(connection, bytes, len);
    enum llhttp_errno error = llhttp_execute(parser, bytes, len);
    struct http_exchange *exchange = connection->current;
    if (error == HPE_OK) {
        assert(exchange);
        exchange->raw_bytes += len;
        if (exchange->raw_bytes >= raw_max_bytes(connection)) {
            bool head = !exchange->head_complete;
            http_parse_refuse(connection, head ? PROBLEM_headers_too_large : PROBLEM_body_too_large,
                              head ? "The headers take too many bytes."
                                   : "The chunks take too many bytes.");
            return 0;
        }
        return len;
    }
    if (error == HPE_PAUSED && exchange && exchange->complete) {
        size_t used = (size_t)(llhttp_get_error_pos(parser) - bytes);
        llhttp_resume(parser);
        complete(connection);
        return used;
    }
    refuse_message(connection, error);
    return 0;
}

void http_parse(struct http_connection *connection, const char *bytes, size_t len)
{
    bool began = false;
    while (len > 0 && !connection->stopped) {
        if (!connection->current) {
            if (!skip_empty_lines(connection, &bytes, &len)) {
                http_parse_refuse(connection, PROBLEM_invalid_header, "A line end must be CR LF.");
                break;
            }
            if (connection->queued_count >= HTTP_PIPELINE_MAX || connection->writing) {
                break;
            }
            began = true;
        }
        if (len > 0) {
            size_t used = parse_message(connection, bytes, len);
            bytes += used;
            len -= used;
        }
    }
    if (len > 0 && !connection->stopped) {
        connection->held = malloc(len);
        if (!connection->held) {
            abort();
        }
        memcpy(connection->held, bytes, len);
        connection->held_bytes = len;
        http_connection_read(connection, false);
    }
    struct http_exchange *exchange = connection->current;
    if (exchange && exchange->wants_continue) {
        exchange->wants_continue = exchange->body_bytes == 0;
        http_answer_mark(connection);
    }
    http_connection_wait(connection, began);
}

void http_parse_more(struct http_connection *connection)
{
    char *held = connection->held;
    if (connection->stopped || connection->ended || connection->closing || connection->writing ||
        connection->queued_count >= HTTP_PIPELINE_MAX) {
        return;
    }
    http_connection_read(connection, true);
    if (held) {
        connection->held = NULL;
        http_parse(connection, held, connection->held_bytes); /* may hold again, and stop reading */
        free(held);
    }
}
