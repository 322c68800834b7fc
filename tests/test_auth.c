/* P9 Nobody else gets in: how a credential is shown, and what becomes of keys. */
#include "base/text.h"
#include "core/auth.h"
#include "engine.h"

#define DAY_MS (24 * HOUR_MS)

static struct engine engine;

static struct key_new customer_new(void)
{
    return (struct key_new){
        .owner = STR("acme"), .label = STR("Line 4"), .role = ROLE_CUSTOMER, .realm = STR("live")};
}

static struct key_new operator_new(void)
{
    return (struct key_new){.role = ROLE_OPERATOR, .realm = STR("live")};
}

static struct key made(struct key_new new, struct str *ret_credential)
{
    struct key key;
    CHECK_RC(auth_create(&engine.world, engine_call(&engine), STR("k_operator"), &new, &key,
                         ret_credential),
             RC_OK);
    return key;
}

/* Check a request with up to two headers. */
static enum rc shown(struct header first, struct header second, struct principal *ret_principal)
{
    struct header headers[] = {first, {STR("host"), STR("localhost")}, second};
    struct request request = {.headers = headers, .header_count = second.name.len ? 3 : 2};
    TRY(auth_check(&engine.world, engine_call(&engine), &request, ret_principal));
    return auth_note_use(&engine.world, &engine.call, ret_principal);
}

static enum rc with_key(struct str credential, struct principal *ret_principal)
{
    return shown((struct header){STR("x-api-key"), credential}, (struct header){0}, ret_principal);
}

static struct header basic(struct str credential)
{
    struct arena *arena = &engine.arena;
    struct str secret = credential, id = text_cut(&secret, '.');
    struct str pair = arena_printf(arena, STR_FMT ":" STR_FMT, STR_ARG(id), STR_ARG(secret));
    struct str value = arena_printf(arena, "basic  " STR_FMT, STR_ARG(text_base64(arena, pair)));
    return (struct header){STR("authorization"), value};
}

static void refused(struct header first, struct header second)
{
    static char words[256];
    struct principal principal = {.id = STR("untouched")};
    CHECK_RC(shown(first, second, &principal), RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_unauthorized);
    CHECK_INT(engine.call.item_count, 0);
    CHECK_STR(principal.id, "untouched");
    if (words[0]) {
        CHECK_STR(str_of(engine.call.why), words); /* one answer for every reason */
    }
    memcpy(words, engine.call.why, sizeof words);
}

/* P9 */
TEST(auth_one_credential_has_two_spellings)
{
    struct str credential;
    struct principal principal;
    engine_open(&engine);
    struct key key = made(customer_new(), &credential);
    CHECK_INT(key.id.len, KEY_ID_BYTES);
    CHECK_INT(credential.len, KEY_CREDENTIAL_BYTES);
    CHECK(str_starts(str_from(credential, KEY_ID_BYTES), STR(".hb_live_")));
    CHECK_RC(with_key(credential, &principal), RC_OK);
    CHECK_BYTES(principal.id, key.id);
    CHECK_STR(principal.owner, "acme");
    CHECK_STR(principal.realm, "live");
    CHECK_INT(principal.role, ROLE_CUSTOMER);
    CHECK_RC(shown(basic(credential), (struct header){0}, &principal), RC_OK);
    CHECK_BYTES(principal.id, key.id);
    CHECK_RC(shown(basic(credential), (struct header){STR("x-api-key"), credential}, &principal),
             RC_OK);
    made(operator_new(), &credential);
    CHECK_RC(with_key(credential, &principal), RC_OK);
    CHECK_INT(principal.role, ROLE_OPERATOR);
    CHECK_INT(principal.owner.len, 0);
    engine_close(&engine);
}

