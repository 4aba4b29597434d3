/* The server's loop: accepts as fast or as slowly as asked, echoes or swallows, and counts. */
#include "server.h"

#include "single.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ACCEPT_BATCH 64
#define PATIENCE 4                    /* batches of one connection, before more are expected */
#define READS_A_TURN 4                /* so that one busy peer does not keep the others waiting */
#define EMFILE_REST_NS (10 * NS_PER_MS)
#define CPU_CLOCK_NS (50 * NS_PER_MS)
#define SILENT 16       /* so many silent peers in a row: the next are not asked when they come */
#define EARLY_EVERY 64  /* but one of so many */
#define CPU_TURNS 256 /* between two looks at the clock, beside one peer */
#define NONE UINT32_MAX
#define PEER_EVENTS ((uint32_t)(EPOLLIN | EPOLLRDHUP | EPOLLET))

static void peer_fail(struct server *s, int fd, enum phase phase, int error) {
    union address peer = {0};
    socklen_t length = sizeof peer;
    struct failure *f = block_failure(s->block, phase, (uint64_t)error, now_ns() - s->start_ns);
    if (f->count == 1 && fd >= 0 && getpeername(fd, &peer.any, &length) == 0 && peer.any.sa_family != AF_UNIX)
        address_describe(fd, &peer, f->example, sizeof f->example);
    block_add(s->block, S_failed, 1);
}

static void peer_close(struct server *s, int fd) {
    struct peer *p = &s->peers[fd];
    if (s->reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    free(p->spill);
    p->spill = NULL;
    p->is_open = 0;
    close(fd);
    block_sub(s->block, S_open, 1);
    block_add(s->block, S_closed, 1);
}

/* A client's RST is the client's affair: it is counted, not called a failure of the server. */
static void peer_error(struct server *s, int fd, enum phase phase, int error) {
    if (error == ECONNRESET || error == EPIPE) block_add(s->block, S_peer_resets, 1);
    else peer_fail(s, fd, phase, error);
    peer_close(s, fd);
}

static bool watch(struct server *s, int fd, uint32_t events) {
    struct epoll_event e = {.events = events, .data.fd = fd};
    struct peer *p = &s->peers[fd];
    if (epoll_ctl(s->epoll, p->is_watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &e) < 0) return false;
    p->is_watched = 1;
    return true;
}

/* Keeps what did not fit into the socket until it is writable again. */
static void spill(struct server *s, int fd, const uint8_t *data, size_t size) {
    struct peer *p = &s->peers[fd];
    p->spill = malloc(size);
    if (!p->spill) {
        peer_error(s, fd, PHASE_write, ENOMEM);
        return;
    }
    memcpy(p->spill, data, size);
    p->spill_at = 0;
    p->spill_end = (uint32_t)size;
    if (!watch(s, fd, PEER_EVENTS | EPOLLOUT)) peer_error(s, fd, PHASE_write, errno); /* nobody would say when */
}

/* True when nothing is left to write. */
static bool flush_spill(struct server *s, int fd) {
    struct peer *p = &s->peers[fd];
    while (p->spill) {
        ssize_t n = send(fd, p->spill + p->spill_at, p->spill_end - p->spill_at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            if (errno != EAGAIN) peer_error(s, fd, PHASE_write, errno);
            return false;
        }
        block_add(s->block, S_bytes_sent, (uint64_t)n);
        p->spill_at += (uint32_t)n;
        if (p->spill_at < p->spill_end) continue;
        free(p->spill);
        p->spill = NULL;
        watch(s, fd, PEER_EVENTS); /* in vain, it is woken once more than it need be */
    }
    return true;
}

/* Writes back what is in the buffer from `at` to `size`, as far as it goes. Gives how far: not to `size`, errno says why. */
static size_t echo_some(struct server *s, int fd, size_t at, size_t size) {
    while (at < size) {
        ssize_t n = send(fd, s->buffer + at, size - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        block_add(s->block, S_bytes_sent, (uint64_t)n);
        at += (size_t)n;
    }
    return at;
}

/* The rest of it. True when all went out. */
static bool echo(struct server *s, int fd, size_t at, size_t size) {
    at = echo_some(s, fd, at, size);
    if (at == size) return true;
    if (errno == EAGAIN) spill(s, fd, s->buffer + at, size - at);
    else peer_error(s, fd, PHASE_write, errno);
    return false;
}

static void serve_again(struct server *s, int fd) {
    struct peer *p = &s->peers[fd];
    if (p->is_again) return;
    p->is_again = 1;
    p->next_again = s->again;
    s->again = (uint32_t)fd;
}

static void count_read(struct server *s, struct peer *p, size_t n) {
    if (p->served == 0) block_add(s->block, S_first_byte, 1);
    p->served += n;
    block_add(s->block, S_bytes_received, n);
}

/* Reads and serves until the socket is drained, its peer does not read, or its turn is over. */
static void serve(struct server *s, int fd) {
    struct peer *p = &s->peers[fd];
    /* With MSG_TRUNC a TCP socket drops what is read without copying it (tcp(7)). */
    int flags = MSG_DONTWAIT | (s->service == SERVICE_SINK ? MSG_TRUNC : 0);
    if (p->spill && !flush_spill(s, fd)) return;
    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t n = recv(fd, s->buffer, CHUNK, flags);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            if (n < 0) peer_error(s, fd, PHASE_read, errno);
            else peer_close(s, fd);
            return;
        }
        count_read(s, p, (size_t)n);
        if (s->service == SERVICE_ECHO && !echo(s, fd, 0, (size_t)n)) return;
        if (p->served >= s->close_after) {
            peer_close(s, fd);
            return;
        }
        if (n < CHUNK && !p->at_eof) return; /* drained; a FIN that comes later is an event of its own */
    }
    serve_again(s, fd);
}

