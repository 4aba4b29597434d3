/* An open loop's schedule: when each request or connect is meant to begin, whatever became of those before it. */
#ifndef ESTAB_SCHEDULE_H
#define ESTAB_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct schedule {
    double gap_ns; /* the mean time from one to the next */
    double phase;  /* constant arrivals: the first comes after so many gaps, so that workers take turns */
    bool poisson;
    uint64_t random;
    uint64_t start_ns; /* 0: has not begun */
    double since_ns;   /* of the next, since the start */
    uint64_t next_ns;
};

void schedule_begin(struct schedule *s, uint64_t now);
uint64_t schedule_take(struct schedule *s); /* the next intended start; the one after it becomes the next */

#endif
