/* A connection on its way: its deadlines, its end, reading and writing. Verified and counted here for every workload. */
#include "connection.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "reply.h"
#include "stall.h"

#define REST_NS (10 * NS_PER_MS) /* a slot whose connect failed rests, so that errors do not become a busy loop */
#define NO_ECHO_AFTER 20 /* replies of which none is what was expected */
#define CPU_CLOCK_NS (50 * NS_PER_MS)
#define PIECES (CHUNK / PERIOD + 2)

/* --- deadlines --- */

void conn_wait(struct client *k, struct conn *c) {
    if (k->config.timeout_ns) list_append(k, &k->waiting, c, now_ns() + k->config.timeout_ns);
}

static struct list *list_of(struct client *k, const struct conn *c) {
    if (!c->is_idle) return &k->waiting;
    return k->workload->rests ? &k->rests[conn_gap(k, c)] : &k->idle;
}

void conn_no_wait(struct client *k, struct conn *c) {
    list_remove(k, list_of(k, c), c);
    c->is_idle = 0;
}

/* --- the end of a connection --- */

/* In place of a connection that has ended, where the load wants as many as before. */
void conn_renew(struct client *k) {
    if (k->config.exchange.renews && !k->ending) k->to_start++;
}

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
    if (send(c->fd, k->config.exchange.request, 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) write = (uint64_t)errno;
    ssize_t n = recv(c->fd, k->buffer, 1, MSG_DONTWAIT);
    if (n <= 0) read = n == 0 ? CODE_EOF : (uint64_t)errno;
    block_order(k->block, first, write, read);
}

/* Whether those that fail began later than those that stay: of loads that keep what they open. */
static void note_rank(struct client *k, const struct conn *c) {
    if (k->workload->loops || k->config.exchange.renews || k->ending) return;
    block_add(k->block, S_failed_before_end, 1);
    block_add(k->block, S_failed_ranks, c->rank);
}

/* Counts a failure. Of the first of its kind it is kept where it was and, of a reply, how that began. */
static struct failure *note_failure(struct client *k, const struct conn *c, enum phase phase, uint64_t code) {
    struct failure *f = block_failure(k->block, phase, code, now_ns() - k->start_ns);
    if (f->count > 1) return f;
    address_describe(c->fd, &k->config.target, f->example, sizeof f->example);
    if (k->partials && phase != PHASE_connect) {
        const struct partial *p = &k->partials[conn_index(k, c)];
        failure_reply(f, p->began, p->began_size);
    }
    return f;
}

/* What never was a connection is not tried again, but where that is the load. */
static bool begins_anew(const struct client *k, enum phase phase) {
    return !k->ending && (k->workload->loops || (k->config.exchange.renews && phase != PHASE_connect));
}

static struct failure *conn_end_failed(struct client *k, struct conn *c, enum phase phase, uint64_t code) {
    if (k->workload->failed) k->workload->failed(k, c, code);
    bool by_peer = code == ECONNRESET || code == EPIPE || code == CODE_EOF;
    if (by_peer && phase != PHASE_connect && c->fd >= 0) note_order(k, c, code);
    if (phase != PHASE_connect && c->fd >= 0 && is_stall(code)) stall_note(k, c, code);
    struct failure *f = note_failure(k, c, phase, code);
    block_add(k->block, S_failed, 1);
    note_rank(k, c);
    conn_shut(k, c);
    if (!begins_anew(k, phase)) {
        conn_free(k, c);
        return f;
    }
    c->state = CONN_RESTING;
    list_append(k, &k->resting, c, now_ns() + REST_NS);
    return f;
}

void conn_fail(struct client *k, struct conn *c, enum phase phase, uint64_t code) { conn_end_failed(k, c, phase, code); }

void conn_fail_waiting(struct client *k, struct conn *c, uint64_t code) {
    conn_fail(k, c, c->state == CONN_CONNECTING ? PHASE_connect : c->in_reply ? PHASE_reply : PHASE_read, code);
}

