/* OPTIONS in both homes: the core's 405 with another status, because the route decides what is allowed, and who may ask. */
#ifndef HOME_ANSWER_OPTIONS_H
#define HOME_ANSWER_OPTIONS_H

#include "core/model.h"

/* in: what api_handle answered to OPTIONS. source RFC 9110 section 9.3.7 */
void answer_options(struct arena *, struct response *);

#endif
