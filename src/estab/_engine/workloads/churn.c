/* Churn: connects, perhaps asks once, closes, and again. */
#include "../connection.h"
#include "rows.h"

#include <errno.h>

#define EVENTS ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))

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
    conn_watch(k, c, EVENTS);
}

static void churn_connected(struct client *k, struct conn *c) {
    bool asks = k->config.exchange.kind != REPLY_NONE;
    if (!asks && !k->config.server_closes_first) {
        conn_done(k, c);
        return;
    }
    if (asks) conn_ask(k, c);
    if (k->config.rate_per_s > 0) c->mark_ns = c->started_ns;
    else if (c->sent == 0) c->mark_ns = now_ns();
    if (!send_wanted(k, c)) return;
    uint32_t out = c->sent < c->want ? EPOLLOUT : 0; /* else epoll would tell at once of what nobody waits for */
    if (!c->registered && !conn_watch(k, c, EPOLLIN | EPOLLRDHUP | EPOLLET | out)) return;
    if (asks) {
        conn_wait(k, c);
        return;
    }
    churn_finish(k, c);
    churn_await_fin(k, c); /* it may have come with the handshake: no other event tells of it */
}

static void churn_event(struct client *k, struct conn *c, uint32_t events) {
    if (c->state == CONN_AWAITING_FIN) {
        churn_await_fin(k, c);
        return;
    }
    if (!send_wanted(k, c)) return;
    if (!(events & READABLE)) return;
    while (c->due) {
        if (conn_read(k, c) <= 0) return;
        c->due -= k->answered;
    }
    uint64_t now = now_ns();
    block_add(k->block, S_requests, 1);
    block_set(k->block, S_last_answer_ns, now);
    block_request_latency(k->block, now - c->mark_ns);
    churn_finish(k, c);
    if (c->state == CONN_AWAITING_FIN) churn_await_fin(k, c);
}

const struct workload workload_churn = {
    .name = "churn",
    .loops = true,
    .events = EVENTS,
    .connected = churn_connected,
    .event = churn_event,
};
