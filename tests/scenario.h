/* Scenarios: tests/scenarios/<topic>-<sentence>.txt, one story each, in words that another home can play too.
 * tests/scenarios/README.md is their grammar. This is the home in one process: the core, a real SQLite store,
 * a clock that stands still, SAP's mock behind the real connector.
 *   run_scenarios.c   reads the files, one test each
 *   scenario_home.c   the world, the steps of a home, what SAP saw
 *   scenario_match.c  placeholders, captures, comparison of JSON */
#ifndef SCENARIO_H
#define SCENARIO_H

#include "core/api.h"
#include "test.h"

#define SCENARIO_NAMES_MAX 64
#define SCENARIO_LINE_MAX_BYTES ((size_t)1 << 20)

/* A captured text: $name. */
struct capture {
    struct str name, text;
};

struct scenario_home;

struct scenario {
    const char *path;
    int line;           /* that is being played */
    struct arena arena; /* for the whole story */
    struct capture captures[SCENARIO_NAMES_MAX];
    int capture_count;
    struct scenario_home *home;
};

/* End the test: the file's line is said. */
_Noreturn void scenario_fail(const struct scenario *, const char *format, ...) PRINTF(2, 3);

/* --- scenario_match.c --- */
void scenario_capture(struct scenario *, struct str name, struct str text);
/* The text with each ${name} replaced. */
struct str scenario_fill(struct scenario *, struct str text);
/* Does a text fit a pattern: a text, $ANY, $TIME, $UUID, $INT, $name (captured), $name= or $name=$UUID (capture it)? */
bool scenario_fits(struct scenario *, struct str pattern, struct str text);
/* Compare JSON; fails with the pointer to the first difference. */
void scenario_match(struct scenario *, struct str expected, struct str actual);

/* --- scenario_home.c --- */
/* A line that is no request: "clock +59m", "run", "sap calls 1". */
void scenario_do(struct scenario *, struct str line);
/* Lines that speak of the settings come before all else. */
void scenario_open(struct scenario *);
void scenario_close(struct scenario *);
/* Ask the product. ret_id: the request's id. */
void scenario_ask(struct scenario *, const struct request *, struct response *ret_response,
                  struct str *ret_id);
/* The credential of "as WHO"; "" = nobody. */
struct str scenario_credential(struct scenario *, struct str who);

#endif
