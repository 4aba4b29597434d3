/* Requests at a rate, over connections that stay: each takes the connection that has been idle longest. */
#include "../connection.h"
#include "../open_loop.h"
#include "rows.h"

#define EVENTS ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))
#define SEND_BATCH 64 /* requests between two looks at events */

static void go_idle(struct client *k, struct conn *c, uint64_t now) {
    conn_no_wait(k, c);
    c->mark_ns = now;
    c->is_idle = 1;
    list_append(k, &k->idle, c, now);
}

static void rate_connected(struct client *k, struct conn *c) {
    if (!c->registered && !conn_watch(k, c, EVENTS)) return;
    go_idle(k, c, now_ns());
}

static void rate_send(struct client *k, struct conn *c) {
    uint64_t free_since = c->mark_ns;
    conn_no_wait(k, c);
    c->mark_ns = take_due(k, now_ns(), free_since);
    conn_ask(k, c);
    conn_wait(k, c);
    send_wanted(k, c);
}

static void rate_due(struct client *k, uint64_t now) {
    bool settled = block_get(k->block, S_state) >= STATE_SETTLED;
    if (!k->schedule.start_ns && settled && !k->ending) open_loop_begin(k, now);
    for (int i = 0; i < SEND_BATCH && k->idle.head != NONE && schedule_is_due(k, now); i++)
        rate_send(k, &k->conns[k->idle.head]);
    if (!k->ending || has_backlog(k, now)) return;
    abandon_backlog(k, now);
    while (k->idle.head != NONE) conn_done(k, &k->conns[k->idle.head]);
}

/* Something came. False: the connection is over. */
static bool rate_answer(struct client *k, struct conn *c) {
    uint64_t now = now_ns();
    if (c->is_idle) return true;
    c->due -= k->answered;
    if (c->due) {
        conn_wait_anew(k, c, now);
        return true;
    }
    block_add(k->block, S_requests, 1);
    block_set(k->block, S_last_answer_ns, now);
    block_request_latency(k->block, now - c->mark_ns);
    if (c->is_last && k->config.exchange.renews) {
        conn_done(k, c);
        return false;
    }
    go_idle(k, c, now);
    return true;
}

static void rate_event(struct client *k, struct conn *c, uint32_t events) {
    if (events & READABLE) {
        ssize_t n;
        do {
            n = conn_read(k, c);
            if (n < 0) return;
            if (n > 0 && !rate_answer(k, c)) return; /* an end that has come with the answer takes nothing back */
        } while (n == CHUNK || (n > 0 && (events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP))));
    }
    send_wanted(k, c);
}

const struct workload workload_rate = {
    .name = "rate",
    .asks = true,
    .paced = true,
    .events = EVENTS,
    .connected = rate_connected,
    .event = rate_event,
    .due = rate_due,
};
