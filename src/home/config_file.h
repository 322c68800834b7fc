/* hourbell.conf: lines "name = value", comments on lines of their own, no sections. */
#ifndef HOME_CONFIG_FILE_H
#define HOME_CONFIG_FILE_H

#include "home/config.h"

/* Read the file into config. out: config->file; faults in the report. in: must_exist: a missing file is a fault. */
void config_file_read(const char *path, bool must_exist, struct config *, struct config_report *);
/* The same of its text; name is what faults call it. */
void config_file_parse(struct str name, struct str text, struct config *, struct config_report *);

#endif
