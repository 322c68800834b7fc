/* See mock_desk.h. */
#include "mock_desk.h"

#include "base/text.h"

#define MORE_MAX 4

bool odata_v4;

static const char *root(void)
{
    return odata_v4 ? SAP_MOCK_ROOT_V4 : SAP_MOCK_ROOT;
}

struct str mock_desk_header(const struct mock_desk *desk, const char *name)
{
    for (size_t i = 0; i < desk->answer.header_count; i++) {
        if (text_equal_nocase(desk->answer.headers[i].name, str_of(name))) {
            return desk->answer.headers[i].value;
        }
    }
    return STR_NONE;
}

int mock_desk_ask(struct mock_desk *desk, const char *method, const char *target, const char *body,
                  const struct header *more, size_t more_count)
{
    struct header headers[2 + MORE_MAX] = {{STR("x-csrf-token"), desk->token},
                                           {STR("Cookie"), desk->cookie}};
    assert(more_count <= MORE_MAX);
    for (size_t i = 0; i < more_count; i++) {
        headers[2 + i] = more[i];
    }
    struct request request = {.method = str_of(method),
                              .target = target[0] == '~'
                                            ? arena_printf(&desk->arena, "%s%s", root(), target + 1)
                                            : str_of(target),
                              .headers = headers,
                              .header_count = 2 + more_count,
                              .body = str_of(body)};
    sap_mock_handle(desk->sap, &desk->arena, desk->now_ms, &request, &desk->answer);
    return desk->answer.status;
}

int mock_desk_get(struct mock_desk *desk, const char *target)
{
    return mock_desk_ask(desk, "GET", target, "", NULL, 0);
}

int mock_desk_with(struct mock_desk *desk, const char *method, const char *target, const char *body,
                   const char *name, struct str value)
{
    struct header header = {str_of(name), value};
    return mock_desk_ask(desk, method, target, body, &header, 1);
}

void mock_desk_logon(struct mock_desk *desk)
{
    desk->token = STR("Fetch");
    desk->cookie = STR("");
    CHECK_INT(mock_desk_get(desk, "~/"), 200);
    struct str cookie = mock_desk_header(desk, "set-cookie");
    desk->cookie = text_cut(&cookie, ';');
    desk->token = mock_desk_header(desk, "x-csrf-token");
    CHECK(desk->token.len == 32);
}

void mock_desk_open(struct mock_desk *desk, const struct sap_mock_options *options)
{
    static const struct sap_mock_options open = {.control = true};
    *desk =
        (struct mock_desk){.now_ms = DESK_NOW_MS,
                           .sap = sap_mock_open(options ? options : &open),
                           .pump = odata_v4 ? "~/Equipment(Equipment='10000000',"
                                              "ValidityEndDate=9999-12-31)"
                                            : "~/Equipment(Equipment='10000000',"
                                              "ValidityEndDate=datetime'9999-12-31T00%3A00%3A00')"};
    arena_open(&desk->arena, 0);
    if (!options || (!options->user.len && !options->bearer.len)) {
        mock_desk_logon(desk);
    }
}

void mock_desk_close(struct mock_desk *desk)
{
    sap_mock_close(desk->sap);
    arena_close(&desk->arena);
}

void mock_desk_create(struct mock_desk *desk)
{
    CHECK_INT(mock_desk_ask(desk, "POST", "~/Equipment",
                            "{\"EquipmentCategory\":\"m\",\"YY1_DEVICE_NAME\":\"pump\","
                            "\"EquipmentName\":\"a\"}",
                            NULL, 0),
              201);
    desk->etag = mock_desk_header(desk, "etag");
}

int mock_desk_patch(struct mock_desk *desk, const char *body)
{
    struct header headers[] = {
        {STR("If-Match"), desk->etag},
        {STR("Prefer"), STR("return=minimal")},
        {STR("Content-Type"), STR("application/json;IEEE754Compatible=true")}};
    int status = mock_desk_ask(desk, "PATCH", desk->pump, body, headers, odata_v4 ? 3 : 1);
    struct str etag = mock_desk_header(desk, "etag");
    desk->etag = etag.len ? etag : desk->etag;
    return status;
}

int mock_desk_effects(const struct mock_desk *desk)
{
    int effects = 0;
    for (size_t i = 0; i < sap_mock_log_count(desk->sap); i++) {
        effects += sap_mock_log_at(desk->sap, i)->effect;
    }
    return effects;
}

struct str mock_desk_value(const struct mock_desk *desk, const char *field)
{
    CHECK(sap_mock_row_count(desk->sap) > 0);
    return sap_mock_row_value(desk->sap, 0, field);
}
