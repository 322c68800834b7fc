/* Keys. What a request shows is judged in one way with one answer, whatever is wrong with it; what
 * differs stays inside. Secrets come from the clock port's random bytes and leave once, in the answer
 * that made them; only their SHA-256 stays: with 160 random bits there is nothing to guess, so no
 * slow hash is needed. Who may do what with a device is decided where the device is read. */
#include "core/auth.h"

#include <openssl/crypto.h>

#include "base/sha256.h"
#include "base/text.h"
#include "core/breaker.h"

#define RANDOM_CHARS 32
#define CHECKSUM_CHARS 6
#define ID_RANDOM_CHARS (KEY_ID_BYTES - 2)
#define HEX_BYTES (SHA256_BYTES * 2)
#define DAY_MS INT64_C(86400000)
#define ACCOUNT_DIGITS 12
#define ROLE_NAME_MAX_BYTES 64

static const char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567"; /* RFC 4648, lower case */

/* --- the shape of a credential -------------------------------------------------------------------- */
struct credential {
    struct str id, secret;
};

/* The first characters of bytes in base32; 5 bits each. */
static void base32(const unsigned char *bytes, size_t chars, char *ret_text)
{
    uint32_t bits = 0, bit_count = 0;
    for (size_t i = 0; i < chars; i++) {
        if (bit_count < 5) {
            bits = bits << 8 | *bytes++;
            bit_count += 8;
        }
        bit_count -= 5;
        ret_text[i] = base32_digits[bits >> bit_count & 31];
    }
}

static void checksum(struct str text, char *ret_chars)
{
    unsigned char digest[SHA256_BYTES];
    sha256(text, digest);
    base32(digest, CHECKSUM_CHARS, ret_chars);
}

static bool is_base32(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char at = text.s[i];
        if (!((at >= 'a' && at <= 'z') || (at >= '2' && at <= '7'))) {
            return false;
        }
    }
    return true;
}

static bool is_credential(struct credential credential)
{
    struct str secret = credential.secret;
    char expected[CHECKSUM_CHARS];
    if (credential.id.len != KEY_ID_BYTES || secret.len != KEY_SECRET_BYTES ||
        !str_starts(credential.id, STR("k_")) || !is_base32(str_from(credential.id, 2)) ||
        !(str_starts(secret, STR("hb_live_")) || str_starts(secret, STR("hb_test_"))) ||
        !is_base32(str_from(secret, 8))) {
        return false;
    }
    checksum(str_head(secret, secret.len - CHECKSUM_CHARS), expected);
    return str_equal(str_from(secret, secret.len - CHECKSUM_CHARS),
                     (struct str){expected, CHECKSUM_CHARS});
}

static struct credential credential_of(struct str text, char separator)
{
    struct credential credential = {.secret = text};
    credential.id = text_cut(&credential.secret, separator);
    return credential;
}

static struct str secret_sha(struct arena *arena, struct str secret)
{
    unsigned char digest[SHA256_BYTES];
    sha256(secret, digest);
    return text_hex(arena, (struct str){(const char *)digest, sizeof digest});
}

/* --- checking a request ---------------------------------------------------------------------------- */
/* What one header shows; id "" if it is none of ours to read. */
static struct credential shown_by(struct arena *arena, const struct header *header)
{
    struct str plain, rest = header->value;
    if (str_is(header->name, "x-api-key")) {
        return credential_of(text_trim(header->value), '.');
    }
    struct str scheme = text_cut(&rest, ' ');
    if (text_equal_nocase(scheme, STR("Basic")) &&
        text_unbase64(arena, text_trim(rest), &plain) == RC_OK) {
        return credential_of(plain, ':');
    }
    return (struct credential){STR_NONE, STR_NONE};
}

/* The one credential that a request shows. out: false: none, or more than one. */
static bool shown(struct arena *arena, const struct request *request,
                  struct credential *ret_credential)
{
    bool found = false;
    for (size_t i = 0; i < request->header_count; i++) {
        const struct header *header = &request->headers[i];
        if (!str_is(header->name, "x-api-key") && !str_is(header->name, "authorization")) {
            continue;
        }
        struct credential next = shown_by(arena, header);
        if (found && (!str_equal(next.id, ret_credential->id) ||
                      !str_equal(next.secret, ret_credential->secret))) {
            return false;
        }
        *ret_credential = next;
        found = true;
    }
    return found;
}

