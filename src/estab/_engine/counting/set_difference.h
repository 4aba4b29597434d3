/* Which connections one end has and the other has not. */
#ifndef ESTAB_SET_DIFFERENCE_H
#define ESTAB_SET_DIFFERENCE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define SET_DIFFERENCE_DOC "set_difference(these, those): the packed connections among these that are not among those, each once."

PyObject *set_difference(PyObject *self, PyObject *args);

#endif
