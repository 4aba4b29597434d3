/* A connection on its way: its deadlines, its end, reading and writing. Verified and counted here for every workload. */
#include "connection.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define REST_NS (10 * NS_PER_MS) /* a slot whose connect failed rests, so that errors do not become a busy loop */
#define NO_ECHO_AFTER 20 /* replies */
#define CPU_CLOCK_NS (50 * NS_PER_MS)
#define PIECES (CHUNK / PERIOD + 2)

/* --- deadlines --- */

void conn_wait(struct client *k, struct conn *c) {
    if (k->config.timeout_ns) list_append(k, &k->waiting, c, now_ns() + k->config.timeout_ns);
}

void conn_no_wait(struct client *k, struct conn *c) {
    list_remove(k, c->is_idle ? &k->idle : &k->waiting, c);
    c->is_idle = 0;
}

/* --- the end of a connection --- */

void conn_free(struct client *k, struct conn *c) {
    c->state = CONN_IDLE;
    k->live--;
    if (k->config.rate_per_s > 0 && k->ready_count == 0) k->free_at_ns = now_ns();
    k->ready[k->ready_count++] = conn_index(k, c);
}

static void conn_shut(struct client *k, struct conn *c) {
    conn_no_wait(k, c);
    if (c->state == CONN_CONNECTING) block_sub(k->block, S_connecting, 1);
    else if (c->state == CONN_OPEN || c->state == CONN_AWAITING_FIN) block_sub(k->block, S_open, 1);
    if (c->fd >= 0) {
        close(c->fd);
        block_add(k->block, S_closed, 1);
    }
    c->fd = -1;
    c->generation++;
}

/* Asks the socket once more in each direction: RST shows as ECONNRESET, then EPIPE and EOF; FIN then RST as EPIPE and
 * EOF alone (net/ipv4/tcp_input.c tcp_reset, net/core/stream.c sk_stream_error). */
static void note_order(struct client *k, struct conn *c, uint64_t first) {
    uint64_t write = 0, read = 0;
    if (send(c->fd, k->payload, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) write = (uint64_t)errno;
    ssize_t n = recv(c->fd, k->buffer, 1, MSG_DONTWAIT);
    if (n <= 0) read = n == 0 ? CODE_EOF : (uint64_t)errno;
    block_order(k->block, first, write, read);
}

/* Whether those that fail began later than those that stay: of loads that keep what they open. */
static void note_rank(struct client *k, const struct conn *c) {
    if (k->workload->loops || k->ending) return;
    block_add(k->block, S_failed_before_end, 1);
    block_add(k->block, S_failed_ranks, c->rank);
}

void conn_fail(struct client *k, struct conn *c, enum phase phase, uint64_t code) {
    char example[EXAMPLE_BYTES];
    bool by_peer = code == ECONNRESET || code == EPIPE || code == CODE_EOF;
    if (by_peer && phase != PHASE_connect && c->fd >= 0) note_order(k, c, code);
    address_describe(c->fd, &k->config.target, example, sizeof example);
    block_failure(k->block, phase, code, now_ns() - k->start_ns, example);
    block_add(k->block, S_failed, 1);
    note_rank(k, c);
    conn_shut(k, c);
    if (!k->workload->loops || k->ending) {
        conn_free(k, c);
        return;
    }
    c->state = CONN_RESTING;
    list_append(k, &k->resting, c, now_ns() + REST_NS);
}

void conn_done(struct client *k, struct conn *c) {
    if (k->config.reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    conn_shut(k, c);
    block_add(k->block, S_completed, 1);
    conn_free(k, c);
}

/* --- reading --- */

bool conn_watch(struct client *k, struct conn *c, uint32_t events) {
    struct epoll_event e = {.events = events, .data.u64 = (uint64_t)c->generation << 32 | conn_index(k, c)};
    if (epoll_ctl(k->epoll, c->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &e) == 0) {
        c->registered = 1;
        return true;
    }
    conn_fail(k, c, c->state == CONN_CONNECTING ? PHASE_connect : PHASE_read, (uint64_t)errno);
    return false;
}

/* Each period against the same first one, which stays in the nearest cache meanwhile. */
static bool verify(struct client *k, struct conn *c, size_t n) {
    for (size_t done = 0, piece; done < n; done += piece) {
        piece = n - done < PERIOD - c->receive_at ? n - done : PERIOD - c->receive_at;
        if (memcmp(k->buffer + done, k->payload + c->receive_at, piece) != 0) return false;
        c->receive_at = (uint32_t)((c->receive_at + piece) % PERIOD);
    }
    return true;
}

/* It is kept for people to see who speaks there. A peer of whose replies none is an echo has nothing else to say. */
static void note_wrong_reply(struct client *k, size_t n) {
    block_reply(k->block, k->buffer, n);
    if (++k->wrong_replies >= NO_ECHO_AFTER && block_get(k->block, S_requests) == 0) k->no_echo = true;
}

static ssize_t conn_take(struct client *k, struct conn *c, ssize_t n) {
    if (n > 0) {
        if (c->received == 0) block_add(k->block, S_first_byte, 1);
        c->received += (uint64_t)n;
        block_add(k->block, S_bytes_received, (uint64_t)n);
        if (k->config.size == 0) return n; /* nothing was sent, so nothing is known of what comes */
        if (c->received <= c->sent && verify(k, c, (size_t)n)) return n;
        note_wrong_reply(k, (size_t)n);
        conn_fail(k, c, PHASE_read, CODE_WRONG_BYTES);
        return -1;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    conn_fail(k, c, PHASE_read, n == 0 ? CODE_EOF : (uint64_t)errno);
    return -1;
}

ssize_t conn_read(struct client *k, struct conn *c) {
    ssize_t n;
    do n = recv(c->fd, k->buffer, CHUNK, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR); /* an edge is told once */
    return conn_take(k, c, n);
}

ssize_t conn_await(struct client *k, struct conn *c) { return conn_take(k, c, recv(c->fd, k->buffer, CHUNK, 0)); }

/* --- writing --- */

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

/* A full socket is no failure: epoll tells when to go on. While a long request goes out, its answer is not overdue. */
bool send_wanted(struct client *k, struct conn *c) {
    uint64_t before = c->sent;
    while (c->sent < c->want) {
        uint64_t rest = c->want - c->sent;
        ssize_t n = send_payload(k, c, rest < CHUNK ? (size_t)rest : CHUNK);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            if (c->sent > before && c->deadline_ns) conn_wait_anew(k, c, now_ns());
            return true;
        }
        if (n < 0) {
            conn_fail(k, c, PHASE_write, (uint64_t)errno);
            return false;
        }
        note_sent(k, c, (size_t)n);
    }
    return true;
}

void note_cpu(struct client *k, uint64_t now) {
    if (now < k->cpu_due_ns) return;
    block_set(k->block, S_cpu_ns, cpu_ns() - k->cpu_start_ns);
    k->cpu_due_ns = now + CPU_CLOCK_NS;
}
