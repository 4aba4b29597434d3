/* Open addressing with linear probing: a look-up touches one cache line as a rule, and nothing is allocated for a key. */
#include "tally.h"

#include <stdlib.h>

#include "hash.h"

enum { FIRST_SIZE = 1024 };

static size_t first_place(const struct tally *t, struct tally_key key) {
    return (size_t)mixed(mixed(key.high ^ t->seed) ^ key.low);
}

/* The place of `key`, or the free one where it belongs. There is always a free one. */
static struct tally_entry *place(const struct tally *t, struct tally_key key) {
    for (size_t at = first_place(t, key);; at++) {
        struct tally_entry *entry = &t->entries[at & (t->size - 1)];
        if (!entry->count || (entry->key.low == key.low && entry->key.high == key.high)) return entry;
    }
}

static bool grow(struct tally *t) {
    struct tally grown = {.used = t->used, .wanted = t->wanted};
    grown.size = t->size ? 2 * t->size : FIRST_SIZE;
    grown.seed = t->size ? t->seed : new_seed();
    grown.entries = calloc(grown.size, sizeof *grown.entries);
    if (!grown.entries) return false;
    for (size_t i = 0; i < t->size; i++)
        if (t->entries[i].count) *place(&grown, t->entries[i].key) = t->entries[i];
    free(t->entries);
    *t = grown;
    return true;
}

bool tally_add(struct tally *t, struct tally_key key, uint64_t more) {
    if (2 * t->used >= t->size && !grow(t)) return false;
    struct tally_entry *entry = place(t, key);
    if (!entry->count) {
        entry->key = key;
        t->used++;
    }
    entry->count += more;
    return true;
}

bool tally_set(struct tally *t, struct tally_key key, uint64_t count) {
    return tally_add(t, key, count - tally_count(t, key)); /* modulo 2^64, as unsigned numbers are */
}

void tally_prefetch(const struct tally *t, struct tally_key key) {
    if (t->size) __builtin_prefetch(&t->entries[first_place(t, key) & (t->size - 1)], 1);
}

uint64_t tally_count(const struct tally *t, struct tally_key key) { return t->size ? place(t, key)->count : 0; }

bool tally_merge(struct tally *t, const struct tally *other) {
    for (size_t i = 0; i < other->size; i++)
        if (other->entries[i].count && !tally_add(t, other->entries[i].key, other->entries[i].count)) return false;
    return true;
}

static bool before(const struct tally_entry *a, const struct tally_entry *b) {
    if (a->count != b->count) return a->count > b->count;
    return a->key.high != b->key.high ? a->key.high < b->key.high : a->key.low < b->key.low;
}

static bool skipped(struct tally_key key, const struct tally_key *skip, size_t skips) {
    for (size_t i = 0; i < skips; i++)
        if (skip[i].high == key.high && skip[i].low == key.low) return true;
    return false;
}

size_t tally_busiest(const struct tally *t, const struct tally_key *skip, size_t skips, struct tally_entry *out,
                     size_t most) {
    size_t taken = 0;
    for (size_t i = 0; i < t->size; i++) {
        const struct tally_entry *entry = &t->entries[i];
        if (!entry->count || (taken == most && (!most || !before(entry, &out[most - 1])))) continue;
        if (skipped(entry->key, skip, skips)) continue;
        size_t at = taken < most ? taken++ : most - 1; /* the last one falls out of a full list */
        for (; at && before(entry, &out[at - 1]); at--) out[at] = out[at - 1];
        out[at] = *entry;
    }
    return taken;
}

void tally_free(struct tally *t) {
    free(t->entries);
    *t = (struct tally){.wanted = t->wanted};
}
