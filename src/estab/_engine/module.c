/* The extension module: a dict of settings in, the loop without the GIL, an errno out. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "counting/census.h"
#include "counting/histogram.h"
#include "counting/owned.h"
#include "counting/set_difference.h"
#include "counting/trace.h"
#include "loop.h"
#include "reply.h"
#include "server.h"
#include "workloads/table.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

/* --- settings --- */

static bool get_number(PyObject *config, const char *key, double *out) {
    PyObject *value = PyDict_GetItemString(config, key);
    if (!value) {
        PyErr_Format(PyExc_KeyError, "%s", key);
        return false;
    }
    *out = PyFloat_AsDouble(value);
    return !(*out == -1.0 && PyErr_Occurred());
}

static bool get_u64(PyObject *config, const char *key, uint64_t *out) {
    PyObject *value = PyDict_GetItemString(config, key);
    if (!value) {
        PyErr_Format(PyExc_KeyError, "%s", key);
        return false;
    }
    *out = PyLong_AsUnsignedLongLong(value);
    return !PyErr_Occurred();
}

static bool get_u32(PyObject *config, const char *key, uint32_t *out) {
    uint64_t wide;
    if (!get_u64(config, key, &wide)) return false;
    if (wide > UINT32_MAX) {
        PyErr_Format(PyExc_OverflowError, "%s is beyond 32 bits", key);
        return false;
    }
    *out = (uint32_t)wide;
    return true;
}

static bool get_bool(PyObject *config, const char *key, bool *out) {
    PyObject *value = PyDict_GetItemString(config, key);
    if (!value) {
        PyErr_Format(PyExc_KeyError, "%s", key);
        return false;
    }
    int truth = PyObject_IsTrue(value);
    *out = truth == 1;
    return truth >= 0;
}

/* (host, port, scope) with a numeric host */
static bool parse_address(PyObject *tuple, union address *out) {
    const char *host;
    unsigned port, scope;
    if (!PyTuple_Check(tuple) || !PyArg_ParseTuple(tuple, "sII", &host, &port, &scope)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "an address is (host, port, scope)");
        return false;
    }
    if (address_parse(out, host, port, scope)) return true;
    PyErr_Format(PyExc_ValueError, "not a numeric address: %s", host);
    return false;
}

static bool parse_sources(PyObject *config, struct config *out) {
    PyObject *list = PyDict_GetItemString(config, "sources");
    if (!list || !PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "sources is a list");
        return false;
    }
    Py_ssize_t n = PyList_Size(list);
    out->source_count = (uint32_t)n;
    out->sources = n ? calloc((size_t)n, sizeof *out->sources) : NULL;
    if (n && !out->sources) {
        PyErr_NoMemory();
        return false;
    }
    for (Py_ssize_t i = 0; i < n; i++)
        if (!parse_address(PyList_GetItem(list, i), &out->sources[i])) return false;
    return true;
}

static bool get_bytes(PyObject *config, const char *key, const uint8_t **out, uint32_t *size) {
    PyObject *value = PyDict_GetItemString(config, key);
    if (!value || !PyBytes_Check(value) || PyBytes_Size(value) > INT32_MAX) {
        PyErr_Format(PyExc_TypeError, "%s is bytes", key);
        return false;
    }
    *out = (const uint8_t *)PyBytes_AsString(value);
    *size = (uint32_t)PyBytes_Size(value);
    return true;
}

#define ONE_WRITE 8192 /* of short requests as many as this are written at once, where many are in flight */

