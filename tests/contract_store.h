/* The suite that every store must pass: each CONTRACT runs once per line of store_makers, on an empty store.
 * A second store is plugged in by one line there. */
#ifndef TESTS_CONTRACT_STORE_H
#define TESTS_CONTRACT_STORE_H

#include "store_desk.h"
#include "test.h"

struct store_maker {
    const char *name;
    struct store *(*open)(void); /* the same data again if it keeps them */
    void (*close)(struct store *);
    bool keeps;   /* data survive close and open */
    bool expires; /* store_expire deletes; false: the store does so by itself, some time later */
    const char *(*is_there)(void); /* NULL = always; else NULL from it = not on this machine */
};

/* Run it with each maker. */
void contract_run(void (*contract)(struct desk *));
const struct store_maker *contract_maker(void); /* of the running contract */
/* Close and open again, where data are kept. */
void contract_reopen(struct desk *);

#define CONTRACT(sentence)                                                                         \
    static void contract_##sentence(struct desk *desk);                                            \
    TEST(sentence)                                                                                 \
    {                                                                                              \
        contract_run(contract_##sentence);                                                         \
    }                                                                                              \
    static void contract_##sentence(struct desk *desk)

#endif
