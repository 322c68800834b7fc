/* P9: where secrets come from, who may read their file, and that no message holds one. */
#include "adapters/secrets_file.h"
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct arena arena;
static struct call call;

static void begin(void)
{
    arena_open(&arena, 0);
    call = (struct call){.arena = &arena};
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void write_file(const char *path, struct str text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    CHECK_INT(write(fd, text.s, text.len), (int64_t)text.len);
    CHECK_INT(fchmod(fd, mode), 0);
    close(fd);
}

static struct secrets *opened(struct str text)
{
    struct secrets *secrets = NULL;
    write_file("secrets", text, 0600);
    if (secrets_file_open(&call, STR("secrets"), &secrets) != RC_OK) {
        FAIL("%s", call.why);
    }
    return secrets;
}

static struct str value_of(struct secrets *secrets, const char *name)
{
    struct str value = STR_NONE;
    enum rc rc = secrets_get(secrets, &call, str_of(name), &value);
    CHECK(rc == RC_OK || (rc == RC_NOT_FOUND && value.len == 0));
    return value;
}

TEST(secrets_lines_of_the_file_are_names_and_values)
{
    begin();
    struct secrets *secrets = opened(STR("# what SAP knows us by\n\n sap/user = HOURBELL \r\n"
                                         "sap/password=a=b #c\nempty=\nwebhook/acme_next=x"));
    CHECK_STR(value_of(secrets, "sap/user"), "HOURBELL");
    CHECK_STR(value_of(secrets, "sap/password"), "a=b #c");
    CHECK_STR(value_of(secrets, "webhook/acme_next"), "x");
    CHECK_STR(value_of(secrets, "empty"), "");
    CHECK_STR(value_of(secrets, "sap"), "");
    CHECK_HAS(str_of(call.why), "no secret \"sap\"");
    secrets_file_close(secrets);
    secrets_file_close(NULL);
    arena_close(&arena);
}

/* P9 */
TEST(secrets_file_that_others_may_read_is_refused)
{
    static const mode_t modes[] = {0640, 0604, 0660, 0610, 0601, 0644, 0777};
    struct secrets *secrets = NULL;
    begin();
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        call.why[0] = '\0';
        write_file("secrets", STR("a=b\n"), modes[i]);
        CHECK_RC(secrets_file_open(&call, STR("secrets"), &secrets), RC_INVALID);
        CHECK_HAS(str_of(call.why), "chmod 600");
        unlink("secrets");
    }
    write_file("secrets", STR("a=b\n"), 0400);
    CHECK_RC(secrets_file_open(&call, STR("secrets"), &secrets), RC_OK);
    secrets_file_close(secrets);
    arena_close(&arena);
}

TEST(secrets_file_that_breaks_a_rule_is_refused_by_its_line)
{
    static const struct {
        struct str text;
        const char *words;
    } bad[] = {
        {{"a=topsecret\ntopsecret\n", 22}, "secrets:2: no name=value"},
        {{"#\n\nA=topsecret\n", 15}, "secrets:3: a name"},
        {{"=topsecret", 10}, "secrets:1: a name"},
        {{"../x=topsecret", 14}, "secrets:1: a name"},
        {{"/x=topsecret", 12}, "secrets:1: a name"},
        {{"x/=topsecret", 12}, "secrets:1: a name"},
        {{"a b=topsecret", 13}, "secrets:1: a name"},
        {{"a=1\nb=2\na=topsecret\n", 20}, "secrets:3: the name stands twice"},
        {{"a=top\0secret\n", 13}, "NUL"},
    };
    struct secrets *secrets = NULL;
    begin();
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        call.why[0] = '\0';
        write_file("secrets", bad[i].text, 0600);
        CHECK_RC(secrets_file_open(&call, STR("secrets"), &secrets), RC_INVALID);
        CHECK_HAS(str_of(call.why), bad[i].words);
        CHECK_HAS_NOT(str_of(call.why), "secret\""); /* never a value */
        CHECK_HAS_NOT(str_of(call.why), "topsecret");
    }
    CHECK_RC(secrets_file_open(&call, STR("nowhere"), &secrets), RC_NOT_FOUND);
    CHECK_RC(secrets_file_open(&call, STR("."), &secrets), RC_INVALID);
    CHECK(secrets == NULL);
    arena_close(&arena);
}