/* What is asked, and what ends a reply. The request is a copy, or several where it is short. */
static bool parse_exchange(PyObject *d, struct exchange *x) {
    const uint8_t *request, *until;
    uint32_t kind, request_size, until_size;
    if (!(get_u32(d, "reply", &kind) && get_u32(d, "size", &x->size) && get_u64(d, "reply_bytes", &x->reply_bytes) &&
          get_bytes(d, "request", &request, &request_size) && get_bytes(d, "until", &until, &until_size) &&
          get_bool(d, "is_head", &x->is_head) && get_bool(d, "renews", &x->renews)))
        return false;
    bool asks = kind != REPLY_NONE, is_given = kind > REPLY_ECHO;
    if (kind >= REPLY_KINDS || asks != (x->size > 0) || (is_given && request_size != x->size) ||
        until_size > UNTIL_BYTES || (kind == REPLY_UNTIL && until_size == 0) || (kind == REPLY_LENGTH && !x->reply_bytes)) {
        PyErr_SetString(PyExc_ValueError, "no exchange: reply, size, request, until and reply_bytes do not fit together");
        return false;
    }
    x->kind = (enum reply_kind)kind;
    x->until_size = (uint8_t)until_size;
    memcpy(x->until, until, until_size);
    exchange_prepare(x);
    if (!is_given) return true;
    uint32_t copies = request_size < ONE_WRITE ? ONE_WRITE / request_size : 1;
    x->period = copies * request_size;
    x->request = malloc(x->period);
    if (!x->request) return PyErr_NoMemory() != NULL;
    for (uint32_t i = 0; i < copies; i++) memcpy(x->request + i * request_size, request, request_size);
    return true;
}

static const struct workload *find_workload(PyObject *config) {
    PyObject *text = PyDict_GetItemString(config, "workload");
    PyObject *name = text && PyUnicode_Check(text) ? PyUnicode_AsUTF8String(text) : NULL;
    const struct workload *row = name ? workload_named(PyBytes_AsString(name)) : NULL;
    Py_XDECREF(name);
    if (!row && !PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "no workload: %R", text ? text : Py_None);
    return row;
}

static bool parse_schedule(PyObject *d, struct client *k) {
    if (!(get_number(d, "rate_per_s", &k->config.rate_per_s) && get_bool(d, "poisson", &k->schedule.poisson) &&
          get_number(d, "phase", &k->schedule.phase) && get_u64(d, "seed", &k->schedule.random)))
        return false;
    if (!(k->config.rate_per_s >= 0 && k->config.rate_per_s <= 1e9) ||
        (k->workload->paced && k->config.rate_per_s == 0)) {
        PyErr_Format(PyExc_ValueError, "rate_per_s is %s to 1e9", k->workload->paced ? "more than 0, and up" : "0");
        return false;
    }
    k->schedule.gap_ns = k->config.rate_per_s > 0 ? 1e9 / k->config.rate_per_s : 0;
    return true;
}

static bool parse_gaps(PyObject *d, struct client *k) {
    PyObject *list = PyDict_GetItemString(d, "gaps_ns");
    Py_ssize_t n = list && PyList_Check(list) ? PyList_Size(list) : -1;
    if (n < 0 || n > MOST_GAPS || k->workload->rests != (n > 0)) {
        PyErr_Format(PyExc_ValueError, "gaps_ns of %s is a list of %s", k->workload->name,
                     k->workload->rests ? "1 to 64 times" : "none");
        return false;
    }
    k->config.gap_count = (uint32_t)n;
    for (Py_ssize_t i = 0; i < n && !PyErr_Occurred(); i++)
        k->config.gaps_ns[i] = PyLong_AsUnsignedLongLong(PyList_GetItem(list, i));
    return !PyErr_Occurred() && get_u32(d, "most_lost", &k->config.most_lost);
}

static bool parse_client(PyObject *d, struct client *k) {
    struct config *c = &k->config;
    PyObject *target = PyDict_GetItemString(d, "target");
    k->workload = find_workload(d);
    if (!k->workload || !target || !parse_address(target, &c->target) || !parse_sources(d, c)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_KeyError, "target");
        return false;
    }
    if (!(get_u32(d, "connections", &c->connections) && get_u32(d, "in_flight", &c->in_flight) &&
          get_u32(d, "port_low", &c->port_low) && get_u32(d, "port_count", &c->port_count) &&
          get_u64(d, "attempts", &c->attempts) && get_number(d, "ramp_per_s", &c->ramp_per_s) &&
          get_u64(d, "duration_ns", &c->duration_ns) && get_u64(d, "timeout_ns", &c->timeout_ns) &&
          get_u64(d, "drain_ns", &c->drain_ns) && get_u32(d, "depth", &c->depth) &&
          get_bool(d, "reset", &c->reset) && get_bool(d, "server_closes_first", &c->server_closes_first) &&
          get_bool(d, "no_delay", &c->no_delay) && parse_exchange(d, &c->exchange) && parse_schedule(d, k) && parse_gaps(d, k)))
        return false;
    if (c->connections == 0 || c->in_flight == 0 || c->depth == 0 || c->depth > UINT16_MAX) {
        PyErr_SetString(PyExc_ValueError, "connections, in_flight and depth are at least 1, depth below 65536");
        return false;
    }
    if (c->port_low > UINT16_MAX || c->port_count > UINT16_MAX + 1U - c->port_low) {
        PyErr_SetString(PyExc_ValueError, "local ports are 0 to 65535");
        return false;
    }
    if (k->workload->asks && c->exchange.kind == REPLY_NONE) {
        PyErr_Format(PyExc_ValueError, "%s needs a size of at least 1", k->workload->name);
        return false;
    }
    return true;
}

