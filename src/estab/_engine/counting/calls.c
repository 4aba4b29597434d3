#include "calls.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Of a descriptor: 1 + its kind, whether TCP ever began to connect, 1 + place of its acceptor. */
enum kind { OTHER, TCP_STREAM, UNIX_STREAM };
enum { KIND_BITS = 3, BEGAN = 4, ACCEPTOR_SHIFT = 3, MOST_ACCEPTORS = 4096, TYPE_BITS = 15, RESTARTED = 512 };

static struct task *task_of(const struct calls *c, int32_t tid) {
    uint64_t place = tally_count(&c->by_tid, (struct tally_key){0, (uint32_t)tid});
    return place ? &c->tasks[place - 1] : NULL;
}

static struct task *followed(const struct calls *c, int32_t tid) {
    struct task *task = task_of(c, tid);
    return task && task->followed ? task : NULL;
}

bool calls_is_followed(const struct calls *c, int32_t tid) { return followed(c, tid) != NULL; }

/* Room for one more, where an array is full. */
static bool make_room(void **array, size_t n, size_t *room, size_t size) {
    if (n < *room) return true;
    size_t more = *room ? 2 * *room : 64;
    void *moved = realloc(*array, more * size);
    if (!moved) return false;
    *array = moved;
    *room = more;
    return true;
}

static bool add_task(struct calls *c, int32_t tid, uint32_t table, uint64_t at_ns) {
    struct task *task = task_of(c, tid);
    if (!task) {
        if (!make_room((void **)&c->tasks, c->n_tasks, &c->room, sizeof *c->tasks) ||
            !tally_add(&c->by_tid, (struct tally_key){0, (uint32_t)tid}, c->n_tasks + 1))
            return false;
        task = &c->tasks[c->n_tasks++];
    }
    *task = (struct task){.table = table, .followed_ns = at_ns, .followed = true};
    return true;
}

bool calls_follow(struct calls *c, int32_t tid, int32_t leader, uint64_t at_ns) {
    const struct task *known = task_of(c, leader);
    return add_task(c, tid, known ? known->table : ++c->tables, at_ns);
}

bool calls_note_new(struct calls *c, int32_t parent, int32_t child, uint64_t clone_flags, uint64_t at_ns) {
    const struct task *from = followed(c, parent);
    if (from) return add_task(c, child, clone_flags & CLONE_FILES ? from->table : ++c->tables, at_ns);
    struct task *stale = task_of(c, child); /* a stranger that was given the number of one that has ended */
    if (stale && stale->followed_ns < at_ns) stale->followed = false;
    return true;
}

/* --- descriptors --- */

static struct tally_key key_of(const struct task *task, int fd) { return (struct tally_key){task->table, (uint32_t)fd}; }

static uint64_t socket_of(const struct calls *c, const struct task *task) {
    uint64_t packed = tally_count(&c->sockets, key_of(task, task->fd));
    return packed ? packed : 1 + OTHER;
}

static enum kind kind_of(uint64_t packed) { return (enum kind)((packed & KIND_BITS) - 1); }

void calls_begin_socket(struct calls *c, int32_t tid, int family, int type) {
    struct task *task = followed(c, tid);
    if (!task) return;
    bool stream = (type & TYPE_BITS) == SOCK_STREAM;
    task->call = SOCKET_CALL;
    task->kind = !stream ? OTHER : family == AF_UNIX ? UNIX_STREAM : TCP_STREAM;
}

bool calls_end_socket(struct calls *c, int32_t tid, int64_t returned, uint64_t at_ns) {
    struct task *task = followed(c, tid);
    if (!task) return true;
    bool begun = task->call == SOCKET_CALL;
    enum kind kind = begun ? (enum kind)task->kind : OTHER;
    task->call = NO_CALL;
    if (returned >= 0) return tally_set(&c->sockets, key_of(task, (int)returned), 1 + kind);
    if (kind == TCP_STREAM) count_failure(c->sockets_failed, (int32_t)-returned, at_ns);
    return true;
}

/* --- bind() --- */

void calls_begin_bind(struct calls *c, int32_t tid, int fd) {
    struct task *task = followed(c, tid);
    if (!task) return;
    task->call = BIND_CALL;
    task->fd = fd;
}

void calls_end_bind(struct calls *c, int32_t tid, int32_t error, uint64_t at_ns) {
    struct task *task = followed(c, tid);
    if (!task || task->call != BIND_CALL) return;
    task->call = NO_CALL;
    if (kind_of(socket_of(c, task)) == TCP_STREAM) count_failure(c->binds_failed, error, at_ns);
}

