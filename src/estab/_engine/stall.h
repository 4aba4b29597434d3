/* What the kernel knows of a connection that gets no answer. */
#ifndef ESTAB_STALL_H
#define ESTAB_STALL_H

#include "client.h"

bool is_stall(uint64_t code); /* whether a connection that failed so had waited in vain */

/* Counts a connection that is given up for that, and keeps what its kernel knows of it. */
void stall_note(struct client *k, const struct conn *c, uint64_t code);

/* Whether what was sent last has not arrived, as the kernel knows by its acknowledgements. */
bool is_unacknowledged(const struct conn *c, uint64_t code);

#endif
