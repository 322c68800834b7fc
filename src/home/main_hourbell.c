/* The program `hourbell`: the one table of its sub-commands. What is written here is what the parser takes,
 * what help and man page say and what the shells complete. The functions are in cmd_<topic>.c. */
#include "home/cmd.h"
#include "home/version.h"

#define END                                                                                        \
    {                                                                                              \
        NULL, 0, OPTION_END, false, NULL, NULL, 0, 0                                               \
    }

/* clang-format off */
static const struct option client_options[] = {
    {"url", 'u', OPTION_TEXT, false, "URL", "the server: http://127.0.0.1:8080, or unix:/path/to/socket; else HOURBELL_URL", 0, 0},
    {"key-file", 'k', OPTION_FILE, false, "FILE", "read the credential from this file; else HOURBELL_KEY, HOURBELL_KEY_FILE", 0, 0},
    {"timeout", 0, OPTION_SPAN, false, "TIME", "longest wait for one answer (default 30s)", 100, 3600000},
    END};

static const struct option serve_options[] = { /* options named like a setting are that setting */
    {"file", 'f', OPTION_FILE, false, "FILE", "settings file; else HOURBELL_CONF, /etc/hourbell/hourbell.conf", 0, 0},
    {"set", 's', OPTION_TEXT, true, "NAME=VALUE", "one setting; stronger than environment and file", 0, 0},
    {"bind", 'b', OPTION_TEXT, false, "ADDRESS:PORT", "where to listen; port 0: any free one", 0, 0},
    {"unix-socket", 0, OPTION_FILE, false, "PATH", "listen on this Unix socket too", 0, 0},
    {"data-dir", 'd', OPTION_FOLDER, false, "FOLDER", "folder of the database; made if it is missing", 0, 0},
    {"secrets-file", 0, OPTION_FILE, false, "FILE", "file with secrets, one name=value per line", 0, 0},
    {"window", 'w', OPTION_TEXT, false, "TIME", "the slot of time in which a device may have one effect", 0, 0},
    {"log-level", 0, OPTION_CHOICE, false, "error|warn|info|debug", "how much to say on standard error", 0, 0},
    END};

static const struct option config_options[] = {
    {"file", 'f', OPTION_FILE, false, "FILE", "settings file; else HOURBELL_CONF, /etc/hourbell/hourbell.conf", 0, 0},
    {"set", 's', OPTION_TEXT, true, "NAME=VALUE", "one setting; stronger than environment and file", 0, 0},
    {"origin", 'o', OPTION_FLAG, false, NULL, "say behind each value where it came from", 0, 0},
    {"check", 0, OPTION_FLAG, false, NULL, "print only what is wrong, also with the files and folders that the settings name", 0, 0},
    END};

static const struct option check_downstream_options[] = {
    {"file", 'f', OPTION_FILE, false, "FILE", "settings file; else HOURBELL_CONF, /etc/hourbell/hourbell.conf", 0, 0},
    {"set", 's', OPTION_TEXT, true, "NAME=VALUE", "one setting; stronger than environment and file", 0, 0},
    {"downstream-file", 0, OPTION_FILE, false, "FILE", "the mapping; else as the settings say", 0, 0},
    {"secrets-file", 0, OPTION_FILE, false, "FILE", "file with secrets, one name=value per line", 0, 0},
    END};

