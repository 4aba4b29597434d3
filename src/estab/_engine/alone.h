/* Waiting for one connection alone. */
#ifndef ESTAB_ALONE_H
#define ESTAB_ALONE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define ALONE_OTHERS 2
#define ALONE_AFTER 64 /* turns of nothing but one connection, before it is waited for alone */

/* What stands while a loop waits in the recv() of one connection. */
struct alone {
    int fd;
    int others[ALONE_OTHERS]; /* descriptors that may have something to say meanwhile; -1: none */
    timer_t timer;
    bool has_timer;
};

bool alone_begin(struct alone *a, int fd, int epoll, const int *others, uint64_t until_ns);
void alone_end(struct alone *a, bool open);

#endif
