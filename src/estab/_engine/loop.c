/* The client's loop: starts connects as the plan allows, waits, hands events to the workload, ends what is overdue. */
#include "loop.h"

#include "connect.h"
#include "connection.h"
#include "open_loop.h"
#include "single.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define START_BATCH 64 /* connects between two looks at events */

/* --- when connects may start --- */

static uint64_t allowed_by_ramp(const struct client *k, uint64_t now) {
    if (k->config.ramp_per_s <= 0) return UINT64_MAX;
    return (uint64_t)((double)(now - k->start_ns) / 1e9 * k->config.ramp_per_s) + 1;
}

static bool may_start(const struct client *k, uint64_t now) {
    if (k->schedules_connects && !schedule_is_due(k, now)) return false;
    if (!k->ready_count || !k->to_start || (k->ending && !has_backlog(k, now))) return false;
    return block_get(k->block, S_connecting) < k->config.in_flight &&
           block_get(k->block, S_attempted) < allowed_by_ramp(k, now);
}

static void start_due(struct client *k, uint64_t now) {
    for (int i = 0; i < START_BATCH && may_start(k, now); i++) {
        /* A connect that has to search a full port range takes a millisecond: then events come first. */
        if ((i & 7) == 7 && now_ns() - now > NS_PER_MS) return;
        k->to_start--;
        conn_start(k, &k->conns[k->ready[--k->ready_count]]);
    }
}

static bool is_over(const struct client *k) {
    if (k->quit) return true;
    if (k->ending) return k->live == 0 && k->to_start == 0;
    /* A load with a duration is over early when nothing is left to do; any other waits for the word of the parent. */
    return k->end_ns && k->live == 0 && k->to_start == 0;
}

/* What is due next can be begun: a connection or a slot is free for it. */
static bool awaits_schedule(const struct client *k, uint64_t now) {
    if (!k->schedule.start_ns || (k->ending && !has_backlog(k, now))) return false;
    return k->schedules_connects ? k->ready_count && k->to_start : k->idle.head != NONE;
}

static uint64_t wait_ns(const struct client *k, uint64_t now) {
    if (may_start(k, now) || is_over(k)) return 0;
    uint64_t at = now + 1000 * NS_PER_MS;
    if (awaits_schedule(k, now)) at = earlier(at, k->schedule.next_ns);
    if (k->waiting.head != NONE) at = earlier(at, k->conns[k->waiting.head].deadline_ns);
    if (k->resting.head != NONE) at = earlier(at, k->conns[k->resting.head].deadline_ns);
    for (uint32_t i = 0; i < k->config.gap_count; i++)
        if (k->rests[i].head != NONE) at = earlier(at, k->conns[k->rests[i].head].deadline_ns);
    if (!k->ending && k->end_ns) at = earlier(at, k->end_ns);
    if (k->ending) at = earlier(at, k->drain_end_ns);
    if (!k->ending && k->to_start && k->config.ramp_per_s > 0) at = earlier(at, now + NS_PER_MS);
    return at <= now ? 0 : at - now;
}

/* A closed loop waits for whole milliseconds, which is cheapest; an open one has to be on time. */
static int wait_for_events(struct client *k, uint64_t *ns) {
    if (k->config.rate_per_s > 0) {
        struct timespec t = {.tv_sec = (time_t)(*ns / NS_PER_S), .tv_nsec = (long)(*ns % NS_PER_S)};
        int n = (int)syscall(SYS_epoll_pwait2, k->epoll, k->events, MAX_EVENTS, &t, NULL, 0);
        if (n >= 0 || errno == EINTR) return n;
        /* Linux before 5.11 lacks it, and filters that are older forbid it: the last millisecond then goes without sleep. */
        *ns = *ns / NS_PER_MS * NS_PER_MS;
        return epoll_wait(k->epoll, k->events, MAX_EVENTS, (int)(*ns / NS_PER_MS));
    }
    int ms = (int)((*ns + NS_PER_MS - 1) / NS_PER_MS);
    *ns = (uint64_t)ms * NS_PER_MS;
    return epoll_wait(k->epoll, k->events, MAX_EVENTS, ms);
}

static void expire(struct client *k, uint64_t now) {
    while (k->waiting.head != NONE && k->conns[k->waiting.head].deadline_ns <= now) {
        struct conn *c = &k->conns[k->waiting.head];
        conn_fail_waiting(k, c, CODE_OWN_TIMEOUT);
    }
    while (k->resting.head != NONE && k->conns[k->resting.head].deadline_ns <= now) {
        struct conn *c = &k->conns[k->resting.head];
        list_remove(k, &k->resting, c);
        conn_free(k, c);
        conn_renew(k);
    }
}

