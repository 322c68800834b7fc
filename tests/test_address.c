/* P9: which addresses a webhook may not reach. */
#include "adapters/address.h"
#include "test.h"

#include <arpa/inet.h>
#include <sys/un.h>

static bool is_public(const char *text)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
        return address_is_public((struct sockaddr *)&in, sizeof in);
    }
    CHECK_INT(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    return address_is_public((struct sockaddr *)&in6, sizeof in6);
}

TEST(address_public_ones_are_reachable)
{
    static const char *const good[] = {"1.1.1.1",
                                       "8.8.8.8",
                                       "9.255.255.255",
                                       "11.0.0.0",
                                       "100.63.255.255",
                                       "100.128.0.0",
                                       "126.255.255.255",
                                       "128.0.0.0",
                                       "168.63.129.15",
                                       "168.63.129.17",
                                       "169.253.255.255",
                                       "169.255.0.0",
                                       "172.15.255.255",
                                       "172.32.0.0",
                                       "191.255.255.255",
                                       "192.0.1.0",
                                       "192.0.3.0",
                                       "192.88.98.255",
                                       "192.88.100.0",
                                       "192.167.255.255",
                                       "192.169.0.0",
                                       "198.17.255.255",
                                       "198.20.0.0",
                                       "198.51.99.255",
                                       "198.51.101.0",
                                       "203.0.112.255",
                                       "203.0.114.0",
                                       "223.255.255.255",
                                       "2000::1",
                                       "2001:200::1",
                                       "2001:4860:4860::8888",
                                       "2001:db7:ffff::1",
                                       "2001:db9::1",
                                       "2003::1",
                                       "2600::1",
                                       "2a00::1",
                                       "3ffe::1",
                                       "3fff:1000::1",
                                       "64:ff9b::808:808"};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        if (!is_public(good[i])) {
            FAIL("refused: %s", good[i]);
        }
    }
}

/* P9 */
TEST(address_of_the_machine_its_network_and_its_cloud_are_refused)
{
    static const char *const bad[] = {"0.0.0.0",
                                      "0.255.255.255",
                                      "10.0.0.0",
                                      "10.255.255.255",
                                      "100.64.0.0",
                                      "100.100.100.200",
                                      "100.127.255.255",
                                      "127.0.0.1",
                                      "127.255.255.255",
                                      "168.63.129.16",
                                      "169.254.0.0",
                                      "169.254.169.254",
                                      "169.254.170.2",
                                      "169.254.255.255",
                                      "172.16.0.0",
                                      "172.31.255.255",
                                      "192.0.0.0",
                                      "192.0.0.192",
                                      "192.0.0.255",
                                      "192.0.2.1",
                                      "192.88.99.1",
                                      "192.168.0.0",
                                      "192.168.255.255",
                                      "198.18.0.0",
                                      "198.19.255.255",
                                      "198.51.100.1",
                                      "203.0.113.1",
                                      "224.0.0.0",
                                      "239.255.255.255",
                                      "240.0.0.0",
                                      "255.255.255.255",
                                      "::",
                                      "::1",
                                      "::8.8.8.8",
                                      "::ffff:127.0.0.1",
                                      "::ffff:8.8.8.8",
                                      "::ffff:0:1",
                                      "64:ff9b::7f00:1",
                                      "64:ff9b::a9fe:a9fe",
                                      "64:ff9b:1::1",
                                      "100::1",
                                      "2001::1",
                                      "2001:10::1",
                                      "2001:1ff:ffff::1",
                                      "2001:db8::1",
                                      "2002:7f00:1::1",
                                      "2002:808:808::1",
                                      "3fff::1",
                                      "3fff:fff::1",
                                      "4000::1",
                                      "fc00::1",
                                      "fd00:ec2::254",
                                      "fe80::1",
                                      "febf::1",
                                      "fec0::1",
                                      "ff02::1",
                                      "1fff::1",
                                      "8000::1"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        if (is_public(bad[i])) {
            FAIL("allowed: %s", bad[i]);
        }
    }
}

TEST(address_of_another_family_or_cut_short_is_refused)
{
    struct sockaddr_un unix_address = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x08080808)};
    CHECK(!address_is_public((struct sockaddr *)&unix_address, sizeof unix_address));
    CHECK(address_is_public((struct sockaddr *)&in, sizeof in));
    CHECK(!address_is_public((struct sockaddr *)&in, sizeof in - 1));
    in.sin_family = AF_INET6;
    CHECK(!address_is_public((struct sockaddr *)&in, sizeof in));
}
