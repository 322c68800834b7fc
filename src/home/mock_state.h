/* The mock's rows in a file, one JSON line each: loaded at its start, saved at its end. */
#ifndef HOME_MOCK_STATE_H
#define HOME_MOCK_STATE_H

#include "adapters/sap_mock.h"

/* A file that is not there is an empty mock. fails: RC_INVALID a line is no row · RC_BROKEN */
MUST enum rc mock_state_load(struct call *, struct sap_mock *, const char *path);
/* Whole or not at all: a new file takes the old one's place. fails: RC_BROKEN */
MUST enum rc mock_state_save(struct call *, const struct sap_mock *, const char *path);

#endif