/* Looks at every secret and at every byte, also of a key that does not exist. */
static bool opens(const struct call *call, const struct key *key, struct str secret)
{
    static const char nothing[HEX_BYTES];
    struct str sha = secret_sha(call->arena, secret);
    int matching = 0;
    for (int i = 0; i < SECRETS_PER_KEY; i++) {
        const struct key_secret *own = &key->secrets[i];
        bool is_alive = own->sha.len == HEX_BYTES &&
                        (own->expires_at_ms == 0 || call->now_ms < own->expires_at_ms);
        matching |= CRYPTO_memcmp(sha.s, is_alive ? own->sha.s : nothing, HEX_BYTES) == 0;
    }
    return matching && key->version > 0 && key->deleted_at_ms == 0 && key->role != ROLE_NONE;
}

struct principal auth_principal(const struct key *key)
{
    return (struct principal){.id = key->id,
                              .owner = key->owner,
                              .realm = key->realm,
                              .role = key->role,
                              .last_used_day = key->last_used_day};
}

enum rc auth_note_use(struct world *world, struct call *call, const struct principal *principal)
{
    int64_t today = call->now_ms / DAY_MS;
    struct key key = {0};
    if (principal->last_used_day == today) {
        return RC_OK;
    }
    enum rc rc = store_key_get(world->store, call, principal->id, &key);
    if (rc == RC_OK && key.version > 0 && key.last_used_day != today) {
        key.version++;
        key.last_used_day = today;
        rc = store_commit(world->store, call, &(struct change){.api_key = &key});
        call->wrote = call->wrote || rc == RC_OK;
    }
    return rc == RC_CONFLICT || rc == RC_BUSY ? RC_OK : rc;
}

enum rc auth_check(struct world *world, struct call *call, const struct request *request,
                   struct principal *ret_principal)
{
    struct credential credential;
    struct key key = {0};
    bool is_ours = shown(call->arena, request, &credential) && is_credential(credential);
    if (is_ours) {
        TRY(store_key_get(world->store, call, credential.id, &key));
    }
    if (!is_ours || !opens(call, &key, credential.secret)) {
        return call_refuse(call, PROBLEM_unauthorized,
                           "the credential is missing, unknown, expired or deleted");
    }
    *ret_principal = auth_principal(&key);
    return RC_OK;
}

enum rc auth_check_given(struct world *world, struct call *call, const struct request *request,
                         struct str given, struct principal *ret_principal)
{
    struct credential credential, expected = credential_of(text_trim(given), '.');
    struct key known = {0}, key = {.id = expected.id, .realm = STR("live"), .role = ROLE_OPERATOR};
    bool is_ours = shown(call->arena, request, &credential) && is_credential(credential) &&
                   is_credential(expected) && str_equal(credential.id, expected.id);
    if (is_ours) {
        TRY(store_key_get(world->store, call, expected.id, &known));
    }
    key.version = 1;
    key.secrets[0].sha = secret_sha(call->arena, expected.secret);
    if (!is_ours || known.version || !opens(call, &key, credential.secret)) {
        return call_refuse(call, PROBLEM_unauthorized,
                           "the credential is missing, unknown, expired or deleted");
    }
    *ret_principal = auth_principal(&key);
    return RC_OK;
}

/* --- making keys -------------------------------------------------------------------------------------- */
static struct str random_base32(struct world *world, struct call *call, const char *prefix,
                                size_t chars)
{
    unsigned char bytes[RANDOM_CHARS * 5 / 8];
    char text[RANDOM_CHARS];
    assert(chars <= sizeof text);
    clock_random(world->clock, bytes, (chars * 5 + 7) / 8);
    base32(bytes, chars, text);
    return arena_printf(call->arena, "%s%.*s", prefix, (int)chars, text);
}