static bool parse_server(PyObject *d, struct server *s) {
    uint32_t service;
    uint64_t listener;
    if (!(get_u32(d, "service", &service) && get_u64(d, "listener", &listener) &&
          get_u64(d, "accept_gap_ns", &s->accept_gap_ns) && get_u64(d, "pause_ns", &s->pause_ns) &&
          get_u64(d, "pause_every_ns", &s->pause_every_ns) && get_u64(d, "close_after", &s->close_after) &&
          get_bool(d, "reset", &s->reset)))
        return false;
    s->service = (enum service)service;
    s->listener = (int)listener;
    return true;
}

/* --- running --- */

static struct block *open_block(int fd) {
    struct block *b = block_map(fd);
    if (!b) PyErr_SetFromErrno(PyExc_OSError);
    else block_set(b, S_magic, BLOCK_MAGIC);
    return b;
}

static PyObject *outcome(int error) {
    if (error == 0) Py_RETURN_NONE;
    errno = error;
    return PyErr_SetFromErrno(PyExc_OSError);
}

static PyObject *run_client(PyObject *self, PyObject *args) {
    (void)self;
    int block_fd, control_fd, error = 0;
    PyObject *config, *result = NULL;
    if (!PyArg_ParseTuple(args, "iiO", &block_fd, &control_fd, &config)) return NULL;
    struct client *k = calloc(1, sizeof *k);
    if (!k) return PyErr_NoMemory();
    k->control = control_fd;
    if (parse_client(config, k) && (k->block = open_block(block_fd))) {
        Py_BEGIN_ALLOW_THREADS
        error = client_run(k);
        Py_END_ALLOW_THREADS
        block_unmap(k->block);
        result = outcome(error);
    }
    free(k->config.sources);
    free(k->config.exchange.request);
    free(k);
    return result;
}

static PyObject *run_server(PyObject *self, PyObject *args) {
    (void)self;
    int block_fd, control_fd, error = 0;
    PyObject *config, *result = NULL;
    if (!PyArg_ParseTuple(args, "iiO", &block_fd, &control_fd, &config)) return NULL;
    struct server *s = calloc(1, sizeof *s);
    if (!s) return PyErr_NoMemory();
    s->control = control_fd;
    if (parse_server(config, s) && (s->block = open_block(block_fd))) {
        Py_BEGIN_ALLOW_THREADS
        error = server_run(s);
        Py_END_ALLOW_THREADS
        block_unmap(s->block);
        result = outcome(error);
    }
    free(s);
    return result;
}

/* --- replies, for the test that holds http.c and reply.c and the engine in Python together --- */

static PyObject *take_pieces(const struct exchange *x, const uint8_t *data, size_t size, size_t piece) {
    struct partial partial = {0};
    struct reply reply;
    uint64_t code = 0;
    enum taken taken = TAKEN_MORE;
    PyObject *ended = PyList_New(0);
    reply_begin(x, &reply);
    for (size_t at = 0, some; ended && at < size && taken != TAKEN_WRONG; at += some) {
        size_t left = piece - at % piece;
        some = size - at < left ? size - at : left;
        taken = reply_take(x, &reply, &partial, data + at, &some, &code);
        if (taken == TAKEN_MORE || taken == TAKEN_WRONG) continue;
        PyObject *each = Py_BuildValue("iOn", (int)reply.status, taken == TAKEN_LAST ? Py_True : Py_False,
                                       (Py_ssize_t)(at + some));
        if (each) PyList_Append(ended, each);
        Py_XDECREF(each);
        reply_begin(x, &reply);
    }
    bool to_close = reply_ends_with_connection(x, &reply);
    free(partial.line);
    return Py_BuildValue("NiO", ended, taken == TAKEN_WRONG ? (int)code : 0, to_close ? Py_True : Py_False);
}

