/* The client's loop: starts connects as the plan allows, waits, hands events to the workload, ends what is overdue. */
#include "client.h"

#include "alone.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define START_BATCH 64                /* connects between two looks at events */
#define REST_NS (10 * NS_PER_MS)      /* a slot whose connect failed rests, so that errors do not become a busy loop */
#define EAGER_MISSES 16
#define NO_RETRANSMIT_NS (200 * NS_PER_MS) /* no SYN is sent again sooner (TCP_RTO_MIN, include/net/tcp.h) */
#define CPU_CLOCK_NS (50 * NS_PER_MS)

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

/* --- deadlines --- */

void list_append(struct client *k, struct list *l, struct conn *c, uint64_t deadline) {
    uint32_t i = conn_index(k, c);
    c->deadline_ns = deadline;
    c->prev = l->tail;
    c->next = NONE;
    if (l->tail == NONE) l->head = i;
    else k->conns[l->tail].next = i;
    l->tail = i;
}

void list_remove(struct client *k, struct list *l, struct conn *c) {
    if (c->deadline_ns == 0) return;
    if (c->prev == NONE) l->head = c->next;
    else k->conns[c->prev].next = c->next;
    if (c->next == NONE) l->tail = c->prev;
    else k->conns[c->next].prev = c->prev;
    c->deadline_ns = 0;
}

void conn_wait(struct client *k, struct conn *c) {
    if (k->config.timeout_ns) list_append(k, &k->waiting, c, now_ns() + k->config.timeout_ns);
}

void conn_no_wait(struct client *k, struct conn *c) {
    list_remove(k, c->is_idle ? &k->idle : &k->waiting, c);
    c->is_idle = 0;
}

/* --- the end of a connection --- */

static void conn_free(struct client *k, struct conn *c) {
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

void conn_fail(struct client *k, struct conn *c, enum phase phase, uint64_t code) {
    char example[EXAMPLE_BYTES];
    bool by_peer = code == ECONNRESET || code == EPIPE || code == CODE_EOF;
    if (by_peer && phase != PHASE_connect && c->fd >= 0) note_order(k, c, code);
    address_describe(c->fd, &k->config.target, example, sizeof example);
    block_failure(k->block, phase, code, now_ns() - k->start_ns, example);
    block_add(k->block, S_failed, 1);
    conn_shut(k, c);
    if (k->workload != &workload_churn || k->ending) {
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

/* --- the start of a connection --- */

bool conn_watch(struct client *k, struct conn *c, uint32_t events) {
    struct epoll_event e = {.events = events, .data.u64 = (uint64_t)c->generation << 32 | conn_index(k, c)};
    if (epoll_ctl(k->epoll, c->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &e) == 0) {
        c->registered = 1;
        return true;
    }
    conn_fail(k, c, c->state == CONN_CONNECTING ? PHASE_connect : PHASE_read, (uint64_t)errno);
    return false;
}

static void count_retransmits(struct client *k, struct conn *c, uint64_t took_ns) {
    uint32_t n = 0;
    if (took_ns >= NO_RETRANSMIT_NS) {
        struct tcp_info info;
        socklen_t length = sizeof info;
        memset(&info, 0, sizeof info);
        if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0) n = info.tcpi_total_retrans;
    }
    if (n >= RETRANSMIT_BUCKETS) n = RETRANSMIT_BUCKETS - 1;
    __atomic_store_n(&k->block->syn_retransmits[n], k->block->syn_retransmits[n] + 1, __ATOMIC_RELAXED);
}

static void note_established(struct client *k, struct conn *c, uint64_t now) {
    uint64_t took = now - c->started_ns;
    conn_no_wait(k, c);
    c->state = CONN_OPEN;
    block_sub(k->block, S_connecting, 1);
    block_add(k->block, S_open, 1);
    block_add(k->block, S_connected, 1);
    block_connect_latency(k->block, took);
    count_retransmits(k, c, took);
}

static void conn_established(struct client *k, struct conn *c, uint64_t now) {
    note_established(k, c, now);
    k->workload->connected(k, c);
}

/* A RST that answers a SYN is ECONNREFUSED; ECONNRESET and EPIPE come to an ESTABLISHED connection alone
 * (net/ipv4/tcp_input.c tcp_reset), even where we learn of both in one event. */
static void conn_connect_error(struct client *k, struct conn *c, int error) {
    if (error != ECONNRESET && error != EPIPE) {
        conn_fail(k, c, PHASE_connect, (uint64_t)error);
        return;
    }
    note_established(k, c, now_ns());
    conn_fail(k, c, PHASE_read, (uint64_t)error);
}

/* A socket with its options and, where a source was asked for, its address. The port is left to connect(), which may
 * then share it between destinations (IP_BIND_ADDRESS_NO_PORT, ip(7), Linux 4.2). */
static int open_socket(struct client *k) {
    int on = 1, family = k->config.target.any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) return -1;
    if (k->config.no_delay) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (k->config.source_count) {
        union address *source = &k->config.sources[k->next_source++ % k->config.source_count];
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(fd, &source->any, address_length(source)) < 0) {
            int error = errno;
            close(fd);
            errno = error;
            return -1;
        }
    }
    return fd;
}

