/* A delivery as SAP's conversation: session, resolve, read, check, write, verify. Straight-line and synchronous; it
 * touches no store. The rules it keeps: the reads come first and have no effect; send_before is checked directly before
 * the first byte of every write (by the transport); a write is sent again only after the session was refused, or once
 * after a reset with the same ETag; what is not known for sure is "unsure". What the answers mean: sap_classify.c. */
#include "adapters/downstream_odata.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "adapters/sap_map.h"
#include "adapters/sap_report.h"
#include "adapters/slots.h"
#include "base/diag.h"
#include "base/text.h"
#include "core/breaker.h"

#define LOCK_WAIT_MS 30000 /* a dialog user holds the entity: look again no sooner */

struct odata {
    struct downstream port;
    const struct sap_config *config;
    struct transport *transport;
    struct arena arena;
    struct slots slots;
    struct sap_slot *sessions; /* one per slot */
    atomic_bool wants_etag;    /* a write without If-Match was refused: read before every write */
    atomic_bool repeat_off;    /* the repeat headers are not configured there */
    _Atomic int64_t
        refused_at_ms; /* the last logon that was refused; 0 = none, or one went well since */
};

/* One delivery, read-back or check under way. */
struct run {
    struct odata *odata;
    const struct sap_config *config;
    const struct lease *lease; /* NULL: a check */
    struct sap_talk talk;
    struct outcome *out;
    struct sap_report report;
    struct str ref, end; /* end: the date key where it is not the configured one */
    struct sap_entity current;
    bool create;
    bool replaced; /* another entity of the name stands where the reference led before */
};

static void run_begin(struct run *run, struct odata *odata, struct call *call, struct world *world,
                      const struct lease *lease, struct outcome *out)
{
    *out = (struct outcome){.started_at_ms = clock_now_ms(world->clock)};
    *run = (struct run){.odata = odata, .config = odata->config, .lease = lease, .out = out};
    run->talk = (struct sap_talk){.config = odata->config,
                                  .transport = odata->transport,
                                  .call = call,
                                  .world = world,
                                  .trace_id = lease ? lease->trace_id : call->id,
                                  .refused_at_ms = lease ? &odata->refused_at_ms : NULL};
    run->talk.slot = &odata->sessions[slots_take(&odata->slots)];
    run->ref = lease ? lease->ref : STR_NONE;
    run->report.lease = lease;
}

static void run_end(struct run *run)
{
    slots_give(&run->odata->slots, run->talk.slot->number);
}

/* ---- the outcome ---------------------------------------------------------------------------------------------- */

static void waits(struct run *run, enum sap_class class)
{
    int64_t now_ms = clock_now_ms(run->talk.world->clock);
    struct str header = inbound_header(&run->talk.answer, "retry-after");
    int64_t until_ms = inbound_retry_after(header, now_ms, BREAKER_PAUSE_MAX_MS);
    int64_t refused_at_ms = atomic_load(&run->odata->refused_at_ms);
    if (class == SAP_IS_THROTTLED) {
        run->out->retry_after_at_ms = run->out->pause_until_ms = until_ms;
    } else if (class == SAP_IS_LOCKED) {
        run->out->retry_after_at_ms = max_i64(until_ms, now_ms + LOCK_WAIT_MS);
    } else if (class == SAP_IS_AUTH) {
        atomic_store(&run->odata->refused_at_ms, now_ms);
    } else if (class == SAP_IS_NOT_SENT && refused_at_ms) {
        run->out->retry_after_at_ms = refused_at_ms + SAP_REFUSED_REST_MS;
    }
}

/* What an operator should see even though the delivery went through. */
static void warn(const struct run *run, enum sap_class class)
{
    if (class == SAP_IS_SILENT_NOOP || class == SAP_IS_CONFIG_REPEAT ||
        class == SAP_IS_NEEDS_ATTENTION) {
        struct str words = run->report.note.len ? run->report.note : run->out->detail;
        DIAG(DIAG_WARN, "downstream", DIAG_TEXT("code", run->out->code),
             DIAG_TEXT("key", run->lease ? run->lease->key : STR("")), DIAG_TEXT("detail", words));
    }
}

