/* The tables and every statement of store_sqlite.
 *
 * To change a table: add a step to SCHEMA_STEPS (never edit one that was released: new columns with a default), raise
 * STORE_SQLITE_SCHEMA, extend the list of columns below. An older program refuses a newer file.
 * Numbers of kinds, work states, ends and roles are stored as the enums of core/model.h: the asserts below hold them.
 *
 * Why this shape: rows are appended in order of their ids; what would need a second random index does without one, and
 * names come into theirs in order (name, tail, sweep: store_sqlite_names.c).
 * log.prev = the row of the device's entry before: history and hash chain without an index. The newest entry of
 * a device is never deleted, so row ids of log are never used again, and a prev that is missing is a gap left by
 * retention; below a gap only entry 0 is left (device.log_first). */
#ifndef ADAPTERS_STORE_SQLITE_SCHEMA_H
#define ADAPTERS_STORE_SQLITE_SCHEMA_H

#include "core/model.h"

/* clang-format off */
_Static_assert(WORK_NONE == 0 && WORK_OPEN == 1 && WORK_FLIGHT == 2 && WORK_UNCERTAIN == 3 && WORK_DEAD == 4, "device.work");
_Static_assert(ENTRY_created == 1 && ENTRY_update == 2 && ENTRY_delivered == 3 && ENTRY_satisfied == 4 && ENTRY_rejected == 5 &&
               ENTRY_no_effect == 6 && ENTRY_uncertain == 7 && ENTRY_dead == 8 && ENTRY_cancelled == 9 && ENTRY_action == 10, "log.kind");
_Static_assert(ENDED_NONE == 0 && ENDED_SATISFIED == 1 && ENDED_CANCELLED == 2, "log.ended");
_Static_assert(ROLE_CUSTOMER == 1 && ROLE_OPERATOR == 2, "api_key.role");

#define SCHEMA_APPLICATION_ID 0x68626c31 /* "hbl1" */

/* Numbers of a device that a commit may change: X(column, member of struct device). */
#define DEVICE_NUMBERS(X) \
    X(version, version) X(work, work) X(at_ms, at_ms) X(revision, revision) X(seq, seq) X(from_seq, from_seq) \
    X(pending_count, pending_count) X(pending_bytes, pending_bytes) X(attempt_count, attempt_count) \
    X(window_attempt_count, window_attempt_count) X(due_at_ms, due_at_ms) X(not_before_at_ms, not_before_at_ms) \
    X(effect_at_ms, effect_at_ms) X(accepted_at_ms, accepted_at_ms) X(flight_delivery, flight.delivery) \
    X(flight_from_seq, flight.from_seq) X(flight_to_seq, flight.to_seq) X(flight_lease_no, flight.lease_no) \
    X(flight_settled_no, flight.settled_no) X(flight_started_at_ms, flight.started_at_ms) \
    X(flight_send_before_at_ms, flight.send_before_at_ms) X(flight_lease_until_ms, flight.lease_until_ms) X(base, base) \
    X(resend_all, resend_all)
#define COLUMN_AND(column, member) #column ", "
#define COLUMN_INTEGER(column, member) #column " INTEGER NOT NULL, "
#define COLUMN_SET(column, member) #column " = ?, "
#define COLUMN_MARK(column, member) "?, "