static const struct option mapping_init_options[] = {
    {"sample", 0, OPTION_FILE, false, "FILE", "devices as import and export know them, one JSON line each; - is standard input", 0, 0},
    {"output", 'o', OPTION_FILE, false, "FILE", "write to this file, which must not be there yet (default: standard output)", 0, 0},
    {"entity", 0, OPTION_TEXT, false, "SET", "the entity set (default: Equipment, or the only one)", 0, 0},
    {"name-field", 0, OPTION_TEXT, false, "FIELD", "the field that holds the device's name (default: the likeliest)", 0, 0},
    {"query", 0, OPTION_TEXT, true, "NAME=VALUE", "goes onto every address: sap-client=100", 0, 0},
    {"auth", 0, OPTION_CHOICE, false, "basic|oauth2_client_credentials|bearer|none", "how to log on (default basic), by the secrets sap/user and sap/password, sap/client_id and sap/client_secret, or sap/token", 0, 0},
    {"token-url", 0, OPTION_TEXT, false, "URL", "where tokens come from; oauth2_client_credentials only", 0, 0},
    {"metadata", 0, OPTION_FILE, false, "FILE", "read $metadata from this file, ask nobody", 0, 0},
    {"secrets-file", 0, OPTION_FILE, false, "FILE", "file with secrets, one name=value per line", 0, 0},
    {"file", 'f', OPTION_FILE, false, "FILE", "settings file; else HOURBELL_CONF, /etc/hourbell/hourbell.conf", 0, 0},
    {"set", 's', OPTION_TEXT, true, "NAME=VALUE", "one setting; stronger than environment and file", 0, 0},
    END};

static const struct option mock_sap_options[] = {
    {"bind", 'b', OPTION_TEXT, false, "ADDRESS", "address and port to listen on (default 127.0.0.1:8181); port 0: any free one", 0, 0},
    {"control", 0, OPTION_FLAG, false, NULL, "open the control paths /_mock/... for tests", 0, 0},
    {"delay", 0, OPTION_SPAN, false, "TIME", "answer each call this late", 0, 600000},
    {"log", 0, OPTION_FILE, false, "FILE", "append each call that came in, one JSON line each", 0, 0},
    {"state", 0, OPTION_FILE, false, "FILE", "keep the rows in this file", 0, 0},
    END};

static const struct option create_options[] = {
    {"owner", 'o', OPTION_TEXT, false, "OWNER", "whose device it is; operators only, who must say so", 0, 0},
    {"file", 'f', OPTION_FILE, false, "FILE", "read the attributes from this file; - is standard input", 0, 0},
    {"idempotency-key", 0, OPTION_TEXT, false, "KEY", "the same key gets the same answer again", 0, 0},
    END};

static const struct option update_options[] = {
    {"file", 'f', OPTION_FILE, false, "FILE", "read the patch from this file; - is standard input", 0, 0},
    {"if-match", 0, OPTION_NUMBER, false, "REVISION", "only if the document still has this revision", 1, INT64_MAX},
    {"idempotency-key", 0, OPTION_TEXT, false, "KEY", "the same key gets the same answer again", 0, 0},
    END};

static const struct option show_options[] = {
    {"prefix", 'p', OPTION_TEXT, false, "PREFIX", "only devices whose names begin with it", 0, 0},
    {"owner", 'o', OPTION_TEXT, false, "OWNER", "only this owner's; operators only", 0, 0},
    {"seq", 0, OPTION_NUMBER, false, "SEQ", "one update: its delivery, its tries, what became of each field", 1, INT64_MAX},
    {"limit", 'n', OPTION_NUMBER, false, "COUNT", "at most so many (default: all)", 1, INT64_MAX},
    END};

static const struct option log_options[] = {
    {"updates", 0, OPTION_FLAG, false, NULL, "only the updates, with their states", 0, 0},
    {"limit", 'n', OPTION_NUMBER, false, "COUNT", "at most so many (default: all)", 1, INT64_MAX},
    END};

static const struct option act_options[] = {
    {"reason", 'r', OPTION_TEXT, false, "TEXT", "why; must be given, and goes into the log", 0, 0},
    {"seq", 0, OPTION_NUMBER, false, "SEQ", "the update to cancel", 1, INT64_MAX},
    {"idempotency-key", 0, OPTION_TEXT, false, "KEY", "the same key gets the same answer again", 0, 0},
    END};

static const struct option work_options[] = {
    {"state", 's', OPTION_CHOICE, false, "open|flight|uncertain|dead", "which devices (default: a count of all)", 0, 0},
    {"limit", 'n', OPTION_NUMBER, false, "COUNT", "at most so many (default: all)", 1, INT64_MAX},
    END};

