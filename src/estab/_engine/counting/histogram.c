/* What a histogram gained: a look at 33,792 buckets costs some 20 microseconds here and milliseconds in Python. */
#include "histogram.h"

#include <stdint.h>
#include <string.h>

static int append(PyObject *list, size_t index, uint64_t count) {
    PyObject *pair = Py_BuildValue("(nK)", (Py_ssize_t)index, (unsigned long long)count);
    int result = pair ? PyList_Append(list, pair) : -1;
    Py_XDECREF(pair);
    return result;
}

static PyObject *compare(const uint64_t *now, uint64_t *known, size_t n) {
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < n; i++) {
        uint64_t count = __atomic_load_n(&now[i], __ATOMIC_RELAXED);
        if (count == known[i]) continue;
        if (append(list, i, count - known[i]) < 0) Py_CLEAR(list);
        else known[i] = count;
    }
    return list;
}

PyObject *gained(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer now, known;
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*w*", &now, &known)) return NULL;
    if (now.len != known.len || now.len % 8) PyErr_SetString(PyExc_ValueError, "two equal arrays of u64");
    else result = compare(now.buf, known.buf, (size_t)now.len / 8);
    PyBuffer_Release(&now);
    PyBuffer_Release(&known);
    return result;
}
