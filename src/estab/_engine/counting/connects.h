/* What became of the connects of some processes: begun, connected, failed with which errno, given up.
 *
 * What lives here: events in order of their time in, counts by target out. */
#ifndef ESTAB_CONNECTS_H
#define ESTAB_CONNECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "calls.h"
#include "event.h"
#include "failures.h"
#include "target_index.h"

enum { HDR_HALF = 1024, HDR_LENGTH = 33 * HDR_HALF, BUCKETS = 1 << 16, RESENT = 16, CLOSINGS = 1024 };

struct traced_target {
    uint64_t attempted, connected, resets_received, resets_sent, resent, worst_give_up_ns;
    struct failure failures[MOST_ERRNOS];
};

struct connection {
    uint64_t sk, began_ns;
    uint32_t target, next; /* 1 + place of the next with this hash */
    uint16_t resent;
    bool open;
};

/* A connect that ended in CLOSE: why is told by the next events, or it was closed by its program. */
struct closing {
    struct event closed;
    uint64_t began_ns;
    uint32_t target;
    bool by_program, waits;
};

struct connects {
    struct calls calls;
    struct target_index index;
    struct traced_target targets[MOST_TARGETS];
    struct connection *connections;
    size_t used, places;
    uint32_t free_list, buckets[BUCKETS];
    struct closing closings[CLOSINGS];
    size_t next_closing;
    uint64_t histogram[HDR_LENGTH], sum_ns, max_ns, resent[RESENT]; /* of times to connect; of connects by SYNs sent again */
};

/* The next event; none before it is to come. False: no memory. */
bool connects_add(struct connects *c, const struct event *e);
/* Nothing up to `until_ns` is to come any more. */
void connects_settle(struct connects *c, uint64_t until_ns);
void connects_free(struct connects *c);

#endif
