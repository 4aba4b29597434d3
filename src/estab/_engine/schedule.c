/* Constant arrivals stand a gap apart; Poisson arrivals have gaps of an exponential distribution with that mean. */
#include "schedule.h"

#include <math.h>

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014): a number in (0, 1]. */
static double uniform(struct schedule *s) {
    uint64_t z = (s->random += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return ((double)((z ^ (z >> 31)) >> 11) + 1) * 0x1p-53;
}

#define NEVER_NS 1e18 /* some thirty years */

static void advance(struct schedule *s, double gaps) {
    s->since_ns = fmin(s->since_ns + s->gap_ns * gaps, NEVER_NS);
    s->next_ns = s->start_ns + (uint64_t)s->since_ns;
}

void schedule_begin(struct schedule *s, uint64_t now) {
    s->start_ns = now;
    advance(s, s->poisson ? -log(uniform(s)) : s->phase);
}

uint64_t schedule_take(struct schedule *s) {
    uint64_t intended = s->next_ns;
    advance(s, s->poisson ? -log(uniform(s)) : 1);
    return intended;
}