/* The end of a run: always false, for `return`. */
static bool end_as(struct run *run, enum sap_class class, const char *detail)
{
    struct outcome *out = run->out;
    run->talk.class = class;
    sap_classify_apply(class, out);
    waits(run, class);
    run->report.duration_ms = clock_now_ms(run->talk.world->clock) - out->started_at_ms;
    out->detail = detail ? str_of(detail) : sap_report_detail(&run->talk);
    out->pointers = out->class == OUTCOME_REJECTED ? sap_report_pointers(&run->talk) : STR_NONE;
    out->data = sap_report_data(&run->talk, &run->report);
    warn(run, class);
    if (!out->ref_clear && run->ref.len && out->class != OUTCOME_REJECTED) {
        out->ref = arena_copy(run->talk.call->arena, run->ref);
    }
    return false;
}

/* A read that did not succeed ends the run with its class; a 404 where the service itself was asked is set-up. */
static bool end_read(struct run *run, bool service)
{
    enum sap_class class = run->talk.class;
    return end_as(run, class == SAP_IS_MISSING && service ? SAP_IS_CONFIG : class, NULL);
}

/* ---- resolve, read ------------------------------------------------------------------------------------------------ */

/* A read that gives a list. false: the run ended. */
static bool read_list(struct run *run, struct str url, struct sap_entity found[2], int *ret_count)
{
    if (sap_talk_get(&run->talk, url) != SAP_IS_DONE) {
        return end_read(run, true);
    }
    if (sap_wire_list(run->talk.call->arena, run->talk.answer.body, found, ret_count) != RC_OK) {
        return end_as(run, SAP_IS_RETRY_SAFE, "the answer to a search is no list of entities");
    }
    return true;
}

static void adopt(struct run *run, const struct sap_entity *entity)
{
    struct arena *arena = run->talk.call->arena;
    run->ref = sap_wire_ref(run->config, arena, entity->object);
    run->end = sap_wire_end(run->config, arena, entity->object);
    run->current = *entity;
}

/* Find the device by its name. out: ref and current, or create. false: the run ended. */
static bool resolve(struct run *run)
{
    struct call *call = run->talk.call;
    struct sap_entity found[2];
    struct str value;
    int count = 0;
    run->ref = STR_NONE;
    if (sap_map_search(run->config, call, run->lease->device_name, &value) != RC_OK) {
        return end_as(run, SAP_IS_PERMANENT, "the device name has no form for the search");
    }
    struct str url =
        sap_wire_search_url(run->config, call->arena, run->config->resolve_field, value);
    if (!read_list(run, url, found, &count)) {
        return false;
    }
    if (count > 1) {
        return end_as(run, SAP_IS_PERMANENT,
                      "the downstream has more than one entity of this name");
    }
    if (count == 0) {
        run->create = run->config->create;
        return run->create
                   ? true
                   : end_as(run, SAP_IS_NOT_FOUND, "the downstream has no entity of this name");
    }
    adopt(run, &found[0]);
    return run->ref.len ? true : end_as(run, SAP_IS_CONFIG, "the entity that was found has no key");
}

/* The row with the configured date key is gone: take the newest one, else look for the name. */
static bool find_again(struct run *run)
{
    struct sap_entity found[2];
    int count = 0;
    struct str url = sap_wire_newest_url(run->config, run->talk.call->arena, run->ref);
    if (url.len && !read_list(run, url, found, &count)) {
        return false;
    }
    if (count > 0) {
        struct str ref = run->ref;
        adopt(run, &found[0]);
        run->ref = ref;
        return true;
    }
    run->replaced = true;
    return resolve(run);
}

