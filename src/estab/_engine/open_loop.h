/* The open loop of a client: what its schedule says that is due. */
#ifndef ESTAB_OPEN_LOOP_H
#define ESTAB_OPEN_LOOP_H

#include "client.h"

void open_loop_begin(struct client *k, uint64_t now);
bool schedule_is_due(const struct client *k, uint64_t now);
bool has_backlog(const struct client *k, uint64_t now); /* the end has come, and what was due before it is unsent */
uint64_t take_due(struct client *k, uint64_t now, uint64_t free_since_ns);
void abandon_backlog(struct client *k, uint64_t now);

#endif
