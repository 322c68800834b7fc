/* Calls to a hourbell server, one at a time: where it is, who asks, and what an answer means for the exit code.
 * The bytes are client_exchange.c's. */
#include "home/client_exchange.h"
#include "home/print.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREDENTIAL_MAX_BYTES 256
#define PAGE_TRIES 6
#define ANSWER_DEPTH 64 /* of JSON in answers: frames around documents */

/* ---- where and who ------------------------------------------------------------------------------------------ */

/* The first line of a file that nobody else may read. */
static int credential_read(const struct args *args, const char *path,
                           char room[CREDENTIAL_MAX_BYTES + 1])
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return command_fail(args, EXIT_AUTH, "%s: %s", path, strerrordesc_np(errno));
    }
    if (fstat(fd, &status) != 0 || (S_ISREG(status.st_mode) && (status.st_mode & 077) != 0)) {
        close(fd);
        return command_fail(args, EXIT_AUTH, "%s may be read by others: chmod 600 %s", path, path);
    }
    ssize_t len = read(fd, room, CREDENTIAL_MAX_BYTES);
    close(fd);
    if (len <= 0) {
        return command_fail(args, EXIT_AUTH, "%s: %s", path,
                            len < 0 ? strerrordesc_np(errno) : "it is empty");
    }
    room[len] = '\0';
    return EXIT_DONE;
}

static int credential_find(const struct args *args, struct client *client)
{
    char room[CREDENTIAL_MAX_BYTES + 1] = "";
    const char *file = args_text(args, "key-file", NULL), *key = NULL;
    if (!file) {
        key = getenv("HOURBELL_KEY");
        file = getenv("HOURBELL_KEY_FILE");
    }
    if (!key || !*key) {
        if (!file || !*file) {
            return EXIT_DONE; /* the server says what it thinks of that */
        }
        int exit_code = credential_read(args, file, room);
        if (exit_code != EXIT_DONE) {
            return exit_code;
        }
        key = room;
    }
    size_t len = strcspn(key, " \t\r\n");
    for (size_t i = 0; i < len; i++) {
        if (key[i] < 0x21 || key[i] > 0x7e) {
            return command_fail(args, EXIT_AUTH, "the credential holds a character that none has");
        }
    }
    if (len > CREDENTIAL_MAX_BYTES) {
        return command_fail(args, EXIT_AUTH,
                            "the credential is longer than any that hourbell made");
    }
    client->credential = arena_printf(args->arena, "x-api-key: %.*s", (int)len, key).s;
    return EXIT_DONE;
}

int client_open(const struct args *args, struct client *ret_client)
{
    struct client client = {.args = args,
                            .arena = args->arena,
                            .timeout_ms = args_span_ms(args, "timeout", CLIENT_TIMEOUT_MS)};
    const char *url = args_text(args, "url", getenv("HOURBELL_URL"));
    url = url && *url ? url : "http://127.0.0.1:8080";
    if (strncmp(url, "unix:", 5) == 0) {
        client.socket = url + 5;
        client.url = "http://hourbell";
    } else if (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0) {
        struct str copy = arena_copy(args->arena, str_of(url));
        size_t len = copy.len;
        while (len && copy.s[len - 1] == '/') {
            len--;
        }
        client.url = arena_copy(args->arena, str_head(copy, len)).s;
    } else {
        return command_fail(args, EXIT_USAGE,
                            "--url is http://..., https://... or unix:/path, not '%s'", url);
    }
    int exit_code = credential_find(args, &client);
    if (exit_code != EXIT_DONE) {
        return exit_code;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(client.easy = curl_easy_init())) {
        return command_fail(args, EXIT_FAILED, "libcurl does not start");
    }
    *ret_client = client;
    return EXIT_DONE;
}

void client_close(struct client *client)
{
    if (client && client->easy) {
        curl_easy_cleanup(client->easy);
        client->easy = NULL;
    }
}

/* ---- single calls --------------------------------------------------------------------------------------------- */

int client_exit_code(struct arena *arena, const struct client_answer *answer)
{
    yyjson_val *root = NULL;
    if (answer->status == 0) {
        return EXIT_UNREACHABLE;
    }
    if (answer->status >= 200 && answer->status < 300) {
        return EXIT_DONE;
    }
    if (json_read(arena, answer->body, ANSWER_DEPTH, &root, NULL) == RC_OK) {
        enum problem problem = problem_of(json_member_str(root, "code", STR_NONE));
        if (problem != PROBLEM_NONE) {
            return (int)problem_info(problem)->exit_code;
        }
    }
    switch (answer->status) { /* a gateway's answer, not hourbell's */
    case 401:
    case 403:
        return EXIT_AUTH;
    case 404:
        return EXIT_NOT_FOUND;
    case 409:
    case 412:
        return EXIT_CONFLICT;
    case 502:
    case 503:
    case 504:
        return EXIT_UNREACHABLE;
    default:
        return answer->status >= 400 && answer->status < 500 && answer->status != 429 ? EXIT_INVALID
                                                                                      : EXIT_FAILED;
    }
}

