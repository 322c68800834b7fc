/* LD_PRELOAD for DynamoDB Local, which listens on all interfaces and has no flag against it: a bind() to a wildcard
 * address goes to loopback. */
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
    int (*real)(int, const struct sockaddr *, socklen_t) =
        (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } copy;
    if (size > sizeof copy)
        return real(fd, address, size);
    memcpy(&copy, address, size);
    if (copy.any.sa_family == AF_INET && copy.v4.sin_addr.s_addr == htonl(INADDR_ANY))
        copy.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (copy.any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&copy.v6.sin6_addr))
        memcpy(&copy.v6.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
    return real(fd, &copy.any, size);
}
