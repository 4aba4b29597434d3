/* The fast path of a single connection: waiting for it in recv(). */
#ifndef ESTAB_SINGLE_H
#define ESTAB_SINGLE_H

#include <stdbool.h>
#include <stdint.h>

#define SINGLE_OTHERS 2
#define SINGLE_AFTER 64 /* turns of nothing but one connection, before it is waited for in recv() */

/* What stands while a loop waits in the recv() of one connection. */
struct single {
    int fd;
    int others[SINGLE_OTHERS]; /* descriptors that may have something to say meanwhile; -1: none */
    int timer; /* the kernel's number of it */
    bool has_timer;
};

bool single_begin(struct single *a, int fd, int epoll, const int *others, uint64_t until_ns);
void single_end(struct single *a, bool open);

#endif
