/* The open loop: what is due begins at its time, whatever became of what began before it, and is timed from when it was
 * meant to begin. So a server that stalls is seen by all whom it would have kept waiting, not by those alone that were
 * already asking (Tene: How NOT to measure latency; "coordinated omission"). */
#include "client.h"

#include <sys/prctl.h>

#define LATE_NS NS_PER_MS
#define SEND_BATCH 64 /* requests between two looks at events */

/* Once all are connected, or at the start where connects are what is scheduled. */
void open_loop_begin(struct client *k, uint64_t now) {
    prctl(PR_SET_TIMERSLACK, 1UL); /* the default lets a sleep last 50 us longer */
    schedule_begin(&k->schedule, now);
    k->free_at_ns = now;
    block_set(k->block, S_schedule_ns, now);
    if (k->end_ns == 0 && k->config.duration_ns) k->end_ns = now + k->config.duration_ns;
}

static bool is_before_end(const struct client *k) { return k->end_ns == 0 || k->schedule.next_ns < k->end_ns; }

bool schedule_is_due(const struct client *k, uint64_t now) {
    return k->schedule.start_ns && k->schedule.next_ns <= now && is_before_end(k);
}

bool has_backlog(const struct client *k, uint64_t now) {
    return k->schedule.start_ns && is_before_end(k) && now < k->end_ns + k->config.drain_ns;
}

/* Takes what is due. It could begin once it was due and a connection (a slot) was free: later is our own lateness. */
uint64_t take_due(struct client *k, uint64_t now, uint64_t free_since_ns) {
    uint64_t intended = schedule_take(&k->schedule);
    uint64_t could = intended > free_since_ns ? intended : free_since_ns;
    block_add(k->block, S_scheduled, 1);
    if (free_since_ns > intended) block_add(k->block, S_waited, 1);
    if (now > could + LATE_NS) block_add(k->block, S_late, 1);
    if (now > could) block_max(k->block, S_worst_late_ns, now - could);
    return intended;
}

/* What was due and will not be sent has waited at least until now: that much stands in the latencies. Connects beyond
 * those that were asked for were never due. */
void abandon_backlog(struct client *k, uint64_t now) {
    bool connects = k->workload == &workload_churn;
    while (schedule_is_due(k, now) && (k->to_start || !connects)) {
        if (connects) k->to_start--;
        uint64_t waited = now - schedule_take(&k->schedule);
        block_add(k->block, S_scheduled, 1);
        block_add(k->block, S_unsent, 1);
        if (connects) block_connect_latency(k->block, waited);
        else block_request_latency(k->block, waited);
    }
    k->to_start = 0;
}

/* --- requests at a rate, over connections that stay --- */

static void go_idle(struct client *k, struct conn *c, uint64_t now) {
    c->mark_ns = now;
    c->is_idle = 1;
    list_append(k, &k->idle, c, now);
}

static void rate_connected(struct client *k, struct conn *c) {
    if (!c->registered && !conn_watch(k, c, workload_rate.events)) return;
    go_idle(k, c, now_ns());
}

static void rate_send(struct client *k, struct conn *c) {
    uint64_t free_since = c->mark_ns;
    conn_no_wait(k, c);
    c->mark_ns = take_due(k, now_ns(), free_since);
    c->want += k->config.size;
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

static void rate_answer(struct client *k, struct conn *c) {
    if (c->is_idle || c->received != c->want) return;
    uint64_t now = now_ns();
    block_add(k->block, S_requests, 1);
    block_set(k->block, S_last_answer_ns, now);
    block_request_latency(k->block, now - c->mark_ns);
    go_idle(k, c, now);
}

static void rate_event(struct client *k, struct conn *c, uint32_t events) {
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) {
        ssize_t n;
        do {
            n = conn_read(k, c);
            if (n < 0) return;
            if (n > 0) rate_answer(k, c); /* an end that has come with the answer takes nothing back */
        } while (n == CHUNK || (n > 0 && (events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP))));
    }
    send_wanted(k, c);
}

const struct workload workload_rate = {
    "rate", EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, rate_connected, rate_event, NULL, rate_due, NULL,
};