int client_call(struct client *client, const struct client_request *request,
                struct client_answer *ret_answer)
{
    struct exchange exchange = {.easy = client->easy};
    arena_open(&exchange.arena, 4 * CLIENT_ANSWER_MAX_BYTES);
    exchange_set(client, &exchange, request);
    exchange_end(&exchange, curl_easy_perform(client->easy));
    curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER,
                     NULL); /* it points into what is closed now */
    curl_easy_setopt(client->easy, CURLOPT_ERRORBUFFER, NULL);
    *ret_answer = exchange.answer;
    ret_answer->body = arena_copy(client->arena, exchange.answer.body);
    exchange_close(&exchange);
    return client_exit_code(client->arena, ret_answer);
}

/* With --json: the problem document as it came, or a document of its form. */
static int tell_as_json(const struct client *client, const struct client_answer *answer,
                        yyjson_val *root, int exit_code)
{
    if (json_member(root, "code")) {
        print_json(stderr, json_write(client->arena, root));
        return exit_code;
    }
    size_t len = answer->body.len < 200 ? answer->body.len : 200;
    return command_fail(client->args, (enum exit_code)exit_code,
                        "the server answered %lld: " STR_FMT, (long long)answer->status,
                        STR_ARG(str_head(answer->body, len)));
}

static void tell_text(struct str text)
{
    print_text(stderr, text, "");
}

/* Does the one sentence end with the other? What the first line says is not said again below it. */
static bool ends_with(struct str text, struct str end)
{
    return text.len >= end.len && str_equal(str_from(text, text.len - end.len), end);
}

static void tell_problem(yyjson_val *root)
{
    struct str detail = json_member_str(root, "detail", json_member_str(root, "title", STR_NONE));
    yyjson_val *errors = json_member(root, "errors"), *item = yyjson_arr_get_first(errors);
    size_t at, count;
    bool said = yyjson_arr_size(errors) == 1 &&
                ends_with(detail, json_member_str(item, "detail", STR_NONE));
    struct str where = said ? json_member_str(item, "pointer", STR_NONE) : STR_NONE;
    where = where.len && memmem(detail.s, detail.len, where.s, where.len) ? STR_NONE : where;
    tell_text(json_member_str(root, "code", STR_NONE));
    fputs(": ", stderr);
    tell_text(detail);
    fputs(where.len ? " (" : "", stderr);
    tell_text(where);
    fputs(where.len ? ")\n" : "\n", stderr);
    yyjson_arr_foreach(said ? NULL : errors, at, count, item)
    {
        struct str pointer = json_member_str(item, "pointer", STR_NONE);
        struct str words = json_member_str(item, "detail", STR_NONE);
        fputs("  ", stderr);
        tell_text(pointer.len ? pointer : STR("(body)"));
        fputs(": ", stderr);
        tell_text(json_member_str(item, "code", STR_NONE));
        fputs(": ", stderr);
        tell_text(words);
        fputc('\n', stderr);
    }
    yyjson_val *current = json_member(root, "current");
    if (current) {
        fprintf(stderr, "  current revision %lld, written by ",
                (long long)json_member_i64(current, "revision", 0));
        tell_text(json_member_str(current, "by", STR("?")));
        fputs(" at ", stderr);
        tell_text(json_member_str(current, "at", STR("?")));
        fputc('\n', stderr);
    }
}

int client_tell(const struct client *client, const struct client_answer *answer, int exit_code)
{
    yyjson_val *root = NULL;
    if (answer->status == 0) {
        bool told = args_has(client->args, "url") || getenv("HOURBELL_URL");
        return command_fail(
            client->args, (enum exit_code)exit_code, "%s: %s%s",
            client->socket ? client->socket : client->url, answer->error,
            told ? ""
                 : "\n  Is the server running there? Another address: --url URL or HOURBELL_URL.");
    }
    if (json_read(client->arena, answer->body, ANSWER_DEPTH, &root, NULL) != RC_OK) {
        root = NULL;
    }
    fflush(stdout);
    if (client->args->json) {
        return tell_as_json(client, answer, root, exit_code);
    }
    fprintf(stderr, "hourbell %s: ", client->args->command->name);
    if (json_member(root, "code")) {
        tell_problem(root);
    } else {
        fprintf(stderr, "the server answered %lld: ", (long long)answer->status);
        tell_text(str_head(answer->body, answer->body.len < 200 ? answer->body.len : 200));
        fputc('\n', stderr);
    }
    if (answer->status == 401 && !client->credential) {
        fprintf(stderr, "  There was no credential: set HOURBELL_KEY or HOURBELL_KEY_FILE, or give "
                        "--key-file FILE.\n");
    }
    if (answer->retry_after_ms) {
        fprintf(stderr, "  Try again in %lld s.\n", (long long)answer->retry_after_ms / 1000);
    }
    return exit_code;
}