static struct str secret_new(struct world *world, struct call *call, struct str realm)
{
    char check[CHECKSUM_CHARS];
    struct str head = random_base32(
        world, call, str_starts(realm, STR("test-")) ? "hb_test_" : "hb_live_", RANDOM_CHARS);
    checksum(head, check);
    return arena_printf(call->arena, STR_FMT "%.*s", STR_ARG(head), CHECKSUM_CHARS, check);
}

static struct str spelled(struct call *call, struct str id, struct str secret)
{
    return arena_printf(call->arena, STR_FMT "." STR_FMT, STR_ARG(id), STR_ARG(secret));
}

void auth_generate(struct world *world, struct call *call, struct str realm,
                   struct str *ret_credential)
{
    *ret_credential = spelled(call, random_base32(world, call, "k_", ID_RANDOM_CHARS),
                              secret_new(world, call, realm));
}

/* Write a key together with its entry in the system's log. */
static enum rc commit_key(struct world *world, struct call *call, struct str by, const char *action,
                          const struct key *key)
{
    yyjson_mut_doc *doc = json_doc(call->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "action", str_of(action));
    json_add_str(doc, root, "key_id", key->id);
    json_add_str(doc, root, "role", str_of(key->role == ROLE_OPERATOR ? "operator" : "customer"));
    if (key->owner.len) {
        json_add_str(doc, root, "owner", key->owner);
    }
    json_add_str(doc, root, "realm", key->realm);
    return breaker_audit(world, call, by, json_write_mut(call->arena, doc), key);
}

static bool is_owner(struct str owner)
{
    for (size_t i = 0; i < owner.len; i++) {
        char at = owner.s[i];
        bool is_inner = at == '_' || at == '.' || at == '-';
        if (!((at >= 'a' && at <= 'z') || (at >= '0' && at <= '9') || (is_inner && i > 0))) {
            return false;
        }
    }
    return owner.len > 0 && owner.len <= OWNER_MAX_BYTES;
}

/* "arn:aws:iam::123456789012:role/name". source IAM user guide, "IAM identifiers", "Name requirements" */
static bool is_role_arn(struct str text)
{
    struct str rest = text;
    bool is_arn = str_is(text_cut(&rest, ':'), "arn") &&
                  str_starts(text_cut(&rest, ':'), STR("aws")) &&
                  str_is(text_cut(&rest, ':'), "iam") && str_is(text_cut(&rest, ':'), "");
    struct str account = text_cut(&rest, ':');
    bool is_role = str_is(text_cut(&rest, '/'), "role");
    for (size_t i = 0; i < account.len; i++) {
        is_arn = is_arn && account.s[i] >= '0' && account.s[i] <= '9';
    }
    for (size_t i = 0; i < rest.len; i++) {
        char at = rest.s[i];
        is_role = is_role && ((at >= '0' && at <= '9') || (at >= 'a' && at <= 'z') ||
                              (at >= 'A' && at <= 'Z') || (at && strchr("_+=,.@-", at)));
    }
    return is_arn && is_role && account.len == ACCOUNT_DIGITS && rest.len > 0 &&
           rest.len <= ROLE_NAME_MAX_BYTES;
}

static enum rc check_new(struct call *call, const struct key_new *new)
{
    if (new->role_arn.len && !is_role_arn(new->role_arn)) {
        return call_refuse_at(call, STR("/role_arn"), PROBLEM_invalid_member,
                              "arn:aws:iam::<account>:role/<name>, without the role's path: AWS "
                              "does not tell the path of who has signed");
    }
    if (new->role != ROLE_CUSTOMER &&new->role != ROLE_OPERATOR) {
        return call_refuse_at(call, STR("/role"), PROBLEM_invalid_member,
                              "the role is customer or operator");
    }
    if (new->role == ROLE_OPERATOR &&new->owner.len) {
        return call_refuse_at(call, STR("/owner"), PROBLEM_invalid_member,
                              "an operator's key has no owner");
    }
    if (new->role == ROLE_CUSTOMER && !is_owner(new->owner)) {
        return call_refuse_at(call, STR("/owner"),
                              new->owner.len ? PROBLEM_invalid_member : PROBLEM_missing_member,
                              "a customer's key has an owner: 1 to %d of a-z 0-9 _ . -, the first "
                              "a letter or digit",
                              OWNER_MAX_BYTES);
    }
    return RC_OK;
}

