/* The open loop: what is due begins at its time, whatever became of what began before it, and is timed from when it was
 * meant to begin. So a server that stalls is seen by all whom it would have kept waiting, not by those alone that were
 * already asking (Tene: How NOT to measure latency; "coordinated omission"). */
#include "open_loop.h"

#include <sys/prctl.h>

#define LATE_NS NS_PER_MS

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
    bool connects = k->schedules_connects;
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
