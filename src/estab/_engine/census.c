/* Counting and packing the sockets of a raw sock_diag dump: `estab.kernel.formats.inet_diag.Census` and `Established`
 * say what is meant, and a test holds both equal.
 *
 * What lives here: the walk over whole `inet_diag_msg`s (include/uapi/linux/inet_diag.h, netlink.h). Whatever else
 * stands in a datagram (its end, an error, damage) stops the walk: the caller is told where, and reads on from there. */
#include "census.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum { STATES = 256, ADDRESS = 16, TUPLE = 2 * ADDRESS + 4 };
_Static_assert(sizeof(struct inet_diag_msg) == 72, "struct inet_diag_msg");

struct walk {
    const uint8_t *data;
    size_t size, offset;
    uint16_t flags;
    struct inet_diag_msg socket;
};

/* The next whole socket into w->socket; false where none follows at w->offset. */
static bool next_socket(struct walk *w) {
    struct nlmsghdr header;
    if (w->offset >= w->size || w->size - w->offset < sizeof header + sizeof w->socket) return false;
    memcpy(&header, w->data + w->offset, sizeof header);
    if (header.nlmsg_type != SOCK_DIAG_BY_FAMILY || header.nlmsg_len < sizeof header + sizeof w->socket ||
        header.nlmsg_len > w->size - w->offset)
        return false;
    memcpy(&w->socket, w->data + w->offset + sizeof header, sizeof w->socket);
    w->flags |= header.nlmsg_flags;
    w->offset += ((size_t)header.nlmsg_len + 3) & ~(size_t)3;
    return true;
}

/* 16 bytes; an IPv4 address as IPv4-mapped, so that both families' sockets compare. */
static void put_address(uint8_t out[ADDRESS], const struct inet_diag_msg *m, const void *address) {
    if (m->idiag_family == AF_INET) {
        memset(out, 0, 10);
        memset(out + 10, 0xff, 2);
        memcpy(out + 12, address, 4);
    } else {
        memcpy(out, address, ADDRESS);
    }
}

/* `more` at `key`, which is taken over. */
static bool add(PyObject *dict, PyObject *key, unsigned long long more) {
    if (!key) return false;
    PyObject *before = PyDict_GetItemWithError(dict, key); /* borrowed */
    if (before) more += PyLong_AsUnsignedLongLong(before);
    PyObject *after = PyErr_Occurred() ? NULL : PyLong_FromUnsignedLongLong(more);
    bool done = after && PyDict_SetItem(dict, key, after) == 0;
    Py_XDECREF(after);
    Py_DECREF(key);
    return done;
}

/* Counts by address or by number in a dict. Neighbours are often alike: they are counted here and stored once. */
struct tally {
    PyObject *dict; /* NULL: not asked for */
    bool numbers;
    unsigned long number;
    uint8_t address[ADDRESS];
    unsigned long long pending;
};

static bool tally_store(struct tally *t) {
    unsigned long long more = t->pending;
    t->pending = 0;
    if (!t->dict || !more) return true;
    return add(t->dict, t->numbers ? PyLong_FromUnsignedLong(t->number)
                                   : PyBytes_FromStringAndSize((const char *)t->address, ADDRESS), more);
}

static bool tally_number(struct tally *t, unsigned long number) {
    if (!t->dict) return true;
    if (t->number != number && !tally_store(t)) return false;
    t->number = number;
    t->pending++;
    return true;
}

static bool tally_address(struct tally *t, const struct inet_diag_msg *m, const void *address) {
    uint8_t key[ADDRESS];
    if (!t->dict) return true;
    put_address(key, m, address);
    if (memcmp(t->address, key, ADDRESS) != 0 && !tally_store(t)) return false;
    memcpy(t->address, key, ADDRESS);
    t->pending++;
    return true;
}

static void count_state(const struct inet_diag_msg *m, uint8_t *counts) {
    uint64_t n;
    uint8_t *cell = counts + sizeof n * (m->idiag_state + (m->idiag_inode ? 0u : (unsigned)STATES));
    memcpy(&n, cell, sizeof n);
    n++;
    memcpy(cell, &n, sizeof n);
}

static bool dict_or_none(PyObject **object) {
    if (*object == Py_None) *object = NULL;
    if (!*object || PyDict_Check(*object)) return true;
    PyErr_SetString(PyExc_TypeError, "ports, peers and sources are each a dict or None");
    return false;
}

PyObject *census(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer data, counts;
    PyObject *ports, *peers, *sources, *result = NULL;
    if (!PyArg_ParseTuple(args, "y*w*OOO", &data, &counts, &ports, &peers, &sources)) return NULL;
    struct walk w = {.data = data.buf, .size = (size_t)data.len};
    if (counts.len != (Py_ssize_t)(2 * STATES * sizeof(uint64_t))) {
        PyErr_SetString(PyExc_ValueError, "counts is 512 integers of 64 bits");
        goto out;
    }
    if (!dict_or_none(&ports) || !dict_or_none(&peers) || !dict_or_none(&sources)) goto out;
    struct tally by_port = {.dict = ports, .numbers = true}, by_peer = {.dict = peers}, by_source = {.dict = sources};
    while (next_socket(&w)) {
        const struct inet_diag_msg *m = &w.socket;
        count_state(m, counts.buf);
        if (!tally_number(&by_port, (unsigned long)ntohs(m->id.idiag_sport) << 8 | m->idiag_state) ||
            !tally_address(&by_peer, m, m->id.idiag_dst) || !tally_address(&by_source, m, m->id.idiag_src))
            goto out;
    }
    if (!tally_store(&by_port) || !tally_store(&by_peer) || !tally_store(&by_source)) goto out;
    result = Py_BuildValue("(nI)", (Py_ssize_t)w.offset, (unsigned)w.flags);
out:
    PyBuffer_Release(&data);
    PyBuffer_Release(&counts);
    return result;
}

PyObject *established(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer data;
    int at_server;
    if (!PyArg_ParseTuple(args, "y*p", &data, &at_server)) return NULL;
    struct walk w = {.data = data.buf, .size = (size_t)data.len};
    size_t most = w.size / (sizeof(struct nlmsghdr) + sizeof w.socket) + 1;
    uint8_t *packed = PyMem_Malloc(most * TUPLE), *at = packed;
    PyObject *result = packed ? NULL : PyErr_NoMemory();
    for (; packed && next_socket(&w); at += TUPLE) {
        const struct inet_diag_sockid *id = &w.socket.id;
        put_address(at, &w.socket, at_server ? id->idiag_dst : id->idiag_src);
        put_address(at + ADDRESS, &w.socket, at_server ? id->idiag_src : id->idiag_dst);
        memcpy(at + 2 * ADDRESS, at_server ? &id->idiag_dport : &id->idiag_sport, 2);
        memcpy(at + 2 * ADDRESS + 2, at_server ? &id->idiag_sport : &id->idiag_dport, 2);
    }
    if (packed)
        result = Py_BuildValue("(y#nI)", (const char *)packed, (Py_ssize_t)(at - packed), (Py_ssize_t)w.offset,
                               (unsigned)w.flags);
    PyMem_Free(packed);
    PyBuffer_Release(&data);
    return result;
}
