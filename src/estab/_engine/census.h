/* Counting and packing the sockets of a raw sock_diag dump. */
#ifndef ESTAB_CENSUS_H
#define ESTAB_CENSUS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define CENSUS_DOC "census(data, counts, ports, peers, sources): count a datagram's sockets; (offset, flags)."
#define ESTABLISHED_DOC "established(data, at_server): pack a datagram's sockets; (packed, offset, flags)."

PyObject *census(PyObject *self, PyObject *args);
PyObject *established(PyObject *self, PyObject *args);

#endif
