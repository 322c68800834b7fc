/* A 405 becomes "204, these methods"; any other answer, as 401 or 404, stands. */
#include "home/answer_options.h"

#include "core/api.h"

void answer_options(struct arena *arena, struct response *response)
{
    struct str allow = response_header(response, "allow");
    if (response->status == 405 && allow.len) {
        response->status = 204;
        response->body = STR_NONE;
        response->headers[0] =
            (struct header){STR("allow"), arena_printf(arena, STR_FMT ", OPTIONS", STR_ARG(allow))};
        response->headers[1] = (struct header){STR("cache-control"), STR("no-store")};
        response->header_count = 2;
    }
}
