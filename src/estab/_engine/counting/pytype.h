/* A type of this extension, made when it is first asked for and kept in the module. */
#ifndef ESTAB_PYTYPE_H
#define ESTAB_PYTYPE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* A new object of the type, all zero after its head; NULL with an exception set. */
static inline PyObject *new_of_type(PyObject *module, const char *name, PyType_Spec *spec) {
    if (!PyObject_HasAttrString(module, name)) {
        PyObject *made = PyType_FromSpec(spec);
        if (!made || PyObject_SetAttrString(module, name, made) < 0) {
            Py_XDECREF(made);
            return NULL;
        }
        Py_DECREF(made);
    }
    PyTypeObject *type = (PyTypeObject *)PyObject_GetAttrString(module, name);
    if (!type) return NULL;
    PyObject *object = ((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    Py_DECREF(type);
    return object;
}

#endif