void conn_done(struct client *k, struct conn *c) {
    if (k->config.reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    conn_shut(k, c);
    block_add(k->block, S_completed, 1);
    conn_free(k, c);
    conn_renew(k);
}

/* --- reading --- */

bool conn_watch(struct client *k, struct conn *c, uint32_t events) {
    struct epoll_event e = {.events = events, .data.u64 = (uint64_t)c->generation << 32 | conn_index(k, c)};
    if (epoll_ctl(k->epoll, c->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &e) == 0) {
        c->registered = 1;
        return true;
    }
    conn_fail_waiting(k, c, (uint64_t)errno);
    return false;
}

/* Each period against the same first one, which stays in the nearest cache meanwhile. */
static bool verify(const struct client *k, struct reply *r, size_t n) {
    for (size_t done = 0, piece; done < n; done += piece) {
        piece = n - done < PERIOD - r->at ? n - done : PERIOD - r->at;
        if (memcmp(k->buffer + done, k->config.exchange.request + r->at, piece) != 0) return false;
        r->at = (uint32_t)((r->at + piece) % PERIOD);
    }
    return true;
}

/* A peer of whose replies none is what was expected has nothing else to say. */
static ssize_t wrong_reply(struct client *k, struct conn *c, enum phase phase, uint64_t code, size_t n) {
    failure_reply(conn_end_failed(k, c, phase, code), k->buffer, n);
    if (++k->wrong_replies >= NO_ECHO_AFTER && block_get(k->block, S_requests) == 0) k->no_echo = true;
    return -1;
}

static ssize_t take_echo(struct client *k, struct conn *c, size_t n) {
    struct reply *r = &c->reply;
    if (c->received > c->sent || !verify(k, r, n)) return wrong_reply(k, c, PHASE_read, CODE_WRONG_BYTES, n);
    if (n < r->left) {
        r->left -= n;
        return (ssize_t)n;
    }
    uint32_t size = k->config.exchange.size, more = (uint32_t)(n - r->left);
    k->answered = 1;
    if (more >= size) {
        k->answered += more / size;
        more %= size;
    }
    r->left = size - more;
    return (ssize_t)n;
}

/* A status of HTTP from 400 on is a reply that nobody wished for, and so is one of another protocol; but the connection
 * goes on. */
static bool is_unwished(const struct exchange *x, const struct reply *r) {
    return x->kind == REPLY_HTTP && (r->status < 200 || r->status >= 400);
}

static void reply_ended(struct client *k, struct conn *c, bool is_last) {
    const struct exchange *x = &k->config.exchange;
    struct partial *p = &k->partials[conn_index(k, c)];
    k->answered++;
    c->is_last = is_last;
    if (x->kind == REPLY_HTTP) {
        uint64_t *count = &k->block->http_status[c->reply.status - STATUS_FIRST];
        __atomic_store_n(count, *count + 1, __ATOMIC_RELAXED);
        if (is_unwished(x, &c->reply)) note_failure(k, c, PHASE_status, CODE_STATUS + c->reply.status);
    }
    p->began_size = 0;
    c->in_reply = false;
    reply_begin(x, &c->reply);
}

static ssize_t take_replies(struct client *k, struct conn *c, size_t n) {
    const struct exchange *x = &k->config.exchange;
    struct partial *p = &k->partials[conn_index(k, c)];
    for (size_t at = 0, size; at < n; at += size) {
        const uint8_t *data = k->buffer + at;
        uint64_t code = CODE_EXCESS_BYTES;
        size = n - at;
        enum taken taken = k->answered < c->due ? reply_take(x, &c->reply, p, data, &size, &code) : TAKEN_WRONG;
        bool is_over = taken == TAKEN_ENDED || taken == TAKEN_LAST;
        if (is_over && at + size < n && k->answered + 1 == c->due) {
            code = CODE_EXCESS_BYTES;
            taken = TAKEN_WRONG;
        }
        if (taken != TAKEN_ENDED || c->in_reply || is_unwished(x, &c->reply)) partial_show(p, data, size);
        if (taken == TAKEN_WRONG) return wrong_reply(k, c, PHASE_reply, code, n);
        if (is_over) reply_ended(k, c, taken == TAKEN_LAST);
        else c->in_reply = true;
        if (taken == TAKEN_LAST) break; /* of what else is in flight nothing is answered (RFC 9112, 9.6) */
    }
    return (ssize_t)n;
}

static ssize_t conn_take(struct client *k, struct conn *c, ssize_t n) {
    enum reply_kind kind = k->config.exchange.kind;
    k->answered = 0;
    if (n > 0) {
        if (c->received == 0) block_add(k->block, S_first_byte, 1);
        c->received += (uint64_t)n;
        block_add(k->block, S_bytes_received, (uint64_t)n);
        if (kind == REPLY_ECHO) return take_echo(k, c, (size_t)n);
        /* Where nothing was sent nothing is known of what comes. */
        return kind == REPLY_NONE ? n : take_replies(k, c, (size_t)n);
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (n == 0 && c->in_reply && reply_ends_with_connection(&k->config.exchange, &c->reply)) {
        reply_ended(k, c, true);
        return 1;
    }
    conn_fail_waiting(k, c, n == 0 ? CODE_EOF : (uint64_t)errno);
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

/* Sends up to `size` bytes of requests, and always out of one period, which stays in the nearest cache. */
ssize_t send_payload(struct client *k, struct conn *c, size_t size) {
    const struct exchange *x = &k->config.exchange;
    struct iovec pieces[PIECES];
    struct msghdr message = {.msg_iov = pieces};
    size_t at = c->send_at, piece = x->period - at;
    if (size <= piece) return send(c->fd, x->request + at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    for (size_t left = size; left && message.msg_iovlen < PIECES; left -= piece, at = 0) {
        piece = left < x->period - at ? left : x->period - at;
        pieces[message.msg_iovlen++] = (struct iovec){x->request + at, piece};
    }
    return sendmsg(c->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void note_sent(struct client *k, struct conn *c, size_t n) {
    c->sent += n;
    c->send_at += (uint32_t)n;
    if (c->send_at >= k->config.exchange.period) c->send_at %= k->config.exchange.period;
    block_add(k->block, S_bytes_sent, n);
}

void conn_ask(struct client *k, struct conn *c) {
    c->want += k->config.exchange.size;
    c->due++;
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
