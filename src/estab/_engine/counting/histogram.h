/* What a histogram gained since it was last looked at. */
#ifndef ESTAB_HISTOGRAM_H
#define ESTAB_HISTOGRAM_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define GAINED_DOC "gained(now, known): [(index, count)] that `now` has beyond `known`, which becomes `now`."

PyObject *gained(PyObject *self, PyObject *args);

#endif
