/* Counting and packing the sockets of a raw sock_diag dump. */
#ifndef ESTAB_CENSUS_H
#define ESTAB_CENSUS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define CENSUS_DOC "census(ports, peers, sources, packed_states, at_server): what counts and packs a dump's sockets."

PyObject *census(PyObject *module, PyObject *args);

#endif
