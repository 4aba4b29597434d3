/* Rest: asks, is answered, rests for its gap, and asks again, until each connection has been asked after one rest. */
#include "../connection.h"
#include "../stall.h"
#include "rows.h"

#include <errno.h>

#define EVENTS ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))

static struct gap *gap_of(const struct client *k, const struct conn *c) { return &k->block->gaps[conn_gap(k, c)]; }

static void rest_begin(struct client *k, struct conn *c, uint64_t now) {
    uint32_t gap = conn_gap(k, c);
    if (!c->has_rested) k->block->gaps[gap].rested++;
    conn_no_wait(k, c);
    c->mark_ns = now;
    c->is_idle = 1;
    list_append(k, &k->rests[gap], c, now + k->config.gaps_ns[gap]);
}

static void rest_ask(struct client *k, struct conn *c, uint64_t now) {
    conn_no_wait(k, c);
    c->rest_ns = now > c->mark_ns ? now - c->mark_ns : 1;
    c->mark_ns = now;
    conn_ask(k, c);
    conn_wait(k, c);
    send_wanted(k, c);
}

static void rest_connected(struct client *k, struct conn *c) {
    if (!c->registered && !conn_watch(k, c, EVENTS)) return;
    c->mark_ns = now_ns();
    conn_ask(k, c);
    conn_wait(k, c);
    send_wanted(k, c);
}

/* Each has been answered after a rest, or has ended: what goes on is there to show that those still are. */
static bool all_have_rested(const struct client *k) {
    if (k->to_start) return false;
    for (uint32_t i = 0; i < k->config.connections; i++)
        if (k->conns[i].state != CONN_IDLE && !k->conns[i].has_rested) return false;
    return true;
}

static void rest_due(struct client *k, uint64_t now) {
    for (uint32_t i = 0; i < k->config.gap_count; i++)
        while (k->rests[i].head != NONE && k->conns[k->rests[i].head].deadline_ns <= now)
            rest_ask(k, &k->conns[k->rests[i].head], now);
    if (!k->ending && all_have_rested(k)) k->end_ns = now;
}

/* Something came that was asked for. False: the connection is over. */
static bool rest_answer(struct client *k, struct conn *c) {
    uint64_t now = now_ns();
    c->due -= k->answered;
    if (c->due) {
        conn_wait_anew(k, c, now);
        return true;
    }
    block_add(k->block, S_requests, 1);
    block_set(k->block, S_last_answer_ns, now);
    block_request_latency(k->block, now - c->mark_ns);
    if (c->rest_ns) {
        c->has_rested = true;
        gap_of(k, c)->answered++;
        gap_of(k, c)->last_answer_ns = now - k->start_ns;
    }
    if (c->is_last || k->ending) {
        conn_done(k, c);
        return false;
    }
    rest_begin(k, c, now);
    return true;
}

/* Who rests asked for nothing: bytes are a greeting, or the word that goes before an end, and are dropped. */
static void rest_listen(struct client *k, struct conn *c) {
    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t n = recv(c->fd, k->buffer, CHUNK, MSG_DONTWAIT);
        if (n > 0) {
            block_add(k->block, S_bytes_received, (uint64_t)n);
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        conn_fail_waiting(k, c, n == 0 ? CODE_EOF : (uint64_t)errno);
        return;
    }
    conn_watch(k, c, EVENTS); /* asked anew, epoll tells at once of what is left */
}

static void rest_event(struct client *k, struct conn *c, uint32_t events) {
    while ((events & READABLE) && !c->is_idle) {
        ssize_t n = conn_read(k, c);
        if (n < 0 || (n > 0 && !rest_answer(k, c))) return;
        if (n == 0) break;
    }
    if (!c->is_idle) send_wanted(k, c);
    else if (events & READABLE) rest_listen(k, c);
}

static void note_end(struct gap *g, const struct conn *c, uint64_t code) {
    switch (code) {
    case CODE_EOF:
    case EPIPE: /* after the FIN a RST (net/ipv4/tcp_input.c tcp_reset) */
        g->closed++;
        break;
    case ECONNRESET:
        g->reset++;
        break;
    case CODE_OWN_TIMEOUT:
    case ETIMEDOUT:
        g->silent++;
        g->unacknowledged += is_unacknowledged(c, code);
        break;
    default: g->wrong++;
    }
}

/* How long it had rested, and since when that is over: what was asked after its rest had rested until then. */
static void rest_failed(struct client *k, struct conn *c, uint64_t code) {
    if (!c->is_idle && !c->rest_ns) return;
    struct gap *g = gap_of(k, c);
    uint64_t until = c->is_idle ? now_ns() : c->mark_ns, rested = c->is_idle ? until - c->mark_ns : c->rest_ns;
    bool is_first = g->closed + g->reset + g->silent + g->wrong == 0;
    note_end(g, c, code);
    g->unasked += c->is_idle;
    if (is_first || rested < g->least_ns) g->least_ns = rested;
    if (rested > g->most_ns) g->most_ns = rested;
    if (is_first || until - k->start_ns < g->first_ns) g->first_ns = until - k->start_ns;
    if (until - k->start_ns > g->last_ns) g->last_ns = until - k->start_ns;
    k->lost += !c->is_idle;
    if (k->config.most_lost && k->lost >= k->config.most_lost && !k->ending) k->end_ns = now_ns();
}

/* Those that go on are asked once more, so that their last answer comes after the last rest. */
static void rest_at_end(struct client *k, struct conn *c) {
    if (!c->is_idle) return;
    if (c->has_rested) rest_ask(k, c, now_ns());
    else conn_done(k, c);
}

const struct workload workload_rest = {
    .name = "rest",
    .asks = true,
    .rests = true,
    .events = EVENTS,
    .connected = rest_connected,
    .event = rest_event,
    .at_end = rest_at_end,
    .due = rest_due,
    .failed = rest_failed,
};
