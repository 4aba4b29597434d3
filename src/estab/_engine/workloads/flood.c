/* Flood: writes without waiting, and counts what comes back. */
#include "../connection.h"
#include "rows.h"

#include <errno.h>

/* Level-triggered, so that every connection gets its turn of one read and one write. */
#define EVENTS ((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLRDHUP))

/* One request at a time is timed: from its first byte handed to the kernel until its last byte is back. */
static void flood_mark(struct client *k, struct conn *c) {
    c->mark_end = (c->sent + k->config.exchange.size - 1) / k->config.exchange.size * k->config.exchange.size + k->config.exchange.size;
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
    note_sent(k, c, (size_t)n);
}

static void flood_connected(struct client *k, struct conn *c) {
    conn_wait(k, c);
    if (conn_watch(k, c, EVENTS)) flood_write(k, c);
}

static void flood_answers(struct client *k, struct conn *c, uint64_t before) {
    uint64_t now = now_ns();
    conn_wait_anew(k, c, now); /* there is always more to come: it writes for as long as the run lasts */
    uint64_t answered = c->received / k->config.exchange.size - before / k->config.exchange.size;
    if (answered) {
        block_add(k->block, S_requests, answered);
        block_set(k->block, S_last_answer_ns, now);
    }
    if (c->mark_end && c->received >= c->mark_end) {
        block_request_latency(k->block, now - c->mark_ns);
        c->mark_end = 0;
    }
}

static void flood_event(struct client *k, struct conn *c, uint32_t events) {
    if (events & READABLE) {
        uint64_t before = c->received;
        ssize_t n = conn_read(k, c);
        if (n < 0) return;
        if (n > 0) flood_answers(k, c, before);
    }
    if (!k->ending) {
        if (events & EPOLLOUT) flood_write(k, c);
    } else if (c->received == c->sent) {
        conn_done(k, c);
    }
}

static void flood_at_end(struct client *k, struct conn *c) {
    if (c->received == c->sent) conn_done(k, c);
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
