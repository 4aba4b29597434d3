/* Counting and packing the sockets of a raw sock_diag dump: `estab.kernel.formats.inet_diag.Census` says what is meant,
 * and a test holds both equal.
 *
 * What lives here: receiving a dump and the walk over its whole `inet_diag_msg`s (include/uapi/linux/inet_diag.h,
 * netlink.h), without Python's lock, and what was counted as Python's objects. Whatever else stands in a datagram (its
 * end, an error, damage) stops the walk: the caller is told where, and reads on from there. */
#include "census.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "pytype.h"
#include "tally.h"
#include "walk.h"

enum { STATES = 256, TUPLE = 2 * ADDRESS + 4, FIRST_ROOM = 1024 * TUPLE, AHEAD = 16 };
/* The timer of data (inet_diag.h), and how often in a row it has ended where data is lost and not late. */
enum { RETRANSMIT_TIMER = 1, LOST_AFTER = 2, MOST_RESENDING = 1024 };

struct packed {
    uint8_t *data;
    size_t length, room;
    uint32_t states; /* which are packed, a bit each; 0: none */
    bool at_server;
};

typedef struct {
    PyObject_HEAD
    uint64_t counts[2 * STATES]; /* by state with an inode, then without */
    struct tally ports, peers, sources;
    struct packed packed, resending; /* resending: at the client's end, those whose data is sent again and again */
    bool busy; /* a thread fills it without Python's lock */
} Census;

/* --- counting --- */

/* In the host's order, so that keys compare as their bytes do. */
static struct tally_key address_key(const uint8_t address[ADDRESS]) {
    uint64_t high, low;
    memcpy(&high, address, sizeof high);
    memcpy(&low, address + sizeof high, sizeof low);
    return (struct tally_key){be64toh(high), be64toh(low)};
}

static struct tally_key port_key(const struct inet_diag_msg *m) {
    return (struct tally_key){0, (uint64_t)ntohs(m->id.idiag_sport) << 8 | m->idiag_state};
}

/* One socket's keys, each in the table of what is wanted. */
struct keys {
    struct tally *tally[3];
    struct tally_key key[3];
    int n;
};

static void add_key(struct keys *k, struct tally *t, struct tally_key key) {
    tally_prefetch(t, key);
    k->tally[k->n] = t;
    k->key[k->n++] = key;
}

static void add_address(struct keys *k, struct tally *t, const struct inet_diag_msg *m, const void *address) {
    uint8_t whole[ADDRESS];
    if (!t->wanted) return;
    put_address(whole, m, address);
    add_key(k, t, address_key(whole));
}

static void find_keys(Census *c, struct keys *k, const struct inet_diag_msg *m) {
    k->n = 0;
    if (c->ports.wanted) add_key(k, &c->ports, port_key(m));
    add_address(k, &c->peers, m, m->id.idiag_dst);
    add_address(k, &c->sources, m, m->id.idiag_src);
}

static bool count_keys(const struct keys *k) {
    for (int i = 0; i < k->n; i++)
        if (!tally_add(k->tally[i], k->key[i], 1)) return false;
    return true;
}

static bool room(struct packed *p) {
    if (p->room - p->length >= TUPLE) return true;
    size_t wanted = p->room ? 2 * p->room : FIRST_ROOM;
    uint8_t *moved = realloc(p->data, wanted);
    if (!moved) return false;
    p->data = moved;
    p->room = wanted;
    return true;
}

/* What the other has too, as far as there may be so many. */
static bool append(struct packed *p, const struct packed *other) {
    for (size_t at = 0; at < other->length && p->length < MOST_RESENDING * TUPLE; at += TUPLE) {
        if (!room(p)) return false;
        memcpy(p->data + p->length, other->data + at, TUPLE);
        p->length += TUPLE;
    }
    return true;
}

static bool pack(struct packed *p, const struct inet_diag_msg *m) {
    const struct inet_diag_sockid *id = &m->id;
    if (m->idiag_state >= 32 || !(p->states >> m->idiag_state & 1)) return true;
    if (!room(p)) return false;
    uint8_t *at = p->data + p->length;
    put_address(at, m, p->at_server ? id->idiag_dst : id->idiag_src);
    put_address(at + ADDRESS, m, p->at_server ? id->idiag_src : id->idiag_dst);
    memcpy(at + 2 * ADDRESS, p->at_server ? &id->idiag_dport : &id->idiag_sport, 2);
    memcpy(at + 2 * ADDRESS + 2, p->at_server ? &id->idiag_sport : &id->idiag_dport, 2);
    p->length += TUPLE;
    return true;
}

