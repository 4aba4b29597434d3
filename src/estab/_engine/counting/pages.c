#include "pages.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The fields of each kind, in the order in which Python gives their offsets. */
enum { SK, OLD, NEW, SPORT, DPORT, FAMILY, PROTOCOL, DADDR, DADDR6 };
enum { E_ERROR, E_SPORT, E_DPORT, E_FAMILY, E_PROTOCOL, E_DADDR, E_DADDR6 };
enum { N_CHILD, N_FLAGS };
enum { C_FIRST, C_SECOND }; /* of a call: what it returned, or its first arguments */

enum { PAGE_HEADER = 16, PADDING = 29, TIME_EXTEND = 30, TIME_STAMP = 31 };
static const uint64_t COMMIT = 0xfffff;

struct body {
    const uint8_t *data;
    size_t size;
};

static bool get(struct body b, int offset, void *out, size_t size) {
    if (offset < 0 || (size_t)offset + size > b.size) return false;
    memcpy(out, b.data + offset, size);
    return true;
}

static bool get_address(struct body b, int v4, int v6, uint16_t family, uint8_t out[TARGET_ADDRESS]) {
    if (family != AF_INET) return get(b, v6, out, TARGET_ADDRESS);
    memset(out, 0, 10);
    memset(out + 10, 0xff, 2);
    return get(b, v4, out + 12, 4);
}

static bool get_state(const struct format *f, struct body b, struct event *e) {
    int32_t old, new;
    uint16_t family, protocol;
    bool whole = get(b, f->offset[SK], &e->sk, 8) && get(b, f->offset[OLD], &old, 4) && get(b, f->offset[NEW], &new, 4) &&
                 get(b, f->offset[SPORT], &e->sport, 2) && get(b, f->offset[DPORT], &e->dport, 2) &&
                 get(b, f->offset[FAMILY], &family, 2) && get(b, f->offset[PROTOCOL], &protocol, 2) &&
                 get_address(b, f->offset[DADDR], f->offset[DADDR6], family, e->address);
    e->old = (uint8_t)old;
    e->new = (uint8_t)new;
    return whole && protocol == IPPROTO_TCP;
}

static bool get_error(const struct format *f, struct body b, struct event *e) {
    uint16_t family, protocol;
    int32_t error;
    if (!get(b, f->offset[E_ERROR], &error, 4)) return false;
    e->value = error;
    return get(b, f->offset[E_SPORT], &e->sport, 2) &&
           get(b, f->offset[E_DPORT], &e->dport, 2) && get(b, f->offset[E_FAMILY], &family, 2) &&
           get(b, f->offset[E_PROTOCOL], &protocol, 2) && protocol == IPPROTO_TCP &&
           get_address(b, f->offset[E_DADDR], f->offset[E_DADDR6], family, e->address);
}

static bool get_new_task(const struct format *f, struct body b, struct event *e) {
    uint64_t flags;
    if (!get(b, f->offset[N_CHILD], &e->other, 4) || !get(b, f->offset[N_FLAGS], &flags, 8)) return false;
    e->value = (int64_t)flags;
    return true;
}

static bool get_socket(const struct format *f, struct body b, struct event *e) {
    int64_t family, type;
    if (!get(b, f->offset[C_FIRST], &family, 8) || !get(b, f->offset[C_SECOND], &type, 8)) return false;
    e->other = (int32_t)family;
    e->value = type;
    return true;
}

static bool get_event(const struct format *f, struct body b, struct event *e) {
    switch (e->kind) {
        case STATE: return get_state(f, b, e);
        case ERROR: return get_error(f, b, e);
        case NEW_TASK: return get_new_task(f, b, e);
        case SOCKET_ENTER: return get_socket(f, b, e);
        case RETRANSMIT:
        case RECEIVED_RESET:
        case SENT_RESET: return get(b, f->offset[SK], &e->sk, 8);
        default: return get(b, f->offset[C_FIRST], &e->value, 8);
    }
}

static bool keep(struct pages *p, const struct event *e) {
    if (p->n == p->room) {
        size_t room = p->room ? 2 * p->room : 4096;
        struct event *moved = realloc(p->events, room * sizeof *moved);
        if (!moved) return false;
        p->events = moved;
        p->room = room;
    }
    p->events[p->n++] = *e;
    return true;
}

static bool take(struct pages *p, uint64_t at_ns, struct body b) {
    uint16_t id;
    struct event e = {.at_ns = at_ns};
    if (!get(b, 0, &id, sizeof id) || !get(b, 4, &e.pid, sizeof e.pid)) return true;
    for (int kind = 0; kind < KINDS; kind++) {
        if (p->formats[kind].id != id) continue;
        e.kind = (uint8_t)kind;
        p->taken++;
        if (!get_event(&p->formats[kind], b, &e)) return true;
        return keep(p, &e);
    }
    return true;
}

/* `u32 type_len:5, time_delta:27`: a bit field begins at the end at which the machine's integers begin. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
static uint32_t type_of(uint32_t header) { return header >> 27; }
static uint32_t delta_of(uint32_t header) { return header & 0x7ffffff; }
#else
static uint32_t type_of(uint32_t header) { return header & 31; }
static uint32_t delta_of(uint32_t header) { return header >> 5; }
#endif

/* A page is its time and its length, then events, each with its distance in time from the one before. */
bool pages_take(struct pages *p, const uint8_t *page, size_t size) {
    uint64_t now, commit;
    if (size < PAGE_HEADER) return true;
    memcpy(&now, page, 8);
    memcpy(&commit, page + 8, 8);
    size_t end = PAGE_HEADER + (size_t)(commit & COMMIT), at = PAGE_HEADER;
    if (end > size) {
        p->damaged++;
        return true;
    }
    while (at + 4 <= end) {
        uint32_t header, word = 0;
        memcpy(&header, page + at, 4);
        uint32_t type = type_of(header);
        uint64_t delta = delta_of(header);
        at += 4;
        if (at + 4 <= end) memcpy(&word, page + at, 4);
        if (type == PADDING && !delta) return true; /* nothing follows on this page */
        if (type == TIME_EXTEND) {
            now += ((uint64_t)word << 27) + delta;
            at += 4;
            continue;
        }
        if (type == TIME_STAMP) {
            now = ((uint64_t)word << 27) + delta;
            at += 4;
            continue;
        }
        now += delta;
        size_t length = type && type != PADDING ? 4 * (size_t)type : word;
        if (type == PADDING) {
            at += length;
            continue;
        }
        if (!type) {
            at += 4;
            if (length < 4) break;
            length = (length - 4 + 3) & ~(size_t)3;
        }
        if (length > end - at || at > end) break;
        if (!take(p, now, (struct body){page + at, length})) return false;
        at += length;
    }
    p->damaged += at != end;
    return true;
}

static int by_time(const void *left, const void *right) {
    const struct event *a = left, *b = right;
    if (a->at_ns != b->at_ns) return a->at_ns < b->at_ns ? -1 : 1;
    return a < b ? -1 : a > b; /* as they came: of one CPU they are in order */
}

size_t pages_sort(struct pages *p, uint64_t until_ns) {
    size_t due = 0;
    if (p->n) qsort(p->events, p->n, sizeof *p->events, by_time);
    while (due < p->n && p->events[due].at_ns <= until_ns) due++;
    return due;
}

void pages_drop(struct pages *p, size_t done) {
    p->n -= done;
    if (p->n) memmove(p->events, p->events + done, p->n * sizeof *p->events);
}

void pages_free(struct pages *p) { free(p->events); }
