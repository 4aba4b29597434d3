/* What some processes ask of their sockets: socket(), bind(), connect() and accept(), from the start and the end of each call.
 *
 * What lives here: whose tasks they are, which kind each descriptor is, and what no event of TCP tells: calls that failed
 * before the socket did anything, connects over UNIX sockets, and what was accepted by which listener; and of all others
 * who was refused by a full UNIX queue. */
#ifndef ESTAB_CALLS_H
#define ESTAB_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "failures.h"
#include "tally.h"

enum call { NO_CALL, SOCKET_CALL, BIND_CALL, CONNECT_CALL, ACCEPT_CALL };

/* A thread that was followed; `table` numbers its table of descriptors, which the threads of a process share. */
struct task {
    uint32_t table;
    int32_t fd; /* of the call that it is in */
    uint64_t followed_ns, since_ns; /* since when it is followed, and in that call */
    uint8_t call, kind;
    bool followed;
};

/* A descriptor from which connections are accepted, and a thread that did so first. */
struct acceptor {
    int32_t tid, fd;
    uint64_t accepted;
    struct failure failures[MOST_ERRNOS];
};

enum { MOST_REFUSED = 64 };

/* A thread that is not followed and whose connect() got EAGAIN: only a UNIX socket's does so, at a full accept queue
 * (unix_stream_connect, net/unix/af_unix.c). In the last place: all beyond, and tid 0. */
struct refused {
    int32_t tid;
    uint64_t count, first_ns, last_ns;
};

/* All zero: nobody is followed. */
struct calls {
    struct tally by_tid; /* 1 + place among `tasks` */
    struct task *tasks;
    size_t n_tasks, room;
    uint32_t tables;
    struct tally sockets; /* by (table, descriptor): what calls.c packs */
    struct acceptor *acceptors;
    size_t n_acceptors, acceptor_room;
    struct failure sockets_failed[MOST_ERRNOS], binds_failed[MOST_ERRNOS];
    struct failure connects_failed[MOST_ERRNOS], unix_failed[MOST_ERRNOS];
    uint64_t unix_connects;
    struct refused refused[MOST_REFUSED];
    size_t n_refused;
};

/* False of those that return it: no memory. */
bool calls_follow(struct calls *c, int32_t tid, int32_t leader, uint64_t at_ns);
bool calls_note_new(struct calls *c, int32_t parent, int32_t child, uint64_t clone_flags, uint64_t at_ns);
bool calls_is_followed(const struct calls *c, int32_t tid);

void calls_begin_socket(struct calls *c, int32_t tid, int family, int type);
bool calls_end_socket(struct calls *c, int32_t tid, int64_t returned, uint64_t at_ns);
void calls_begin_bind(struct calls *c, int32_t tid, int fd);
void calls_end_bind(struct calls *c, int32_t tid, int32_t error, uint64_t at_ns);
void calls_begin_connect(struct calls *c, int32_t tid, int fd, uint64_t at_ns);
/* Since when it has been in connect(); 0: it is not. */
uint64_t calls_connects_since(const struct calls *c, int32_t tid);
/* TCP has begun to connect, within this call. */
bool calls_note_begun(struct calls *c, int32_t tid);
/* It returned an error that no end of a TCP connect explains. */
void calls_end_connect(struct calls *c, int32_t tid, int32_t error, uint64_t at_ns);
void calls_begin_accept(struct calls *c, int32_t tid, int fd);
bool calls_end_accept(struct calls *c, int32_t tid, int64_t returned, uint64_t at_ns);

void calls_free(struct calls *c);

#endif