/* --- connect() --- */

void calls_begin_connect(struct calls *c, int32_t tid, int fd, uint64_t at_ns) {
    struct task *task = followed(c, tid);
    if (!task) return;
    task->call = CONNECT_CALL;
    task->fd = fd;
    task->since_ns = at_ns;
    c->unix_connects += kind_of(socket_of(c, task)) == UNIX_STREAM;
}

bool calls_note_begun(struct calls *c, int32_t tid) {
    struct task *task = followed(c, tid);
    if (!task || task->call != CONNECT_CALL) return true;
    return tally_set(&c->sockets, key_of(task, task->fd), socket_of(c, task) | BEGAN);
}

uint64_t calls_connects_since(const struct calls *c, int32_t tid) {
    const struct task *task = followed(c, tid);
    return task && task->call == CONNECT_CALL ? task->since_ns : 0;
}

/* What asks for another call, or says that nothing is to be done. */
static bool is_no_failure(int32_t error) {
    return error == EINPROGRESS || error == EALREADY || error == EISCONN || error == EINTR || error >= RESTARTED;
}

static void count_refused(struct calls *c, int32_t tid, uint64_t at_ns) {
    size_t i = 0;
    while (i < c->n_refused && c->refused[i].tid != tid && i < MOST_REFUSED - 1) i++;
    struct refused *r = &c->refused[i];
    if (i == c->n_refused) {
        *r = (struct refused){.tid = i < MOST_REFUSED - 1 ? tid : 0, .first_ns = at_ns};
        c->n_refused++;
    }
    r->count++;
    r->last_ns = at_ns;
}

void calls_end_connect(struct calls *c, int32_t tid, int32_t error, uint64_t at_ns) {
    struct task *task = followed(c, tid);
    if (!task && error == EAGAIN) count_refused(c, tid, at_ns);
    if (!task || task->call != CONNECT_CALL || is_no_failure(error)) return;
    uint64_t packed = socket_of(c, task);
    task->call = NO_CALL;
    /* Where TCP began, this is how an earlier call ended, and was counted by then. */
    if (kind_of(packed) == TCP_STREAM && !(packed & BEGAN)) count_failure(c->connects_failed, error, at_ns);
    /* Of a socket that was made before it was followed, EAGAIN tells that it is a UNIX one. */
    if (kind_of(packed) == UNIX_STREAM || (kind_of(packed) == OTHER && error == EAGAIN))
        count_failure(c->unix_failed, error, at_ns);
}

/* --- accept() --- */

void calls_begin_accept(struct calls *c, int32_t tid, int fd) {
    struct task *task = followed(c, tid);
    if (!task) return;
    task->call = ACCEPT_CALL;
    task->fd = fd;
}

/* That of the descriptor; beyond many the last. NULL: no memory. */
static struct acceptor *acceptor_of(struct calls *c, const struct task *task, int32_t tid) {
    uint64_t packed = socket_of(c, task);
    if (packed >> ACCEPTOR_SHIFT) return &c->acceptors[(packed >> ACCEPTOR_SHIFT) - 1];
    if (c->n_acceptors < MOST_ACCEPTORS) {
        if (!make_room((void **)&c->acceptors, c->n_acceptors, &c->acceptor_room, sizeof *c->acceptors)) return NULL;
        c->acceptors[c->n_acceptors++] = (struct acceptor){.tid = tid, .fd = task->fd};
    }
    uint64_t kept = (packed & ((1 << ACCEPTOR_SHIFT) - 1)) | c->n_acceptors << ACCEPTOR_SHIFT;
    return tally_set(&c->sockets, key_of(task, task->fd), kept) ? &c->acceptors[c->n_acceptors - 1] : NULL;
}

bool calls_end_accept(struct calls *c, int32_t tid, int64_t returned, uint64_t at_ns) {
    struct task *task = followed(c, tid);
    if (!task || task->call != ACCEPT_CALL) return true;
    task->call = NO_CALL;
    int32_t error = returned < 0 ? (int32_t)-returned : 0;
    if (error == EAGAIN || (error && is_no_failure(error))) return true;
    struct acceptor *acceptor = acceptor_of(c, task, tid);
    if (!acceptor) return false;
    if (error) count_failure(acceptor->failures, error, at_ns);
    else acceptor->accepted++;
    return true;
}

void calls_free(struct calls *c) {
    tally_free(&c->by_tid);
    tally_free(&c->sockets);
    free(c->tasks);
    free(c->acceptors);
}
