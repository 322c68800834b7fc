/* What is wrong with a downstream.json, told with its line: as editors know it (file:line: words), or with --json. */
#ifndef HOME_FINDINGS_H
#define HOME_FINDINGS_H

#include "adapters/sap_metadata.h"
#include "home/command.h"

/* Members that a reader of the file has named, as findings. */
struct sap_findings findings_of_call(const struct call *);
/* Print them on standard output. in: name, json: of the file */
void findings_print(const struct args *, struct str name, struct str json,
                    const struct sap_findings *);

/* The service could not be looked at: tell why. out: the exit code */
int findings_fail(const struct args *, const struct outcome *);

#endif
