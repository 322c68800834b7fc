/* IPv4: everything but a list. IPv6: nothing but 2000::/3, and of that everything but a list; what is
 * not handed out yet is nobody's webhook. The address that is judged is the one that the socket is
 * then connected to, so no name, redirect or second look-up comes between. */
#include "adapters/address.h"

#include <netinet/in.h>

struct range4 {
    unsigned char bytes[4];
    int bits;
};

struct range6 {
    unsigned char bytes[16];
    int bits;
};

static const struct range4 refused4[] = {
    {{0, 0, 0, 0}, 8},        /* this network */
    {{10, 0, 0, 0}, 8},       /* private */
    {{100, 64, 0, 0}, 10},    /* shared: carriers' NAT; Alibaba's metadata */
    {{127, 0, 0, 0}, 8},      /* loopback */
    {{168, 63, 129, 16}, 32}, /* Azure's metadata and health service */
    {{169, 254, 0, 0}, 16},   /* link-local; metadata of AWS, Azure, Google */
    {{172, 16, 0, 0}, 12},    /* private */
    {{192, 0, 0, 0}, 24},     /* protocol assignments; Oracle's metadata */
    {{192, 0, 2, 0}, 24},     /* documentation */
    {{192, 88, 99, 0}, 24},   /* 6to4 relays, given up */
    {{192, 168, 0, 0}, 16},   /* private */
    {{198, 18, 0, 0}, 15},    /* benchmarks */
    {{198, 51, 100, 0}, 24},  /* documentation */
    {{203, 0, 113, 0}, 24},   /* documentation */
    {{224, 0, 0, 0}, 4},      /* multicast */
    {{240, 0, 0, 0}, 4},      /* reserved; broadcast */
};

static const struct range6 global6 = {{0x20}, 3};
static const struct range6 nat64 = {{0x00, 0x64, 0xff, 0x9b}, 96};
static const struct range6 refused6[] = {
    {{0x20, 0x01, 0x00}, 23},       /* protocol assignments: Teredo, ORCHID, benchmarks */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x20, 0x02}, 16},             /* 6to4: an IPv4 address in disguise */
    {{0x3f, 0xff, 0x00}, 20},       /* documentation */
};

/* Do the first bits agree? */
static bool is_in(const unsigned char *address, const unsigned char *range, int bits)
{
    int whole = bits / 8, rest = bits % 8;
    unsigned char mask = (unsigned char)(0xff00 >> rest & 0xff);
    return memcmp(address, range, (size_t)whole) == 0 &&
           (rest == 0 || ((address[whole] ^ range[whole]) & mask) == 0);
}

static bool is_public4(const unsigned char *address)
{
    for (size_t i = 0; i < COUNT_OF(refused4); i++) {
        if (is_in(address, refused4[i].bytes, refused4[i].bits)) {
            return false;
        }
    }
    return true;
}

static bool is_public6(const unsigned char *address)
{
    if (is_in(address, nat64.bytes, nat64.bits)) {
        return is_public4(address + 12);
    }
    for (size_t i = 0; i < COUNT_OF(refused6); i++) {
        if (is_in(address, refused6[i].bytes, refused6[i].bits)) {
            return false;
        }
    }
    return is_in(address, global6.bytes, global6.bits);
}

bool address_is_public(const struct sockaddr *address, socklen_t size_bytes)
{
    if (address->sa_family == AF_INET && size_bytes >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return is_public4((const unsigned char *)&in.sin_addr);
    }
    if (address->sa_family == AF_INET6 && size_bytes >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof in);
        return is_public6((const unsigned char *)&in.sin6_addr);
    }
    return false;
}
