/* "Did you mean ...?": the known word that a mistyped one was probably meant to be. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include "base/base.h"

#define NEAREST_MAX_BYTES 64 /* longer words have no neighbours */

/* out: index of the nearest of names (ASCII case does not matter; a hyphen equals an underscore), -1 if none is near
 * rule: near = at most a third of the letters differ (Levenshtein; two swapped neighbours are one), or word begins exactly one of them */
int nearest(struct str word, const char *const *names, size_t count);

#endif