static void begin_end(struct client *k, uint64_t now) {
    k->ending = true;
    if (k->end_ns == 0) k->end_ns = now;
    if (!has_backlog(k, now)) abandon_backlog(k, now);
    k->drain_end_ns = now + k->config.drain_ns;
    k->drained_bytes = block_get(k->block, S_bytes_received);
    block_set(k->block, S_state, STATE_CLOSING);
    if (!k->workload->loops) block_set(k->block, S_stayed, block_get(k->block, S_open));
    for (uint32_t i = 0; i < k->config.connections; i++) {
        struct conn *c = &k->conns[i];
        if (c->state == CONN_OPEN && k->workload->at_end) k->workload->at_end(k, c);
        else if (c->state == CONN_RESTING) {
            list_remove(k, &k->resting, c);
            conn_free(k, c);
        }
    }
}

/* More of the same would tell nothing: what is due is not begun any more. */
static void stop_early(struct client *k, uint64_t now) {
    block_set(k->block, S_no_echo, 1);
    k->end_ns = now;
    abandon_backlog(k, now);
    begin_end(k, now);
}

/* Answers may go on for as long as they keep coming; what stays silent for drain_ns is ended. */
static void end_drain(struct client *k, uint64_t now) {
    uint64_t received = block_get(k->block, S_bytes_received);
    if (received != k->drained_bytes) {
        k->drained_bytes = received;
        k->drain_end_ns = now + k->config.drain_ns;
        return;
    }
    for (uint32_t i = 0; i < k->config.connections; i++) {
        struct conn *c = &k->conns[i];
        if (c->is_idle) conn_done(k, c);
        else if (c->state != CONN_IDLE) conn_fail_waiting(k, c, CODE_OWN_TIMEOUT);
    }
}

/* Without epoll nothing more is heard of any connection, nor of the parent: all is over, and counted. */
static void give_up(struct client *k, int error) {
    uint64_t now = now_ns();
    k->ending = true;
    if (k->end_ns == 0) k->end_ns = now;
    abandon_backlog(k, now);
    for (uint32_t i = 0; i < k->config.connections; i++) {
        struct conn *c = &k->conns[i];
        if (c->state == CONN_RESTING) {
            list_remove(k, &k->resting, c);
            conn_free(k, c);
        } else if (c->state != CONN_IDLE) {
            conn_fail_waiting(k, c, (uint64_t)error);
        }
    }
}

static void on_control(struct client *k) {
    char said = control_read(k->control);
    if (said == 'q') k->quit = true;
    if (said == 'c' && !k->ending) begin_end(k, now_ns());
}

static void dispatch(struct client *k, const struct epoll_event *e) {
    uint32_t index = (uint32_t)e->data.u64;
    if (index == NONE) {
        on_control(k);
        return;
    }
    struct conn *c = &k->conns[index];
    if (c->generation != e->data.u64 >> 32 || c->fd < 0) return;
    if (c->state == CONN_CONNECTING) {
        conn_connect_event(k, c);
        if (c->generation != e->data.u64 >> 32 || c->fd < 0) return;
        if (!(e->events & READABLE)) return;
    } /* what came with the handshake, or its end, is told of by this event alone: edge-triggered */
    k->workload->event(k, c, e->events);
}

/* Every connect has been settled: connected, failed or given up. */
static void note_settled(struct client *k, uint64_t now) {
    if (block_get(k->block, S_state) != STATE_RUNNING) return;
    /* A loop of connects without an end has nothing to settle: it runs beside what does. */
    bool endless = k->workload->loops && k->end_ns == 0 && k->config.attempts == 0;
    if (!endless && (k->to_start || block_get(k->block, S_connecting) || k->resting.head != NONE)) return;
    block_set(k->block, S_settled_ns, now);
    block_set(k->block, S_state, STATE_SETTLED);
}

static void loop(struct client *k) {
    uint64_t now = now_ns();
    while (!is_over(k)) {
        start_due(k, now);
        note_settled(k, now);
        if (k->workload->due) k->workload->due(k, now);
        if (k->ending && k->to_start && !has_backlog(k, now)) abandon_backlog(k, now);
        uint64_t asleep = now_ns();
        block_max(k->block, S_worst_lag_ns, asleep - now);
        uint64_t asked = wait_ns(k, asleep);
        int n = wait_for_events(k, &asked);
        if (n < 0 && errno != EINTR) give_up(k, errno);
        now = now_ns();
        /* Later than asked for: a worker that was kept from the CPU, whether or not events wait for it by now. */
        if (now - asleep > asked) block_max(k->block, S_worst_lag_ns, now - asleep - asked);
        if (n < 0) continue; /* a signal: of what has come by now nothing was told yet, so nothing is overdue */
        for (int i = 0; i < n; i++) dispatch(k, &k->events[i]);
        if (k->workload->single && k->config.connections == 1 && !k->ending) {
            k->workload->single(k, &k->conns[0]);
            now = now_ns();
        }
        expire(k, now);
        if (k->no_echo && !k->ending) stop_early(k, now);
        if (!k->ending && k->end_ns && now >= k->end_ns) begin_end(k, now);
        if (k->ending && k->live && now >= k->drain_end_ns) end_drain(k, now);
        note_cpu(k, now);
    }
}

