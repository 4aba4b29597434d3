/* Request and response: so many requests in flight a connection, the next when one is answered. */
#include "../connection.h"
#include "../single.h"
#include "rows.h"

#define EVENTS ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))

static void rr_begin_request(struct client *k, struct conn *c, uint64_t now) {
    conn_ask(k, c);
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
    if (!c->registered && !conn_watch(k, c, EVENTS)) return;
    for (uint32_t i = 0; i < k->config.depth; i++) rr_begin_request(k, c, now);
    conn_wait(k, c);
    send_wanted(k, c);
}

/* Something came; each whole reply makes room for the next request. False: the connection is over. */
static bool rr_answers(struct client *k, struct conn *c) {
    uint64_t now = now_ns();
    block_set(k->block, S_last_answer_ns, now);
    c->due -= k->answered;
    for (uint32_t i = 0; i < k->answered; i++) {
        block_add(k->block, S_requests, 1);
        block_request_latency(k->block, now - rr_began(k, c));
        if (!k->ending && !c->is_last) rr_begin_request(k, c, now);
    }
    if (c->is_last) {
        conn_done(k, c);
        return false;
    }
    if (c->due) conn_wait_anew(k, c, now);
    else conn_no_wait(k, c);
    return true;
}

static void rr_event(struct client *k, struct conn *c, uint32_t events) {
    if (events & READABLE) {
        ssize_t n;
        do {
            n = conn_read(k, c);
            if (n < 0) return;
            if (n > 0 && !rr_answers(k, c)) return;
        } while (n == CHUNK || (n > 0 && (events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP))));
    }
    if (k->ending && !c->due) conn_done(k, c);
    else send_wanted(k, c);
}

static void rr_at_end(struct client *k, struct conn *c) {
    if (!c->due) conn_done(k, c);
}

/* The one connection of a run, once its answers come one after the other. */
static void rr_single(struct client *k, struct conn *c) {
    const int others[SINGLE_OTHERS] = {k->control, -1};
    struct single single;
    uint64_t now = 0;
    if (c->state != CONN_OPEN || k->config.depth > 1 || block_get(k->block, S_requests) < k->single_at) return;
    k->single_at += SINGLE_AFTER;
    /* Now and then the loop has to look: at what is overdue, too. */
    uint64_t until = k->end_ns, looks = now_ns() + k->config.timeout_ns;
    if (k->config.timeout_ns) until = until ? earlier(until, looks) : looks;
    if (!single_begin(&single, c->fd, k->epoll, others, until)) return;
    c->registered = 0;
    while (c->sent == c->want && !(k->end_ns && now >= k->end_ns)) {
        ssize_t n = conn_await(k, c);
        if (n <= 0 || !rr_answers(k, c)) break;
        now = block_get(k->block, S_last_answer_ns);
        note_cpu(k, now);
        if (!send_wanted(k, c)) break;
    }
    single_end(&single, c->fd >= 0);
    k->single_at = block_get(k->block, S_requests) + SINGLE_AFTER;
    if (c->fd >= 0) conn_watch(k, c, EVENTS);
}

const struct workload workload_rr = {
    .name = "rr",
    .asks = true,
    .events = EVENTS,
    .connected = rr_connected,
    .event = rr_event,
    .at_end = rr_at_end,
    .single = rr_single,
};
