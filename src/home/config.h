/* Where the settings of this start come from: flags > environment (HOURBELL_<NAME>) > file > default.
 * Everything that is wrong is found in one pass and named with its place, its rule and the nearest known
 * name; a start with a fault does not happen. The table of settings is core/settings.h. */
#ifndef HOME_CONFIG_H
#define HOME_CONFIG_H

#include "base/arena.h"
#include "core/settings.h"

#define CONFIG_DEFAULT_FILE "/etc/hourbell/hourbell.conf" /* read if it exists and none is named */
#define CONFIG_FILE_MAX_BYTES 262144
#define CONFIG_LINE_MAX_BYTES 4096
#define CONFIG_REMARKS_MAX 32 /* faults and warnings that are kept; more are counted */

/* clang-format off */
enum config_id {
#define CONFIG_ID(name, ...) CONFIG_##name,
    SETTINGS(CONFIG_ID, CONFIG_ID, CONFIG_ID, CONFIG_ID, CONFIG_ID, CONFIG_ID)
#undef CONFIG_ID
    CONFIG_COUNT
};
/* clang-format on */

enum config_kind { KIND_MS, KIND_INT, KIND_BYTES, KIND_BOOL, KIND_TEXT, KIND_SPANS };

/* One line of the table in core/settings.h. */
struct config_setting {
    const char *name, *help;
    enum config_kind kind;
    int64_t fallback, min, max; /* KIND_BOOL: fallback 0 or 1; KIND_TEXT: max is in bytes */
    const char *fallback_text;  /* KIND_TEXT, KIND_SPANS */
    size_t offset;              /* in struct settings */
};

enum config_origin { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_FLAG };

struct config {
    struct settings settings; /* texts live in the arena of the load, or are literals */
    struct {
        enum config_origin origin;
        int line; /* ORIGIN_FILE */
    } from[CONFIG_COUNT];
    struct str file; /* the path that was read; "" = none */
};

struct config_input {
    const char *file; /* NULL: HOURBELL_CONF, else CONFIG_DEFAULT_FILE if it exists; "": no file */
    const char *const *flags; /* "name=value"; the last one of a name wins */
    size_t flag_count;
    char *const *environment; /* as environ; NULL = empty */
};

/* What there is to say about a load; every remark names its place and its rule. */
struct config_report {
    struct str faults[CONFIG_REMARKS_MAX], warnings[CONFIG_REMARKS_MAX];
    int fault_count, warning_count; /* may exceed CONFIG_REMARKS_MAX: the rest was dropped */
    struct arena *arena;
};

/* All settings of this start.
 *   out    ret_config; texts live in the arena. ret_report is always filled.
 *   rule   an unknown name, a value out of range, a secret, a broken line, two settings that contradict each other: a fault
 *   fails  RC_INVALID there are faults */
MUST enum rc config_load(struct arena *, const struct config_input *, struct config *ret_config,
                         struct config_report *ret_report);

const struct config_setting *config_setting(enum config_id);
/* By its name. fails: RC_NOT_FOUND. */
MUST enum rc config_find(struct str name, enum config_id *ret_id);
/* Read one value into settings. fails: RC_INVALID, *ret_why says the rule. */
MUST enum rc config_set(struct arena *, enum config_id, struct str value, struct settings *,
                        struct str *ret_why);
/* The value in the shortest form that config_set reads back ("1h", "256KiB", "yes", "1s,5s"). */
struct str config_value(struct arena *, const struct settings *, enum config_id);
/* What the value may be, with its unit ("1s to 24h", "yes or no"). */
struct str config_range(struct arena *, enum config_id);
/* "default", "/etc/hourbell.conf:12", "environment HOURBELL_WINDOW" or "flag". */
struct str config_origin(struct arena *, const struct config *, enum config_id);

/* For the parts of the loader, and for a home that has nothing but its environment. */
void config_environment(char *const *environment, struct config *, struct config_report *);
void config_fault(struct config_report *, const char *format, ...) PRINTF(2, 3);
void config_warn(struct config_report *, const char *format, ...) PRINTF(2, 3);
/* Take a value that comes from origin. where: its place, for the fault. */
void config_take(struct config *, struct config_report *, enum config_origin, int line,
                 struct str where, struct str name, struct str value);

#endif
