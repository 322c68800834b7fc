/* Every setting, one line each: the table from which the loader, `hourbell config`, hourbell.conf, the
 * man page and this struct come. Same names in the file and (upper case, HOURBELL_ in front) in the
 * environment. To add one: a line here, a paragraph in hourbell.conf; a test compares the two.
 *
 *   MS(name, default, min, max, help)   a span; written 500ms, 10s, 2min, 1h or a bare number of seconds
 *   INT(name, default, min, max, help)  a whole number
 *   BYTES(name, default, min, max, help) written 1024, 64KiB, 16MiB
 *   BOOL(name, default, help)           yes or no
 *   TEXT(name, default, max_bytes, help)
 *   SPANS(name, default, help)          up to SPANS_MAX spans, comma between
 */
#ifndef CORE_SETTINGS_H
#define CORE_SETTINGS_H

#include "base/base.h"

#define SPANS_MAX 8

struct spans {
    int64_t ms[SPANS_MAX];
    int count;
};

/* clang-format off */
#define SETTINGS_ENGINE(MS, INT, BYTES, BOOL, TEXT, SPANS) \
    MS(window, 3600000, 1000, 86400000, "the slot of time in which a device may have one effect; aligned to the clock") \
    MS(boundary_guard, 2000, 0, 60000, "no first byte of a write this close before a boundary; at most window/10 is used") \
    MS(read_timeout, 10000, 100, 60000, "longest time for one read from the downstream") \
    MS(write_timeout, 65000, 100, 600000, "longest time for one write to the downstream; above SAP's own 60 s") \
    MS(lease, 150000, 1000, 900000, "how long one sender may hold a device; at least write_timeout + 20 s is used") \
    SPANS(backoff, "1s,5s,30s,2min,10min", "waits after a call without effect, plus jitter; the last one repeats") \
    INT(attempts_per_window, 5, 1, 100, "calls of one device in one window") \
    INT(max_attempts, 18, 1, 1000, "calls without effect until the work of a device is dead") \
    MS(late_limit, 600000, 0, 86400000, "longest time after a send in which the downstream may still commit") \
    INT(max_pending, 1000, 1, 1000, "pending updates of one device") \
    BYTES(max_pending_bytes, 262144, 1024, 262144, "patches of the pending updates of one device") \
    MS(idempotency_ttl, 86400000, 60000, 604800000, "how long an Idempotency-Key is remembered") \
    INT(history_days, 90, 1, 3650, "how long log entries and sent bodies are kept; the newest state never expires") \
    INT(downstream_concurrency, 2, 1, 1024, "parallel calls to the downstream; SAP bears about 8") \
    INT(downstream_rps, 5, 0, 100000, "calls started per second; 0 = no limit") \
    MS(key_overlap, 86400000, 0, 2592000000, "how long the old secret of a rotated key stays valid")

#define SETTINGS_SERVER(MS, INT, BYTES, BOOL, TEXT, SPANS) \
    TEXT(data_dir, "/var/lib/hourbell", 1024, "folder of the database; made if it is missing") \
    TEXT(backup_dir, "", 1024, "folder for backups; empty: <data_dir>/backup") \
    TEXT(bind, "127.0.0.1:8080", 128, "address and port to listen on; port 0: any free one; empty: none") \
    TEXT(unix_socket, "", 107, "path of a Unix socket to listen on; empty: none") \
    BOOL(behind_proxy, false, "allow a bind address that is not loopback: a proxy in front ends TLS") \
    INT(max_connections, 1024, 1, 100000, "connections at once; a new one takes the place of one that rests, else it is refused with 503") \
    INT(max_connections_per_peer, 0, 0, 100000, "of them from one address; more are refused with 503; 0: no limit") \
    MS(header_timeout, 10000, 100, 600000, "longest time from the first byte to the end of the headers") \
    MS(body_timeout, 20000, 100, 600000, "longest time from the end of the headers to the end of the body") \
    MS(idle_timeout, 60000, 100, 3600000, "longest rest of a kept-alive connection") \
    MS(stop_timeout, 30000, 0, 600000, "longest wait for running sends after SIGTERM") \
    MS(stop_delay, 0, 0, 60000, "how long /readyz fails before the listener closes after SIGTERM") \
    TEXT(log_level, "info", 8, "error, warn, info or debug") \
    TEXT(downstream, "odata", 16, "which connector: odata (SAP) or http (plain JSON PATCH)") \
    TEXT(downstream_file, "downstream.json", 1024, "mapping and address of the downstream") \
    TEXT(secrets_file, "", 1024, "file with secrets, one name=value per line, readable by the owner only") \
    TEXT(webhook_operator, "", 2048, "URL that is told of failures; empty: the log only") \
    TEXT(webhook_customer, "", 2048, "URL that is told what became of updates; empty: the log only") \
    BOOL(webhook_allow_private, false, "allow webhook addresses that are private, loopback or link-local") \
    MS(webhook_timeout, 10000, 100, 60000, "longest time for one webhook call") \
    INT(webhook_concurrency, 4, 1, 64, "parallel webhook calls") \
    MS(plan_interval, 5000, 50, 3600000, "how often the due list is looked through besides wake-ups")

#define SETTINGS(MS, INT, BYTES, BOOL, TEXT, SPANS) \
    SETTINGS_ENGINE(MS, INT, BYTES, BOOL, TEXT, SPANS) SETTINGS_SERVER(MS, INT, BYTES, BOOL, TEXT, SPANS)
/* clang-format on */

struct settings {
#define SETTING_MS(name, fallback, min, max, help) int64_t name##_ms;
#define SETTING_INT(name, fallback, min, max, help) int64_t name;
#define SETTING_BYTES(name, fallback, min, max, help) int64_t name;
#define SETTING_BOOL(name, fallback, help) bool name;
#define SETTING_TEXT(name, fallback, max_bytes, help) struct str name;
#define SETTING_SPANS(name, fallback, help) struct spans name##_spans;
    SETTINGS(SETTING_MS, SETTING_INT, SETTING_BYTES, SETTING_BOOL, SETTING_TEXT, SETTING_SPANS)
#undef SETTING_MS
#undef SETTING_INT
#undef SETTING_BYTES
#undef SETTING_BOOL
#undef SETTING_TEXT
#undef SETTING_SPANS
};

/* All defaults; texts point to literals. */
void settings_default(struct settings *ret_settings);
/* "1s,5s" and the like. fails: RC_INVALID. */
MUST enum rc settings_span_read(struct str, int64_t *ret_ms);
MUST enum rc settings_spans_read(struct str, struct spans *ret_spans);

#endif
