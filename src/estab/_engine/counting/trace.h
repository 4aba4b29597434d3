/* Connects as the kernel's trace events tell of them. */
#ifndef ESTAB_TRACE_H
#define ESTAB_TRACE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define TRACE_DOC "trace(formats): what follows the connects of some processes through trace events."

PyObject *trace(PyObject *module, PyObject *args);

#endif
