/* The workloads: each a few callbacks on the client's loop. rr: so many requests in flight a connection, the next when
 * one is answered. flood: writes without waiting and counts what comes back. hold: opens, stays, closes. churn: connects,
 * perhaps asks once, closes, and again. */
#include "alone.h"
#include "client.h"

#include <errno.h>
#include <stdlib.h>

#define PIECES (CHUNK / PERIOD + 2)

/* Sends `size` bytes of the payload, and always out of its first period, which stays in the nearest cache. */
ssize_t send_payload(struct client *k, struct conn *c, size_t size) {
    struct iovec pieces[PIECES];
    struct msghdr message = {.msg_iov = pieces};
    size_t at = c->send_at, piece = PERIOD - at;
    if (size <= piece) return send(c->fd, k->payload + at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    for (size_t left = size; left; left -= piece, at = 0) {
        piece = left < PERIOD - at ? left : PERIOD - at;
        pieces[message.msg_iovlen++] = (struct iovec){k->payload + at, piece};
    }
    return sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void note_sent(struct client *k, struct conn *c, size_t n) {
    c->sent += n;
    c->send_at = (uint32_t)((c->send_at + n) % PERIOD);
    block_add(k->block, S_bytes_sent, n);
}

/* A full socket is no failure: epoll tells when to go on. */
bool send_wanted(struct client *k, struct conn *c) {
    while (c->sent < c->want) {
        uint64_t rest = c->want - c->sent;
        ssize_t n = send_payload(k, c, rest < CHUNK ? (size_t)rest : CHUNK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return true;
        if (n < 0) {
            conn_fail(k, c, PHASE_write, (uint64_t)errno);
            return false;
        }
        note_sent(k, c, (size_t)n);
    }
    return true;
}

#define READS_A_TURN 16 /* so that a peer that sends without end keeps nobody waiting, nor the end of the run */

static bool in_error(uint32_t events) { return events & (EPOLLERR | EPOLLHUP); }

/* --- rr --- */

static void rr_begin_request(struct client *k, struct conn *c, uint64_t now) {
    c->want += k->config.size;
    if (k->config.depth == 1) {
        c->mark_ns = now;
        return;
    }
    k->ring[(size_t)conn_index(k, c) * k->config.depth + c->head] = now;
    c->head = (uint16_t)((c->head + 1) % k->config.depth);
}

static uint64_t rr_began(const struct client *k, struct conn *c) {
    if (k->config.depth == 1) return c->mark_ns;
    uint64_t began = k->ring[(size_t)conn_index(k, c) * k->config.depth + c->tail];
    c->tail = (uint16_t)((c->tail + 1) % k->config.depth);
    return began;
}

static void rr_connected(struct client *k, struct conn *c) {
    uint64_t now = now_ns();
    if (!c->registered && !conn_watch(k, c, workload_rr.events)) return;
    for (uint32_t i = 0; i < k->config.depth; i++) rr_begin_request(k, c, now);
    send_wanted(k, c);
}

/* Takes `n` received bytes as answers; each whole one makes room for the next request. */
static void rr_answers(struct client *k, struct conn *c, size_t n) {
    uint64_t now = now_ns();
    block_set(k->block, S_last_answer_ns, now);
    while (n >= c->left) {
        n -= c->left;
        c->left = k->config.size;
        block_add(k->block, S_requests, 1);
        block_request_latency(k->block, now - rr_began(k, c));
        if (!k->ending) rr_begin_request(k, c, now);
    }
    c->left -= (uint32_t)n;
}

static void rr_event(struct client *k, struct conn *c, uint32_t events) {
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) {
        ssize_t n;
        do {
            n = conn_read(k, c);
            if (n < 0) return;
            if (n > 0) rr_answers(k, c, (size_t)n);
        } while (n == CHUNK || (n > 0 && (events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP))));
    }
    if (k->ending && c->received == c->want) conn_done(k, c);
    else send_wanted(k, c);
}

static void rr_at_end(struct client *k, struct conn *c) {
    if (c->received == c->want) conn_done(k, c);
}

/* The one connection of a run, once its answers come one after the other. */
static void rr_alone(struct client *k, struct conn *c) {
    const int others[ALONE_OTHERS] = {k->control, -1};
    struct alone alone;
    uint64_t now = 0;
    if (c->state != CONN_OPEN || k->config.depth > 1 || block_get(k->block, S_requests) < k->alone_at) return;
    k->alone_at += ALONE_AFTER;
    if (!alone_begin(&alone, c->fd, k->epoll, others, k->end_ns)) return;
    c->registered = 0;
    while (c->sent == c->want && !(k->end_ns && now >= k->end_ns)) {
        ssize_t n = conn_await(k, c);
        if (n <= 0) break;
        rr_answers(k, c, (size_t)n);
        now = block_get(k->block, S_last_answer_ns);
        note_cpu(k, now);
        if (!send_wanted(k, c)) break;
    }
    alone_end(&alone, c->fd >= 0);
    k->alone_at = block_get(k->block, S_requests) + ALONE_AFTER;
    if (c->fd >= 0) conn_watch(k, c, workload_rr.events);
}

const struct workload workload_rr = {
    "rr", EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, rr_connected, rr_event, rr_at_end, NULL, rr_alone,
};

/* --- flood --- */

/* One request at a time is timed: from its first byte handed to the kernel until its last byte is back. */
static void flood_mark(struct client *k, struct conn *c) {
    c->mark_end = (c->sent + k->config.size - 1) / k->config.size * k->config.size + k->config.size;
    c->mark_ns = now_ns();
}

static void flood_write(struct client *k, struct conn *c) {
    if (c->mark_end == 0) flood_mark(k, c);
    c->want = c->sent + CHUNK - CHUNK % (k->config.size < CHUNK ? k->config.size : CHUNK);
    ssize_t n = send_payload(k, c, (size_t)(c->want - c->sent));
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) conn_fail(k, c, PHASE_write, (uint64_t)errno);
        return;
    }
    note_sent(k, c, (size_t)n);
}

