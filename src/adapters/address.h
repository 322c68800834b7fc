/* Which addresses are somebody else's, out in the internet: the rule by which a webhook may not be made
 * to knock at the machine's own doors, its network, or a cloud's metadata service. Pure. */
#ifndef ADAPTERS_ADDRESS_H
#define ADAPTERS_ADDRESS_H

#include <sys/socket.h>

#include "base/base.h"

/* Is it a globally reachable unicast address?
 *   rule   no private, loopback, link-local, shared (CGNAT), documentation, benchmark, multicast, reserved or metadata
 *          address; of IPv6 nothing that stands for an IPv4 address, but for NAT64 of one that is public
 *   source IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890); RFC 6052 */
bool address_is_public(const struct sockaddr *, socklen_t size_bytes);

#endif