#define SCHEMA_1 \
    "CREATE TABLE device(id INTEGER PRIMARY KEY, " DEVICE_NUMBERS(COLUMN_INTEGER) \
        "log_head INTEGER NOT NULL, log_first INTEGER NOT NULL, created_at_ms INTEGER NOT NULL, realm TEXT NOT NULL, " \
        "owner TEXT NOT NULL, key TEXT NOT NULL, name TEXT NOT NULL, downstream_ref TEXT NOT NULL, hold_reason TEXT NOT NULL, " \
        "log_sha BLOB NOT NULL, doc TEXT NOT NULL) STRICT;" \
    "CREATE TABLE name(path TEXT PRIMARY KEY, device INTEGER NOT NULL) STRICT, WITHOUT ROWID;" \
    "CREATE TABLE sweep(path TEXT PRIMARY KEY, device INTEGER NOT NULL) STRICT, WITHOUT ROWID;" \
    "INSERT INTO sweep VALUES('', 0);" \
    "CREATE INDEX device_work ON device(work, at_ms) WHERE work <> 0;" \
    "CREATE TABLE log(id INTEGER PRIMARY KEY, prev INTEGER NOT NULL, device INTEGER NOT NULL, seq INTEGER NOT NULL, " \
        "kind INTEGER NOT NULL, at_ms INTEGER NOT NULL, from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL, " \
        "delivery INTEGER NOT NULL, ended INTEGER NOT NULL, notice_at_ms INTEGER NOT NULL, sha BLOB NOT NULL, " \
        "\"by\" TEXT NOT NULL, request_id TEXT NOT NULL, data TEXT NOT NULL) STRICT;" \
    "CREATE TABLE notice(at_ms INTEGER NOT NULL, log INTEGER NOT NULL, PRIMARY KEY(at_ms, log)) STRICT, WITHOUT ROWID;" \
    "CREATE TABLE body(id INTEGER PRIMARY KEY, device INTEGER NOT NULL, delivery INTEGER NOT NULL, " \
        "retired_at_ms INTEGER NOT NULL, mapping_version INTEGER NOT NULL, repeat_id TEXT NOT NULL, target TEXT NOT NULL, " \
        "bytes TEXT NOT NULL) STRICT;" \
    "CREATE UNIQUE INDEX body_delivery ON body(device, delivery);" \
    "CREATE INDEX body_retired ON body(retired_at_ms) WHERE retired_at_ms <> 0;" \
    "CREATE TABLE reply(id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, expires_at_ms INTEGER NOT NULL, " \
        "status INTEGER NOT NULL, owner TEXT NOT NULL, key TEXT NOT NULL, fingerprint TEXT NOT NULL, head TEXT NOT NULL, " \
        "body TEXT NOT NULL) STRICT;" \
    "CREATE INDEX reply_hash ON reply(hash);" \
    "CREATE TABLE api_key(id TEXT PRIMARY KEY, version INTEGER NOT NULL, role INTEGER NOT NULL, owner TEXT NOT NULL, " \
        "realm TEXT NOT NULL, label TEXT NOT NULL, sha_0 TEXT NOT NULL, expires_at_ms_0 INTEGER NOT NULL, " \
        "sha_1 TEXT NOT NULL, expires_at_ms_1 INTEGER NOT NULL, created_at_ms INTEGER NOT NULL, " \
        "deleted_at_ms INTEGER NOT NULL, last_used_day INTEGER NOT NULL) STRICT, WITHOUT ROWID;" \
    "CREATE TABLE ping(id INTEGER PRIMARY KEY CHECK(id = 1), at_ms INTEGER NOT NULL) STRICT;"
#define SCHEMA_STEPS SCHEMA_1
#define SCHEMA_IN_MEMORY "CREATE TEMP TABLE tail(path TEXT PRIMARY KEY, device INTEGER NOT NULL) STRICT, WITHOUT ROWID"

/* Columns in the order in which store_sqlite_read.c takes them. */
#define DEVICE_COLUMNS DEVICE_NUMBERS(COLUMN_AND) \
    "id, log_head, log_first, created_at_ms, realm, owner, key, name, downstream_ref, hold_reason, log_sha, doc"
#define ENTRY_COLUMNS \
    "prev, seq, device, kind, at_ms, from_seq, to_seq, delivery, ended, notice_at_ms, sha, \"by\", request_id, data"
#define KEY_COLUMNS \
    "id, version, role, owner, realm, label, sha_0, expires_at_ms_0, sha_1, expires_at_ms_1, created_at_ms, deleted_at_ms, last_used_day"