static const struct option redrive_options[] = {
    {"owner", 'o', OPTION_TEXT, false, "OWNER", "only this owner's devices", 0, 0},
    {"limit", 'n', OPTION_NUMBER, false, "COUNT", "at most so many (default: all)", 1, INT64_MAX},
    {"dry-run", 0, OPTION_FLAG, false, NULL, "only say which", 0, 0},
    END};

static const struct option downstream_options[] = {
    {"reason", 'r', OPTION_TEXT, false, "TEXT", "why; must be given with an ACTION, and goes into the log", 0, 0},
    END};

static const struct option keys_create_options[] = {
    {"role", 'r', OPTION_CHOICE, false, "customer|operator", "what the key may do (default customer)", 0, 0},
    {"owner", 'o', OPTION_TEXT, false, "OWNER", "whose devices; customers only", 0, 0},
    {"label", 'l', OPTION_TEXT, false, "TEXT", "a note for people", 0, 0},
    END};

static const struct option keys_rotate_options[] = {
    {"overlap", 0, OPTION_SPAN, false, "TIME", "how long the old secret stays valid (default: the server's key_overlap)", 0, 2592000000},
    END};

static const struct option import_options[] = {
    {"mode", 'm', OPTION_CHOICE, false, "create|update|upsert", "what a line without \"op\" means (default create)", 0, 0},
    {"owner", 'o', OPTION_TEXT, false, "OWNER", "whose devices a line without \"owner\" creates; operators only", 0, 0},
    {"in-flight", 'n', OPTION_NUMBER, false, "COUNT", "requests at once (default 64)", 1, 1024},
    {"results", 'r', OPTION_FILE, false, "FILE", "write what became of each line, one JSON line each", 0, 0},
    {"state", 's', OPTION_FILE, false, "FILE", "where to note how far it came (default FILE.hourbell-import)", 0, 0},
    {"restart", 0, OPTION_FLAG, false, NULL, "begin anew, with new idempotency keys", 0, 0},
    {"dry-run", 0, OPTION_FLAG, false, NULL, "read and check the lines only, send nothing", 0, 0},
    {"quiet", 'q', OPTION_FLAG, false, NULL, "no progress bar", 0, 0},
    END};

static const struct option export_options[] = {
    {"output", 'o', OPTION_FILE, false, "FILE", "write to this file, complete or not at all (default: standard output)", 0, 0},
    {"prefix", 'p', OPTION_TEXT, false, "PREFIX", "only devices whose names begin with it", 0, 0},
    {"owner", 0, OPTION_TEXT, false, "OWNER", "only this owner's; operators only", 0, 0},
    {"resume", 0, OPTION_FLAG, false, NULL, "go on with FILE.part where an export broke off", 0, 0},
    {"quiet", 'q', OPTION_FLAG, false, NULL, "no progress line", 0, 0},
    END};

static const struct option restore_options[] = {
    {"file", 'f', OPTION_FILE, false, "FILE", "settings file of the server, for its window", 0, 0},
    {"set", 's', OPTION_TEXT, true, "NAME=VALUE", "one setting; stronger than environment and file", 0, 0},
    {"force", 0, OPTION_FLAG, false, NULL, "replace the database that is there (it is kept as hourbell.db.before-restore.N)", 0, 0},
    {"accept-findings", 0, OPTION_FLAG, false, NULL, "restore a backup although its check finds something", 0, 0},
    END};

static const struct option check_options[] = {
    {"file", 'f', OPTION_FILE, false, "FILE", "settings file, for the window and the retention", 0, 0},
    {"set", 's', OPTION_TEXT, true, "NAME=VALUE", "one setting; stronger than environment and file", 0, 0},
    {"quiet", 'q', OPTION_FLAG, false, NULL, "no progress line", 0, 0},
    END};