/* Read the entity of run->ref. false: the run ended. */
static bool read_entity(struct run *run)
{
    struct arena *arena = run->talk.call->arena;
    struct str url = sap_wire_entity_url(run->config, arena, run->ref, run->end, true);
    enum sap_class class = sap_talk_get(&run->talk, url);
    if (class == SAP_IS_MISSING) {
        return find_again(run);
    }
    if (class != SAP_IS_DONE) {
        return end_read(run, false);
    }
    if (sap_wire_entity(arena, run->talk.answer.body, &run->current) != RC_OK) {
        return end_as(run, SAP_IS_RETRY_SAFE, "the answer to a read is no entity");
    }
    struct str etag = inbound_header(&run->talk.answer, "etag");
    run->current.etag = run->current.etag.len ? run->current.etag : etag;
    return true;
}

static bool all_there(const struct run *run, const struct sap_entity *entity,
                      struct sap_compared *ret)
{
    sap_map_compare(run->config, run->talk.call->arena, run->lease->body.bytes, entity->object,
                    ret);
    return ret->different == 0 && ret->other_different == 0;
}

/* What is there now: by reference, or by name. false: the run ended. */
static bool look(struct run *run)
{
    return run->ref.len ? read_entity(run) : resolve(run);
}

/* ---- write --------------------------------------------------------------------------------------------------------- */

/* Only a full body can make an entity; a diff without its base would make a wrong one. */
static bool body_is_full(struct run *run)
{
    struct call *call = run->talk.call;
    const struct lease *lease = run->lease;
    struct str full;
    int named = call->item_count;
    enum rc rc =
        sap_map_encode(run->config, call, lease->device_name, STR_NONE, lease->body.target, &full);
    call->item_count = named;
    call->problem = rc == RC_OK ? call->problem : PROBLEM_NONE;
    return rc == RC_OK && str_equal(full, lease->body.bytes);
}

static struct str verb_of(const struct sap_config *config)
{
    return config->verb == SAP_PATCH || config->protocol == SAP_V4 ? STR("PATCH") : STR("MERGE");
}

static struct sap_write write_of(struct run *run, struct str body)
{
    const struct lease *lease = run->lease;
    struct arena *arena = run->talk.call->arena;
    struct sap_write write = {.method = run->create ? STR("POST") : verb_of(run->config),
                              .body = body,
                              .first_sent_at_ms = lease->first_sent_at_ms,
                              .send_from_at_ms = lease->send_from_at_ms,
                              .send_before_at_ms = lease->send_before_at_ms};
    write.url = run->create ? sap_wire_set_url(run->config, arena)
                            : sap_wire_entity_url(run->config, arena, run->ref, run->end, false);
    if (!run->create) {
        bool etag = run->config->etag || atomic_load(&run->odata->wants_etag);
        bool blind = !run->current.object || !etag;
        write.if_match = blind ? STR("*") : run->current.etag;
    }
    write.repeat_id = atomic_load(&run->odata->repeat_off) ? STR_NONE : lease->body.repeat_id;
    return write;
}

static enum sap_class write_once(struct run *run, const struct sap_write *write)
{
    enum sap_class class = sap_talk_write(&run->talk, write);
    if (run->talk.answer.sent_at_ms) {
        run->out->sent_at_ms = run->talk.answer.sent_at_ms;
    }
    return class;
}

/* The write had not reached the application: a new session or token, and the same write once more. */
static enum sap_class replay(struct run *run, const struct sap_write *write, enum sap_class class)
{
    bool renewed = class == SAP_IS_SESSION
                       ? sap_talk_session(&run->talk, true)
                       : run->talk.answer.status == 401 && sap_talk_new_bearer(&run->talk);
    if (!renewed) {
        return run->talk.class;
    }
    class = write_once(run, write);
    if (class == SAP_IS_SESSION) {
        run->talk.error.message = STR("a new session was refused as well");
        return SAP_IS_CONFIG;
    }
    return class;
}

/* The connection broke after the write had left. Nobody else can have used its ETag meanwhile, so the same write again
 * either does it or is refused; but a refusal says nothing about the first one. */
