/* How a connection begins: a socket, its source, connect(), and what came of it. */
#include "connect.h"

#include "connection.h"
#include "open_loop.h"
#include "ports.h"
#include "reply.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define EAGER_MISSES 16
#define NO_RETRANSMIT_NS (200 * NS_PER_MS) /* no SYN is sent again sooner (TCP_RTO_MIN, include/net/tcp.h) */

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

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
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, family == AF_UNIX ? 0 : IPPROTO_TCP);
    if (fd < 0 || family == AF_UNIX) return fd;
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
    if (!k->workload->loops || k->config.exchange.size == 0)
        return connect(c->fd, &k->config.target.any, address_length(&k->config.target)) == 0 || errno == EISCONN;
    uint32_t size = k->config.exchange.size;
    ssize_t n = send_payload(k, c, size < CHUNK ? size : CHUNK);
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

/* Each connection begins elsewhere in what is echoed, so that none gets another's bytes unseen. */
static void exchange_begin(struct client *k, struct conn *c) {
    reply_begin(&k->config.exchange, &c->reply);
    if (k->config.exchange.kind == REPLY_ECHO)
        c->send_at = c->reply.at = (uint32_t)((conn_index(k, c) * 257ULL) % PERIOD);
    if (k->partials) k->partials[conn_index(k, c)].began_size = k->partials[conn_index(k, c)].line_size = 0;
}

void conn_start(struct client *k, struct conn *c) {
    *c = (struct conn){.fd = -1, .generation = c->generation, .state = CONN_CONNECTING};
    exchange_begin(k, c);
    k->live++;
    c->rank = (uint32_t)block_get(k->block, S_attempted);
    block_add(k->block, S_attempted, 1);
    block_add(k->block, S_connecting, 1);
    c->started_ns = now_ns();
    if (k->schedules_connects) c->started_ns = take_due(k, c->started_ns, k->free_at_ns);
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

void conn_connect_event(struct client *k, struct conn *c) {
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) error = errno;
    if (error) conn_connect_error(k, c, error);
    else conn_established(k, c, now_ns());
}
