/* The shared block: what a worker writes and its parent reads while it runs. `estab/load/block.py` is its twin; a test
 * holds the two together. All slots are u64; there is one writer, so relaxed loads and stores suffice. */
#ifndef ESTAB_BLOCK_H
#define ESTAB_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#define BLOCK_MAGIC 0x6573746162303031ULL /* "estab001" */
#define RETRANSMIT_BUCKETS 16
#define FAILURE_KINDS 32
#define EXAMPLE_BYTES 96
#define REPLY_BYTES 32
#define STATUS_FIRST 100
#define STATUS_KINDS 500
#define MOST_GAPS 64
#define FIRST_STALLS 8
#define LAST_STALLS 8

#define SLOTS(X)                                                                                                      \
    X(magic) X(state) X(start_ns) X(started_ns) X(settled_ns) X(last_answer_ns) X(ended_ns) X(cpu_ns)                 \
    X(worst_lag_ns) X(attempted) X(connected) X(first_byte) X(completed) X(failed) X(open) X(connecting) X(closed)    \
    X(accepted) X(requests) X(bytes_sent) X(bytes_received) X(peer_resets) X(failure_kinds) X(connect_count)          \
    X(connect_sum_ns) X(connect_max_ns) X(request_count) X(request_sum_ns) X(request_max_ns)           \
    X(order_kinds) X(schedule_ns) X(scheduled) X(late) X(worst_late_ns) X(waited) X(unsent)         \
    X(no_echo) X(stayed) X(failed_before_end) X(failed_ranks) X(stalled) X(unacknowledged) X(heard_ns)

#define SLOT_ENUM(name) S_##name,
enum slot { SLOTS(SLOT_ENUM) S_COUNT };

enum state { STATE_STARTING, STATE_READY, STATE_RUNNING, STATE_SETTLED, STATE_CLOSING, STATE_DONE };

#define PHASES(X) X(connect) X(write) X(read) X(reply) X(close) X(accept) X(status)
#define PHASE_ENUM(name) PHASE_##name,
enum phase { PHASES(PHASE_ENUM) PHASE_COUNT };

/* Codes that no errno tells; errnos end far below. From CODE_STATUS on: a status of HTTP that nobody wished for. */
enum code {
    CODE_OWN_TIMEOUT = 1000, CODE_EOF, CODE_WRONG_BYTES, CODE_OTHER,
    CODE_MALFORMED, CODE_HEADER_TOO_LONG, CODE_EXCESS_BYTES,
    CODE_STATUS = 2000
};

struct failure {
    uint64_t phase, code, count, first_ns, last_ns, reply_bytes;
    char example[EXAMPLE_BYTES];
    uint8_t reply[REPLY_BYTES]; /* how the first reply of this kind began, where it was one */
};

/* HdrHistogram with 3 significant digits from 1 to 3.6e12 (one hour in ns): 2048 sub-buckets, 32 buckets. */
#define HDR_HALF 1024
#define HDR_LENGTH ((32 + 1) * HDR_HALF)

/* What came on connections whose peer ended them: the first error's code, then that of one more write and one more read
 * (0: it worked). */
#define ORDER_KINDS 16
struct order {
    uint64_t first, write, read, count;
};

/* Connections that rest for one gap: how many began to, how often they were answered after it and when last, and how
 * those ended that did not stay; `unasked` of them while they rested, and of the silent ones so many whose request nobody
 * acknowledged. `least` and `most`: for how long those had rested; `first` and `last`: when that was over. Since the start. */
struct gap {
    uint64_t rested, answered, last_answer_ns, closed, reset, silent, wrong, unasked, unacknowledged;
    uint64_t least_ns, most_ns, first_ns, last_ns;
};

/* A connection that got no answer in time, as its kernel saw it when it was given up (tcp_get_info, net/ipv4/tcp.c). Times
 * since the start: when that was, since when it had waited, and when an ACK and when data last came. */
struct stall {
    uint64_t at_ns, asked_ns, heard_ns, received_ns, unacked, retransmits, backoff, total_retrans, rto_us;
    uint64_t bytes_acked, bytes_received, snd_mss, pmtu;
    char connection[EXAMPLE_BYTES];
};

struct block {
    uint64_t slot[S_COUNT];
    uint64_t syn_retransmits[RETRANSMIT_BUCKETS]; /* the last: so many or more */
    struct failure failures[FAILURE_KINDS];       /* the last takes what finds no room */
    struct order orders[ORDER_KINDS];             /* what finds no room is not told apart: counted in the last */
    uint64_t http_status[STATUS_KINDS];           /* replies by status, from 100 on */
    struct gap gaps[MOST_GAPS];                   /* of a load that rests, in the order of its settings */
    struct stall stalls[FIRST_STALLS + LAST_STALLS]; /* the first, and of those after them the last */
    uint64_t connect_ns[HDR_LENGTH];
    uint64_t request_ns[HDR_LENGTH];
};

static inline uint64_t block_get(const struct block *b, enum slot s) { return __atomic_load_n(&b->slot[s], __ATOMIC_RELAXED); }
static inline void block_set(struct block *b, enum slot s, uint64_t v) { __atomic_store_n(&b->slot[s], v, __ATOMIC_RELAXED); }
static inline void block_add(struct block *b, enum slot s, uint64_t n) { block_set(b, s, block_get(b, s) + n); }
static inline void block_sub(struct block *b, enum slot s, uint64_t n) { block_set(b, s, block_get(b, s) - n); }
static inline void block_max(struct block *b, enum slot s, uint64_t v) {
    if (v > block_get(b, s)) block_set(b, s, v);
}

/* HdrHistogram's countsArrayIndex for a unit magnitude of 0. Values beyond the highest land in the last bucket. */
static inline uint32_t hdr_index(uint64_t value) {
    if (value > 3600000000000ULL) value = 3600000000000ULL;
    uint32_t bucket = (uint32_t)(64 - __builtin_clzll(value | 2047)) - 11;
    return (bucket + 1) * HDR_HALF + (uint32_t)(value >> bucket) - HDR_HALF;
}

static inline void block_connect_latency(struct block *b, uint64_t ns) {
    b->connect_ns[hdr_index(ns)]++;
    block_add(b, S_connect_count, 1);
    block_add(b, S_connect_sum_ns, ns);
    block_max(b, S_connect_max_ns, ns);
}

static inline void block_request_latency(struct block *b, uint64_t ns) {
    b->request_ns[hdr_index(ns)]++;
    block_add(b, S_request_count, 1);
    block_add(b, S_request_sum_ns, ns);
    block_max(b, S_request_max_ns, ns);
}

struct failure *block_failure(struct block *b, enum phase phase, uint64_t code, uint64_t since_start_ns);
void failure_reply(struct failure *f, const uint8_t *data, size_t size);
void block_order(struct block *b, uint64_t first, uint64_t write, uint64_t read);
struct block *block_map(int fd);
void block_unmap(struct block *b);

#endif