static enum sap_class re_send(struct run *run, const struct sap_write *write)
{
    struct outcome *out = run->out;
    struct sap_compared compared;
    int64_t first_sent_at_ms = out->sent_at_ms;
    enum sap_class class = sap_talk_write(&run->talk, write);
    int64_t again_at_ms = run->talk.answer.sent_at_ms;
    if (class == SAP_IS_CONFLICT &&
        sap_talk_get(&run->talk, sap_wire_entity_url(run->config, run->talk.call->arena, run->ref,
                                                     run->end, true)) == SAP_IS_DONE &&
        sap_wire_entity(run->talk.call->arena, run->talk.answer.body, &run->current) == RC_OK &&
        all_there(run, &run->current, &compared)) {
        run->report.note = STR("the first send had its effect; the second was refused");
        return SAP_IS_DONE; /* the second surely had none */
    }
    if (again_at_ms) {
        out->re_sent = true;
        out->earlier_sent_at_ms = first_sent_at_ms;
        out->sent_at_ms = again_at_ms;
    }
    return class == SAP_IS_DONE ? class : SAP_IS_AMBIGUOUS;
}

static bool is_confirmed(const struct inbound *answer)
{
    return text_equal_nocase(inbound_header(answer, "repeatability-result"), STR("accepted")) ||
           text_equal_nocase(inbound_header(answer, "repeatabilityresult"), STR("accepted"));
}

/* Send the body. out: the class of what came of it. */
static enum sap_class write_body(struct run *run, struct str body)
{
    struct sap_write write = write_of(run, body);
    run->report.verb = write.method;
    run->report.body = body;
    enum sap_class class = write_once(run, &write);
    if (class == SAP_IS_SESSION || (class == SAP_IS_AUTH && run->config->auth == SAP_AUTH_OAUTH2)) {
        class = replay(run, &write, class);
    }
    bool safe = !run->create && write.if_match.len && !str_is(write.if_match, "*");
    if (class == SAP_IS_AMBIGUOUS && run->talk.answer.end == INBOUND_LOST && safe) {
        class = re_send(run, &write);
    }
    run->out->repeat_confirmed =
        run->talk.answer.end == INBOUND_ANSWERED && is_confirmed(&run->talk.answer);
    return class;
}

/* ---- after the write ------------------------------------------------------------------------------------------------- */

static bool verify_is_due(const struct run *run)
{
    switch (run->config->verify) {
    case SAP_VERIFY_OFF:
        return false;
    case SAP_VERIFY_CHANGED:
        return !run->create;
    case SAP_VERIFY_SAMPLE: /* one in sixteen, chosen by the delivery */
        return run->lease->body.repeat_id.len && run->lease->body.repeat_id.s[0] == '0';
    case SAP_VERIFY_ALWAYS:
        return true;
    }
    return false;
}

/* Read the entity aside, without touching what the run knows of its write. out: false = it could not be read. */
static bool read_aside(struct run *run, struct sap_entity *ret_entity)
{
    struct sap_talk kept = run->talk;
    struct arena *arena = run->talk.call->arena;
    bool read = sap_talk_get(&run->talk, sap_wire_entity_url(run->config, arena, run->ref, run->end,
                                                             true)) == SAP_IS_DONE &&
                sap_wire_entity(arena, run->talk.answer.body, ret_entity) == RC_OK;
    kept.requests = run->talk.requests;
    run->talk = kept;
    return read;
}

/* SAP ignores some fields in silence: say which, and never open a delivery for it. */
static enum sap_class verify(struct run *run)
{
    struct sap_entity entity;
    struct sap_compared compared;
    if (!verify_is_due(run) || !run->ref.len || !read_aside(run, &entity)) {
        return SAP_IS_DONE;
    }
    sap_report_after(&run->talk, entity.object, &run->report);
    if (all_there(run, &entity, &compared)) {
        return SAP_IS_DONE;
    }
    run->report.note =
        arena_printf(run->talk.call->arena, "field " STR_FMT " shows another value than was sent",
                     STR_ARG(compared.first));
    return SAP_IS_SILENT_NOOP;
}

