/* Failures by what they ended in, with their first and last time: a short list, whose last place takes the rest. */
#ifndef ESTAB_FAILURES_H
#define ESTAB_FAILURES_H

#include <stdint.h>

enum { MOST_ERRNOS = 8, GAVE_UP = 0, UNKNOWN = -1 }; /* codes beside errnos */

struct failure {
    int32_t code;
    uint64_t count, first_ns, last_ns;
};

static inline void count_failure(struct failure failures[MOST_ERRNOS], int32_t code, uint64_t at_ns) {
    for (int i = 0; i < MOST_ERRNOS; i++) {
        struct failure *f = &failures[i];
        if (f->count && f->code != code && i < MOST_ERRNOS - 1) continue;
        if (!f->count) {
            f->first_ns = at_ns;
            f->code = i < MOST_ERRNOS - 1 ? code : UNKNOWN;
        }
        f->count++;
        f->last_ns = at_ns;
        return;
    }
}

#endif
