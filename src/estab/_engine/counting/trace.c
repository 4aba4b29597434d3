/* Connects of some processes, from the binary pages of a tracefs instance (per_cpu/cpuN/trace_pipe_raw).
 *
 * What lives here: the ring buffer's pages (include/linux/ring_buffer.h; their layout stands in events/header_page and
 * header_event), events by the offsets that their own `format` names, put in order over all CPUs by their time, and what
 * they say of a connect: begun, connected, failed with which errno, given up. Nothing here knows a file. */
#include "trace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "hash.h"
#include "pytype.h"
#include "tally.h"
#include "target_index.h"

enum kind { STATE, RETRANSMIT, RECEIVED_RESET, SENT_RESET, ERROR, FORK, CONNECT_EXIT, SOCKET_EXIT, ACCEPT_EXIT, ACCEPT4_EXIT, KINDS };
/* The fields of each kind, in the order in which Python gives their offsets. */
enum { SK, OLD, NEW, SPORT, DPORT, FAMILY, PROTOCOL, DADDR, DADDR6, OFFSETS };
enum { E_ERROR, E_SPORT, E_DPORT, E_FAMILY, E_PROTOCOL, E_DADDR, E_DADDR6 };
enum { F_PARENT, F_CHILD };
enum { X_RETURN };

enum { PAGE_HEADER = 16, COMMON = 8, PADDING = 29, TIME_EXTEND = 30, TIME_STAMP = 31, ERRNOS = 8, RESENT = 16, CLOSINGS = 1024 };
enum { HDR_HALF = 1024, HDR_LENGTH = 33 * HDR_HALF, BUCKETS = 1 << 16, GAVE_UP = 0, UNKNOWN = -1 };
static const uint64_t COMMIT = 0xfffff, TOLD_WITHIN_NS = 5000000;

struct format {
    int id, offset[OFFSETS];
};

struct event {
    uint64_t at_ns, sk;
    uint8_t address[TARGET_ADDRESS];
    int32_t pid, value; /* an errno, what a call returned, or the child */
    uint16_t sport, dport;
    uint8_t kind, old, new;
};

struct failure {
    int32_t code;
    uint64_t count, first_ns, last_ns;
};

struct traced_target {
    uint64_t attempted, connected, resets_received, resets_sent, resent, worst_give_up_ns;
    struct failure failures[ERRNOS];
};

struct connection {
    uint64_t sk, began_ns;
    uint32_t target, next; /* 1 + place of the next with this hash */
    uint16_t resent;
    bool open;
};

/* A connect that ended in CLOSE: why is told by the next events, or it was closed by its program. */
struct closing {
    struct event closed;
    uint64_t began_ns;
    uint32_t target;
    bool by_program, waits;
};

typedef struct {
    PyObject_HEAD
    struct format formats[KINDS];
    struct tally pids;
    struct event *events;
    size_t n, room;
    struct target_index index;
    struct traced_target targets[MOST_TARGETS];
    struct connection *connections;
    size_t used, places;
    uint32_t free_list, buckets[BUCKETS];
    struct closing closings[CLOSINGS];
    size_t next_closing;
    struct traced_target nowhere; /* failures of socket() and of accept(), which name no target */
    struct failure accepts[ERRNOS];
    uint64_t histogram[HDR_LENGTH], sum_ns, max_ns, resent[RESENT];
    uint64_t taken, damaged;
    bool busy;
} Trace;

static bool begin(Trace *t) {
    if (t->busy) PyErr_SetString(PyExc_RuntimeError, "a trace is for one thread at a time");
    else t->busy = true;
    return !PyErr_Occurred();
}

/* --- pages to events --- */

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
    return get(b, f->offset[E_ERROR], &e->value, 4) && get(b, f->offset[E_SPORT], &e->sport, 2) &&
           get(b, f->offset[E_DPORT], &e->dport, 2) && get(b, f->offset[E_FAMILY], &family, 2) &&
           get(b, f->offset[E_PROTOCOL], &protocol, 2) && protocol == IPPROTO_TCP &&
           get_address(b, f->offset[E_DADDR], f->offset[E_DADDR6], family, e->address);
}

