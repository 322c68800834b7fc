/* Patterns of values: POSIX extended regular expressions that every libc reads alike, and that stay small. Pure. */
#ifndef ADAPTERS_SAP_PATTERN_H
#define ADAPTERS_SAP_PATTERN_H

#include <regex.h>

#include "base/arena.h"

#define SAP_PATTERN_MAX_BYTES 256
#define SAP_PATTERN_MAX_SIZE 1000 /* characters, its counts written out */

/* Compile one that the whole text must match.
 *   out    ret_regex: in the arena; give back what it holds by regfree
 *   rule   ASCII, at most 256 characters; escapes only of punctuation; with all counts written out at most 1000 characters long
 *   fails  the reason, in words; NULL = compiled */
const char *sap_pattern_compile(struct arena *, struct str pattern, regex_t **ret_regex);

#endif