/* secret "" = it has none. */
static struct key key_of(struct call *call, const struct key_new *new, struct str id,
                         struct str secret)
{
    return (struct key){
        .id = id,
        .owner = new->owner,
        .realm = new->realm.len ? new->realm : STR("live"),
        .label = new->label,
        .role = new->role,
        .secrets = {{.sha = secret.len ? secret_sha(call->arena, secret) : STR_NONE}},
        .version = 1,
        .created_at_ms = call->now_ms};
}

/* A role that was deleted may be let in again: its name is not ours to choose. */
static enum rc create_for_role(struct world *world, struct call *call, struct str by,
                               const struct key_new *new, struct key *ret_key)
{
    for (int i = 0; i < CONFLICT_TRIES; i++) {
        struct key there, key = key_of(call, new, new->role_arn, STR_NONE);
        TRY(store_key_get(world->store, call, new->role_arn, &there));
        if (there.version && !there.deleted_at_ms) {
            return call_refuse(call, PROBLEM_wrong_state, "this role has a key: delete it first");
        }
        key.version = there.version + 1;
        enum rc rc = commit_key(world, call, by, "create_key", &key);
        if (rc == RC_OK) {
            *ret_key = key;
        }
        if (rc != RC_CONFLICT) {
            return rc;
        }
    }
    return call_why(call, RC_BUSY, "the system's record is contended");
}

enum rc auth_create(struct world *world, struct call *call, struct str by,
                    const struct key_new *new, struct key *ret_key, struct str *ret_secret)
{
    TRY(check_new(call, new));
    if (new->role_arn.len) {
        *ret_secret = STR_NONE;
        return create_for_role(world, call, by, new, ret_key);
    }
    for (int i = 0; i < CONFLICT_TRIES; i++) { /* a fresh id each time: ids may fall together */
        struct str id = random_base32(world, call, "k_", ID_RANDOM_CHARS);
        struct str secret = secret_new(world, call, new->realm);
        struct key key = key_of(call, new, id, secret);
        enum rc rc = commit_key(world, call, by, "create_key", &key);
        if (rc == RC_OK) {
            *ret_key = key;
            *ret_secret = spelled(call, id, secret);
        }
        if (rc != RC_CONFLICT) {
            return rc;
        }
    }
    return call_why(call, RC_BUSY, "the system's record is contended");
}

enum rc auth_adopt(struct world *world, struct call *call, struct str credential,
                   const struct key_new *new, bool *ret_added)
{
    struct credential given = credential_of(text_trim(credential), '.');
    TRY(check_new(call, new));
    if (!is_credential(given)) {
        return call_refuse(call, PROBLEM_invalid_member,
                           "the key given beforehand is no <id>.<secret> of ours, or it was "
                           "copied wrongly: its checksum does not fit");
    }
    for (int i = 0; i < CONFLICT_TRIES; i++) {
        struct key there;
        TRY(store_key_get(world->store, call, given.id, &there));
        if (there.version) {
            *ret_added =
                false; /* also one that was rotated or deleted since: that was somebody's will */
            return RC_OK;
        }
        struct key key = key_of(call, new, given.id, given.secret);
        enum rc rc = commit_key(world, call, STR("system"), "adopt_key", &key);
        if (rc == RC_OK) {
            *ret_added = true;
        }
        if (rc != RC_CONFLICT) {
            return rc;
        }
    }
    return call_why(call, RC_BUSY, "the system's record is contended");
}

/* --- changing keys ---------------------------------------------------------------------------------------- */
static enum rc key_alive(struct world *world, struct call *call, struct str id, struct key *ret_key)
{
    struct key key;
    TRY(store_key_get(world->store, call, id, &key));
    if (key.version == 0 || key.deleted_at_ms) {
        return call_why(call, RC_NOT_FOUND, "there is no key " STR_FMT, STR_ARG(id));
    }
    *ret_key = key;
    return RC_OK;
}