static bool get_event(const struct format *f, struct body b, struct event *e) {
    int64_t returned;
    switch (e->kind) {
        case STATE: return get_state(f, b, e);
        case ERROR: return get_error(f, b, e);
        case FORK: return get(b, f->offset[F_PARENT], &e->pid, 4) && get(b, f->offset[F_CHILD], &e->value, 4);
        case CONNECT_EXIT:
        case SOCKET_EXIT:
        case ACCEPT_EXIT:
        case ACCEPT4_EXIT:
            if (!get(b, f->offset[X_RETURN], &returned, 8)) return false;
            e->value = (int32_t)-returned;
            return returned < 0;
        default: return get(b, f->offset[SK], &e->sk, 8);
    }
}

static bool keep(Trace *t, const struct event *e) {
    if (t->n == t->room) {
        size_t room = t->room ? 2 * t->room : 4096;
        struct event *moved = realloc(t->events, room * sizeof *moved);
        if (!moved) return false;
        t->events = moved;
        t->room = room;
    }
    t->events[t->n++] = *e;
    return true;
}

static bool take(Trace *t, uint64_t at_ns, struct body b) {
    uint16_t id;
    struct event e = {.at_ns = at_ns};
    if (!get(b, 0, &id, sizeof id) || !get(b, 4, &e.pid, sizeof e.pid)) return true;
    for (int kind = 0; kind < KINDS; kind++) {
        if (t->formats[kind].id != id) continue;
        e.kind = (uint8_t)kind;
        t->taken++;
        if (!get_event(&t->formats[kind], b, &e)) return true;
        return keep(t, &e);
    }
    return true;
}

/* One page: its time and length, then events, each with its distance in time from the one before. False: no memory. */
static bool take_page(Trace *t, const uint8_t *page, size_t size) {
    uint64_t now, commit;
    if (size < PAGE_HEADER) return true;
    memcpy(&now, page, 8);
    memcpy(&commit, page + 8, 8);
    size_t end = PAGE_HEADER + (size_t)(commit & COMMIT), at = PAGE_HEADER;
    if (end > size) {
        t->damaged++;
        return true;
    }
    while (at + 4 <= end) {
        uint32_t header, word = 0;
        memcpy(&header, page + at, 4);
        uint32_t type = header & 31;
        uint64_t delta = header >> 5;
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
        if (!take(t, now, (struct body){page + at, length})) return false;
        at += length;
    }
    t->damaged += at != end;
    return true;
}

/* --- events to what became of connects --- */

static bool is_followed(const Trace *t, int32_t pid) {
    return t->pids.size && tally_count(&t->pids, (struct tally_key){0, (uint32_t)pid});
}

static void count_failure(struct failure failures[ERRNOS], int32_t code, uint64_t at_ns) {
    for (int i = 0; i < ERRNOS; i++) {
        struct failure *f = &failures[i];
        if (f->count && f->code != code && i < ERRNOS - 1) continue;
        if (!f->count) {
            f->first_ns = at_ns;
            f->code = i < ERRNOS - 1 ? code : UNKNOWN;
        }
        f->count++;
        f->last_ns = at_ns;
        return;
    }
}

static uint32_t *bucket_of(Trace *t, uint64_t sk) { return &t->buckets[mixed(sk) % BUCKETS]; }

static struct connection *find(Trace *t, uint64_t sk) {
    for (uint32_t at = *bucket_of(t, sk); at; at = t->connections[at - 1].next)
        if (t->connections[at - 1].sk == sk) return &t->connections[at - 1];
    return NULL;
}

