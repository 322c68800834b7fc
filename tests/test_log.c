/* The hash chain: what the sha of an entry is taken over, spelled out. */
#include "core/log.h"
#include "test.h"

#include <openssl/sha.h>

#include "base/text.h"

TEST(the_sha_of_an_entry_is_over_the_one_before_and_each_field_with_its_length) /* P7 */
{
    struct arena arena;
    unsigned char sha[SHA256_DIGEST_LENGTH];
    static const char spelled[] =
        "2:ab1:36:update13:17640000000055:k_one3:uid16:{\"attributes\":1}1:01:01:0";
    struct entry entry = {.seq = 3,
                          .kind = ENTRY_update,
                          .at_ms = INT64_C(1764000000005),
                          .by = STR("k_one"),
                          .request_id = STR("uid"),
                          .data = STR("{\"attributes\":1}")};
    arena_open(&arena, 0);
    SHA256((const unsigned char *)spelled, sizeof(spelled) - 1, sha);
    CHECK_BYTES(log_sha(&arena, STR("ab"), &entry),
                text_hex(&arena, (struct str){(const char *)sha, sizeof(sha)}));
    arena_close(&arena);
}

TEST(every_immutable_field_of_an_entry_is_in_its_sha) /* P7 */
{
    struct arena arena;
    arena_open(&arena, 0);
    const struct entry entry = {.seq = 1,
                                .kind = ENTRY_delivered,
                                .at_ms = 2,
                                .by = STR("b"),
                                .request_id = STR("r"),
                                .data = STR("{}"),
                                .from_seq = 3,
                                .to_seq = 4,
                                .delivery = 5};
    struct entry other[9];
    for (size_t i = 0; i < COUNT_OF(other); i++) {
        other[i] = entry;
    }
    other[0].seq = 2;
    other[1].kind = ENTRY_rejected;
    other[2].at_ms = 3;
    other[3].by = STR("c");
    other[4].request_id = STR("s");
    other[5].data = STR("[]");
    other[6].from_seq = 2;
    other[7].to_seq = 5;
    other[8].delivery = 6;
    struct str sha = log_sha(&arena, STR_NONE, &entry);
    CHECK(!str_equal(sha, log_sha(&arena, STR("x"), &entry)));
    for (size_t i = 0; i < COUNT_OF(other); i++) {
        CHECK(!str_equal(sha, log_sha(&arena, STR_NONE, &other[i])));
    }
    arena_close(&arena);
}