static void flood_connected(struct client *k, struct conn *c) {
    if (conn_watch(k, c, workload_flood.events)) flood_write(k, c);
}

static void flood_answers(struct client *k, struct conn *c, uint64_t before) {
    uint64_t now = now_ns();
    uint64_t answered = c->received / k->config.size - before / k->config.size;
    if (answered) {
        block_add(k->block, S_requests, answered);
        block_set(k->block, S_last_answer_ns, now);
    }
    if (c->mark_end && c->received >= c->mark_end) {
        block_request_latency(k->block, now - c->mark_ns);
        c->mark_end = 0;
    }
}

static void flood_event(struct client *k, struct conn *c, uint32_t events) {
    if ((events & (EPOLLIN | EPOLLRDHUP)) || in_error(events)) {
        uint64_t before = c->received;
        ssize_t n = conn_read(k, c);
        if (n < 0) return;
        if (n > 0) flood_answers(k, c, before);
    }
    if (!k->ending) {
        if (events & EPOLLOUT) flood_write(k, c);
    } else if (c->received == c->sent) {
        conn_done(k, c);
    }
}

static void flood_at_end(struct client *k, struct conn *c) {
    if (c->received == c->sent) conn_done(k, c);
    else conn_watch(k, c, EPOLLIN | EPOLLRDHUP);
}

/* Level-triggered, so that every connection gets its turn of one read and one write. */
const struct workload workload_flood = {
    "flood", EPOLLIN | EPOLLOUT | EPOLLRDHUP, flood_connected, flood_event, flood_at_end, NULL, NULL,
};

/* --- hold --- */

static void hold_connected(struct client *k, struct conn *c) {
    if (k->ending) conn_done(k, c);
    else if (!c->registered) conn_watch(k, c, workload_hold.events);
}

static void hold_event(struct client *k, struct conn *c, uint32_t events) {
    if (!(events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))) return;
    for (int i = 0; i < READS_A_TURN; i++)
        if (conn_read(k, c) <= 0) return; /* a greeting is counted and dropped; an early end is a failure */
    conn_watch(k, c, workload_hold.events); /* asked anew, epoll tells at once of what is left */
}

const struct workload workload_hold = {
    "hold", EPOLLIN | EPOLLRDHUP | EPOLLET, hold_connected, hold_event, conn_done, NULL, NULL,
};

/* --- churn --- */

static void churn_finish(struct client *k, struct conn *c) {
    if (!k->config.server_closes_first) {
        conn_done(k, c);
        return;
    }
    if (c->state == CONN_AWAITING_FIN) return;
    c->state = CONN_AWAITING_FIN;
    conn_no_wait(k, c);
    conn_wait(k, c);
}

static void churn_connected(struct client *k, struct conn *c) {
    if (k->config.size == 0 && !k->config.server_closes_first) {
        conn_done(k, c);
        return;
    }
    c->want = k->config.size;
    if (k->config.rate_per_s > 0) c->mark_ns = c->started_ns;
    else if (c->sent == 0) c->mark_ns = now_ns();
    if (!send_wanted(k, c)) return;
    uint32_t out = c->sent < c->want ? EPOLLOUT : 0; /* else epoll would tell at once of what nobody waits for */
    if (!c->registered && !conn_watch(k, c, EPOLLIN | EPOLLRDHUP | EPOLLET | out)) return;
    if (k->config.size == 0) churn_finish(k, c);
    else conn_wait(k, c);
}

/* The peer's FIN is what was waited for; what comes before it is counted. */
static void churn_await_fin(struct client *k, struct conn *c) {
    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t n = recv(c->fd, k->buffer, CHUNK, 0);
        if (n > 0) {
            block_add(k->block, S_bytes_received, (uint64_t)n);
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n == 0) conn_done(k, c);
        else conn_fail(k, c, PHASE_close, (uint64_t)errno);
        return;
    }
    conn_watch(k, c, workload_churn.events);
}

static void churn_event(struct client *k, struct conn *c, uint32_t events) {
    if (c->state == CONN_AWAITING_FIN) {
        churn_await_fin(k, c);
        return;
    }
    if (!send_wanted(k, c)) return;
    if (!(events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))) return;
    while (c->received < c->want) {
        ssize_t n = conn_read(k, c);
        if (n <= 0) return;
    }
    uint64_t now = now_ns();
    block_add(k->block, S_requests, 1);
    block_set(k->block, S_last_answer_ns, now);
    block_request_latency(k->block, now - c->mark_ns);
    churn_finish(k, c);
    if (c->state == CONN_AWAITING_FIN) churn_await_fin(k, c);
}

const struct workload workload_churn = {
    "churn", EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, churn_connected, churn_event, NULL, NULL, NULL,
};
