#include "connects.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

static const uint64_t TOLD_WITHIN_NS = 5000000;

static uint32_t *bucket_of(struct connects *t, uint64_t sk) { return &t->buckets[mixed(sk) % BUCKETS]; }

static struct connection *find(struct connects *t, uint64_t sk) {
    for (uint32_t at = *bucket_of(t, sk); at; at = t->connections[at - 1].next)
        if (t->connections[at - 1].sk == sk) return &t->connections[at - 1];
    return NULL;
}

static struct connection *insert(struct connects *t, uint64_t sk) {
    if (!t->free_list && t->used == t->places) {
        size_t places = t->places ? 2 * t->places : 1024;
        struct connection *moved = realloc(t->connections, places * sizeof *moved);
        if (!moved) return NULL;
        t->connections = moved;
        t->places = places;
    }
    uint32_t at = t->free_list ? t->free_list : (uint32_t)++t->used;
    struct connection *c = &t->connections[at - 1];
    if (t->free_list) t->free_list = c->next;
    uint32_t *bucket = bucket_of(t, sk);
    *c = (struct connection){.sk = sk, .next = *bucket};
    *bucket = at;
    return c;
}

static void forget(struct connects *t, uint64_t sk) {
    for (uint32_t *at = bucket_of(t, sk); *at; at = &t->connections[*at - 1].next) {
        struct connection *c = &t->connections[*at - 1];
        if (c->sk != sk) continue;
        uint32_t freed = *at;
        *at = c->next;
        c->next = t->free_list;
        t->free_list = freed;
        return;
    }
}

static uint32_t hdr_index(uint64_t value) {
    if (value > 3600000000000ULL) value = 3600000000000ULL;
    uint32_t bucket = (uint32_t)(64 - __builtin_clzll(value | 2047)) - 11;
    return (bucket + 1) * HDR_HALF + (uint32_t)(value >> bucket) - HDR_HALF;
}

static void settle(struct connects *t, struct closing *c, int32_t code) {
    struct traced_target *target = &t->targets[c->target];
    uint64_t lasted_ns = c->closed.at_ns - c->began_ns;
    if (code == GAVE_UP && lasted_ns > target->worst_give_up_ns) target->worst_give_up_ns = lasted_ns;
    count_failure(target->failures, code, c->closed.at_ns);
    c->waits = false;
}

static void settle_untold(struct connects *t, struct closing *c) { settle(t, c, c->by_program ? GAVE_UP : UNKNOWN); }

static void note_closing(struct connects *t, const struct event *e, const struct connection *c) {
    struct closing *place = &t->closings[t->next_closing++ % CLOSINGS];
    if (place->waits) settle_untold(t, place);
    *place = (struct closing){*e, c->began_ns, c->target, calls_is_followed(&t->calls, e->pid), true};
    if (!e->sport) settle(t, place, EADDRNOTAVAIL);
}

static bool is_of_call(const struct closing *c, const struct event *e, uint64_t since_ns) {
    return c->closed.pid == e->pid && c->closed.at_ns >= since_ns;
}

static bool is_of_ends(const struct closing *c, const struct event *e) {
    return c->closed.sport == e->sport && c->closed.dport == e->dport &&
           !memcmp(c->closed.address, e->address, sizeof e->address);
}

/* The newest connect that ended so and whose reason is not told yet; NULL: none. */
static struct closing *closing_of(struct connects *t, const struct event *e) {
    uint64_t since_ns = e->kind == CONNECT_EXIT ? calls_connects_since(&t->calls, e->pid) : 0;
    for (size_t i = 1; i <= CLOSINGS && i <= t->next_closing; i++) {
        struct closing *c = &t->closings[(t->next_closing - i) % CLOSINGS];
        if (e->at_ns > c->closed.at_ns + TOLD_WITHIN_NS) return NULL;
        if (c->waits && (e->kind == CONNECT_EXIT ? is_of_call(c, e, since_ns) : is_of_ends(c, e))) return c;
    }
    return NULL;
}

