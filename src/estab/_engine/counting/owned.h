/* The connections of some processes, told from all others by their inodes. */
#ifndef ESTAB_OWNED_H
#define ESTAB_OWNED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define OWNED_DOC "owned(): what finds the connections of some processes in a dump, by target."

PyObject *owned(PyObject *module, PyObject *unused);

#endif