static const struct command commands[] = {
    {.name = "serve", .also = "start run server daemon up", .help = "run the server until SIGTERM or SIGINT",
     .text = "Accepts requests over HTTP, keeps them in the data folder, and once a window carries each changed device to the "
             "downstream. The first start makes an operator's key and shows it once, unless the secrets hold one.",
     .options = serve_options, .has_settings = true, .run = cmd_serve, .exits = "11 13",
     .examples = {{"hourbell serve --file hourbell.conf", "start with a settings file"},
                  {"hourbell serve --data-dir ./data --window 60s", "try it in this folder with a window of one minute"}}},
    {.name = "mock-sap", .also = "sap mock", .help = "run a stand-in for SAP, for tests and demonstrations",
     .text = "Speaks the part of OData V2 and V4 that the connector needs: sessions, ETags, $metadata, search, changes. It "
             "forgets everything when it stops, unless --state is given. User and password come from HOURBELL_MOCK_USER and "
             "HOURBELL_MOCK_PASSWORD, a bearer token from HOURBELL_MOCK_BEARER; without them everybody may.",
     .options = mock_sap_options, .run = cmd_mock_sap, .exits = "11 13",
     .examples = {{"hourbell mock-sap --control", "with the control paths open"}}},
    {.name = "config", .also = "settings configure set", .help = "print the settings as the server would take them",
     .text = "Reads what a server would read, starts nothing. Each line is a setting and its value; with --origin also where the value "
             "came from: default, FILE:LINE, environment HOURBELL_NAME, or flag (stronger to the right). What is unknown or out of "
             "range is told with its place and its rule; with --check also whether the data folder, the mapping, the secrets and the "
             "webhooks are such that a server would start.",
     .options = config_options, .has_settings = true, .run = cmd_config, .exits = "13",
     .examples = {{"hourbell config --origin", "where does each value come from?"}}},

    {.name = "create", .also = "add new register", .help = "create a device", .is_client = true, .options = create_options, .run = cmd_create,
     .text = "The attributes are a JSON object, given as an operand, by --file, or not at all. A device that is there with equal "
             "attributes and the same owner is no error.",
     .operands = {{"NAME", "the device's name", false, false, false}, {"ATTRIBUTES", "a JSON object (default {})", true, false, false}},
     .exits = "10 11 12 13 14",
     .examples = {{"hourbell create Pump-7 '{\"vendor\":\"Ebara\"}'", "a device with one attribute"}}},
    {.name = "update", .also = "edit patch modify change put", .help = "ask for a change of a device", .is_client = true, .options = update_options, .run = cmd_update,
     .text = "The patch is a JSON merge patch (RFC 7396): members replace, null deletes, objects merge. The answer comes at once; the "
             "downstream is told with the next window.",
     .operands = {{"NAME", "the device's name", false, false, false}, {"PATCH", "a JSON object", true, false, false}},
     .exits = "10 11 12 13 14",
     .examples = {{"hourbell update Pump-7 '{\"room\":\"B2\"}'", "change one attribute"}}},
    {.name = "show", .also = "list ls get describe cat view devices device", .help = "show devices, one device, or one update", .is_client = true, .options = show_options, .run = cmd_show,
     .operands = {{"NAME", "the device's name; none: list devices", true, false, false}}, .exits = "10 12 13 14",
     .examples = {{"hourbell show Pump-7", "one device"},
                  {"hourbell show Pump-7 --seq 3", "what became of its third log entry"},
                  {"hourbell show --prefix pump", "all devices whose names begin with pump"}}},
    {.name = "log", .also = "history logs events audit", .help = "show the log of a device, or the system's own", .is_client = true, .options = log_options, .run = cmd_log,
     .operands = {{"NAME", "the device's name; none: the system's log (operators)", true, false, false}}, .exits = "10 12 13 14",
     .examples = {{"hourbell log Pump-7 -n 5", "the newest five entries"}}},
    {.name = "pending", .also = "preview next queue", .help = "show what will be sent next for a device, when, and what it waits for", .is_client = true,
     .run = cmd_pending, .operands = {{"NAME", "the device's name", false, false, false}}, .exits = "10 12 13 14",
     .examples = {{"hourbell pending Pump-7 --json", "the exact next body"}}},
    {.name = "act", .also = "cancel hold resume confirm deny discard resend_all deliver_now action", .help = "act on a device: cancel, hold, resume, redrive and others", .is_client = true, .options = act_options,
     .run = cmd_act,
     .text = "cancel takes one update back that is not on its way yet. The others are for operators: hold and resume stop and go on "
             "with deliveries; deliver_now skips the due time, never the window; confirm and deny decide an uncertain delivery; discard "
             "and redrive end or repeat a dead one; resend_all sends the full document next.",
     .operands = {{"NAME", "the device's name", false, false, false},
                  {"ACTION", "cancel, hold, resume, deliver_now, confirm, deny, discard, redrive, resend_all", false, false, false}},
     .exits = "10 11 12 13 14",
     .examples = {{"hourbell act Pump-7 cancel --seq 4 --reason 'wrong room'", "take the update 4 back"},
                  {"hourbell act Pump-7 hold --reason 'being moved'", "deliver nothing for this device"}}},
    {.name = "work", .also = "status stats state backlog jobs", .help = "show what waits, is on its way, uncertain or dead", .is_client = true, .options = work_options,
     .run = cmd_work, .exits = "12 13 14", .examples = {{"hourbell work --state dead", "what needs an operator"}}},
    {.name = "redrive", .also = "retry", .help = "open dead work again", .is_client = true, .options = redrive_options, .run = cmd_redrive,
     .text = "Each device is sent its newest state with its next window, or nothing if that is what the downstream holds.",
     .exits = "12 13 14", .examples = {{"hourbell redrive --dry-run", "which devices would it be?"}}},
    {.name = "downstream", .also = "probe sap breaker", .help = "show, hold, resume or probe the downstream", .is_client = true, .options = downstream_options,
     .text = "resume ends a hold; where there is none, it ends a rest that the downstream asked for (Retry-After). probe tries the connection "
             "once, also after the downstream refused the credentials, and shows what it came to; if it succeeds, a rest is over too. None of them opens a window.",
     .run = cmd_downstream, .operands = {{"ACTION", "hold, resume or probe; none: show", true, false, false}}, .exits = "11 12 13 14",
     .examples = {{"hourbell downstream hold --reason 'SAP upgrade'", "send nothing until resumed"}}},

    {.name = "keys list", .also = "key", .help = "list the keys", .is_client = true, .run = cmd_keys_list, .exits = "12 14"},
    {.name = "keys create", .help = "make a key; its secret is shown once", .is_client = true, .options = keys_create_options,
     .run = cmd_keys_create, .exits = "12 13 14",
     .examples = {{"hourbell keys create --owner acme --label 'ERP team'", "a customer's key"}}},
    {.name = "keys rotate", .help = "give a key a new secret; the old one stays valid for a while", .is_client = true,
     .options = keys_rotate_options, .run = cmd_keys_rotate, .operands = {{"ID", "the key's id", false, false, false}},
     .exits = "10 12 13 14"},
    {.name = "keys delete", .help = "end a key at once", .is_client = true, .run = cmd_keys_delete,
     .operands = {{"ID", "the key's id", false, false, false}}, .exits = "10 11 12 14"},

    {.name = "keys generate", .help = "print a credential for a server that has not started yet", .run = cmd_keys_generate,
     .text = "Asks no server. The credential goes into the secrets of the server as operator_key or customer_key; the next start takes "
             "it in, if it does not know its id yet. For automation, and for when the last operator key is lost.",
     .examples = {{"echo \"operator_key=$(hourbell keys generate)\" >> secrets", "before the first start"}}},

    {.name = "import", .also = "load upload", .help = "create or update many devices from a file of JSON lines", .is_client = true,
     .options = import_options, .run = cmd_import,
     .text = "Each line is an object: {\"device_name\", \"attributes\"?, \"owner\"?, \"op\"?}. op is create, update or upsert (create, or update "
             "where the name is taken); --mode says what a line without it means. Lines of one device are sent in their order, all "
             "others side by side. Each line has its own idempotency key, so an import that broke off goes on where it stopped and "
             "repeats nothing. At the end it says what was created, equal, updated, satisfied and refused, and why.",
     .operands = {{"FILE", "NDJSON, one object per line; - is standard input", false, false, true}}, .exits = "11 12 13 14 15",
     .examples = {{"hourbell import devices.ndjson --results results.ndjson", "and keep what became of each line"}}},
    {.name = "export", .also = "dump download", .help = "write all devices as JSON lines, in order of their names", .is_client = true,
     .options = export_options, .run = cmd_export,
     .text = "The lines are what import reads. They hold the documents as customers want them, not logs and keys: those are in a backup.",
     .exits = "12 13 14", .examples = {{"hourbell export -o devices.ndjson", "into a file"},
                                       {"hourbell export | HOURBELL_URL=http://other:8080 hourbell import -", "to another server"}}},
    {.name = "backup", .also = "save snapshot", .help = "let the server write a verified backup into its backup folder", .is_client = true,
     .run = cmd_backup, .exits = "11 12 14"},
    {.name = "restore", .also = "recover", .help = "put a backup into a data folder whose server is stopped", .options = restore_options,
     .run = cmd_restore,
     .text = "Verifies the backup first. What the downstream got since the backup is unknown, so every device that it may have heard "
             "of is sent in full with its next change, none before the next window, and the downstream is held until an operator "
             "resumes it: hourbell downstream resume --reason TEXT.",
     .operands = {{"BACKUP", "the backup's file", false, false, true}, {"DATA_DIR", "the data folder", false, false, true}},
     .exits = "10 11 13",
     .examples = {{"hourbell restore hourbell-20261122T110000Z.db /var/lib/hourbell", "after a lost disk"}}},
    {.name = "check downstream", .help = "log on to the downstream and hold its fields against the mapping", .options = check_downstream_options,
     .text = "Reads the settings and the mapping as the server would, makes one authenticated round trip, and compares the service's "
             "$metadata with the mapping: set, keys, types, lengths, what may be created and updated. Writes nothing. Each finding "
             "is told with the line of the mapping; a note alone is good to know, and no fault.",
     .has_settings = false, .run = cmd_check_downstream, .exits = "10 12 13 14",
     .examples = {{"hourbell check downstream --secrets-file secrets", "before the first start against a new system"}}},
    {.name = "mapping init", .also = "map mappings", .help = "write a first downstream.json, from $metadata and a sample of devices",
     .options = mapping_init_options, .run = cmd_mapping_init,
     .text = "Asks the service once for its $metadata and changes nothing there. Each attribute of the sample gets the field whose name "
             "says the same and whose type takes it; lengths, case, keys, units and what may be updated are the service's. What found "
             "no field, and what a person must decide, is told on standard error; exit code 15 if something must be done by hand.",
     .operands = {{"URL", "the service's root, without a slash at its end", false, false, false}}, .exits = "10 11 12 13 14 15",
     .examples = {{"hourbell mapping init https://host/sap/opu/odata/sap/API_EQUIPMENT --sample devices.ndjson", "then read it, and run hourbell check downstream"}}},
    {.name = "check", .also = "verify fsck validate", .help = "replay every log of a backup or of a stopped server's data against the rules",
     .options = check_options, .run = cmd_check, .is_client = true,
     .text = "Reads only. Proves that names are unique, that each log is complete and its chain of hashes unbroken, that each document is "
             "what its updates make of it, and that no device had two effects in one window. Without an operand it asks the "
             "running server for a backup, which must be on this machine, checks that, and removes it if nothing was found.",
     .operands = {{"PATH", "a backup, or the data folder of a stopped server", true, false, true}}, .exits = "10 11 12 13 14",
     .examples = {{"hourbell check /var/lib/hourbell", "after an accident"}}},
    {.name = "version", .help = "print the version and those of the libraries", .run = cmd_version},
    {.name = NULL},
};
/* clang-format on */

int main(int argc, char **argv)
{
    static const struct command_table table = {
        .program = "hourbell",
        .help =
            "A device registry between customers and SAP: it accepts updates of devices at any "
            "time, folds "
            "all that came for one device into one document, and carries it to SAP once an hour.",
        .version = HOURBELL_VERSION,
        .commands = commands,
        .client_options = client_options,
    };
    return command_run(&table, argc, argv);
}