int client_ask(struct client *client, const struct client_request *request, yyjson_val **ret_root,
               struct client_answer *ret_answer)
{
    int exit_code = client_call(client, request, ret_answer);
    if (exit_code != EXIT_DONE) {
        return client_tell(client, ret_answer, exit_code);
    }
    if (json_read(client->arena, ret_answer->body, ANSWER_DEPTH, ret_root, NULL) != RC_OK) {
        return command_fail(client->args, EXIT_FAILED,
                            "the answer is not JSON: is this a hourbell server?");
    }
    return EXIT_DONE;
}

/* One page; a server that cannot answer now is given time, but not before the first page. */
static int ask_page(struct client *client, const struct client_request *request, bool first,
                    yyjson_val **ret_root)
{
    struct client_answer answer;
    int exit_code = client_call(client, request, &answer);
    for (int i = 0; i < PAGE_TRIES && exit_code == EXIT_UNREACHABLE && !first; i++) {
        int64_t wait_ms =
            answer.retry_after_ms ? min_i64(answer.retry_after_ms, 5000) : INT64_C(200) << i;
        struct timespec wait = {wait_ms / 1000, wait_ms % 1000 * 1000000};
        nanosleep(&wait, NULL);
        exit_code = client_call(client, request, &answer);
    }
    if (exit_code != EXIT_DONE) {
        return client_tell(client, &answer, exit_code);
    }
    if (json_read(client->arena, answer.body, ANSWER_DEPTH, ret_root, NULL) != RC_OK) {
        return command_fail(client->args, EXIT_FAILED,
                            "the answer is not JSON: is this a hourbell server?");
    }
    return EXIT_DONE;
}

static int take_page(struct client *client, const struct client_list *list, yyjson_val *root,
                     int64_t *taken)
{
    size_t at, count;
    yyjson_val *item;
    yyjson_arr_foreach(json_member(root, "items"), at, count, item)
    {
        int exit_code = list->take(list->context, client, item);
        if (exit_code != EXIT_DONE) {
            return exit_code;
        }
        (*taken)++;
    }
    struct str next = json_member_str(root, "next_cursor", STR_NONE);
    return list->page ? list->page(list->context, client, next) : EXIT_DONE;
}

int client_pages(struct client *client, const struct client_list *list)
{
    struct arena arena, *outer = client->arena;
    char cursor[CURSOR_MAX_BYTES + 1] = "", joint = memchr(list->target.s, '?', list->target.len)
                                                        ? '&'
                                                        : '?';
    int64_t taken = 0;
    bool more = true;
    int exit_code = EXIT_DONE;
    snprintf(cursor, sizeof cursor, STR_FMT, STR_ARG(list->cursor));
    arena_open(&arena, 8 * CLIENT_ANSWER_MAX_BYTES);
    client->arena = &arena;
    for (bool first = true; more && exit_code == EXIT_DONE; first = false) {
        yyjson_val *root = NULL;
        int64_t page = list->limit ? min_i64(list->limit - taken, PAGE_MAX) : PAGE_MAX;
        arena_reset(&arena);
        struct str target = arena_printf(&arena, STR_FMT "%climit=%lld%s%s", STR_ARG(list->target),
                                         joint, (long long)page, cursor[0] ? "&cursor=" : "",
                                         client_encode(&arena, str_of(cursor)).s);
        exit_code = ask_page(client, &(struct client_request){.method = "GET", .target = target},
                             first, &root);
        if (exit_code == EXIT_DONE) {
            exit_code = take_page(client, list, root, &taken);
            snprintf(cursor, sizeof cursor, STR_FMT,
                     STR_ARG(json_member_str(root, "next_cursor", STR_NONE)));
            more = json_member_bool(root, "has_more", false) &&
                   (list->limit == 0 || taken < list->limit);
        }
    }
    client->arena = outer;
    arena_close(&arena);
    return exit_code;
}

struct str client_encode(struct arena *arena, struct str text)
{
    struct text out;
    text_open(&out, arena, 3 * text.len + 1);
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.s[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            (c && strchr("-._~", c))) {
            text_add_char(&out, (char)c);
        } else {
            text_printf(&out, "%%%02X", c);
        }
    }
    return arena_copy(arena, text_str(&out));
}

struct str client_device_target(struct client *client, struct str name, const char *rest)
{
    struct str encoded = client_encode(client->arena, name);
    return arena_printf(client->arena, "/devices/" STR_FMT "%s", STR_ARG(encoded), rest);
}