/* P9 */
TEST(auth_whatever_is_wrong_the_answer_is_one)
{
    struct str credential, other;
    engine_open(&engine);
    struct key key = made(customer_new(), &credential);
    made(customer_new(), &other);
    struct arena *arena = &engine.arena;
    const struct header none = {0}, right = {STR("x-api-key"), credential};
    refused(none, none);
    refused((struct header){STR("x-api-key"), STR("")}, none);
    refused((struct header){STR("x-api-key"), key.id}, none);
    refused((struct header){STR("x-api-key"), str_from(credential, KEY_ID_BYTES + 1)}, none);
    refused((struct header){STR("authorization"), credential}, none);
    refused((struct header){STR("authorization"), STR("Basic")}, none);
    refused((struct header){STR("authorization"), STR("Basic !!!")}, none);
    refused((struct header){STR("authorization"), STR("Basic Og==")}, none);
    refused((struct header){STR("authorization"),
                            arena_printf(arena, "Bearer " STR_FMT, STR_ARG(credential))},
            none);
    /* a right one beside another one, in either order */
    refused(right, (struct header){STR("x-api-key"), other});
    refused((struct header){STR("x-api-key"), other}, right);
    refused(right, basic(other));
    refused(right, (struct header){STR("authorization"), STR("Bearer x")});
    refused((struct header){STR("authorization"), STR("Bearer x")}, right);
    /* each byte of it counts */
    for (size_t i = 0; i < credential.len; i++) {
        struct str wrong = arena_copy(arena, credential);
        ((char *)(uintptr_t)wrong.s)[i] = wrong.s[i] == 'a' ? 'b' : 'a';
        refused((struct header){STR("x-api-key"), wrong}, none);
    }
    refused((struct header){STR("x-api-key"), str_head(credential, credential.len - 1)}, none);
    refused(
        (struct header){STR("x-api-key"), arena_printf(arena, STR_FMT "a", STR_ARG(credential))},
        none);
    /* well-shaped, but another key's secret or an unknown id */
    struct str mixed = arena_printf(arena, STR_FMT STR_FMT, STR_ARG(key.id),
                                    STR_ARG(str_from(other, KEY_ID_BYTES)));
    refused((struct header){STR("x-api-key"), mixed}, none);
    auth_generate(&engine.world, engine_call(&engine), STR("live"), &mixed);
    refused((struct header){STR("x-api-key"), mixed}, none);
    engine_close(&engine);
}

/* P9: what cannot be a credential of ours costs the store nothing */
TEST(auth_store_is_not_asked_about_garbage)
{
    struct str credential;
    struct store_faults faults = {0};
    engine_open(&engine);
    made(customer_new(), &credential);
    struct str wrong = arena_copy(&engine.arena, credential);
    ((char *)(uintptr_t)wrong.s)[20] ^= 1;
    engine.store->faults = &faults;
    refused((struct header){STR("x-api-key"), wrong}, (struct header){0});
    CHECK_INT(faults.op_count, 0);
    engine.store->faults = NULL;
    engine_close(&engine);
}

/* P9 */
TEST(auth_store_holds_no_secret_in_clear)
{
    struct str credential;
    struct entry_page log;
    engine_open(&engine);
    struct key key = made(customer_new(), &credential);
    struct str secret = str_from(credential, KEY_ID_BYTES + 1);
    CHECK_INT(key.secrets[0].sha.len, 64);
    CHECK_HAS_NOT(key.secrets[0].sha, secret.s);
    struct call *call = engine_call(&engine);
    CHECK_RC(store_log_list(engine.store, call, STR("live/!system"), 0, 99, true, 9, &log), RC_OK);
    CHECK(log.count > 0);
    CHECK_HAS(log.items[0].data, "\"action\":\"create_key\"");
    CHECK_HAS(log.items[0].data, arena_printf(call->arena, STR_FMT, STR_ARG(key.id)).s);
    CHECK_HAS(log.items[0].data, "\"owner\":\"acme\"");
    CHECK_HAS_NOT(log.items[0].data, secret.s);
    CHECK_HAS_NOT(log.items[0].data, "hb_live_");
    CHECK_STR(log.items[0].by, "k_operator");
    engine_close(&engine);
}