static void learn_ref(struct run *run)
{
    struct sap_entity made;
    struct arena *arena = run->talk.call->arena;
    if (run->create && sap_wire_entity(arena, run->talk.answer.body, &made) == RC_OK) {
        run->ref = sap_wire_ref(run->config, arena,
                                made.object); /* from the body: Location may be anything */
        run->end = sap_wire_end(run->config, arena, made.object);
    }
}

/* Classes that need one more look, or that teach the port something. */
static enum sap_class after_write(struct run *run, enum sap_class class)
{
    struct sap_entity entity;
    struct sap_compared compared;
    switch (class) {
    case SAP_IS_DONE:
        learn_ref(run);
        return verify(run);
    case SAP_IS_OUTDATED:
        return !run->create && read_aside(run, &entity) && all_there(run, &entity, &compared)
                   ? SAP_IS_DONE
                   : class;
    case SAP_IS_CONFLICT:
        return read_aside(run, &entity) && all_there(run, &entity, &compared) ? SAP_IS_ALREADY
                                                                              : class;
    case SAP_IS_PRECONDITION:
        atomic_store(&run->odata->wants_etag, true);
        return class;
    case SAP_IS_CONFIG_REPEAT:
        atomic_store(&run->odata->repeat_off, true);
        return class;
    case SAP_IS_MISSING:
        if (run->create) {
            return SAP_IS_CONFIG; /* the set itself is not there */
        }
        return run->config->create ? class : SAP_IS_NOT_FOUND;
    default:
        return class;
    }
}

/* ---- the port ------------------------------------------------------------------------------------------------------------ */

static bool wants_read(const struct run *run)
{
    return !run->ref.len || run->config->read_before_write || atomic_load(&run->odata->wants_etag);
}

static bool converse(struct run *run)
{
    struct sap_compared compared;
    struct arena *arena = run->talk.call->arena;
    if (!sap_talk_session(&run->talk, false)) {
        return end_read(run, true);
    }
    if (wants_read(run) && !look(run)) {
        return false;
    }
    if ((run->create || run->replaced) && !body_is_full(run)) {
        return end_as(run, SAP_IS_MISSING, "the entity is gone; the next delivery is in full");
    }
    struct str body = sap_map_wire(run->config, arena, run->lease->body.bytes, run->create);
    if (!run->create && run->current.object) {
        sap_report_before(&run->talk, run->current.object, &run->report);
        if (!body.len || all_there(run, &run->current, &compared)) {
            return end_as(run, SAP_IS_ALREADY, NULL);
        }
    }
    if (!body.len) {
        return end_as(run, SAP_IS_ALREADY, NULL);
    }
    enum sap_class class = write_body(run, body);
    return end_as(run, after_write(run, class), NULL);
}

static void odata_send(struct downstream *port, struct call *call, struct world *world,
                       const struct lease *lease, struct outcome *ret_outcome)
{
    struct run run;
    run_begin(&run, (struct odata *)port, call, world, lease, ret_outcome);
    (void)converse(&run);
    run_end(&run);
}

/* A class of a read as the answer to "are the values there?". */
static void unsure_but_stop(struct outcome *out)
{
    if (out->class != OUTCOME_STOP) {
        out->class = OUTCOME_UNSURE;
        out->counts = out->full_next = out->ref_clear = false;
        out->pointers = STR_NONE;
    }
}

static void odata_read_back(struct downstream *port, struct call *call, struct world *world,
                            const struct lease *lease, struct outcome *ret_outcome)
{
    struct run run;
    struct sap_compared compared;
    run_begin(&run, (struct odata *)port, call, world, lease, ret_outcome);
    if (!look(&run)) {
        bool absent =
            ret_outcome->class == OUTCOME_REJECTED && str_is(ret_outcome->code, "NOT_FOUND");
        unsure_but_stop(ret_outcome);
        ret_outcome->class = absent ? OUTCOME_NO_EFFECT : ret_outcome->class;
    } else if (run.create) { /* nothing of that name is there */
        (void)end_as(&run, SAP_IS_MISSING, "nothing of this name is there");
    } else if (all_there(&run, &run.current, &compared)) {
        (void)end_as(&run, SAP_IS_DONE, "the values are there");
    } else {
        (void)end_as(&run, SAP_IS_CONFLICT, "the values are not there");
        ret_outcome->partial = compared.same > 0;
    }
    ret_outcome->counts = ret_outcome->class == OUTCOME_NO_EFFECT;
    run_end(&run);
}