/* --- set-up --- */

/* All workers start at the moment that the parent wrote before it said "go". False: the parent is gone. */
static bool wait_for_go(struct client *k) {
    block_set(k->block, S_state, STATE_READY);
    for (;;) {
        struct pollfd p = {.fd = k->control, .events = POLLIN};
        if (poll(&p, 1, -1) < 0 && errno == EINTR) continue;
        char said = control_read(k->control);
        if (said == 'q') return false;
        if (said == 'g') break;
    }
    uint64_t start = block_get(k->block, S_start_ns);
    struct timespec at = {.tv_sec = (time_t)(start / NS_PER_S), .tv_nsec = (long)(start % NS_PER_S)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) continue;
    return true;
}

/* What is echoed is the same for all; any other request was given. */
static bool allocate_exchange(struct client *k) {
    struct exchange *x = &k->config.exchange;
    if (x->kind > REPLY_ECHO) {
        k->partials = calloc(k->config.connections, sizeof *k->partials);
        return k->partials;
    }
    x->period = PERIOD;
    x->request = malloc(PERIOD + CHUNK);
    if (x->request) payload_fill(x->request, PERIOD + CHUNK);
    return x->request;
}

static bool allocate(struct client *k) {
    uint32_t n = k->config.connections;
    k->conns = calloc(n, sizeof *k->conns);
    k->ready = malloc(n * sizeof *k->ready);
    k->buffer = malloc(CHUNK);
    if (k->config.depth > 1) k->ring = malloc((size_t)n * k->config.depth * sizeof *k->ring);
    if (!k->conns || !k->ready || !k->buffer || (k->config.depth > 1 && !k->ring) || !allocate_exchange(k)) return false;
    for (uint32_t i = 0; i < n; i++) {
        k->conns[i].fd = -1;
        k->ready[n - 1 - i] = i;
    }
    k->ready_count = n;
    return true;
}

static int prepare(struct client *k) {
    k->waiting.head = k->waiting.tail = k->resting.head = k->resting.tail = k->idle.head = k->idle.tail = NONE;
    for (uint32_t i = 0; i < MOST_GAPS; i++) k->rests[i].head = k->rests[i].tail = NONE;
    k->single_at = SINGLE_AFTER;
    if (!allocate(k)) return ENOMEM;
    k->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (k->epoll < 0) return errno;
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = NONE};
    return epoll_ctl(k->epoll, EPOLL_CTL_ADD, k->control, &e) < 0 ? errno : 0;
}

static void release(struct client *k) {
    for (uint32_t i = 0; k->conns && i < k->config.connections; i++)
        if (k->conns[i].state != CONN_IDLE && k->conns[i].fd >= 0) close(k->conns[i].fd);
    free(k->conns);
    free(k->ready);
    for (uint32_t i = 0; k->partials && i < k->config.connections; i++) free(k->partials[i].line);
    free(k->partials);
    free(k->buffer);
    free(k->ring);
    if (k->epoll >= 0) close(k->epoll);
}

/* Runs to the end. 0, or the errno that kept it from starting. */
int client_run(struct client *k) {
    const struct workload *w = k->workload;
    k->epoll = -1;
    k->schedules_connects = w->loops && k->config.rate_per_s > 0;
    int error = prepare(k);
    if (error == 0 && wait_for_go(k)) {
        k->start_ns = now_ns();
        k->cpu_start_ns = cpu_ns();
        k->to_start = w->loops ? (k->config.attempts ? k->config.attempts : UINT64_MAX) : k->config.connections;
        bool timed = !w->ends_by_parent && !w->paced && k->config.duration_ns;
        k->end_ns = timed ? k->start_ns + k->config.duration_ns : 0;
        if (k->schedules_connects) open_loop_begin(k, k->start_ns);
        block_set(k->block, S_started_ns, k->start_ns);
        block_set(k->block, S_state, STATE_RUNNING);
        loop(k);
        if (!k->quit) abandon_backlog(k, now_ns());
        block_set(k->block, S_cpu_ns, cpu_ns() - k->cpu_start_ns);
        block_set(k->block, S_ended_ns, now_ns());
        block_set(k->block, S_state, STATE_DONE);
    }
    release(k);
    return error;
}