static struct connection *insert(Trace *t, uint64_t sk) {
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

static void forget(Trace *t, uint64_t sk) {
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

static void settle(Trace *t, struct closing *c, int32_t code) {
    struct traced_target *target = &t->targets[c->target];
    uint64_t lasted_ns = c->closed.at_ns - c->began_ns;
    if (code == GAVE_UP && lasted_ns > target->worst_give_up_ns) target->worst_give_up_ns = lasted_ns;
    count_failure(target->failures, code, c->closed.at_ns);
    c->waits = false;
}

static void settle_untold(Trace *t, struct closing *c) { settle(t, c, c->by_program ? GAVE_UP : UNKNOWN); }

static void note_closing(Trace *t, const struct event *e, const struct connection *c) {
    struct closing *place = &t->closings[t->next_closing++ % CLOSINGS];
    if (place->waits) settle_untold(t, place);
    *place = (struct closing){*e, c->began_ns, c->target, is_followed(t, e->pid), true};
    if (!e->sport) settle(t, place, EADDRNOTAVAIL);
}

/* The newest connect that ended so and whose reason is not told yet; NULL: none. */
static struct closing *closing_of(Trace *t, const struct event *e) {
    for (size_t i = 1; i <= CLOSINGS && i <= t->next_closing; i++) {
        struct closing *c = &t->closings[(t->next_closing - i) % CLOSINGS];
        if (e->at_ns > c->closed.at_ns + TOLD_WITHIN_NS) return NULL;
        bool same = e->kind == CONNECT_EXIT ? c->closed.pid == e->pid
                                            : c->closed.sport == e->sport && c->closed.dport == e->dport &&
                                                  !memcmp(c->closed.address, e->address, sizeof e->address);
        if (c->waits && same) return c;
    }
    return NULL;
}

static bool on_state(Trace *t, const struct event *e) {
    if (e->new == TCP_SYN_SENT) {
        if (!is_followed(t, e->pid)) return true;
        forget(t, e->sk);
        struct connection *c = insert(t, e->sk);
        if (!c) return false;
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

static bool on_event(Trace *t, const struct event *e) {
    struct connection *c;
    struct closing *closing;
    switch (e->kind) {
        case STATE: return on_state(t, e);
        case FORK: return !is_followed(t, e->pid) || tally_add(&t->pids, (struct tally_key){0, (uint32_t)e->value}, 1);
        case RETRANSMIT:
            if ((c = find(t, e->sk))) {
                c->resent += c->open ? 0 : 1;
                t->targets[c->target].resent++;
            }
            return true;
        case RECEIVED_RESET:
            if ((c = find(t, e->sk)) && c->open) t->targets[c->target].resets_received++;
            return true;
        case SENT_RESET:
            if ((c = find(t, e->sk)) && c->open) t->targets[c->target].resets_sent++;
            return true;
        case SOCKET_EXIT:
            if (is_followed(t, e->pid)) count_failure(t->nowhere.failures, e->value, e->at_ns);
            return true;
        case ACCEPT_EXIT:
        case ACCEPT4_EXIT:
            if (is_followed(t, e->pid)) count_failure(t->accepts, e->value, e->at_ns);
            return true;
        default:
            if ((closing = closing_of(t, e))) settle(t, closing, e->value);
            return true;
    }
}

static int by_time(const void *left, const void *right) {
    const struct event *a = left, *b = right;
    if (a->at_ns != b->at_ns) return a->at_ns < b->at_ns ? -1 : 1;
    return a < b ? -1 : a > b; /* as they came: of one CPU they are in order */
}

/* All events up to `until_ns`, in order; those after it wait for what other CPUs have still to tell. */
static bool process(Trace *t, uint64_t until_ns) {
    size_t done = 0;
    if (t->n) {
        qsort(t->events, t->n, sizeof *t->events, by_time);
        while (done < t->n && t->events[done].at_ns <= until_ns)
            if (!on_event(t, &t->events[done++])) return false;
        t->n -= done;
        memmove(t->events, t->events + done, t->n * sizeof *t->events);
    }
    for (size_t i = 0; i < CLOSINGS; i++) {
        struct closing *c = &t->closings[i];
        if (c->waits && c->closed.at_ns + TOLD_WITHIN_NS < until_ns) settle_untold(t, c);
    }
    return true;
}

/* --- for Python --- */

static PyObject *follow(PyObject *self, PyObject *args) {
    int pid;
    if (!PyArg_ParseTuple(args, "i", &pid)) return NULL;
    if (!tally_add(&((Trace *)self)->pids, (struct tally_key){0, (uint32_t)pid}, 1)) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *add(PyObject *self, PyObject *args) {
    Trace *t = (Trace *)self;
    Py_buffer page;
    bool enough = false;
    if (!PyArg_ParseTuple(args, "y*", &page)) return NULL;
    if (begin(t)) {
        Py_BEGIN_ALLOW_THREADS
        enough = take_page(t, page.buf, (size_t)page.len);
        Py_END_ALLOW_THREADS
        t->busy = false;
        if (!enough) PyErr_NoMemory();
    }
    PyBuffer_Release(&page);
    return enough ? Py_NewRef(Py_None) : NULL;
}

static PyObject *turn(PyObject *self, PyObject *args) {
    Trace *t = (Trace *)self;
    unsigned long long until_ns;
    bool enough;
    if (!PyArg_ParseTuple(args, "K", &until_ns) || !begin(t)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    enough = process(t, until_ns);
    Py_END_ALLOW_THREADS
    t->busy = false;
    return enough ? Py_NewRef(Py_None) : PyErr_NoMemory();
}

static PyObject *failures_of(const struct failure failures[ERRNOS]) {
    PyObject *list = PyList_New(0);
    for (int i = 0; list && i < ERRNOS; i++) {
        const struct failure *f = &failures[i];
        if (!f->count) continue;
        PyObject *tuple = Py_BuildValue("(iKKK)", f->code, (unsigned long long)f->count, (unsigned long long)f->first_ns,
                                        (unsigned long long)f->last_ns);
        if (!tuple || PyList_Append(list, tuple) < 0) Py_CLEAR(list);
        Py_XDECREF(tuple);
    }
    return list;
}

static PyObject *targets(PyObject *self, PyObject *unused) {
    (void)unused;
    const Trace *t = (Trace *)self;
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < t->index.used; i++) {
        const struct traced_target *target = &t->targets[i];
        const struct target_name *name = &t->index.names[i];
        PyObject *tuple = Py_BuildValue(
            "(y#HKKKKKKN)", name->address, (Py_ssize_t)TARGET_ADDRESS, name->port, (unsigned long long)target->attempted,
            (unsigned long long)target->connected, (unsigned long long)target->resets_received,
            (unsigned long long)target->resets_sent, (unsigned long long)target->resent,
            (unsigned long long)target->worst_give_up_ns, failures_of(target->failures));
        if (!tuple || PyList_Append(list, tuple) < 0) Py_CLEAR(list);
        Py_XDECREF(tuple);
    }
    return list;
}

static PyObject *numbers(const uint64_t *of, size_t n) {
    return PyBytes_FromStringAndSize((const char *)of, (Py_ssize_t)(n * sizeof *of));
}

static PyObject *totals(PyObject *self, PyObject *unused) {
    (void)unused;
    const Trace *t = (Trace *)self;
    return Py_BuildValue("{s:N,s:K,s:K,s:N,s:N,s:N,s:K,s:K}", "histogram", numbers(t->histogram, HDR_LENGTH), "sum_ns",
                         (unsigned long long)t->sum_ns, "max_ns", (unsigned long long)t->max_ns, "resent",
                         numbers(t->resent, RESENT), "socket_failures", failures_of(t->nowhere.failures),
                         "accept_failures", failures_of(t->accepts), "events", (unsigned long long)t->taken, "damaged",
                         (unsigned long long)t->damaged);
}

static void dealloc(PyObject *self) {
    Trace *t = (Trace *)self;
    PyTypeObject *type = Py_TYPE(self);
    tally_free(&t->pids);
    free(t->events);
    free(t->connections);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef trace_methods[] = {
    {"follow", follow, METH_VARARGS, "follow(pid): a task whose connects count, and those of all that it forks."},
    {"add", add, METH_VARARGS, "add(page): take the events of one page."},
    {"turn", turn, METH_VARARGS, "turn(until_ns): all events up to then have been taken."},
    {"targets", targets, METH_NOARGS, "targets(): what was seen of each."},
    {"totals", totals, METH_NOARGS, "totals(): what was seen in all."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, trace_methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "estab._engine.Trace",
    .basicsize = sizeof(Trace),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

static bool read_format(PyObject *ints, struct format *f) {
    Py_ssize_t n = PyTuple_Size(ints);
    if (n < 1 || n > OFFSETS + 1) return false;
    f->id = (int)PyLong_AsLong(PyTuple_GetItem(ints, 0));
    for (Py_ssize_t i = 0; i < OFFSETS; i++)
        f->offset[i] = i + 1 < n ? (int)PyLong_AsLong(PyTuple_GetItem(ints, i + 1)) : -1;
    return !PyErr_Occurred();
}

PyObject *trace(PyObject *module, PyObject *args) {
    PyObject *formats;
    if (!PyArg_ParseTuple(args, "O!", &PyTuple_Type, &formats)) return NULL;
    if (PyTuple_Size(formats) != KINDS) {
        PyErr_SetString(PyExc_ValueError, "one format for each kind of event");
        return NULL;
    }
    Trace *t = (Trace *)new_of_type(module, "Trace", &spec);
    for (Py_ssize_t kind = 0; t && kind < KINDS; kind++) {
        PyObject *ints = PyTuple_GetItem(formats, kind);
        if (PyTuple_Check(ints) && read_format(ints, &t->formats[kind])) continue;
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "a format is a tuple of integers");
        Py_CLEAR(t);
    }
    return (PyObject *)t;
}
