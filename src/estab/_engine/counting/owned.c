/* The connections of some processes, look by look, counted by target.
 *
 * What lives here: the inodes that the processes hold (/proc/PID/fd, whose links read `socket:[INODE]`), the sockets of a
 * sock_diag dump that have one of these, and what became of them since the look before. All of it runs without Python's
 * lock, and nothing of a single connection reaches Python. */
#include "owned.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pytype.h"
#include "tally.h"
#include "target_index.h"
#include "walk.h"

/* INCOMING: all of ports where this host listens. */
enum { PORTS = 65536, INCOMING = MOST_TARGETS, RETRANSMIT_TIMER = 1 };
enum { TCP_NEW_SYN_RECV_STATE = 12 };

struct target {
    uint32_t open, syn_sent, unanswered, resending;       /* at the last look */
    uint32_t most_open, worst_resent;                     /* at any */
    uint64_t seen, given_up;                              /* in all: connections, and SYNs that nobody answered */
};

typedef struct {
    PyObject_HEAD
    struct tally held;        /* inodes of the processes */
    struct tally before, now; /* connections by (target, inode): 1 + state | SYNs or segments sent again << 8 */
    struct target targets[MOST_TARGETS + 1];
    struct target_index index;
    uint8_t listening[PORTS / 8];
    bool busy; /* a thread fills it without Python's lock */
} Owned;

static bool begin(Owned *o) {
    if (o->busy) PyErr_SetString(PyExc_RuntimeError, "it is for one thread at a time");
    else o->busy = true;
    return !PyErr_Occurred();
}

/* --- whose sockets --- */

/* The inode that a link of /proc/PID/fd names; 0: it is no socket. */
static uint64_t inode_of(const char *link) {
    static const char before[] = "socket:[";
    uint64_t inode = 0;
    if (strncmp(link, before, sizeof before - 1)) return 0;
    for (const char *at = link + sizeof before - 1; *at >= '0' && *at <= '9'; at++) inode = 10 * inode + (uint64_t)(*at - '0');
    return inode;
}

/* All sockets of one process. False: no memory. `errno` is 0, or why its descriptors can't be read. */
static bool hold(Owned *o, int pid) {
    char path[32], link[64];
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    errno = 0;
    DIR *directory = opendir(path);
    if (!directory) return errno != ENOMEM;
    bool enough = true;
    for (const struct dirent *entry; enough && (entry = readdir(directory));) {
        ssize_t length = readlinkat(dirfd(directory), entry->d_name, link, sizeof link - 1);
        if (length <= 0) continue;
        link[length] = '\0';
        uint64_t inode = inode_of(link);
        if (inode) enough = tally_add(&o->held, (struct tally_key){0, inode}, 1);
    }
    closedir(directory);
    errno = 0;
    return enough;
}