static bool make_room(struct server *s, int fd) {
    if ((uint32_t)fd < s->peer_room) return true;
    uint32_t room = s->peer_room ? s->peer_room : 1024;
    while (room <= (uint32_t)fd) room *= 2;
    struct peer *peers = realloc(s->peers, room * sizeof *peers);
    if (!peers) return false;
    memset(peers + s->peer_room, 0, (room - s->peer_room) * sizeof *peers);
    s->peers = peers;
    s->peer_room = room;
    return true;
}

static void listen_for(struct server *s, bool on) {
    if (s->listening == on) return;
    struct epoll_event e = {.events = on ? EPOLLIN : 0, .data.fd = s->listener};
    if (epoll_ctl(s->epoll, EPOLL_CTL_MOD, s->listener, &e) == 0) s->listening = on; /* else the next turn tries again */
}

static void rest_from_accepting(struct server *s, uint64_t until) {
    s->accept_at_ns = until;
    listen_for(s, false);
}

/* Who connects and asks at once has asked by now, and is perhaps gone before epoll would have to know of it. */
static void serve_early(struct server *s, int fd) {
    if (s->silent >= SILENT && s->silent++ % EARLY_EVERY != 0) return;
    serve(s, fd);
    if (s->peers[fd].served) s->silent = 0;
    else if (s->silent < SILENT) s->silent++;
}

static void welcome(struct server *s, int fd) {
    block_add(s->block, S_accepted, 1);
    block_add(s->block, S_open, 1);
    if (!make_room(s, fd)) {
        peer_fail(s, fd, PHASE_accept, errno);
        close(fd);
        block_sub(s->block, S_open, 1);
        block_add(s->block, S_closed, 1);
        return;
    }
    struct peer *p = &s->peers[fd];
    *p = (struct peer){.is_open = 1, .is_again = p->is_again, .next_again = p->next_again};
    if (s->close_after == 0) peer_close(s, fd);
    else serve_early(s, fd);
    if (!p->is_open || p->is_watched || watch(s, fd, PEER_EVENTS)) return;
    peer_fail(s, fd, PHASE_accept, errno);
    peer_close(s, fd);
}