/* Whether a connection is there that connect() called in progress: who asks first, asks; the others call again. */
static bool go_on(struct client *k, struct conn *c) {
    if (k->workload != &workload_churn || k->config.size == 0)
        return connect(c->fd, &k->config.target.any, address_length(&k->config.target)) == 0 || errno == EISCONN;
    ssize_t n = send_payload(k, c, k->config.size < CHUNK ? k->config.size : CHUNK);
    if (n > 0) note_sent(k, c, (size_t)n);
    return n > 0;
}

/* On loopback the handshake is over when connect() returns EINPROGRESS: the next call says so without epoll. */
static bool is_established_at_once(struct client *k, struct conn *c, uint64_t now, int *error) {
    *error = 0;
    if (k->eager_misses >= EAGER_MISSES) return false;
    c->mark_ns = now;
    if (go_on(k, c)) {
        k->eager_misses = 0;
        return true;
    }
    if (errno == EALREADY || errno == EINPROGRESS || errno == EAGAIN || errno == EINTR) k->eager_misses++;
    else *error = errno;
    return false;
}

static void conn_start(struct client *k, struct conn *c) {
    struct conn fresh = {.fd = -1, .generation = c->generation, .state = CONN_CONNECTING, .left = k->config.size};
    *c = fresh;
    c->send_at = c->receive_at = (uint32_t)((conn_index(k, c) * 257ULL) % PERIOD);
    k->live++;
    block_add(k->block, S_attempted, 1);
    block_add(k->block, S_connecting, 1);
    c->started_ns = now_ns();
    if (k->workload == &workload_churn && k->config.rate_per_s > 0)
        c->started_ns = take_due(k, c->started_ns, k->free_at_ns);
    c->fd = open_socket(k);
    if (c->fd < 0) {
        conn_fail(k, c, PHASE_connect, (uint64_t)errno);
        return;
    }
    int done = connect_from_port(k, c->fd), error = 0;
    if (done < 0 && errno != EINPROGRESS && errno != EINTR) {
        conn_fail(k, c, PHASE_connect, (uint64_t)errno);
        return;
    }
    uint64_t now = now_ns();
    if (done == 0 || is_established_at_once(k, c, now, &error)) {
        conn_established(k, c, now);
    } else if (error) {
        conn_connect_error(k, c, error);
    } else {
        conn_wait(k, c);
        conn_watch(k, c, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    }
}

static void conn_connect_event(struct client *k, struct conn *c) {
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) error = errno;
    if (error) conn_connect_error(k, c, error);
    else conn_established(k, c, now_ns());
}

/* --- reading, for every workload --- */

/* Each period against the same first one, which stays in the nearest cache meanwhile. */
static bool verify(struct client *k, struct conn *c, size_t n) {
    for (size_t done = 0, piece; done < n; done += piece) {
        piece = n - done < PERIOD - c->receive_at ? n - done : PERIOD - c->receive_at;
        if (memcmp(k->buffer + done, k->payload + c->receive_at, piece) != 0) return false;
        c->receive_at = (uint32_t)((c->receive_at + piece) % PERIOD);
    }
    return true;
}

