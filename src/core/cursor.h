/* Cursors: where the next page of a list begins, as an opaque text that the client hands back. It carries a checksum
 * over what it belongs to, so that a mistyped one, or one of another list, owner or filter, is refused instead of
 * silently showing something else. It is no secret and no permission: a page checks its owner as ever. Pure. */
#ifndef CORE_CURSOR_H
#define CORE_CURSOR_H

#include "core/model.h"

#define CURSOR_PAYLOAD_MAX_BYTES 760 /* so that the text stays within CURSOR_MAX_BYTES */

/* in: scope: the list with its filters; payload: where to go on, <= CURSOR_PAYLOAD_MAX_BYTES. out: base64url (RFC 4648 section 5) */
struct str cursor_write(struct call *, struct str scope, struct str payload);
/* fails: RC_INVALID it was not written for this scope; call->problem is left alone. */
MUST enum rc cursor_read(struct call *, struct str scope, struct str cursor,
                         struct str *ret_payload);

#endif
