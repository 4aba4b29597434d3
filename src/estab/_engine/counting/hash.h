/* Hashing of what strangers choose: with a seed, nobody can choose keys that fall together. */
#ifndef ESTAB_HASH_H
#define ESTAB_HASH_H

#include <stdint.h>
#include <sys/random.h>

static inline uint64_t mixed(uint64_t x) { /* splitmix64's */
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* 0 where none can be had: all works as well then, only a stranger could make it slow. */
static inline uint64_t new_seed(void) {
    uint64_t seed;
    return getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed ? seed : 0;
}

#endif
