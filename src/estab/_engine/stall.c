/* A connection that gets no answer: whether its data was acknowledged, and when the peer was last heard. One system call for
 * each that is given up, and none for any other. */
#include "stall.h"

#include <errno.h>
#include <linux/tcp.h> /* the C library's struct tcp_info ends at tcpi_total_retrans */
#include <string.h>

static bool read_info(const struct conn *c, struct tcp_info *info) {
    socklen_t length = sizeof *info;
    memset(info, 0, sizeof *info); /* an older kernel fills less */
    return getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, info, &length) == 0;
}

bool is_stall(uint64_t code) {
    return code == CODE_OWN_TIMEOUT || code == ETIMEDOUT || code == EHOSTUNREACH || code == ENETUNREACH;
}

/* What the kernel gave up itself it has dropped (tcp_write_err, net/ipv4/tcp_timer.c), so nothing of it is outstanding. */
static bool is_outstanding(const struct tcp_info *info, uint64_t code) {
    return code != CODE_OWN_TIMEOUT || info->tcpi_unacked;
}

bool is_unacknowledged(const struct conn *c, uint64_t code) {
    struct tcp_info info;
    return read_info(c, &info) && is_outstanding(&info, code);
}

static uint64_t since(const struct client *k, uint64_t at_ns) { return at_ns > k->start_ns ? at_ns - k->start_ns : 0; }

static uint64_t before(uint64_t now, uint32_t ms) { return now - earlier(now, ms * NS_PER_MS); }

/* Since when it waits: the start of its time-out, which each sign of life starts again. */
static uint64_t asked_ns(const struct client *k, const struct conn *c) {
    if (c->deadline_ns && !c->is_idle) return c->deadline_ns - earlier(c->deadline_ns, k->config.timeout_ns);
    return c->mark_ns ? c->mark_ns : c->started_ns;
}

void stall_note(struct client *k, const struct conn *c, uint64_t code) {
    struct tcp_info info;
    if (!read_info(c, &info)) return;
    uint64_t now = now_ns(), number = block_get(k->block, S_stalled);
    uint64_t heard = since(k, before(now, info.tcpi_last_ack_recv));
    block_add(k->block, S_stalled, 1);
    if (is_outstanding(&info, code)) block_add(k->block, S_unacknowledged, 1);
    block_max(k->block, S_heard_ns, heard);
    struct stall *s = &k->block->stalls[number < FIRST_STALLS ? number : FIRST_STALLS + number % LAST_STALLS];
    *s = (struct stall){
        .at_ns = since(k, now),
        .asked_ns = since(k, asked_ns(k, c)),
        .heard_ns = heard,
        .received_ns = since(k, before(now, info.tcpi_last_data_recv)),
        .unacked = info.tcpi_unacked,
        .retransmits = info.tcpi_retransmits,
        .backoff = info.tcpi_backoff,
        .total_retrans = info.tcpi_total_retrans,
        .rto_us = info.tcpi_rto,
        .bytes_acked = info.tcpi_bytes_acked,
        .bytes_received = info.tcpi_bytes_received,
        .snd_mss = info.tcpi_snd_mss,
        .pmtu = info.tcpi_pmtu,
    };
    address_describe(c->fd, &k->config.target, s->connection, sizeof s->connection);
}
