/* From the binary pages of a tracefs instance (per_cpu/cpuN/trace_pipe_raw) to events.
 *
 * What lives here: the ring buffer's pages (include/linux/ring_buffer.h; their layout stands in events/header_page and
 * header_event), and events by the offsets that their own `format` names. Nothing here knows a file. */
#ifndef ESTAB_PAGES_H
#define ESTAB_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"

enum { MOST_FIELDS = 9 };

/* Where an event's fields stand; id -1: this kernel has none of the kind. */
struct format {
    int id, offset[MOST_FIELDS];
};

/* Events as they came. All zero: none. */
struct pages {
    struct format formats[KINDS];
    struct event *events;
    size_t n, room;
    uint64_t taken, damaged;
};

/* All events of one page. False: no memory. */
bool pages_take(struct pages *p, const uint8_t *page, size_t size);
/* Those up to `until_ns`, in order: how many, from the first on. `pages_drop` forgets as many. */
size_t pages_sort(struct pages *p, uint64_t until_ns);
void pages_drop(struct pages *p, size_t done);
void pages_free(struct pages *p);

#endif
