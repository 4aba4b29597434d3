/* Addresses and ports by number, in the order in which they were first seen. */
#ifndef ESTAB_TARGET_INDEX_H
#define ESTAB_TARGET_INDEX_H

#include <stdint.h>
#include <string.h>

#include "hash.h"

/* Beyond the last all share its place, with port 0. */
enum { MOST_TARGETS = 4096, TARGET_PLACES = 4 * MOST_TARGETS, TARGET_ADDRESS = 16 };

struct target_name {
    uint8_t address[TARGET_ADDRESS]; /* an IPv4 address as IPv4-mapped */
    uint16_t port;                   /* the host's order */
};

/* All zero: an empty one. */
struct target_index {
    struct target_name names[MOST_TARGETS];
    uint32_t places[TARGET_PLACES]; /* 1 + number; 0: free */
    uint32_t used;
    uint64_t seed;
};

static inline uint32_t target_number(struct target_index *t, const uint8_t address[TARGET_ADDRESS], uint16_t port) {
    uint64_t words[2];
    memcpy(words, address, sizeof words);
    if (!t->seed) t->seed = new_seed() | 1;
    for (uint64_t at = mixed(mixed(mixed(words[0] ^ t->seed) ^ words[1]) ^ port);; at++) {
        uint32_t *place = &t->places[at % TARGET_PLACES];
        if (!*place) {
            if (t->used == MOST_TARGETS) return MOST_TARGETS - 1;
            struct target_name *name = &t->names[t->used];
            if (t->used < MOST_TARGETS - 1) {
                memcpy(name->address, address, sizeof name->address);
                name->port = port;
            }
            *place = ++t->used;
            return *place - 1;
        }
        const struct target_name *known = &t->names[*place - 1];
        if (known->port == port && !memcmp(known->address, address, sizeof known->address)) return *place - 1;
    }
}

#endif
