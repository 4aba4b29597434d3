/* The client's loop. */
#ifndef ESTAB_LOOP_H
#define ESTAB_LOOP_H

#include "client.h"

int client_run(struct client *k);

#endif
