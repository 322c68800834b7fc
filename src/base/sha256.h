/* SHA-256 in one call. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include "base/base.h"

#define SHA256_BYTES 32

void sha256(struct str bytes, unsigned char ret_digest[SHA256_BYTES]);

#endif