TEST(auth_rotated_secret_lives_on_for_its_overlap)
{
    struct str old, new, newest;
    struct principal principal;
    struct key key;
    engine_open(&engine);
    struct str id = made(customer_new(), &old).id;
    CHECK_RC(
        auth_rotate(&engine.world, engine_call(&engine), STR("k_operator"), id, DAY_MS, &key, &new),
        RC_OK);
    CHECK_RC(with_key(old, &principal), RC_OK);
    CHECK_RC(with_key(new, &principal), RC_OK);
    clock_manual_advance(&engine.clock, DAY_MS - 1);
    CHECK_RC(with_key(old, &principal), RC_OK);
    clock_manual_advance(&engine.clock, 1);
    CHECK_RC(with_key(old, &principal), RC_INVALID);
    CHECK_RC(with_key(new, &principal), RC_OK);
    /* at once */
    CHECK_RC(
        auth_rotate(&engine.world, engine_call(&engine), STR("k_operator"), id, 0, &key, &newest),
        RC_OK);
    CHECK_RC(with_key(new, &principal), RC_INVALID);
    CHECK_RC(with_key(newest, &principal), RC_OK);
    /* two in a row: the first one's overlap is kept, unless somebody wants both gone */
    CHECK_RC(
        auth_rotate(&engine.world, engine_call(&engine), STR("k_operator"), id, DAY_MS, &key, &new),
        RC_OK);
    CHECK_RC(
        auth_rotate(&engine.world, engine_call(&engine), STR("k_operator"), id, DAY_MS, &key, &old),
        RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_wrong_state);
    CHECK_RC(with_key(newest, &principal), RC_OK);
    CHECK_RC(with_key(new, &principal), RC_OK);
    CHECK_RC(auth_rotate(&engine.world, engine_call(&engine), STR("k_operator"), id, 0, &key, &old),
             RC_OK);
    CHECK_RC(with_key(newest, &principal), RC_INVALID);
    CHECK_RC(with_key(new, &principal), RC_INVALID);
    CHECK_RC(with_key(old, &principal), RC_OK);
    CHECK_RC(auth_rotate(&engine.world, engine_call(&engine), STR("k_operator"),
                         STR("k_nobody2345"), 0, &key, &new),
             RC_NOT_FOUND);
    engine_close(&engine);
}

TEST(auth_deleted_key_opens_nothing_and_stays_as_a_record)
{
    struct str credential;
    struct principal principal;
    struct key key, there;
    engine_open(&engine);
    key = made(customer_new(), &credential);
    struct str id = key.id, secrets_sha = key.secrets[0].sha;
    CHECK_RC(auth_delete(&engine.world, engine_call(&engine), STR("k_operator"), id, &key), RC_OK);
    CHECK(key.deleted_at_ms > 0);
    CHECK_RC(with_key(credential, &principal), RC_INVALID);
    CHECK_RC(store_key_get(engine.store, engine_call(&engine), id, &there), RC_OK);
    CHECK(there.deleted_at_ms > 0 && there.secrets[0].sha.len == 0);
    there.secrets[0].sha = secrets_sha; /* even if they were still there */
    there.version++;
    CHECK_RC(store_commit(engine.store, engine_call(&engine), &(struct change){.api_key = &there}),
             RC_OK);
    CHECK_RC(with_key(credential, &principal), RC_INVALID);
    CHECK_RC(auth_delete(&engine.world, engine_call(&engine), STR("k_operator"), id, &key),
             RC_NOT_FOUND);
    CHECK_RC(auth_rotate(&engine.world, engine_call(&engine), STR("k_operator"), id, 0, &key,
                         &credential),
             RC_NOT_FOUND);
    engine_close(&engine);
}

#define ROLE_ARN "arn:aws:iam::123456789012:role/acme-app"

/* P9 */
TEST(auth_role_of_aws_is_a_key_without_a_secret)
{
    struct key_new new = customer_new();
    struct str credential = STR("untouched"), none;
    struct principal principal;
    struct key key;
    engine_open(&engine);
    new.role_arn = STR(ROLE_ARN);
    key = made(new, &credential);
    CHECK_STR(key.id, ROLE_ARN);
    CHECK_STR(key.owner, "acme");
    CHECK_STR(credential, "");
    CHECK_RC(auth_create(&engine.world, engine_call(&engine), STR("k_o"), &new, &key, &none),
             RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_wrong_state);
    CHECK_RC(
        auth_rotate(&engine.world, engine_call(&engine), STR("k_o"), STR(ROLE_ARN), 0, &key, &none),
        RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_wrong_state);
    CHECK_RC(with_key(STR(ROLE_ARN "."), &principal), RC_INVALID); /* its name is no secret */
    CHECK_RC(with_key(STR(ROLE_ARN), &principal), RC_INVALID);
    CHECK_RC(auth_delete(&engine.world, engine_call(&engine), STR("k_o"), STR(ROLE_ARN), &key),
             RC_OK);
    new.owner = STR("globex"); /* the name is AWS's, so it may come back, for somebody else too */
    key = made(new, &credential);
    CHECK_STR(key.owner, "globex");
    CHECK_INT(key.deleted_at_ms, 0);
    CHECK_INT(key.version, 3);
    engine_close(&engine);
}