/* A path is in one of the two; most are on the disk. */
#define DEVICE_OF_PATH "coalesce((SELECT device FROM name WHERE path = ?1), (SELECT device FROM tail WHERE path = ?1))"
#define SWEEP_MARK "(SELECT device FROM sweep WHERE path = '')"
/* Two lists in order are merged, nothing is sorted. The join stays inside: outside, the order would be lost. */
#define LIST_OF(table) \
    "SELECT " DEVICE_COLUMNS ", path FROM " table " CROSS JOIN device ON id = device WHERE path >= ?1 AND path <> ?2"

/* `work <> 0` is repeated in every query on work: else SQLite does not use the partial index. `+realm` keeps it from
 * taking the index by owner instead. A page of work may begin between two devices of one moment, and a whole window's
 * devices share one: so the rest of that moment (work_list_at) and what is later are two queries; as one, SQLite would
 * pass by all that were listed before. */
#define STATEMENTS(X) \
    X(begin, "BEGIN IMMEDIATE") X(commit, "COMMIT") X(rollback, "ROLLBACK") \
    X(ping, "INSERT INTO ping(id, at_ms) VALUES(1, ?) ON CONFLICT(id) DO UPDATE SET at_ms = excluded.at_ms") \
    X(newest, "SELECT id, at_ms FROM log ORDER BY id DESC LIMIT 1") \
    \
    X(device_get, "SELECT " DEVICE_COLUMNS " FROM device WHERE id = " DEVICE_OF_PATH) \
    X(device_see, "SELECT id, version, seq, log_head, log_first, work FROM device WHERE id = " DEVICE_OF_PATH) \
    X(device_list, LIST_OF("name") " UNION ALL " LIST_OF("tail") " ORDER BY path") \
    X(device_scan, "SELECT " DEVICE_COLUMNS " FROM device WHERE id > ? ORDER BY id LIMIT ?") \
    X(device_add, "INSERT INTO device(" DEVICE_NUMBERS(COLUMN_AND) "log_head, downstream_ref, hold_reason, log_sha, doc, " \
                  "log_first, created_at_ms, realm, owner, key, name) " \
                  "VALUES(" DEVICE_NUMBERS(COLUMN_MARK) "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)") \
    X(device_set, "UPDATE device SET " DEVICE_NUMBERS(COLUMN_SET) "log_head = ?, downstream_ref = ?, hold_reason = ?, " \
                  "log_sha = ?, doc = ? WHERE id = ? AND version = ?") \
    \
    X(tail_add, "INSERT INTO tail(path, device) VALUES(?, ?)") \
    X(tail_end, "SELECT path FROM tail WHERE path > ? ORDER BY path LIMIT 1 OFFSET ?") \
    X(tail_move, "INSERT OR FAIL INTO name(path, device) SELECT path, device FROM tail WHERE path > ?1 AND path <= ?2") \
    X(tail_cut, "DELETE FROM tail WHERE path > ?1 AND path <= ?2") \
    X(tail_fill, "INSERT INTO tail(path, device) SELECT key, id FROM device WHERE id > " SWEEP_MARK \
                 " UNION ALL SELECT '/' || owner || '/' || key, id FROM device WHERE id > " SWEEP_MARK " ORDER BY 1") \
    X(tail_known, "DELETE FROM tail WHERE EXISTS(SELECT 1 FROM name WHERE name.path = tail.path)") \
    X(sweep_get, "SELECT path, coalesce((SELECT max(id) FROM device), 0) FROM sweep ORDER BY device DESC LIMIT 1") \
    X(sweep_pass, "DELETE FROM sweep WHERE path > ?1 AND path <= ?2 RETURNING device") \
    X(sweep_mark, "UPDATE sweep SET device = max(device, ?2) WHERE path = ?1") \
    X(sweep_note, "INSERT INTO sweep(path, device) VALUES(?, ?)") \
    \
    X(log_step, "SELECT prev, seq, device, from_seq, to_seq, kind FROM log WHERE id = ?") \
    X(log_get, "SELECT " ENTRY_COLUMNS " FROM log WHERE id = ?") \
    X(log_add, "INSERT INTO log(" ENTRY_COLUMNS ", id) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)") \
    X(log_end, "UPDATE log SET ended = ? WHERE id = ? AND ended = 0") \
    X(log_notice, "UPDATE log SET notice_at_ms = ? WHERE id = ?") \
    X(log_notice_get, "SELECT notice_at_ms FROM log WHERE id = ?") \
    X(log_old, "SELECT l.id, l.prev, l.seq, l.at_ms, l.notice_at_ms, d.from_seq, d.log_first, d.log_head FROM log l JOIN device d ON d.id = l.device " \
               "WHERE l.id > ? ORDER BY l.id LIMIT ?") \
    X(log_delete, "DELETE FROM log WHERE id = ?") \
    X(notice_add, "INSERT INTO notice(at_ms, log) VALUES(?, ?)") \
    X(notice_delete, "DELETE FROM notice WHERE at_ms = ? AND log = ?") \
    X(notice_list, "SELECT n.at_ms, n.log, d.key, d.realm, l.seq FROM notice n JOIN log l ON l.id = n.log JOIN device d ON d.id = l.device " \
                   "WHERE (n.at_ms, n.log) > (?1, ?2) AND n.at_ms <= ?3 ORDER BY n.at_ms, n.log") \
    X(notice_count, "SELECT count(*) FROM notice n JOIN log l ON l.id = n.log JOIN device d ON d.id = l.device WHERE d.realm = 'live'") \
    X(notice_first, "SELECT n.at_ms FROM notice n JOIN log l ON l.id = n.log JOIN device d ON d.id = l.device WHERE d.realm = 'live' " \
                    "ORDER BY n.at_ms LIMIT 1") \
    \
    X(work_list, "SELECT at_ms, id, key, realm, 0 FROM device WHERE at_ms > ?1 AND at_ms <= ?3 AND work = ?4 AND work <> 0 ORDER BY at_ms, id") \
    X(work_list_at, "SELECT at_ms, id, key, realm, 0 FROM device WHERE at_ms = ?1 AND id > ?2 AND work = ?4 AND work <> 0 ORDER BY id") \
    X(work_count, "SELECT work, count(*) FROM device WHERE work <> 0 AND +realm = 'live' GROUP BY work") \
    X(work_first, "SELECT at_ms FROM device WHERE work = ? AND work <> 0 AND +realm = 'live' ORDER BY at_ms LIMIT 1") \
    \
    X(body_get, "SELECT mapping_version, repeat_id, target, bytes FROM body WHERE device = ? AND delivery = ?") \
    X(body_add, "INSERT INTO body(device, delivery, retired_at_ms, mapping_version, repeat_id, target, bytes) VALUES(?, ?, 0, ?, ?, ?, ?)") \
    X(body_retire, "UPDATE body SET retired_at_ms = ? WHERE device = ? AND delivery = ? AND retired_at_ms = 0") \
    X(body_old, "SELECT id FROM body WHERE retired_at_ms <> 0 AND retired_at_ms < ? ORDER BY retired_at_ms LIMIT ?") \
    X(body_delete, "DELETE FROM body WHERE id = ?") \
    X(reply_get, "SELECT id, status, expires_at_ms, fingerprint, head, body FROM reply WHERE hash = ? AND owner = ? AND key = ?") \
    X(reply_add, "INSERT INTO reply(hash, expires_at_ms, status, owner, key, fingerprint, head, body) VALUES(?, ?, ?, ?, ?, ?, ?, ?)") \
    X(reply_old, "SELECT id, expires_at_ms FROM reply ORDER BY id LIMIT ?") \
    X(reply_delete, "DELETE FROM reply WHERE id = ?") \
    \
    X(key_get, "SELECT " KEY_COLUMNS " FROM api_key WHERE id = ?") \
    X(key_list, "SELECT " KEY_COLUMNS " FROM api_key WHERE id > ? ORDER BY id LIMIT ?") \
    X(key_set, "INSERT OR REPLACE INTO api_key(" KEY_COLUMNS ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
/* clang-format on */

#endif