/* A key has two secrets. Nobody's is ended before its time but by who says so: overlap 0. */
static enum rc room_for_secret(struct call *call, const struct key *key, int64_t overlap_ms)
{
    int64_t ends_at_ms = key->secrets[1].expires_at_ms;
    if (overlap_ms == 0 || key->secrets[1].sha.len == 0 || ends_at_ms <= call->now_ms) {
        return RC_OK;
    }
    return call_refuse(
        call, PROBLEM_wrong_state,
        "the secret before the newest is valid until " STR_FMT
        ", and a key has two: wait for that, end both now by an overlap of 0, or make "
        "another key",
        STR_ARG(iso_time(call->arena, ends_at_ms)));
}

enum rc auth_rotate(struct world *world, struct call *call, struct str by, struct str id,
                    int64_t overlap_ms, struct key *ret_key, struct str *ret_secret)
{
    for (int i = 0; i < CONFLICT_TRIES; i++) {
        struct key key;
        TRY(key_alive(world, call, id, &key));
        if (is_role_arn(key.id)) {
            return call_refuse(call, PROBLEM_wrong_state, "this key is a role: it has no secret");
        }
        TRY(room_for_secret(call, &key, overlap_ms));
        struct str secret = secret_new(world, call, key.realm);
        int64_t ends_at_ms = call->now_ms + overlap_ms;
        key.secrets[1] = key.secrets[0];
        if (key.secrets[1].expires_at_ms == 0 || key.secrets[1].expires_at_ms > ends_at_ms) {
            key.secrets[1].expires_at_ms = ends_at_ms;
        }
        key.secrets[0] = (struct key_secret){.sha = secret_sha(call->arena, secret)};
        key.version++;
        enum rc rc = commit_key(world, call, by, "rotate_key", &key);
        if (rc == RC_OK) {
            *ret_key = key;
            *ret_secret = spelled(call, key.id, secret);
        }
        if (rc != RC_CONFLICT) {
            return rc;
        }
    }
    return call_why(call, RC_BUSY, "the system's record is contended");
}

/* Is there a living operator key besides one? id "" = besides none. A role opens nothing where secrets do, so it stands in only
 * for another role. */
static enum rc find_operator(struct world *world, struct call *call, struct str besides_id,
                             bool *ret_found)
{
    bool roles_count = is_role_arn(besides_id);
    struct key_page page = {.more = true};
    for (struct str after = STR(""); page.more; after = page.items[page.count - 1].id) {
        TRY(store_key_list(world->store, call, after, PAGE_MAX, &page));
        for (int i = 0; i < page.count; i++) {
            const struct key *key = &page.items[i];
            if (key->role == ROLE_OPERATOR && key->deleted_at_ms == 0 &&
                !str_equal(key->id, besides_id) && (roles_count || !is_role_arn(key->id))) {
                *ret_found = true;
                return RC_OK;
            }
        }
        if (page.count == 0) {
            break;
        }
    }
    *ret_found = false;
    return RC_OK;
}

enum rc auth_delete(struct world *world, struct call *call, struct str by, struct str id,
                    struct key *ret_key)
{
    for (int i = 0; i < CONFLICT_TRIES; i++) {
        struct key key;
        bool others = true;
        TRY(key_alive(world, call, id, &key));
        if (key.role == ROLE_OPERATOR) {
            TRY(find_operator(world, call, id, &others));
        }
        if (!others) {
            return call_refuse(call, PROBLEM_wrong_state,
                               "this is the last operator key: make another one first");
        }
        key.deleted_at_ms = call->now_ms;
        key.secrets[0] = key.secrets[1] = (struct key_secret){.sha = STR_NONE};
        key.version++;
        enum rc rc = commit_key(world, call, by, "delete_key", &key);
        if (rc == RC_OK) {
            *ret_key = key;
        }
        if (rc != RC_CONFLICT) {
            return rc;
        }
    }
    return call_why(call, RC_BUSY, "the system's record is contended");
}

enum rc auth_has_operator(struct world *world, struct call *call, bool *ret_has)
{
    return find_operator(world, call, STR(""), ret_has);
}