/* P9: where secrets open, a role does not, so it is no operator to fall back on */
TEST(auth_role_stands_in_for_no_operator_with_a_secret)
{
    struct key_new new = operator_new();
    struct str credential;
    struct key key;
    bool has = true;
    engine_open(&engine);
    new.role_arn = STR(ROLE_ARN);
    made(new, &credential);
    CHECK_RC(auth_has_operator(&engine.world, engine_call(&engine), &has), RC_OK);
    CHECK(!has);
    struct str id = made(operator_new(), &credential).id;
    CHECK_RC(auth_delete(&engine.world, engine_call(&engine), id, id, &key), RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_wrong_state);
    CHECK_RC(auth_delete(&engine.world, engine_call(&engine), id, STR(ROLE_ARN), &key), RC_OK);
    engine_close(&engine);
}

TEST(auth_role_arn_is_one_of_a_role_without_its_path)
{
    static const struct {
        const char *arn;
        bool fits;
    } cases[] = {
        {"arn:aws:iam::123456789012:role/a_+=,.@-Z9", true},
        {"arn:aws-us-gov:iam::123456789012:role/"
         "0123456789012345678901234567890123456789012345678901234567890123",
         true},
        {"arn:aws:iam::123456789012:role/"
         "01234567890123456789012345678901234567890123456789012345678901234",
         false},
        {"arn:aws:iam::123456789012:role/path/a", false},
        {"arn:aws:iam::123456789012:role/", false},
        {"arn:aws:iam::123456789012:role", false},
        {"arn:aws:iam::123456789012:role/a b", false},
        {"arn:aws:iam::12345678901:role/a", false},
        {"arn:aws:iam::12345678901x:role/a", false},
        {"arn:aws:iam:eu-central-1:123456789012:role/a", false},
        {"arn:aws:iam::123456789012:user/a", false},
        {"arn:aws:sts::123456789012:assumed-role/a/session", false},
        {"arn:gcp:iam::123456789012:role/a", false},
        {"acme-app", false},
    };
    engine_open(&engine);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct key_new new = customer_new();
        struct str none;
        struct key key;
        new.role_arn = str_of(cases[i].arn);
        CHECK_RC(auth_create(&engine.world, engine_call(&engine), STR("k_o"), &new, &key, &none),
                 cases[i].fits ? RC_OK : RC_INVALID);
        CHECK_INT(engine.call.item_count, cases[i].fits ? 0 : 1);
        CHECK(cases[i].fits || str_is(engine.call.items[0].pointer, "/role_arn"));
    }
    engine_close(&engine);
}

TEST(auth_last_operator_key_can_not_be_deleted)
{
    struct str credential;
    struct key key;
    bool has = true;
    engine_open(&engine);
    CHECK_RC(auth_has_operator(&engine.world, engine_call(&engine), &has), RC_OK);
    CHECK(!has);
    for (int i = 0; i < PAGE_MAX + 20; i++) { /* more than a page of others around it */
        made(customer_new(), &credential);
    }
    struct str id = made(operator_new(), &credential).id;
    CHECK_RC(auth_has_operator(&engine.world, engine_call(&engine), &has), RC_OK);
    CHECK(has);
    CHECK_RC(auth_delete(&engine.world, engine_call(&engine), id, id, &key), RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_wrong_state);
    struct str second = made(operator_new(), &credential).id;
    CHECK_RC(auth_delete(&engine.world, engine_call(&engine), id, id, &key), RC_OK);
    CHECK_RC(auth_delete(&engine.world, engine_call(&engine), second, second, &key), RC_INVALID);
    CHECK_INT(engine.call.problem, PROBLEM_wrong_state);
    engine_close(&engine);
}

