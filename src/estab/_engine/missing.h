/* Which connections one end has and the other has not. */
#ifndef ESTAB_MISSING_H
#define ESTAB_MISSING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define MISSING_DOC "missing(these, those): the packed connections among these that are not among those, each once."

PyObject *missing(PyObject *self, PyObject *args);

#endif