static PyObject *hold_sockets_of(PyObject *self, PyObject *args) {
    Owned *o = (Owned *)self;
    Py_buffer pids;
    size_t hidden = 0;
    bool enough = true;
    if (!PyArg_ParseTuple(args, "y*", &pids)) return NULL;
    if (!begin(o)) {
        PyBuffer_Release(&pids);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    tally_free(&o->held);
    o->held = (struct tally){0};
    for (size_t at = 0; enough && at + sizeof(int) <= (size_t)pids.len; at += sizeof(int)) {
        int pid;
        memcpy(&pid, (const char *)pids.buf + at, sizeof pid);
        enough = hold(o, pid);
        hidden += errno == EACCES || errno == EPERM;
    }
    Py_END_ALLOW_THREADS
    o->busy = false;
    PyBuffer_Release(&pids);
    return enough ? Py_BuildValue("(nn)", (Py_ssize_t)o->held.used, (Py_ssize_t)hidden) : PyErr_NoMemory();
}

static PyObject *holds(PyObject *self, PyObject *args) {
    unsigned long inode;
    if (!PyArg_ParseTuple(args, "k", &inode)) return NULL;
    return PyBool_FromLong(tally_count(&((Owned *)self)->held, (struct tally_key){0, inode}) != 0);
}

static PyObject *set_listening(PyObject *self, PyObject *args) {
    Owned *o = (Owned *)self;
    Py_buffer ports;
    if (!PyArg_ParseTuple(args, "y*", &ports)) return NULL;
    memset(o->listening, 0, sizeof o->listening);
    for (size_t at = 0; at + sizeof(uint16_t) <= (size_t)ports.len; at += sizeof(uint16_t)) {
        uint16_t port;
        memcpy(&port, (const char *)ports.buf + at, sizeof port);
        o->listening[port / 8] |= (uint8_t)(1 << port % 8);
    }
    PyBuffer_Release(&ports);
    Py_RETURN_NONE;
}

/* --- their connections --- */

static bool is_served(const Owned *o, uint16_t port) { return o->listening[port / 8] >> port % 8 & 1; }

static uint32_t target_of(Owned *o, const struct inet_diag_msg *m) {
    uint8_t address[ADDRESS];
    put_address(address, m, m->id.idiag_dst);
    return target_number(&o->index, address, ntohs(m->id.idiag_dport));
}

static bool is_connection(uint8_t state) {
    return state != TCP_LISTEN && state != TCP_CLOSE && state < TCP_NEW_SYN_RECV_STATE;
}

static bool take(Owned *o, const struct inet_diag_msg *m) {
    if (!m->idiag_inode || !is_connection(m->idiag_state) || !o->held.size ||
        !tally_count(&o->held, (struct tally_key){0, m->idiag_inode}))
        return true;
    struct tally_key key = {is_served(o, ntohs(m->id.idiag_sport)) ? INCOMING : target_of(o, m), m->idiag_inode};
    if (tally_count(&o->now, key)) return true; /* of a dump that was interrupted, and asked for again */
    uint64_t resent = m->idiag_timer == RETRANSMIT_TIMER ? m->idiag_retrans : 0;
    return tally_add(&o->now, key, 1 + (m->idiag_state | resent << 8));
}

static bool take_all(Owned *o, struct walk *w) {
    while (next_socket(w))
        if (!take(o, &w->socket)) return false;
    return true;
}

static PyObject *add(PyObject *self, PyObject *args) {
    Owned *o = (Owned *)self;
    Py_buffer data;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*", &data)) return NULL;
    if (begin(o)) {
        struct walk w = {.data = data.buf, .size = (size_t)data.len};
        result = take_all(o, &w) ? Py_BuildValue("(nI)", (Py_ssize_t)w.offset, (unsigned)w.flags) : PyErr_NoMemory();
        o->busy = false;
    }
    PyBuffer_Release(&data);
    return result;
}

/* What became of the connections since the look before. */
static void count_changes(Owned *o) {
    for (size_t i = 0; i <= MOST_TARGETS; i++) {
        struct target *t = &o->targets[i];
        t->open = t->syn_sent = t->unanswered = t->resending = 0;
    }
    for (size_t i = 0; i < o->now.size; i++) {
        const struct tally_entry *entry = &o->now.entries[i];
        if (!entry->count) continue;
        struct target *t = &o->targets[entry->key.high];
        uint32_t resent = (uint32_t)((entry->count - 1) >> 8), waits = ((entry->count - 1) & 0xff) == TCP_SYN_SENT;
        t->seen += !o->before.size || !tally_count(&o->before, entry->key);
        t->open += !waits;
        t->syn_sent += waits;
        t->unanswered += waits && resent;
        t->resending += !waits && resent;
        if (resent > t->worst_resent) t->worst_resent = resent;
    }
    for (size_t i = 0; i < o->before.size; i++) {
        const struct tally_entry *entry = &o->before.entries[i];
        if (entry->count && ((entry->count - 1) & 0xff) == TCP_SYN_SENT && (entry->count - 1) >> 8 &&
            (!o->now.size || !tally_count(&o->now, entry->key)))
            o->targets[entry->key.high].given_up++;
    }
    for (size_t i = 0; i <= MOST_TARGETS; i++)
        if (o->targets[i].open > o->targets[i].most_open) o->targets[i].most_open = o->targets[i].open;
}

static PyObject *turn(PyObject *self, PyObject *unused) {
    (void)unused;
    Owned *o = (Owned *)self;
    if (!begin(o)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    count_changes(o);
    tally_free(&o->before);
    o->before = o->now;
    o->now = (struct tally){0};
    Py_END_ALLOW_THREADS
    o->busy = false;
    Py_RETURN_NONE;
}

static PyObject *as_tuple(const struct target_name *name, const struct target *t) {
    return Py_BuildValue("(y#HIIIIIIKK)", name->address, (Py_ssize_t)ADDRESS, name->port, t->open, t->syn_sent,
                         t->unanswered, t->resending, t->most_open, t->worst_resent, (unsigned long long)t->seen,
                         (unsigned long long)t->given_up);
}

static PyObject *targets(PyObject *self, PyObject *unused) {
    (void)unused;
    const Owned *o = (Owned *)self;
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < o->index.used; i++) {
        PyObject *tuple = as_tuple(&o->index.names[i], &o->targets[i]);
        if (!tuple || PyList_Append(list, tuple) < 0) Py_CLEAR(list);
        Py_XDECREF(tuple);
    }
    return list;
}

static PyObject *incoming(PyObject *self, PyObject *unused) {
    (void)unused;
    const struct target_name nobody = {0};
    return as_tuple(&nobody, &((Owned *)self)->targets[INCOMING]);
}

/* --- the type --- */

static void dealloc(PyObject *self) {
    Owned *o = (Owned *)self;
    PyTypeObject *type = Py_TYPE(self);
    tally_free(&o->held);
    tally_free(&o->before);
    tally_free(&o->now);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef owned_methods[] = {
    {"hold_sockets_of", hold_sockets_of, METH_VARARGS, "hold_sockets_of(pids): of these processes alone; (sockets, hidden)."},
    {"holds", holds, METH_VARARGS, "holds(inode): whether one of the processes has this socket."},
    {"set_listening", set_listening, METH_VARARGS, "set_listening(ports): connections of these are incoming ones."},
    {"add", add, METH_VARARGS, "add(data): take a datagram's whole sockets; (offset, flags)."},
    {"turn", turn, METH_NOARGS, "turn(): the dump is complete; the next one is another look."},
    {"targets", targets, METH_NOARGS, "targets(): what was seen of each."},
    {"incoming", incoming, METH_NOARGS, "incoming(): the same of all connections that others opened."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, owned_methods},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "estab._engine.Owned",
    .basicsize = sizeof(Owned),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

PyObject *owned(PyObject *module, PyObject *unused) {
    (void)unused;
    return new_of_type(module, "Owned", &spec);
}
