/* A test that is played in OData V2 and again, with _v4 at the end of its name, in V4. */
#ifndef ODATA_VERSIONS_H
#define ODATA_VERSIONS_H

#include "test.h"

extern bool odata_v4; /* which of the two runs; each test is a process of its own */

#define TEST_V2_V4(sentence)                                                                       \
    static void in_both_##sentence(void);                                                          \
    TEST(sentence)                                                                                 \
    {                                                                                              \
        in_both_##sentence();                                                                      \
    }                                                                                              \
    TEST(sentence##_v4)                                                                            \
    {                                                                                              \
        odata_v4 = true;                                                                           \
        in_both_##sentence();                                                                      \
    }                                                                                              \
    static void in_both_##sentence(void)

#endif
