/* How a connection begins. */
#ifndef ESTAB_CONNECT_H
#define ESTAB_CONNECT_H

#include "client.h"

void conn_start(struct client *k, struct conn *c);         /* a slot that is ready calls connect() */
void conn_connect_event(struct client *k, struct conn *c); /* epoll told of one that is CONNECTING */

#endif