static bool pack_resending(struct packed *p, const struct inet_diag_msg *m) {
    bool resends = m->idiag_timer == RETRANSMIT_TIMER && m->idiag_retrans >= LOST_AFTER;
    return !resends || p->length >= MOST_RESENDING * TUPLE || pack(p, m);
}

/* All whole sockets of a datagram. A socket's places in the tables are fetched while others are counted. False: no
 * memory. */
static bool count(Census *c, struct walk *w) {
    struct keys ahead[AHEAD];
    size_t taken = 0, counted = 0;
    for (; next_socket(w); taken++) {
        if (taken - counted == AHEAD && !count_keys(&ahead[counted++ % AHEAD])) return false;
        c->counts[w->socket.idiag_state + (w->socket.idiag_inode ? 0 : STATES)]++;
        find_keys(c, &ahead[taken % AHEAD], &w->socket);
        if (!pack(&c->packed, &w->socket) || !pack_resending(&c->resending, &w->socket)) return false;
    }
    while (counted < taken)
        if (!count_keys(&ahead[counted++ % AHEAD])) return false;
    return true;
}

/* --- taking datagrams --- */

/* One thread at a time: what fills it does not hold Python's lock. */
static bool idle(const Census *c) {
    if (c->busy) PyErr_SetString(PyExc_RuntimeError, "a census is for one thread at a time");
    return !c->busy;
}

static bool begin(Census *c) {
    if (!idle(c)) return false;
    c->busy = true;
    return true;
}

static PyObject *add(PyObject *self, PyObject *args) {
    Census *c = (Census *)self;
    Py_buffer data;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*", &data)) return NULL;
    if (begin(c)) {
        struct walk w = {.data = data.buf, .size = (size_t)data.len};
        result = count(c, &w) ? Py_BuildValue("(nI)", (Py_ssize_t)w.offset, (unsigned)w.flags) : PyErr_NoMemory();
        c->busy = false;
    }
    PyBuffer_Release(&data);
    return result;
}

/* Datagrams until one holds something else than whole sockets, is longer than the buffer, or none can be had. The
 * length of the last one, negative where recv() failed; `out` is the walk through it. */
static ssize_t receive_until(Census *c, int fd, uint8_t *buffer, size_t size, struct walk *out, bool *enough_memory) {
    for (;;) {
        ssize_t length = recv(fd, buffer, size, MSG_TRUNC); /* the whole length, though it was cut */
        if (length < 0) return length;
        *out = (struct walk){.data = buffer, .size = (size_t)length, .flags = out->flags};
        if ((size_t)length > size) return length;
        *enough_memory = count(c, out);
        if (!*enough_memory || out->offset != out->size) return length;
    }
}

static PyObject *receive(PyObject *self, PyObject *args) {
    Census *c = (Census *)self;
    Py_buffer buffer;
    int fd;
    if (!PyArg_ParseTuple(args, "iw*", &fd, &buffer)) return NULL;
    struct walk w = {0};
    bool enough_memory = true;
    ssize_t length = -1;
    PyObject *result = NULL;
    if (!begin(c)) goto out;
    do {
        Py_BEGIN_ALLOW_THREADS
        length = receive_until(c, fd, buffer.buf, (size_t)buffer.len, &w, &enough_memory);
        Py_END_ALLOW_THREADS
    } while (length < 0 && errno == EINTR && PyErr_CheckSignals() == 0);
    c->busy = false;
    if (PyErr_Occurred()) goto out; /* a signal's handler raised */
    if (!enough_memory) PyErr_NoMemory();
    else if (length < 0) PyErr_SetFromErrno(PyExc_OSError);
    else result = Py_BuildValue("(nnI)", (Py_ssize_t)length, (Py_ssize_t)w.offset, (unsigned)w.flags);
out:
    PyBuffer_Release(&buffer);
    return result;
}