static bool on_state(struct connects *t, const struct event *e) {
    if (e->new == TCP_SYN_SENT) {
        if (!calls_is_followed(&t->calls, e->pid)) return true;
        forget(t, e->sk);
        struct connection *c = insert(t, e->sk);
        if (!c || !calls_note_begun(&t->calls, e->pid)) return false;
        c->began_ns = e->at_ns;
        c->target = target_number(&t->index, e->address, e->dport);
        t->targets[c->target].attempted++;
        return true;
    }
    struct connection *c = find(t, e->sk);
    if (!c) return true;
    struct traced_target *target = &t->targets[c->target];
    if (e->old == TCP_SYN_SENT) t->resent[c->resent < RESENT ? c->resent : RESENT - 1]++;
    if (e->old == TCP_SYN_SENT && e->new != TCP_CLOSE) {
        uint64_t took_ns = e->at_ns - c->began_ns;
        c->open = true;
        target->connected++;
        t->histogram[hdr_index(took_ns)]++;
        t->sum_ns += took_ns;
        if (took_ns > t->max_ns) t->max_ns = took_ns;
    } else if (e->old == TCP_SYN_SENT) {
        note_closing(t, e, c);
    }
    if (e->new == TCP_CLOSE) forget(t, e->sk);
    return true;
}

static void on_connect_exit(struct connects *t, const struct event *e) {
    struct closing *closing = closing_of(t, e);
    if (closing) settle(t, closing, (int32_t)-e->value);
    else calls_end_connect(&t->calls, e->pid, (int32_t)-e->value, e->at_ns);
}

static void on_reset(struct connects *t, const struct event *e) {
    const struct connection *c = find(t, e->sk);
    if (!c || !c->open) return; /* before that its error tells of it */
    struct traced_target *target = &t->targets[c->target];
    if (e->kind == RECEIVED_RESET) target->resets_received++;
    else target->resets_sent++;
}

static void on_retransmit(struct connects *t, const struct event *e) {
    struct connection *c = find(t, e->sk);
    if (!c) return;
    c->resent += c->open ? 0 : 1;
    t->targets[c->target].resent++;
}

bool connects_add(struct connects *t, const struct event *e) {
    struct calls *calls = &t->calls;
    struct closing *closing;
    switch ((enum event_kind)e->kind) {
        case STATE: return on_state(t, e);
        case ERROR:
            if ((closing = closing_of(t, e))) settle(t, closing, (int32_t)e->value);
            return true;
        case RETRANSMIT: return on_retransmit(t, e), true;
        case RECEIVED_RESET:
        case SENT_RESET: return on_reset(t, e), true;
        case NEW_TASK: return calls_note_new(calls, e->pid, e->other, (uint64_t)e->value, e->at_ns);
        case SOCKET_ENTER: return calls_begin_socket(calls, e->pid, e->other, (int)e->value), true;
        case SOCKET_EXIT: return calls_end_socket(calls, e->pid, e->value, e->at_ns);
        case CONNECT_ENTER: return calls_begin_connect(calls, e->pid, (int)e->value, e->at_ns), true;
        case CONNECT_EXIT: return on_connect_exit(t, e), true;
        case ACCEPT_ENTER:
        case ACCEPT4_ENTER: return calls_begin_accept(calls, e->pid, (int)e->value), true;
        case ACCEPT_EXIT:
        case ACCEPT4_EXIT: return calls_end_accept(calls, e->pid, e->value, e->at_ns);
        case BIND_ENTER: return calls_begin_bind(calls, e->pid, (int)e->value), true;
        case BIND_EXIT: return calls_end_bind(calls, e->pid, (int32_t)-e->value, e->at_ns), true;
        case KINDS: break;
    }
    return true;
}

void connects_settle(struct connects *t, uint64_t until_ns) {
    for (size_t i = 0; i < CLOSINGS; i++) {
        struct closing *c = &t->closings[i];
        if (c->waits && c->closed.at_ns + TOLD_WITHIN_NS < until_ns) settle_untold(t, c);
    }
}

void connects_free(struct connects *t) {
    calls_free(&t->calls);
    free(t->connections);
}
