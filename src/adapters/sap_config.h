/* How the downstream is reached and mapped, as downstream.json says it (docs/sap.md explains each member).
 * Read once at the start by downstream_file.c; never changed afterwards, so any thread may read it. */
#ifndef ADAPTERS_SAP_CONFIG_H
#define ADAPTERS_SAP_CONFIG_H

#include <regex.h>

#include "core/ports.h"

#define SAP_MAPPED_MAX 128 /* fields of a mapping */
#define SAP_KEYS_MAX 8

enum sap_protocol { SAP_V2, SAP_V4 };
enum sap_verb { SAP_PATCH, SAP_MERGE, SAP_TUNNEL };
enum sap_repeat_kind { SAP_REPEAT_OFF, SAP_REPEAT_GATEWAY, SAP_REPEAT_OASIS };
enum sap_verify { SAP_VERIFY_OFF, SAP_VERIFY_CHANGED, SAP_VERIFY_SAMPLE, SAP_VERIFY_ALWAYS };
enum sap_auth { SAP_AUTH_NONE, SAP_AUTH_BASIC, SAP_AUTH_OAUTH2, SAP_AUTH_BEARER };
enum sap_type { SAP_STRING, SAP_DECIMAL, SAP_INTEGER, SAP_DATE, SAP_MOMENT, SAP_BOOLEAN };

enum sap_from {
    SAP_FROM_CONST,
    SAP_FROM_NAME,      /* device_name as first written; with upper: the upper form of its key */
    SAP_FROM_KEY,       /* the folded name: one form for all spellings */
    SAP_FROM_ATTRIBUTE, /* a member of the document */
};

/* A place in the document: member names from the root on. */
struct sap_path {
    const struct str *names;
    int count;
    struct str pointer; /* "/attributes/a/b": for people */
};

struct sap_choice {
    struct str from, to;
};

struct sap_field {
    struct str field; /* the downstream's name */
    enum sap_from from;
    struct sap_path path; /* of SAP_FROM_ATTRIBUTE */
    struct sap_path when; /* goes with this member, and only with it; count 0 = always */
    struct str constant;  /* in its normal form */
    enum sap_type type;
    int max;          /* string: UTF-16 units; decimal: digits; 0 = no limit */
    int scale;        /* decimal: digits behind the point */
    bool upper;       /* the downstream makes it upper case */
    bool alpha;       /* all-digit ids: leading zeros do not count */
    bool create_only; /* goes out with a create only */
    bool required;
    bool clear; /* a member that is gone empties the field */
    bool cut;   /* overflow: cut; else refuse */
    const struct sap_choice *choices;
    int choice_count;
    const struct str *enums; /* what a text may be, in normal forms; none = anything */
    int enum_count;
    struct str pattern; /* as written; "" = none */
    regex_t *regex;     /* of the pattern; NULL = none. Freed by sap_config_close */
};

struct sap_key {
    struct str field;
    bool is_ref; /* the reference that the downstream gave; else the constant */
    struct str constant;
    enum sap_type type;
};

struct sap_config {
    struct str name, base_url, entity;
    struct str query; /* "sap-client=100", encoded; "" = none */
    enum sap_protocol protocol;
    enum sap_verb verb;
    enum sap_repeat_kind repeat;
    enum sap_verify verify;
    enum sap_auth auth;
    struct str user_secret, password_secret, token_url,
        scope; /* names of secrets; OAuth2: client id and secret; bearer: the token is the password */
    struct str proxy, ca_file;
    int64_t mapping_version;
    bool csrf, create, etag, read_before_write, refuse_unmapped;
    struct sap_key keys[SAP_KEYS_MAX];
    int key_count;
    struct str resolve_field;
    enum sap_from resolve_from;
    bool resolve_upper;
    struct sap_field *fields;
    int field_count;
    const struct str *retry_codes, *retry_texts; /* texts in lower case */
    int retry_code_count, retry_text_count;
};

/* Read it from its text. Strict: an unknown member, a wrong type, a contradiction is refused with a pointer.
 * out: texts live in `keep`, not in the call. fails: RC_INVALID: call->items name the members */
MUST enum rc sap_config_read(struct call *, struct arena *keep, struct str json,
                             struct sap_config *ret_config);
/* Of one that was read; gives back what patterns hold. Texts stay, they are the arena's. */
void sap_config_close(struct sap_config *);

#endif