TEST(auth_key_given_beforehand_is_adopted_once)
{
    struct str credential;
    struct principal principal;
    struct key key;
    bool added = false;
    struct key_new new = operator_new();
    engine_open(&engine);
    auth_generate(&engine.world, engine_call(&engine), STR("live"), &credential);
    struct str line = arena_printf(&engine.arena, " " STR_FMT "\t", STR_ARG(credential));
    CHECK_RC(with_key(credential, &principal), RC_INVALID);
    CHECK_RC(auth_adopt(&engine.world, engine_call(&engine), line, &new, &added), RC_OK);
    CHECK(added);
    CHECK_RC(with_key(credential, &principal), RC_OK);
    CHECK_INT(principal.role, ROLE_OPERATOR);
    CHECK_RC(auth_adopt(&engine.world, engine_call(&engine), credential, &new, &added), RC_OK);
    CHECK(!added);
    /* one that was deleted does not come back with the next start */
    made(operator_new(), &line);
    CHECK_RC(auth_delete(&engine.world, engine_call(&engine), STR("system"), principal.id, &key),
             RC_OK);
    CHECK_RC(auth_adopt(&engine.world, engine_call(&engine), credential, &new, &added), RC_OK);
    CHECK(!added);
    CHECK_RC(with_key(credential, &principal), RC_INVALID);
    static const char *const bad[] = {
        "", "secret", "k_abcdefghij.hb_live_short",
        "k_abcdefghij.hb_live_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_RC(auth_adopt(&engine.world, engine_call(&engine), str_of(bad[i]), &new, &added),
                 RC_INVALID);
        CHECK_HAS_NOT(str_of(engine.call.why), "hb_live_"); /* words go to logs */
    }
    engine_close(&engine);
}

TEST(auth_owner_and_role_of_a_key_fit_each_other)
{
    static const struct {
        const char *owner;
        enum role role;
        enum problem problem;
    } bad[] = {
        {"", ROLE_CUSTOMER, PROBLEM_missing_member},
        {"Acme", ROLE_CUSTOMER, PROBLEM_invalid_member},
        {"-acme", ROLE_CUSTOMER, PROBLEM_invalid_member},
        {"a/b", ROLE_CUSTOMER, PROBLEM_invalid_member},
        {"acme", ROLE_OPERATOR, PROBLEM_invalid_member},
        {"acme", ROLE_NONE, PROBLEM_invalid_member},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ROLE_CUSTOMER,
         PROBLEM_invalid_member}, /* 65 */
    };
    struct key key;
    struct str credential;
    engine_open(&engine);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct key_new new = {
            .owner = str_of(bad[i].owner), .role = bad[i].role, .realm = STR("live")};
        CHECK_RC(
            auth_create(&engine.world, engine_call(&engine), STR("x"), &new, &key, &credential),
            RC_INVALID);
        CHECK_INT(engine.call.problem, bad[i].problem);
    }
    struct key_new new = customer_new();
    new.owner = STR("a0_.-");
    made(new, &credential);
    new.realm = STR("test-acme");
    key = made(new, &credential);
    CHECK_STR(key.realm, "test-acme");
    CHECK_HAS(credential, ".hb_test_");
    engine_close(&engine);
}