/* How many to accept in this turn. Where they come one by one, to ask for another each time would be in vain. */
static uint32_t next_batch(struct server *s) {
    uint32_t batch = s->batch;
    bool too_few = ++s->filled >= PATIENCE || batch > 1;
    if (too_few && batch < ACCEPT_BATCH) s->batch = batch * 2;
    return batch;
}

/* Accepts what waits, a batch at a time. Out of descriptors, it rests a little: the connection stays queued. */
static void accept_some(struct server *s) {
    uint64_t now = now_ns();
    if (s->accept_at_ns > now) return;
    for (uint32_t i = 0, batch = next_batch(s); i < batch; i++) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            if (errno == EAGAIN) {
                s->batch = i ? i : 1;
                s->filled = 0;
                break;
            }
            peer_fail(s, -1, PHASE_accept, errno);
            rest_from_accepting(s, now + EMFILE_REST_NS);
            return;
        }
        welcome(s, fd);
        if (!s->accept_gap_ns) continue;
        /* Behind by less than a millisecond, it catches up: epoll's clock is no finer. */
        s->accept_at_ns = (s->accept_at_ns + NS_PER_MS > now ? s->accept_at_ns : now) + s->accept_gap_ns;
        if (s->accept_at_ns > now) {
            rest_from_accepting(s, s->accept_at_ns);
            return;
        }
    }
    listen_for(s, true);
}

static void on_event(struct server *s, const struct epoll_event *e) {
    int fd = e->data.fd;
    if (fd == s->control) {
        char said = control_read(fd);
        if (said == 'q' || said == 'c') s->quit = true;
    } else if (fd == s->listener) {
        accept_some(s);
    } else if (s->peers[fd].is_open) {
        if (e->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) s->peers[fd].at_eof = 1;
        if ((e->events & ~(uint32_t)EPOLLOUT) || s->peers[fd].spill) serve(s, fd);
    }
}

static void serve_those_again(struct server *s) {
    uint32_t fd = s->again;
    s->again = NONE;
    while (fd != NONE) {
        struct peer *p = &s->peers[fd];
        uint32_t next = p->next_again;
        p->is_again = 0;
        if (p->is_open) serve(s, (int)fd);
        fd = next;
    }
}

static int until_ms(uint64_t at, uint64_t now) {
    return at <= now ? 0 : (int)((at - now + NS_PER_MS - 1) / NS_PER_MS);
}

static int wait_ms(const struct server *s) {
    if (s->again != NONE) return 0;
    uint64_t now = now_ns(), at = now + 1000 * NS_PER_MS;
    if (!s->listening && s->service != SERVICE_STALL) at = s->accept_at_ns;
    if (s->pause_ns && s->pause_at_ns < at) at = s->pause_at_ns;
    return until_ms(at, now);
}

/* As a server in a long garbage collection: it answers nobody, whatever comes. Only the parent's word is heard. */
static void pause_if_due(struct server *s, uint64_t now) {
    if (!s->pause_ns || now < s->pause_at_ns) return;
    uint64_t end = s->pause_at_ns + s->pause_ns;
    for (; now < end && !s->quit; now = now_ns()) {
        struct pollfd p = {.fd = s->control, .events = POLLIN};
        if (poll(&p, 1, until_ms(end, now)) <= 0) continue;
        char said = control_read(s->control);
        if (said == 'q' || said == 'c') s->quit = true;
    }
    s->pause_at_ns += s->pause_every_ns;
}

static void note_cpu(struct server *s, uint64_t now) {
    if (now < s->cpu_due_ns) return;
    block_set(s->block, S_cpu_ns, cpu_ns() - s->cpu_start_ns);
    s->cpu_due_ns = now + CPU_CLOCK_NS;
}

/* Whether one peer was all there was to serve, turn after turn. */
static bool has_single_peer(struct server *s, int n) {
    int fd = n == 1 ? s->events[0].data.fd : -1;
    s->single_turns = fd >= 0 && fd == s->last_fd ? s->single_turns + 1 : 0;
    s->last_fd = fd;
    if (s->single_turns < SINGLE_AFTER || block_get(s->block, S_open) != 1) return false;
    s->single_turns = 0;
    if (s->service != SERVICE_ECHO || s->pause_ns || s->close_after != UINT64_MAX || !s->listening) return false;
    struct peer *p = fd == s->listener || fd == s->control ? NULL : &s->peers[fd];
    return p && p->is_open && !p->spill && !p->is_again && !p->at_eof;
}

