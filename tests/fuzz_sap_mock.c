/* Does anything that a client may send break the mock SAP? A method, a target, headers and a body, to one version or the other,
 * with two rows there. And the rule that tests rely on: an effect has one line in the log, and no request has two. */
#include "adapters/sap_mock.h"
#include "base/json.h"
#include "base/text.h"

#define NOW_MS INT64_C(1795340100000)
#define HEADERS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "PATCH ~/Equipment(...)\nIf-Match: *\n\n{...}"; ~ is the root. false: it is no request. */
static bool read_request(struct arena *arena, bool v4, struct str text, struct header *headers,
                         struct request *ret_request)
{
    struct str line = text_cut(&text, '\n');
    struct str method = text_cut(&line, ' ');
    size_t count = 0;
    if (!method.len || !line.len || memchr(line.s, 0, line.len)) {
        return false;
    }
    if (line.s[0] == '~') {
        line = arena_printf(arena, "%s" STR_FMT, v4 ? SAP_MOCK_ROOT_V4 : SAP_MOCK_ROOT,
                            STR_ARG(str_from(line, 1)));
    }
    for (struct str head = text_cut(&text, '\n'); head.len; head = text_cut(&text, '\n')) {
        struct str name = text_cut(&head, ':');
        if (count < HEADERS_MAX) {
            headers[count++] = (struct header){name, text_trim(head)};
        }
    }
    *ret_request = (struct request){
        .method = method, .target = line, .headers = headers, .header_count = count, .body = text};
    return true;
}

static void set_up(struct sap_mock *sap, uint8_t habits)
{
    struct header pump[] = {{STR("YY1_DEVICE_NAME"), STR("pump")}, {STR("AssetRoom"), STR("1")}};
    sap_mock_switch(sap, SAP_MOCK_csrf, 0);
    sap_mock_switch(sap, SAP_MOCK_error_form, (habits >> 1) % 8);
    sap_mock_switch(sap, SAP_MOCK_repeat_oasis, habits >> 4 & 1);
    sap_mock_switch(sap, SAP_MOCK_pad_keys, habits >> 5 & 1);
    sap_mock_switch(sap, SAP_MOCK_mark_read_only, habits >> 6 & 1);
    sap_mock_row_put(sap, NOW_MS, STR(""), pump, 2);
    sap_mock_row_put(sap, NOW_MS, STR("X-1"), pump, 1);
}

static void check(const struct sap_mock *sap, const struct sap_answer *answer, struct arena *arena,
                  size_t rows)
{
    size_t lines = sap_mock_log_count(sap);
    yyjson_val *root;
    assert(lines <= 1 && answer->header_count <= COUNT_OF(answer->headers));
    bool effect = lines && sap_mock_log_at(sap, 0)->effect;
    assert(sap_mock_row_count(sap) == rows || (effect && sap_mock_row_count(sap) == rows + 1));
    assert(answer->status >= 200 && answer->status <= 599);
    assert(!effect || answer->status < 300);
    for (size_t i = 0; i < answer->header_count; i++) {
        struct header header = answer->headers[i];
        assert(!memchr(header.value.len ? header.value.s : "", '\n', header.value.len));
        bool json = str_is(header.name, "Content-Type") &&
                    str_starts(header.value, STR("application/json"));
        bool whole = answer->body.len && sap_mock_switched(sap, SAP_MOCK_error_form) != 5;
        assert(!json || !whole || json_read(arena, answer->body, 24, &root, NULL) == RC_OK);
        (void)root;
    }
    for (size_t i = 0; i < sap_mock_row_count(sap); i++) {
        struct str row = sap_mock_row_json(sap, arena, i);
        assert(json_read(arena, row, 4, &root, NULL) == RC_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct header headers[HEADERS_MAX];
    struct request request;
    struct sap_answer answer;
    if (size < 2 || size > 65536) {
        return 0;
    }
    arena_open(&arena, 0);
    struct str text = {(const char *)data + 1, size - 1};
    if (read_request(&arena, data[0] & 1, text, headers, &request)) {
        struct sap_mock *sap = sap_mock_open(&(struct sap_mock_options){.control = true});
        set_up(sap, data[0]);
        size_t rows = sap_mock_row_count(sap);
        sap_mock_handle(sap, &arena, NOW_MS, &request, &answer);
        if (!str_starts(request.target, STR(SAP_MOCK_CONTROL))) {
            check(sap, &answer, &arena, rows);
        }
        sap_mock_close(sap);
    }
    arena_close(&arena);
    return 0;
}