static PyObject *merge(PyObject *self, PyObject *args) {
    Census *c = (Census *)self, *other;
    PyObject *object, *result = NULL;
    if (!PyArg_ParseTuple(args, "O", &object)) return NULL;
    if (Py_TYPE(object) != Py_TYPE(self) || object == self) {
        PyErr_SetString(PyExc_TypeError, "merge takes another census");
        return NULL;
    }
    other = (Census *)object;
    if (!begin(c)) return NULL;
    if (begin(other)) {
        for (size_t i = 0; i < 2 * STATES; i++) c->counts[i] += other->counts[i];
        bool enough = tally_merge(&c->ports, &other->ports) && tally_merge(&c->peers, &other->peers) &&
                      tally_merge(&c->sources, &other->sources);
        enough = enough && append(&c->resending, &other->resending);
        other->busy = false;
        result = enough ? Py_NewRef(Py_None) : PyErr_NoMemory();
    }
    c->busy = false;
    return result;
}

/* --- what was counted --- */

static PyObject *address_of(struct tally_key key) {
    uint64_t words[2] = {htobe64(key.high), htobe64(key.low)};
    return PyBytes_FromStringAndSize((const char *)words, sizeof words);
}

static PyObject *number_of(struct tally_key key) { return PyLong_FromUnsignedLongLong(key.low); }

static bool set(PyObject *dict, PyObject *key, uint64_t count) {
    PyObject *value = PyLong_FromUnsignedLongLong(count);
    bool done = key && value && PyDict_SetItem(dict, key, value) == 0;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return done;
}

static PyObject *as_dict(const struct tally *t, PyObject *(*object_of)(struct tally_key)) {
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict && i < t->size; i++)
        if (t->entries[i].count && !set(dict, object_of(t->entries[i].key), t->entries[i].count)) Py_CLEAR(dict);
    return dict;
}

static PyObject *counts(PyObject *self, PyObject *unused) {
    (void)unused;
    Census *c = (Census *)self;
    return idle(c) ? PyBytes_FromStringAndSize((const char *)c->counts, sizeof c->counts) : NULL;
}

static PyObject *ports(PyObject *self, PyObject *unused) {
    (void)unused;
    Census *c = (Census *)self;
    return idle(c) ? as_dict(&c->ports, number_of) : NULL;
}

static PyObject *peers(PyObject *self, PyObject *unused) {
    (void)unused;
    Census *c = (Census *)self;
    return idle(c) ? as_dict(&c->peers, address_of) : NULL;
}

static PyObject *sources(PyObject *self, PyObject *unused) {
    (void)unused;
    Census *c = (Census *)self;
    return idle(c) ? as_dict(&c->sources, address_of) : NULL;
}

static PyObject *packed(PyObject *self, PyObject *unused) {
    (void)unused;
    Census *c = (Census *)self;
    return idle(c) ? PyBytes_FromStringAndSize((const char *)c->packed.data, (Py_ssize_t)c->packed.length) : NULL;
}

static PyObject *resending(PyObject *self, PyObject *unused) {
    (void)unused;
    Census *c = (Census *)self;
    return idle(c) ? PyBytes_FromStringAndSize((const char *)c->resending.data, (Py_ssize_t)c->resending.length) : NULL;
}

/* `most` as Python gave it, never more than there is. */
static bool parse_most(PyObject *args, size_t used, size_t *most) {
    Py_ssize_t n;
    if (!PyArg_ParseTuple(args, "n", &n)) return false;
    *most = n < 0 ? 0 : (size_t)n < used ? (size_t)n : used;
    return true;
}

/* [(the key as `object_of` makes it, count)] */
static PyObject *as_list(const struct tally_entry *entries, size_t n, PyObject *(*object_of)(struct tally_key)) {
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *pair = Py_BuildValue("(NK)", object_of(entries[i].key), (unsigned long long)entries[i].count);
        if (!pair || PyList_Append(list, pair) < 0) Py_CLEAR(list);
        Py_XDECREF(pair);
    }
    return list;
}

static PyObject *busiest_of(const struct tally *t, PyObject *args, const struct tally_key *skip, size_t skips,
                            PyObject *(*object_of)(struct tally_key)) {
    size_t most;
    if (!parse_most(args, t->used, &most)) return NULL;
    struct tally_entry *busiest = calloc(most ? most : 1, sizeof *busiest);
    if (!busiest) return PyErr_NoMemory();
    PyObject *list = as_list(busiest, tally_busiest(t, skip, skips, busiest, most), object_of);
    free(busiest);
    return list;
}

