/* Which local port a connection gets. */
#ifndef ESTAB_PORTS_H
#define ESTAB_PORTS_H

#include "client.h"

int connect_from_port(struct client *k, int fd);

#endif