static PyObject *take_replies(PyObject *self, PyObject *args) {
    (void)self;
    PyObject *config, *result = NULL;
    const char *data;
    Py_ssize_t size, piece;
    struct exchange x = {0};
    if (!PyArg_ParseTuple(args, "Oy#n", &config, &data, &size, &piece)) return NULL;
    if (parse_exchange(config, &x)) result = take_pieces(&x, (const uint8_t *)data, (size_t)size, (size_t)piece);
    free(x.request);
    return result;
}

/* --- the layout, for the test that holds block.h and block.py together --- */

static PyObject *layout(PyObject *self, PyObject *args) {
    (void)self;
    (void)args;
#define NAME(name) #name,
    const char *slots[] = {SLOTS(NAME)}, *phases[] = {PHASES(NAME)};
    PyObject *slot_names = PyList_New(0), *phase_names = PyList_New(0);
    for (size_t i = 0; slot_names && i < sizeof slots / sizeof *slots; i++) {
        PyObject *s = PyUnicode_FromString(slots[i]);
        if (s) PyList_Append(slot_names, s);
        Py_XDECREF(s);
    }
    for (size_t i = 0; phase_names && i < sizeof phases / sizeof *phases; i++) {
        PyObject *s = PyUnicode_FromString(phases[i]);
        if (s) PyList_Append(phase_names, s);
        Py_XDECREF(s);
    }
    return Py_BuildValue("{s:N,s:N,s:n,s:n,s:n,s:n,s:n,s:n,s:n,s:n,s:n}", "slots", slot_names, "phases", phase_names, "retransmits",
                         (Py_ssize_t)offsetof(struct block, syn_retransmits), "failures",
                         (Py_ssize_t)offsetof(struct block, failures), "orders",
                         (Py_ssize_t)offsetof(struct block, orders), "http_status",
                         (Py_ssize_t)offsetof(struct block, http_status), "gaps",
                         (Py_ssize_t)offsetof(struct block, gaps), "stalls",
                         (Py_ssize_t)offsetof(struct block, stalls), "connect_ns",
                         (Py_ssize_t)offsetof(struct block, connect_ns), "request_ns",
                         (Py_ssize_t)offsetof(struct block, request_ns), "size", (Py_ssize_t)sizeof(struct block));
}

static PyObject *state_bytes(PyObject *self, PyObject *args) {
    (void)self;
    (void)args;
    return Py_BuildValue("{s:n,s:n}", "client", (Py_ssize_t)sizeof(struct conn), "server", (Py_ssize_t)sizeof(struct peer));
}

/* A worker that is stopped (SIGSTOP) cannot see the end of its pipe: the kernel ends it with the parent's thread. */
static PyObject *die_with_parent(PyObject *self, PyObject *args) {
    (void)self;
    (void)args;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"die_with_parent", die_with_parent, METH_NOARGS, "die_with_parent(): SIGKILL when the parent's thread ends."},
    {"run_client", run_client, METH_VARARGS, "run_client(block_fd, control_fd, config): load until it is over."},
    {"run_server", run_server, METH_VARARGS, "run_server(block_fd, control_fd, config): serve until told to stop."},
    {"take_replies", take_replies, METH_VARARGS, "take_replies(config, data, piece): the replies in data, by pieces."},
    {"census", census, METH_VARARGS, CENSUS_DOC},
    {"owned", owned, METH_NOARGS, OWNED_DOC},
    {"trace", trace, METH_VARARGS, TRACE_DOC},
    {"set_difference", set_difference, METH_VARARGS, SET_DIFFERENCE_DOC},
    {"gained", gained, METH_VARARGS, GAINED_DOC},
    {"layout", layout, METH_NOARGS, "layout(): names of the slots and byte offsets in the shared block."},
    {"state_bytes", state_bytes, METH_NOARGS, "state_bytes(): bytes of state kept for each connection, by role."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_engine", "The hot loops.", -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__engine(void) { return PyModule_Create(&module); }
