/* Flood: writes without waiting, and counts what comes back. */
#include "../connection.h"
#include "rows.h"

#include <errno.h>

/* Level-triggered, so that every connection gets its turn of one read and one write. */
#define EVENTS ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLRDHUP))

static bool is_echo(const struct client *k) { return k->config.exchange.kind == REPLY_ECHO; }

/* Requests of which a byte at least was handed to the kernel. */
static uint64_t flood_begun(const struct client *k, const struct conn *c) {
    return (c->sent + k->config.exchange.size - 1) / k->config.exchange.size;
}

/* One request at a time is timed: from its first byte handed to the kernel until its last byte is back. An echo is known
 * by its bytes, any other reply by how many came before it. */
static void flood_mark(struct client *k, struct conn *c) {
    uint64_t next = flood_begun(k, c) + 1;
    c->mark_end = is_echo(k) ? next * k->config.exchange.size : next;
    c->mark_ns = now_ns();
}

static void flood_write(struct client *k, struct conn *c) {
    if (c->mark_end == 0) flood_mark(k, c);
    c->want = c->sent + CHUNK - CHUNK % (k->config.exchange.size < CHUNK ? k->config.exchange.size : CHUNK);
    ssize_t n = send_payload(k, c, (size_t)(c->want - c->sent));
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) conn_fail(k, c, PHASE_write, (uint64_t)errno);
        return;
    }
    if (is_echo(k)) {
        note_sent(k, c, (size_t)n);
        return;
    }
    uint64_t begun = flood_begun(k, c);
    note_sent(k, c, (size_t)n);
    c->due += (uint32_t)(flood_begun(k, c) - begun);
}

static void flood_connected(struct client *k, struct conn *c) {
    conn_wait(k, c);
    if (conn_watch(k, c, EVENTS)) flood_write(k, c);
}

/* How many requests a read of an echo completed, of which `before` bytes had come before it; else it was counted. */
static uint64_t flood_answered(const struct client *k, const struct conn *c, uint64_t before) {
    if (!is_echo(k)) return k->answered;
    return c->received / k->config.exchange.size - before / k->config.exchange.size;
}

static void flood_answers(struct client *k, struct conn *c, uint64_t before) {
    uint64_t now = now_ns(), answered = flood_answered(k, c, before);
    conn_wait_anew(k, c, now); /* there is always more to come: it writes for as long as the run lasts */
    if (answered) {
        block_add(k->block, S_requests, answered);
        block_set(k->block, S_last_answer_ns, now);
    }
    if (!is_echo(k)) c->due -= (uint32_t)answered;
    if (c->mark_end && (is_echo(k) ? c->received : flood_begun(k, c) - c->due) >= c->mark_end) {
        block_request_latency(k->block, now - c->mark_ns);
        c->mark_end = 0;
    }
}

/* At the end: a part of an echo comes back too; of anything else what has begun is asked to its end, and answered. */
static void flood_finish(struct client *k, struct conn *c, uint32_t events) {
    if (is_echo(k)) {
        if (c->received == c->sent) conn_done(k, c);
        return;
    }
    c->want = flood_begun(k, c) * k->config.exchange.size;
    if (!send_wanted(k, c)) return;
    if (!c->due && c->sent == c->want) conn_done(k, c);
    else if ((events & EPOLLOUT) && c->sent == c->want) conn_watch(k, c, EPOLLIN | EPOLLRDHUP);
}

static void flood_event(struct client *k, struct conn *c, uint32_t events) {
    if (events & READABLE) {
        uint64_t before = c->received;
        ssize_t n = conn_read(k, c);
        if (n < 0) return;
        if (n > 0) flood_answers(k, c, before);
        if (c->is_last) { /* who closes answers nothing more (RFC 9112, 9.6) */
            conn_done(k, c);
            return;
        }
    }
    if (k->ending) flood_finish(k, c, events);
    else if (events & EPOLLOUT) flood_write(k, c);
}

static void flood_at_end(struct client *k, struct conn *c) {
    if (!is_echo(k)) flood_finish(k, c, EPOLLOUT);
    else if (c->received == c->sent) conn_done(k, c);
    else conn_watch(k, c, EPOLLIN | EPOLLRDHUP);
}

const struct workload workload_flood = {
    .name = "flood",
    .asks = true,
    .events = EVENTS,
    .connected = flood_connected,
    .event = flood_event,
    .at_end = flood_at_end,
};