TEST(auth_first_use_on_a_day_is_written_down_and_never_in_the_way)
{
    struct str credential;
    struct principal principal;
    struct key key;
    struct store_faults faults = {0};
    engine_open(&engine);
    struct str id = made(customer_new(), &credential).id;
    CHECK_RC(store_key_get(engine.store, engine_call(&engine), id, &key), RC_OK);
    CHECK_INT(key.last_used_day, 0);
    CHECK_RC(with_key(credential, &principal), RC_OK);
    CHECK(engine.call.wrote);
    CHECK_RC(with_key(credential, &principal), RC_OK);
    CHECK(!engine.call.wrote);
    CHECK_RC(store_key_get(engine.store, engine_call(&engine), id, &key), RC_OK);
    CHECK_INT(key.last_used_day, engine.call.now_ms / DAY_MS);
    CHECK_INT(key.version, 2);
    clock_manual_advance(&engine.clock, DAY_MS);
    engine.store->faults = &faults;
    for (int i = 0; i < 2; i++) {
        faults = (struct store_faults){.fail_commit_in = 1, .fail_with = i ? RC_BUSY : RC_CONFLICT};
        CHECK_RC(with_key(credential, &principal), RC_OK);
        CHECK(!engine.call.wrote);
    }
    faults = (struct store_faults){.fail_commit_in = 1, .fail_with = RC_BROKEN};
    CHECK_RC(with_key(credential, &principal), RC_BROKEN);
    faults = (struct store_faults){.fail_in = 1, .fail_with = RC_BUSY};
    CHECK_RC(with_key(credential, &principal), RC_BUSY);
    faults = (struct store_faults){0};
    CHECK_RC(with_key(credential, &principal), RC_OK);
    CHECK(engine.call.wrote);
    engine.store->faults = NULL;
    engine_close(&engine);
}

TEST(auth_contended_records_are_read_and_decided_again)
{
    struct str credential;
    struct key key;
    struct key_new new = customer_new();
    struct store_faults faults = {.fail_commit_in = 1, .fail_with = RC_CONFLICT};
    engine_open(&engine);
    engine.store->faults = &faults;
    key = made(new, &credential);
    faults = (struct store_faults){.fail_commit_in = 1, .fail_with = RC_CONFLICT};
    CHECK_RC(
        auth_rotate(&engine.world, engine_call(&engine), STR("x"), key.id, 0, &key, &credential),
        RC_OK);
    faults = (struct store_faults){.fail_commit_in = 1, .fail_with = RC_CONFLICT};
    CHECK_RC(auth_delete(&engine.world, engine_call(&engine), STR("x"), key.id, &key), RC_OK);
    engine.store->faults = NULL;
    engine_close(&engine);
}

TEST(auth_the_credential_given_beforehand_counts_only_while_the_store_does_not_know_it_P9)
{
    struct str given, other;
    struct principal principal;
    struct key key;
    bool added;
    engine_open(&engine);
    auth_generate(&engine.world, engine_call(&engine), STR("live"), &given);
    auth_generate(&engine.world, engine_call(&engine), STR("live"), &other);
    struct header header = {STR("x-api-key"), given};
    struct request request = {.headers = &header, .header_count = 1};
    CHECK_RC(auth_check(&engine.world, engine_call(&engine), &request, &principal), RC_INVALID);
    CHECK_RC(auth_check_given(&engine.world, engine_call(&engine), &request, other, &principal),
             RC_INVALID);
    CHECK_RC(auth_check_given(&engine.world, engine_call(&engine), &request, STR(""), &principal),
             RC_INVALID);
    CHECK_RC(auth_check_given(&engine.world, engine_call(&engine), &request, given, &principal),
             RC_OK);
    CHECK_INT(principal.role, ROLE_OPERATOR);
    CHECK_STR(principal.realm, "live");
    CHECK(!engine.call.wrote);
    CHECK_RC(auth_note_use(&engine.world, engine_call(&engine), &principal),
             RC_OK); /* of no record: nothing to note */
    CHECK(!engine.call.wrote);
    /* the same id, another secret */
    struct str wrong = arena_copy(&engine.arena, other);
    memcpy((char *)(uintptr_t)wrong.s, given.s, KEY_ID_BYTES);
    header.value = wrong;
    CHECK_RC(auth_check_given(&engine.world, engine_call(&engine), &request, given, &principal),
             RC_INVALID);
    header.value = given;
    /* it is adopted and deleted: that was somebody's will */
    struct key_new new = {.role = ROLE_OPERATOR, .realm = STR("live")};
    struct str second;
    CHECK_RC(auth_adopt(&engine.world, engine_call(&engine), given, &new, &added), RC_OK);
    (void)made(new, &second);
    CHECK_RC(auth_delete(&engine.world, engine_call(&engine), STR("k_x"),
                         str_head(given, KEY_ID_BYTES), &key),
             RC_OK);
    CHECK_RC(auth_check_given(&engine.world, engine_call(&engine), &request, given, &principal),
             RC_INVALID);
    engine_close(&engine);
}
