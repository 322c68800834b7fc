/* Reading a line of an import. Unknown members are refused here as the server would, since a mistyped
 * "atributes" must not create an empty device. */
#include "home/import_line.h"

#include "core/name.h"

static const char *const ops[] = {"create", "update", "upsert"};

enum import_op import_op_of(struct str name, enum import_op fallback)
{
    for (size_t i = 0; i < COUNT_OF(ops); i++) {
        if (str_is(name, ops[i])) {
            return (enum import_op)i;
        }
    }
    return fallback;
}

static void refuse(struct call *call, struct import_line *line, enum problem problem,
                   const char *what, struct str word)
{
    line->problem = problem;
    line->detail = arena_printf(call->arena, "%s" STR_FMT, what, STR_ARG(word));
}

static void take_member(struct call *call, struct import_line *line, struct str name,
                        yyjson_val *value)
{
    struct str text = json_str(value);
    if (str_is(name, "device_name") && yyjson_is_str(value)) {
        line->name = text;
    } else if (str_is(name, "attributes") && yyjson_is_obj(value)) {
        line->attributes = json_write(call->arena, value);
    } else if (str_is(name, "owner") && yyjson_is_str(value)) {
        line->owner = text;
    } else if (str_is(name, "op") && yyjson_is_str(value)) {
        line->op = import_op_of(text, IMPORT_UPSERT + 1);
        if (line->op > IMPORT_UPSERT) {
            refuse(call, line, PROBLEM_invalid_member, "op is create, update or upsert, not ",
                   text);
        }
    } else if (str_is(name, "device_name") || str_is(name, "owner") || str_is(name, "op")) {
        refuse(call, line, PROBLEM_invalid_member, "this member must be a text: ", name);
    } else if (str_is(name, "attributes")) {
        refuse(call, line, PROBLEM_not_an_object, "this member must be an object: ", name);
    } else {
        refuse(call, line, PROBLEM_unknown_member, "a line has no member ", name);
    }
}

/* The key by which lines of one device are kept in order. A name that breaks a rule is the server's to refuse, with
 * the rule, unless there is none to ask. */
static void fold_name(struct call *call, struct import_line *line, bool refuse_here)
{
    struct str trimmed, key, pointer = STR("/device_name");
    line->key = line->name;
    if (name_check(call, line->name, pointer, &trimmed) == RC_OK &&
        name_key(call, trimmed, pointer, &key) == RC_OK) {
        line->key = key;
    } else if (refuse_here) {
        refuse(call, line, call->problem, call->why, STR_NONE);
    }
}

void import_line_read(struct call *call, struct str text, const struct import_rules *rules,
                      struct import_line *line)
{
    struct json_fault fault;
    yyjson_val *root = NULL, *name, *value;
    size_t at, count;
    *line = (struct import_line){.op = rules->mode, .owner = rules->owner};
    if (json_read(call->arena, text, JSON_MAX_DEPTH + 1, &root, &fault) != RC_OK) {
        enum problem problem = fault.kind == JSON_DUPLICATE  ? PROBLEM_duplicate_member
                               : fault.kind == JSON_TOO_DEEP ? PROBLEM_too_deep
                                                             : PROBLEM_invalid_json;
        refuse(call, line, problem, fault.why, STR_NONE);
        return;
    }
    if (!yyjson_is_obj(root)) {
        refuse(call, line, PROBLEM_not_an_object, "a line must be an object", STR_NONE);
        return;
    }
    yyjson_obj_foreach(root, at, count, name, value)
    {
        if (line->problem == PROBLEM_NONE) {
            take_member(call, line, json_str(name), value);
        }
    }
    if (line->problem == PROBLEM_NONE && line->name.len == 0) {
        refuse(call, line, PROBLEM_missing_member, "device_name is missing", STR_NONE);
    }
    if (line->problem == PROBLEM_NONE && line->op == IMPORT_UPDATE && !line->attributes.s) {
        refuse(call, line, PROBLEM_missing_member, "attributes is missing", STR_NONE);
    }
    if (!line->attributes.s) {
        line->attributes = STR("{}");
    }
    if (line->problem == PROBLEM_NONE) {
        fold_name(call, line, rules->check_names);
    }
}

struct str import_line_body(struct arena *arena, const struct import_line *line, bool create)
{
    yyjson_mut_doc *doc = json_doc(arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "device_name", line->name);
    json_add_raw(doc, root, "attributes", line->attributes);
    if (create && line->owner.len) {
        json_add_str(doc, root, "owner", line->owner);
    }
    return json_write_mut(arena, doc);
}