static void odata_check(struct downstream *port, struct call *call, struct world *world,
                        struct outcome *ret_outcome)
{
    struct run run;
    run_begin(&run, (struct odata *)port, call, world, NULL, ret_outcome);
    if (run.config->csrf) {
        (void)(sap_talk_session(&run.talk, true) ? end_as(&run, SAP_IS_DONE, NULL)
                                                 : end_read(&run, true));
    } else if (sap_talk_get(&run.talk, sap_wire_root_url(run.config, call->arena)) == SAP_IS_DONE) {
        (void)end_as(&run, SAP_IS_DONE, NULL);
    } else {
        (void)end_read(&run, true);
    }
    if (ret_outcome->class == OUTCOME_EFFECT) {
        atomic_store(&run.odata->refused_at_ms, 0);
    }
    run_end(&run);
}

static enum rc odata_encode(struct downstream *port, struct call *call, struct str device_name,
                            struct str base, struct str target, struct str *ret_bytes)
{
    return sap_map_encode(((struct odata *)port)->config, call, device_name, base, target,
                          ret_bytes);
}

void downstream_odata_metadata(struct downstream *port, struct call *call, struct world *world,
                               struct outcome *ret_outcome, struct str *ret_xml)
{
    struct run run;
    run_begin(&run, (struct odata *)port, call, world, NULL, ret_outcome);
    run.talk.accept = STR("application/xml");
    if (sap_talk_get(&run.talk, sap_wire_metadata_url(run.config, call->arena)) != SAP_IS_DONE) {
        (void)end_read(&run, true);
    } else if (run.talk.answer.cut) {
        (void)end_as(&run, SAP_IS_CONFIG, "the service's $metadata is larger than any");
    } else {
        *ret_xml = run.talk.answer.body;
        (void)end_as(&run, SAP_IS_DONE, NULL);
    }
    run_end(&run);
}

/* ---- life ------------------------------------------------------------------------------------------------------------------ */

static const struct downstream_ops odata_ops = {
    .encode = odata_encode, .send = odata_send, .read_back = odata_read_back, .check = odata_check};

enum rc downstream_odata_open(struct call *call, const struct sap_config *config,
                              struct transport *transport, struct secrets *secrets, int slots,
                              struct downstream **ret_downstream)
{
    struct odata *odata = calloc(1, sizeof(*odata));
    struct sap_slot *sessions = calloc((size_t)slots, sizeof(struct sap_slot));
    if (!odata || !sessions) {
        abort();
    }
    arena_open(&odata->arena, 0);
    odata->config = config;
    odata->transport = transport;
    odata->port = (struct downstream){
        .ops = &odata_ops, .mapping_version = config->mapping_version, .reads_back = true};
    slots_open(&odata->slots, slots);
    odata->sessions = sessions;
    for (int i = 0; i < slots; i++) {
        sap_slot_open(&sessions[i], i);
    }
    struct str sha = STR_NONE;
    enum rc rc = sap_talk_credentials(call, config, secrets, &sha);
    odata->port.credentials_sha = arena_copy(&odata->arena, sha);
    if (rc != RC_OK) {
        downstream_odata_close(&odata->port);
        return rc;
    }
    *ret_downstream = &odata->port;
    return RC_OK;
}

void downstream_odata_close(struct downstream *port)
{
    struct odata *odata = (struct odata *)port;
    if (!odata) {
        return;
    }
    for (int i = 0; i < odata->slots.count; i++) {
        sap_slot_close(&odata->sessions[i]);
    }
    free(odata->sessions);
    slots_close(&odata->slots);
    arena_close(&odata->arena);
    free(odata);
}
