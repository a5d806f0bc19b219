/* marks.c -- a module for Python that tells callgrind what to count.
 *
 *   marks.start()              instrument from here on: what went before was fast
 *   marks.on(), marks.off()    count what runs between them
 *   marks.zero()               forget what was counted
 *   marks.dump(NAME)           write down what was counted, and begin at zero again
 *
 * Built by bench/guard/__main__.py. Outside valgrind they do nothing. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <valgrind/callgrind.h>

static PyObject *start(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    CALLGRIND_START_INSTRUMENTATION;
    Py_RETURN_NONE;
}

static PyObject *on(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    CALLGRIND_TOGGLE_COLLECT;
    Py_RETURN_NONE;
}

/* The same request; the name is for the reader. */
static PyObject *off(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    CALLGRIND_TOGGLE_COLLECT;
    Py_RETURN_NONE;
}

static PyObject *zero(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    CALLGRIND_ZERO_STATS;
    Py_RETURN_NONE;
}

static PyObject *dump(PyObject *module, PyObject *name)
{
    const char *text = PyUnicode_AsUTF8(name);

    (void)module;
    if (text == NULL)
        return NULL;
    CALLGRIND_DUMP_STATS_AT(text);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"start", start, METH_NOARGS, NULL}, {"on", on, METH_NOARGS, NULL},
    {"off", off, METH_NOARGS, NULL},     {"zero", zero, METH_NOARGS, NULL},
    {"dump", dump, METH_O, NULL},        {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "marks",
                                        .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit_marks(void)
{
    return PyModule_Create(&definition);
}
