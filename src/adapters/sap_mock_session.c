/* Logon, sessions and tokens of the mock. A token is good only with the cookies of its own session. */
#include <stdio.h>

#include "adapters/sap_mock_parts.h"

bool sap_mock_is_locked(const struct sap_mock *mock)
{
    return mock->locked;
}

void sap_mock_expire(struct sap_mock *mock)
{
    memset(mock->sessions, 0, sizeof(mock->sessions));
}

static void make_token(struct sap_mock *mock, char *ret_token) /* 32 + NUL */
{
    char seed[256], hex[65];
    int size = snprintf(seed, sizeof(seed), "%.*s/%llu",
                        (int)(mock->options.seed.len > 128 ? 128 : mock->options.seed.len),
                        mock->options.seed.s, (unsigned long long)mock->token_count++);
    sap_sha_hex((struct str){seed, (size_t)size}, hex);
    memcpy(ret_token, hex, 32);
    ret_token[32] = '\0';
}

/* The value of a cookie in a Cookie header. */
static struct str cookie_of(struct str header, const char *name)
{
    while (header.len) {
        struct str value = text_trim(text_cut(&header, ';'));
        struct str own = text_cut(&value, '=');
        if (str_is(own, name)) {
            return value;
        }
    }
    return STR_NONE;
}

static struct str cookie_name(struct sap_op *op)
{
    return arena_printf(op->arena, "SAP_SESSIONID_MCK_" STR_FMT, STR_ARG(op->mock->options.client));
}

static struct sap_session *session_of(struct sap_op *op)
{
    struct str id = cookie_of(sap_op_header(op->request, "cookie"), cookie_name(op).s);
    for (size_t i = 0; id.len && i < SAP_SESSIONS_MAX; i++) {
        struct sap_session *session = &op->mock->sessions[i];
        if (session->used_at_ms && str_is(id, session->id)) {
            if (op->now_ms - session->used_at_ms > op->mock->switches[SAP_MOCK_session_ms]) {
                session->used_at_ms = 0;
                return NULL;
            }
            session->used_at_ms = op->now_ms;
            return session;
        }
    }
    return NULL;
}

static struct sap_session *session_new(struct sap_op *op)
{
    struct sap_session *oldest = &op->mock->sessions[0];
    for (size_t i = 0; i < SAP_SESSIONS_MAX; i++) {
        if (op->mock->sessions[i].used_at_ms < oldest->used_at_ms) {
            oldest = &op->mock->sessions[i];
        }
    }
    make_token(op->mock, oldest->id);
    make_token(op->mock, oldest->token);
    oldest->used_at_ms = max_i64(op->now_ms, 1);
    return oldest;
}

/* Answered: the token, by HEAD or GET of the root with X-CSRF-Token: Fetch. */
void sap_op_give_token(struct sap_op *op)
{
    const int64_t *switches = op->mock->switches;
    struct str wish = sap_op_header(op->request, "x-csrf-token");
    if (!switches[SAP_MOCK_csrf] || !sap_op_is_read(op->request) ||
        !text_equal_nocase(wish, STR("fetch"))) {
        return;
    }
    if (str_is(op->request->method, "HEAD") && !switches[SAP_MOCK_token_on_head]) {
        return;
    }
    struct sap_session *session = session_of(op);
    if (!session) {
        session = session_new(op);
        sap_op_add_header(op, "Set-Cookie",
                          arena_printf(op->arena, STR_FMT "=%s; path=/; HttpOnly",
                                       STR_ARG(cookie_name(op)), session->id));
        sap_op_add_header(op, "Set-Cookie",
                          arena_printf(op->arena, "sap-usercontext=sap-client=" STR_FMT "; path=/",
                                       STR_ARG(op->mock->options.client)));
    }
    sap_op_add_header(op, "X-CSRF-Token", arena_copy(op->arena, str_of(session->token)));
    if (switches[SAP_MOCK_token_status]) {
        op->answer->status = (int)switches[SAP_MOCK_token_status];
    }
}

/* A write without its session's token is refused. */
bool sap_op_token_is_right(struct sap_op *op)
{
    if (!op->mock->switches[SAP_MOCK_csrf] || op->late) {
        return true;
    }
    struct sap_session *session = session_of(op);
    struct str token = sap_op_header(op->request, "x-csrf-token");
    if (session && str_is(token, session->token)) {
        return true;
    }
    op->answer->status = 403;
    op->answer->body = STR("CSRF token validation failed");
    sap_op_add_header(op, "X-CSRF-Token", STR("Required"));
    sap_op_add_header(op, "Content-Type", STR("text/plain;charset=utf-8"));
    return false;
}

/* ---- logon ---------------------------------------------------------------------------------------------- */

static bool password_is_right(struct sap_op *op)
{
    struct str header = sap_op_header(op->request, "authorization"), plain;
    const struct sap_mock_options *options = &op->mock->options;
    if (!options->user.len || !str_starts(header, STR("Basic ")) ||
        text_unbase64(op->arena, str_from(header, 6), &plain) != RC_OK) {
        return false;
    }
    struct str user = text_cut(&plain, ':');
    return str_equal(user, options->user) && str_equal(plain, options->password);
}

void sap_op_give_bearer(struct sap_op *op)
{
    struct sap_mock *mock = op->mock;
    struct str form = op->request->body;
    if (!str_is(op->request->method, "POST") ||
        !str_starts(form, STR("grant_type=client_credentials"))) {
        op->answer->status = 400;
        op->answer->body = STR("{\"error\":\"unsupported_grant_type\"}");
    } else {
        make_token(mock, mock->bearer);
        mock->bearer_until_ms = op->now_ms + mock->switches[SAP_MOCK_bearer_s] * 1000;
        op->answer->status = 200;
        op->answer->body = arena_printf(
            op->arena, "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%lld}",
            mock->bearer, (long long)mock->switches[SAP_MOCK_bearer_s]);
    }
    sap_op_add_header(op, "Content-Type", STR("application/json"));
}

static bool bearer_is_right(const struct sap_op *op, struct str header)
{
    const struct sap_mock *mock = op->mock;
    struct str token = str_from(header, strlen("Bearer "));
    bool fetched = mock->bearer[0] && str_is(token, mock->bearer);
    return (fetched && op->now_ms < mock->bearer_until_ms) ||
           (mock->options.bearer.len && str_equal(token, mock->options.bearer));
}

bool sap_op_logged_on(struct sap_op *op)
{
    struct sap_mock *mock = op->mock;
    if (op->late || (!mock->options.user.len && !mock->options.bearer.len)) {
        return true;
    }
    struct str header = sap_op_header(op->request, "authorization");
    bool bearer = str_starts(header, STR("Bearer "));
    bool right = bearer ? bearer_is_right(op, header) : password_is_right(op);
    if (right && !mock->locked) {
        mock->failed_logons = 0;
        return true;
    }
    if (!right && !bearer) { /* a token is no password: nobody is locked for an old one */
        mock->failed_logons++;
        mock->locked = mock->locked || mock->failed_logons >= mock->switches[SAP_MOCK_lock_after];
    }
    op->answer->status = mock->switches[SAP_MOCK_logon_html] ? 200 : 401;
    op->answer->body = STR(
        "<!DOCTYPE html><html><head><title>Logon</title></head><body>Logon failed</body></html>");
    sap_op_add_header(op, "Content-Type", STR("text/html; charset=utf-8"));
    if (op->answer->status == 401) {
        sap_op_add_header(op, "WWW-Authenticate",
                          STR("Basic realm=\"SAP NetWeaver Application Server [MCK/100]\""));
    }
    return false;
}
