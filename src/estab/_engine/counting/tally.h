/* Counts by a key of two words, in a table that a thread fills without Python. */
#ifndef ESTAB_TALLY_H
#define ESTAB_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tally_key {
    uint64_t high, low;
};

struct tally_entry {
    struct tally_key key;
    uint64_t count; /* 0: a free place */
};

/* All zero: an empty one, not wanted. */
struct tally {
    struct tally_entry *entries;
    size_t size, used; /* places, a power of two; those taken */
    uint64_t seed;
    bool wanted;
};

/* `more` to what was counted at `key`; `more` is not 0. False: no memory, and nothing was added. */
bool tally_add(struct tally *t, struct tally_key key, uint64_t more);

/* `count`, which is not 0, in place of what was counted at `key`. False: no memory. */
bool tally_set(struct tally *t, struct tally_key key, uint64_t count);

/* Have the place of `key` fetched: it is not in the CPU's caches as a rule, and tally_add() would wait for it. */
void tally_prefetch(const struct tally *t, struct tally_key key);

/* What was counted at `key`; 0: nothing. */
uint64_t tally_count(const struct tally *t, struct tally_key key);

/* All of `other` as well. False: no memory, and a part of it was added. */
bool tally_merge(struct tally *t, const struct tally *other);

/* The `most` entries with the greatest counts, equal ones by key, into `out`; those at `skip` are left out. How many. */
size_t tally_busiest(const struct tally *t, const struct tally_key *skip, size_t skips, struct tally_entry *out,
                     size_t most);

void tally_free(struct tally *t);

#endif
