/* Connects of some processes, from the binary pages of a tracefs instance: pages to events (pages.c), put in order over
 * all CPUs by their time, to what they say (connects.c). What lives here: the order, and all that Python sees. */
#include "trace.h"

#include <stdbool.h>
#include <stdint.h>

#include "connects.h"
#include "pages.h"
#include "pytype.h"

typedef struct {
    PyObject_HEAD
    struct pages pages;
    struct connects connects;
    bool busy;
} Trace;

static bool begin(Trace *t) {
    if (t->busy) PyErr_SetString(PyExc_RuntimeError, "a trace is for one thread at a time");
    else t->busy = true;
    return !PyErr_Occurred();
}

/* All events up to `until_ns`; those after it wait for what other CPUs have still to tell. */
static bool process(Trace *t, uint64_t until_ns) {
    size_t due = pages_sort(&t->pages, until_ns);
    for (size_t i = 0; i < due; i++)
        if (!connects_add(&t->connects, &t->pages.events[i])) return false;
    pages_drop(&t->pages, due);
    connects_settle(&t->connects, until_ns);
    return true;
}

static PyObject *follow(PyObject *self, PyObject *args) {
    int tid, leader;
    unsigned long long at_ns;
    if (!PyArg_ParseTuple(args, "iiK", &tid, &leader, &at_ns)) return NULL;
    if (!calls_follow(&((Trace *)self)->connects.calls, tid, leader, at_ns)) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

static PyObject *add(PyObject *self, PyObject *args) {
    Trace *t = (Trace *)self;
    Py_buffer page;
    bool enough = false;
    if (!PyArg_ParseTuple(args, "y*", &page)) return NULL;
    if (begin(t)) {
        Py_BEGIN_ALLOW_THREADS
        enough = pages_take(&t->pages, page.buf, (size_t)page.len);
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

static PyObject *failures_of(const struct failure failures[MOST_ERRNOS]) {
    PyObject *list = PyList_New(0);
    for (int i = 0; list && i < MOST_ERRNOS; i++) {
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
    const struct connects *t = &((Trace *)self)->connects;
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

static PyObject *acceptors(PyObject *self, PyObject *unused) {
    (void)unused;
    const struct calls *calls = &((Trace *)self)->connects.calls;
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < calls->n_acceptors; i++) {
        const struct acceptor *a = &calls->acceptors[i];
        PyObject *tuple = Py_BuildValue("(iiKN)", a->tid, a->fd, (unsigned long long)a->accepted, failures_of(a->failures));
        if (!tuple || PyList_Append(list, tuple) < 0) Py_CLEAR(list);
        Py_XDECREF(tuple);
    }
    return list;
}

static PyObject *refused(PyObject *self, PyObject *unused) {
    (void)unused;
    const struct calls *calls = &((Trace *)self)->connects.calls;
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < calls->n_refused; i++) {
        const struct refused *r = &calls->refused[i];
        PyObject *tuple = Py_BuildValue("(iKKK)", r->tid, (unsigned long long)r->count, (unsigned long long)r->first_ns,
                                        (unsigned long long)r->last_ns);
        if (!tuple || PyList_Append(list, tuple) < 0) Py_CLEAR(list);
        Py_XDECREF(tuple);
    }
    return list;
}

static PyObject *totals(PyObject *self, PyObject *unused) {
    (void)unused;
    const Trace *t = (Trace *)self;
    const struct connects *c = &t->connects;
    return Py_BuildValue("{s:N,s:K,s:K,s:N,s:N,s:N,s:N,s:N,s:K,s:K,s:K}", "histogram",
                         numbers(c->histogram, HDR_LENGTH),
                         "sum_ns", (unsigned long long)c->sum_ns, "max_ns", (unsigned long long)c->max_ns, "resent",
                         numbers(c->resent, RESENT), "socket_failures", failures_of(c->calls.sockets_failed),
                         "bind_failures", failures_of(c->calls.binds_failed), "connect_failures", failures_of(c->calls.connects_failed), "unix_failures",
                         failures_of(c->calls.unix_failed), "unix_connects", (unsigned long long)c->calls.unix_connects,
                         "events", (unsigned long long)t->pages.taken, "damaged",
                         (unsigned long long)t->pages.damaged);
}

static void dealloc(PyObject *self) {
    Trace *t = (Trace *)self;
    PyTypeObject *type = Py_TYPE(self);
    pages_free(&t->pages);
    connects_free(&t->connects);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef trace_methods[] = {
    {"follow", follow, METH_VARARGS, "follow(tid, pid, at_ns): a thread that a process has by then; its calls count, and those of all that it starts."},
    {"add", add, METH_VARARGS, "add(page): take the events of one page."},
    {"turn", turn, METH_VARARGS, "turn(until_ns): all events up to then have been taken."},
    {"targets", targets, METH_NOARGS, "targets(): what was seen of each."},
    {"acceptors", acceptors, METH_NOARGS, "acceptors(): what was accepted from each descriptor, in order of the first."},
    {"refused", refused, METH_NOARGS, "refused(): who of all others got EAGAIN at connect(), by thread."},
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
    if (n < 1 || n > MOST_FIELDS + 1) return false;
    f->id = (int)PyLong_AsLong(PyTuple_GetItem(ints, 0));
    for (Py_ssize_t i = 0; i < MOST_FIELDS; i++)
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
        if (PyTuple_Check(ints) && read_format(ints, &t->pages.formats[kind])) continue;
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "a format is a tuple of integers");
        Py_CLEAR(t);
    }
    return (PyObject *)t;
}