static ssize_t conn_take(struct client *k, struct conn *c, ssize_t n) {
    if (n > 0) {
        if (c->received == 0) block_add(k->block, S_first_byte, 1);
        c->received += (uint64_t)n;
        block_add(k->block, S_bytes_received, (uint64_t)n);
        if (k->config.size == 0) return n; /* nothing was sent, so nothing is known of what comes */
        if (c->received <= c->sent && verify(k, c, (size_t)n)) return n;
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

/* --- the loop --- */

void note_cpu(struct client *k, uint64_t now) {
    if (now < k->cpu_due_ns) return;
    block_set(k->block, S_cpu_ns, cpu_ns() - k->cpu_start_ns);
    k->cpu_due_ns = now + CPU_CLOCK_NS;
}

static uint64_t allowed_by_ramp(const struct client *k, uint64_t now) {
    if (k->config.ramp_per_s <= 0) return UINT64_MAX;
    return (uint64_t)((double)(now - k->start_ns) / 1e9 * k->config.ramp_per_s) + 1;
}

static bool may_start(const struct client *k, uint64_t now) {
    if (k->workload == &workload_churn && k->config.rate_per_s > 0 && !schedule_is_due(k, now)) return false;
    return (!k->ending || has_backlog(k, now)) && k->ready_count && k->to_start && block_get(k->block, S_connecting) < k->config.in_flight &&
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

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

static bool is_over(const struct client *k) {
    if (k->quit) return true;
    if (k->ending) return k->live == 0 && k->to_start == 0;
    /* A workload with a duration is over early when nothing is left to do; hold waits for the word of the parent. */
    return k->end_ns && k->live == 0 && k->to_start == 0;
}

/* What is due next can be begun: a connection or a slot is free for it. */
static bool awaits_schedule(const struct client *k, uint64_t now) {
    if (!k->schedule.start_ns || (k->ending && !has_backlog(k, now))) return false;
    return k->workload == &workload_churn ? k->ready_count && k->to_start : k->idle.head != NONE;
}

static uint64_t wait_ns(const struct client *k, uint64_t now) {
    if (may_start(k, now) || is_over(k)) return 0;
    uint64_t at = now + 1000 * NS_PER_MS;
    if (awaits_schedule(k, now)) at = earlier(at, k->schedule.next_ns);
    if (k->waiting.head != NONE) at = earlier(at, k->conns[k->waiting.head].deadline_ns);
    if (k->resting.head != NONE) at = earlier(at, k->conns[k->resting.head].deadline_ns);
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
        conn_fail(k, c, c->state == CONN_CONNECTING ? PHASE_connect : PHASE_read, CODE_OWN_TIMEOUT);
    }
    while (k->resting.head != NONE && k->conns[k->resting.head].deadline_ns <= now) {
        struct conn *c = &k->conns[k->resting.head];
        list_remove(k, &k->resting, c);
        conn_free(k, c);
    }
}

static void begin_end(struct client *k, uint64_t now) {
    k->ending = true;
    if (k->end_ns == 0) k->end_ns = now;
    if (!has_backlog(k, now)) abandon_backlog(k, now);
    k->drain_end_ns = now + k->config.drain_ns;
    k->drained_bytes = block_get(k->block, S_bytes_received);
    block_set(k->block, S_state, STATE_CLOSING);
    for (uint32_t i = 0; i < k->config.connections; i++) {
        struct conn *c = &k->conns[i];
        if (c->state == CONN_OPEN && k->workload->at_end) k->workload->at_end(k, c);
        else if (c->state == CONN_RESTING) {
            list_remove(k, &k->resting, c);
            conn_free(k, c);
        }
    }
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
        if (c->state == CONN_CONNECTING) conn_fail(k, c, PHASE_connect, CODE_OWN_TIMEOUT);
        else if (c->is_idle) conn_done(k, c);
        else if (c->state != CONN_IDLE) conn_fail(k, c, PHASE_read, CODE_OWN_TIMEOUT);
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
            conn_fail(k, c, c->state == CONN_CONNECTING ? PHASE_connect : PHASE_read, (uint64_t)error);
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
    if (c->state == CONN_CONNECTING) conn_connect_event(k, c);
    else k->workload->event(k, c, e->events);
}

/* Every connect has been settled: connected, failed or given up. */
static void note_settled(struct client *k, uint64_t now) {
    if (block_get(k->block, S_state) != STATE_RUNNING) return;
    /* A loop of connects without an end has nothing to settle: it runs beside what does. */
    bool endless = k->workload == &workload_churn && k->end_ns == 0 && k->config.attempts == 0;
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
        for (int i = 0; i < n; i++) dispatch(k, &k->events[i]);
        if (k->workload->alone && k->config.connections == 1 && !k->ending) {
            k->workload->alone(k, &k->conns[0]);
            now = now_ns();
        }
        expire(k, now);
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

static bool allocate(struct client *k) {
    uint32_t n = k->config.connections;
    k->conns = calloc(n, sizeof *k->conns);
    k->ready = malloc(n * sizeof *k->ready);
    k->payload = malloc(PERIOD + CHUNK);
    k->buffer = malloc(CHUNK);
    if (k->config.depth > 1) k->ring = malloc((size_t)n * k->config.depth * sizeof *k->ring);
    if (!k->conns || !k->ready || !k->payload || !k->buffer || (k->config.depth > 1 && !k->ring)) return false;
    payload_fill(k->payload, PERIOD + CHUNK);
    for (uint32_t i = 0; i < n; i++) {
        k->conns[i].fd = -1;
        k->ready[n - 1 - i] = i;
    }
    k->ready_count = n;
    return true;
}

static int prepare(struct client *k) {
    k->waiting.head = k->waiting.tail = k->resting.head = k->resting.tail = k->idle.head = k->idle.tail = NONE;
    k->alone_at = ALONE_AFTER;
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
    free(k->payload);
    free(k->buffer);
    free(k->ring);
    if (k->epoll >= 0) close(k->epoll);
}

/* Runs to the end. 0, or the errno that kept it from starting. */
int client_run(struct client *k) {
    bool loops = k->workload == &workload_churn;
    k->epoll = -1;
    int error = prepare(k);
    if (error == 0 && wait_for_go(k)) {
        k->start_ns = now_ns();
        k->cpu_start_ns = cpu_ns();
        k->to_start = loops ? (k->config.attempts ? k->config.attempts : UINT64_MAX) : k->config.connections;
        /* hold waits for the word of the parent; an open loop of requests begins when all are connected. */
        bool timed = k->workload != &workload_hold && k->workload != &workload_rate && k->config.duration_ns;
        k->end_ns = timed ? k->start_ns + k->config.duration_ns : 0;
        if (loops && k->config.rate_per_s > 0) open_loop_begin(k, k->start_ns);
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
