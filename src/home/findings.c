/* See findings.h. */
#include "home/findings.h"

#include "home/print.h"

struct sap_findings findings_of_call(const struct call *call)
{
    struct sap_findings findings = {
        .items = arena_array(call->arena, struct sap_finding, (size_t)call->item_count),
        .count = call->item_count,
        .wrong = call->item_count};
    for (int i = 0; i < call->item_count; i++) {
        findings.items[i] =
            (struct sap_finding){.pointer = call->items[i].pointer, .words = call->items[i].detail};
    }
    return findings;
}

static void as_json(const struct args *args, struct str name, struct str json,
                    const struct sap_findings *findings)
{
    yyjson_mut_doc *doc = json_doc(args->arena);
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    json_add_str(doc, root, "file", name);
    yyjson_mut_val *list = json_add_arr(doc, root, "findings");
    for (int i = 0; i < findings->count; i++) {
        const struct sap_finding *one = &findings->items[i];
        yyjson_mut_val *item = yyjson_mut_arr_add_obj(doc, list);
        json_add_i64(doc, item, "line", json_line(args->arena, json, one->pointer));
        json_add_str(doc, item, "pointer", one->pointer);
        json_add_str(doc, item, "severity", one->note ? STR("note") : STR("error"));
        json_add_str(doc, item, "detail", one->words);
    }
    print_json(stdout, json_write_mut(args->arena, doc));
}

void findings_print(const struct args *args, struct str name, struct str json,
                    const struct sap_findings *findings)
{
    if (args_has(args, "json")) {
        as_json(args, name, json, findings);
        return;
    }
    for (int i = 0; i < findings->count; i++) {
        const struct sap_finding *one = &findings->items[i];
        struct str line =
            arena_printf(args->arena, STR_FMT ":%d: %s" STR_FMT ": " STR_FMT, STR_ARG(name),
                         json_line(args->arena, json, one->pointer), one->note ? "note: " : "",
                         STR_ARG(one->pointer.len ? one->pointer : STR("/")), STR_ARG(one->words));
        print_text(stdout, line, "");
        putchar('\n');
    }
}

int findings_fail(const struct args *args, const struct outcome *outcome)
{
    if (outcome->auth) {
        return command_fail(args, EXIT_AUTH,
                            STR_FMT
                            ": the logon was refused: " STR_FMT
                            "\nCheck user and password, and whether SAP has locked the user. "
                            "It was tried once: SAP locks after three.",
                            STR_ARG(outcome->code), STR_ARG(outcome->detail));
    }
    return command_fail(args, outcome->class == OUTCOME_STOP ? EXIT_INVALID : EXIT_UNREACHABLE,
                        STR_FMT ": " STR_FMT, STR_ARG(outcome->code), STR_ARG(outcome->detail));
}