/* count times a character, behind a name */
static struct str long_line(size_t count)
{
    char *text = arena_alloc(&arena, count + 3);
    memset(text, 'x', count + 2);
    text[1] = '=';
    return (struct str){text, count + 2};
}

TEST(secrets_caps_are_exact)
{
    struct secrets *secrets = NULL;
    begin();
    secrets = opened(long_line(SECRET_MAX_BYTES));
    CHECK_INT(value_of(secrets, "x").len, SECRET_MAX_BYTES);
    secrets_file_close(secrets);
    write_file("secrets", long_line(SECRET_MAX_BYTES + 1), 0600);
    CHECK_RC(secrets_file_open(&call, STR("secrets"), &secrets), RC_INVALID);
    char *big = arena_alloc(&arena, SECRETS_FILE_MAX_BYTES + 1);
    memset(big, '\n', SECRETS_FILE_MAX_BYTES + 1);
    write_file("secrets", (struct str){big, SECRETS_FILE_MAX_BYTES + 1}, 0600);
    CHECK_RC(secrets_file_open(&call, STR("secrets"), &secrets), RC_INVALID);
    CHECK_HAS(str_of(call.why), "larger");
    secrets_file_close(opened((struct str){big, SECRETS_FILE_MAX_BYTES}));
    CHECK_INT(mkdir("credentials", 0700), 0);
    setenv("CREDENTIALS_DIRECTORY", "credentials", 1);
    write_file("credentials/x", str_head(long_line(SECRET_MAX_BYTES), SECRET_MAX_BYTES), 0600);
    CHECK_RC(secrets_file_open(&call, STR(""), &secrets), RC_OK);
    CHECK_INT(value_of(secrets, "x").len, SECRET_MAX_BYTES);
    write_file("credentials/x", str_head(long_line(SECRET_MAX_BYTES), SECRET_MAX_BYTES + 1), 0600);
    struct str value;
    CHECK_RC(secrets_get(secrets, &call, STR("x"), &value), RC_BROKEN);
    secrets_file_close(secrets);
    arena_close(&arena);
}

TEST(secrets_of_systemd_come_before_the_environment_and_that_before_the_file)
{
    begin();
    struct secrets *secrets = opened(STR("sap/user=file\nwebhook/operator-x=file2\n"));
    CHECK_STR(value_of(secrets, "sap/user"), "file");
    setenv("HOURBELL_SECRET_SAP__USER", "environment", 1);
    setenv("HOURBELL_SECRET_WEBHOOK__OPERATOR_X", "environment2", 1);
    CHECK_STR(value_of(secrets, "sap/user"), "environment");
    CHECK_STR(value_of(secrets, "webhook/operator-x"), "environment2");
    CHECK_INT(mkdir("credentials", 0700), 0);
    setenv("CREDENTIALS_DIRECTORY", "credentials", 1);
    CHECK_STR(value_of(secrets, "sap/user"), "environment");
    write_file("credentials/sap.user", STR("systemd\n\n"), 0400);
    CHECK_STR(value_of(secrets, "sap/user"), "systemd\n"); /* one newline is the editor's */
    write_file("credentials/sap.user2", STR("systemd"), 0400);
    CHECK_STR(value_of(secrets, "sap/user2"), "systemd");
    unlink("credentials/sap.user");
    setenv("HOURBELL_SECRET_SAP__USER", "", 1);
    CHECK_STR(value_of(secrets, "sap/user"), "file");
    secrets_file_close(secrets);
    arena_close(&arena);
}

/* P9 P11 */
TEST(secrets_names_point_nowhere_else)
{
    static const char *const bad[] = {"..",   "../etc/passwd", "/etc/passwd", "a.b", "A",
                                      "a\nb", "a b",           "a/",          "x=y"};
    struct str value = STR("untouched");
    begin();
    struct secrets *secrets = opened(STR("a=b\n"));
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        CHECK_RC(secrets_get(secrets, &call, str_of(bad[i]), &value), RC_BROKEN);
        CHECK_STR(value, "untouched");
    }
    secrets_file_close(secrets);
    arena_close(&arena);
}