/* Serves the only peer there is, until something else happens. */
static void serve_single(struct server *s, int fd) {
    const int others[SINGLE_OTHERS] = {s->control, s->listener};
    struct single single;
    size_t size = 0, sent = 0;
    ssize_t n = 0;
    int error = 0;
    if (!single_begin(&single, fd, s->epoll, others, 0)) return;
    for (uint32_t turn = 1; sent == size; turn++) {
        n = recv(fd, s->buffer, CHUNK, 0);
        error = errno;
        if (n <= 0) break;
        count_read(s, &s->peers[fd], (size_t)n);
        size = (size_t)n;
        sent = echo_some(s, fd, 0, size);
        if (turn % CPU_TURNS == 0) note_cpu(s, now_ns());
    }
    single_end(&single, true);
    s->peers[fd].is_watched = 0;
    if (!watch(s, fd, PEER_EVENTS)) peer_error(s, fd, PHASE_read, errno);
    else if (sent < size) echo(s, fd, sent, size);
    else if (n < 0 && error != EAGAIN && error != EINTR) peer_error(s, fd, PHASE_read, error);
    else if (n == 0) peer_close(s, fd);
}

static void loop(struct server *s) {
    while (!s->quit) {
        int n = epoll_wait(s->epoll, s->events, 512, wait_ms(s));
        if (n < 0 && errno != EINTR) { /* nothing more is heard of anybody, the parent included */
            peer_fail(s, -1, PHASE_accept, errno);
            for (uint32_t fd = 0; fd < s->peer_room; fd++)
                if (s->peers[fd].is_open) peer_close(s, (int)fd);
            return;
        }
        for (int i = 0; i < n; i++) on_event(s, &s->events[i]);
        serve_those_again(s);
        if (has_single_peer(s, n)) serve_single(s, s->last_fd);
        if (!s->listening && s->service != SERVICE_STALL) accept_some(s);
        uint64_t now = now_ns();
        pause_if_due(s, now);
        note_cpu(s, now);
    }
}

static int prepare(struct server *s) {
    s->again = NONE;
    s->last_fd = -1;
    s->batch = ACCEPT_BATCH;
    int on = 1; /* who is accepted inherits it */
    if (s->service == SERVICE_ECHO) setsockopt(s->listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll < 0) return errno;
    s->buffer = malloc(CHUNK);
    if (!s->buffer || !make_room(s, 0)) return ENOMEM;
    struct epoll_event control = {.events = EPOLLIN, .data.fd = s->control};
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->control, &control) < 0) return errno;
    s->listening = s->service != SERVICE_STALL;
    struct epoll_event e = {.events = s->listening ? EPOLLIN : 0, .data.fd = s->listener};
    return epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->listener, &e) < 0 ? errno : 0;
}

/* Serves until the parent says so, or is gone. 0, or the errno that kept it from starting. */
int server_run(struct server *s) {
    s->start_ns = now_ns();
    s->cpu_start_ns = cpu_ns();
    s->pause_at_ns = s->start_ns + s->pause_every_ns;
    block_set(s->block, S_started_ns, s->start_ns);
    int error = prepare(s);
    if (error == 0) {
        block_set(s->block, S_state, STATE_RUNNING);
        loop(s);
        block_set(s->block, S_cpu_ns, cpu_ns() - s->cpu_start_ns);
        block_set(s->block, S_ended_ns, now_ns());
        block_set(s->block, S_state, STATE_DONE);
    }
    for (uint32_t fd = 0; fd < s->peer_room; fd++) {
        if (s->peers[fd].is_open) close((int)fd);
        free(s->peers[fd].spill);
    }
    free(s->peers);
    free(s->buffer);
    if (s->epoll >= 0) close(s->epoll);
    return error;
}