static PyObject *busiest_peers(PyObject *self, PyObject *args) {
    /* A socket without a peer (a listener) has the wildcard of its family. */
    const struct tally_key nobody[] = {{0, 0}, {0, (uint64_t)0xffff << 32}};
    Census *c = (Census *)self;
    return idle(c) ? busiest_of(&c->peers, args, nobody, 2, address_of) : NULL;
}

static PyObject *busiest_ports(PyObject *self, PyObject *args) {
    const struct tally *by_state = &((Census *)self)->ports;
    struct tally sums = {0};
    bool enough = true;
    if (!idle((Census *)self)) return NULL;
    for (size_t i = 0; enough && i < by_state->size; i++) {
        const struct tally_entry *entry = &by_state->entries[i];
        if (entry->count) enough = tally_add(&sums, (struct tally_key){0, entry->key.low >> 8}, entry->count);
    }
    PyObject *result = enough ? busiest_of(&sums, args, NULL, 0, number_of) : PyErr_NoMemory();
    tally_free(&sums);
    return result;
}

static PyObject *port_states(PyObject *self, PyObject *args) {
    const struct tally *t = &((Census *)self)->ports;
    unsigned short port;
    if (!PyArg_ParseTuple(args, "H", &port) || !idle((Census *)self)) return NULL;
    PyObject *dict = PyDict_New();
    for (uint64_t state = 0; dict && state < STATES; state++) {
        uint64_t count = tally_count(t, (struct tally_key){0, (uint64_t)port << 8 | state});
        if (count && !set(dict, PyLong_FromUnsignedLongLong(state), count)) Py_CLEAR(dict);
    }
    return dict;
}

/* --- the type --- */

static void dealloc(PyObject *self) {
    Census *c = (Census *)self;
    PyTypeObject *type = Py_TYPE(self);
    tally_free(&c->ports);
    tally_free(&c->peers);
    tally_free(&c->sources);
    free(c->packed.data);
    free(c->resending.data);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef census_methods[] = {
    {"add", add, METH_VARARGS, "add(data): count a datagram's whole sockets; (offset, flags)."},
    {"receive", receive, METH_VARARGS, "receive(fd, buffer): count datagrams of whole sockets; (length, offset, flags)."},
    {"merge", merge, METH_VARARGS, "merge(other): count what the other counted as well; what it packed is not taken over."},
    {"counts", counts, METH_NOARGS, "counts(): 512 integers of 64 bits, by state with an inode, then without."},
    {"ports", ports, METH_NOARGS, "ports(): counts by local port << 8 | state."},
    {"peers", peers, METH_NOARGS, "peers(): counts by remote address."},
    {"sources", sources, METH_NOARGS, "sources(): counts by local address."},
    {"packed", packed, METH_NOARGS, "packed(): 36 bytes a connection."},
    {"resending", resending, METH_NOARGS, "resending(): 36 bytes for each whose data is sent again and again, up to 1,024."},
    {"busiest_ports", busiest_ports, METH_VARARGS, "busiest_ports(most): [(port, sockets)], fullest first."},
    {"busiest_peers", busiest_peers, METH_VARARGS, "busiest_peers(most): [(address, sockets)], fullest first."},
    {"port_states", port_states, METH_VARARGS, "port_states(port): its sockets by state."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, census_methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "estab._engine.Census",
    .basicsize = sizeof(Census),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

PyObject *census(PyObject *module, PyObject *args) {
    int by_port, by_peer, by_source, at_server;
    unsigned states;
    if (!PyArg_ParseTuple(args, "pppIp", &by_port, &by_peer, &by_source, &states, &at_server)) return NULL;
    Census *c = (Census *)new_of_type(module, "Census", &spec);
    if (!c) return NULL;
    c->ports.wanted = by_port;
    c->peers.wanted = by_peer;
    c->sources.wanted = by_source;
    c->packed.states = states;
    c->packed.at_server = at_server;
    c->resending.states = 1U << TCP_ESTABLISHED;
    return (PyObject *)c;
}
