/* Rules that bind several settings, or know more of one than its range. */
#ifndef HOME_CONFIG_RULES_H
#define HOME_CONFIG_RULES_H

#include "home/config.h"

/* Look at settings that are in range each by itself. out: faults and warnings in the report. */
void config_rules_check(const struct config *, struct config_report *);
/* Is it the name of something secret? Such a thing does not belong into a file of settings or into a flag. */
bool config_rules_secret_name(struct str name);
/* Does the value hold a credential: one of our keys, a webhook secret, a URL with a password? */
bool config_rules_secret_value(struct str value);

#endif
