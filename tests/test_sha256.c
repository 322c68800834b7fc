/* The examples of FIPS 180-4, and that length alone decides where a text ends. */
#include "base/sha256.h"
#include "base/text.h"
#include "test.h"

static void check_hash(struct str bytes, const char *expected)
{
    struct arena arena;
    unsigned char digest[SHA256_BYTES];
    arena_open(&arena, 0);
    sha256(bytes, digest);
    CHECK_STR(text_hex(&arena, (struct str){(const char *)digest, sizeof(digest)}), expected);
    arena_close(&arena);
}

TEST(the_examples_of_the_standard_give_their_hashes)
{
    check_hash(STR(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_hash(STR_NONE, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_hash(STR("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_hash(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
               "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}
