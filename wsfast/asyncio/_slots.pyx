"""
Awaiting without an exception per message, and waiting without looking names up.

A class of Cython's returns the result of an ``await`` as Python does, by raising
``StopIteration``, which costs more than all else on the way of a short message.
Importing this module gives :class:`~wsfast.asyncio.inbound.Receiver` and
:class:`~wsfast.asyncio.waiter.Later` the slots by which the interpreter takes such a
result directly; what they do stays as their methods say.

What asyncio does with a future that is not its own, before a task waits on it, is to
look up four attributes by name and to call two of them as methods. Most of that is
making and dropping bound methods. So :class:`~wsfast.asyncio.waiter.Waiter` answers to
these names by itself: its driver keeps one ``get_loop`` for all, and a waiter, called,
does what its ``add_done_callback`` does.
"""

import sys
from types import AsyncGeneratorType

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

from .inbound cimport Inbound, Receiver
from .waiter cimport Later, Waiter


cdef extern from "Python.h":
    object PyObject_GenericGetAttr(object o, object name)
    int wsf_generic_setattr "PyObject_GenericSetAttr" (
        object o, object name, PyObject *value) except -1
    object wsf_vectorcall "PyObject_Vectorcall" (
        object o, PyObject **args, size_t n, PyObject *names)
    Py_ssize_t PyVectorcall_NARGS(size_t n)
    PyObject *wsf_true "Py_True"
    PyObject *wsf_false "Py_False"


cdef extern from *:
    """
    /* Take a step: the result, with *done set, or what the task is to wait on. */
    typedef PyObject *(*wsf_step)(PyObject *self, int *done);
    static wsf_step wsf_receiver_step, wsf_later_step;

    static inline PySendResult wsf_as_send(wsf_step step, PyObject *self,
                                           PyObject **result)
    {
        int done = 0;

        *result = step(self, &done);
        if (*result == NULL)
            return PYGEN_ERROR;
        return done ? PYGEN_RETURN : PYGEN_NEXT;
    }

    static PyObject *wsf_as_next(wsf_step step, PyObject *self)
    {
        int done = 0;
        PyObject *result = step(self, &done);

        if (result == NULL || !done)
            return result;
        if (result != Py_None) /* no exception at all stands for None */
            PyErr_SetObject(PyExc_StopIteration, result);
        Py_DECREF(result);
        return NULL;
    }

    static PySendResult wsf_receiver_send(PyObject *self, PyObject *arg, PyObject **r)
    {
        (void)arg;
        return wsf_as_send(wsf_receiver_step, self, r);
    }
    static PyObject *wsf_receiver_next(PyObject *self)
    {
        return wsf_as_next(wsf_receiver_step, self);
    }
    static PyObject *wsf_later_next(PyObject *self)
    {
        return wsf_as_next(wsf_later_step, self);
    }

    static PyObject *wsf_receiver_await(PyObject *self)
    {
        Py_INCREF(self);
        return self;
    }

    static void wsf_install(PyObject *receiver, wsf_step receiver_step,
                            PyObject *later, wsf_step later_step, sendfunc later_send,
                            unaryfunc later_await)
    {
        PyTypeObject *r = (PyTypeObject *)receiver;
        PyTypeObject *l = (PyTypeObject *)later;

        wsf_receiver_step = receiver_step;
        wsf_later_step = later_step;
        r->tp_as_async->am_await = wsf_receiver_await;
        l->tp_as_async->am_await = later_await;
        r->tp_iternext = wsf_receiver_next;
        l->tp_iternext = wsf_later_next;
        r->tp_as_async->am_send = (sendfunc)wsf_receiver_send;
        l->tp_as_async->am_send = later_send;
        PyType_Modified(r);
        PyType_Modified(l);
    }

    /* Give the class of connections, whose own slot is in C, an ``__anext__`` that its
     * subclasses get that slot from. What Cython has there makes them look the name up
     * for each message. */
    static int wsf_inherit_anext(PyObject *connection, PyObject *like)
    {
        PyTypeObject *c = (PyTypeObject *)connection;
        PyObject *method = PyDescr_NewWrapper(
            c, ((PyWrapperDescrObject *)like)->d_base,
            (void *)c->tp_as_async->am_anext);
        int failed;

        if (method == NULL)
            return -1;
        failed = PyDict_SetItemString(c->tp_dict, "__anext__", method);
        Py_DECREF(method);
        PyType_Modified(c);
        return failed;
    }

    /* Have a waiter answer for itself; see below. */
    static void wsf_install_waiter(PyObject *waiter, getattrofunc get, setattrofunc set,
                                   Py_ssize_t call_offset)
    {
        PyTypeObject *w = (PyTypeObject *)waiter;

        w->tp_getattro = get;
        w->tp_setattro = set;
        w->tp_vectorcall_offset = call_offset;
        w->tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL;
        w->tp_call = PyVectorcall_Call;
        PyType_Modified(w);
    }
    """
    ctypedef PyObject *(*wsf_step)(PyObject *self, int *done) except NULL
    ctypedef PyObject *(*unaryfunc)(PyObject *self) except NULL
    ctypedef int (*sendfunc)(PyObject *self, PyObject *arg, PyObject **result) noexcept
    int PYGEN_RETURN
    int wsf_as_send(wsf_step step, PyObject *self, PyObject **result) noexcept
    ctypedef PyObject *(*getattrofunc)(PyObject *self, PyObject *name) except NULL
    ctypedef int (*setattrofunc)(PyObject *self, PyObject *name, PyObject *to) except -1
    void wsf_install_waiter(object waiter, getattrofunc get, setattrofunc set,
                            Py_ssize_t call_offset)
    void wsf_install(object receiver, wsf_step receiver_step, object later,
                     wsf_step later_step, sendfunc later_send, unaryfunc later_await)
    int wsf_inherit_anext(object connection, object like) except -1


cdef object receiver_step(Receiver receiver, int *done):
    cdef Inbound connection = receiver._connection
    cdef Receiver waiting = connection.waiting
    if connection._head != connection._tail and (
            waiting is None or waiting is receiver):
        receiver.busy = False
        if waiting is not None:
            connection.waiting = None
        done[0] = 1
        if type(receiver) is Receiver and receiver.decode is None and (
                not receiver.peek):
            return connection._take()
        return receiver._result()
    if connection._head == connection._tail and receiver._at_end():
        receiver._leave()
        done[0] = 1
        return receiver._end()
    return receiver.suspend()


cdef object later_step(Later later, int *done):
    if later._finish is None:
        done[0] = 1
        return later._result
    try:
        return later.send(None)
    except StopIteration as end:  # a task made of this is to see a result, no error
        done[0] = 1
        return end.value


cdef int later_send(Later later, PyObject *arg, PyObject **result) noexcept:
    if later._finish is None:  # as it is for nearly every send()
        Py_INCREF(later._result)
        result[0] = <PyObject *>later._result
        return PYGEN_RETURN
    return wsf_as_send(<wsf_step>later_step, <PyObject *>later, result)


cdef object later_await(Later later):
    if later._finish is None:
        return later
    return later._finish().__await__()


wsf_install(Receiver, <wsf_step>receiver_step, Later, <wsf_step>later_step,
            <sendfunc>later_send, <unaryfunc>later_await)
wsf_inherit_anext(Inbound, AsyncGeneratorType.__anext__)


# ---- what asyncio asks a waiter for ----

cdef object BLOCKING = sys.intern("_asyncio_future_blocking")
cdef object GET_LOOP = sys.intern("get_loop")
cdef object ADD_CALLBACK = sys.intern("add_done_callback")
cdef tuple WITH_CONTEXT = ("context",)


cdef object waiter_getattro(Waiter waiter, object name):
    if name is BLOCKING:
        return waiter._asyncio_future_blocking
    if name is GET_LOOP:
        return waiter._driver.loop_getter
    if name is ADD_CALLBACK:
        waiter._call = <void *>waiter_call
        return waiter
    return PyObject_GenericGetAttr(waiter, name)


cdef int waiter_setattro(Waiter waiter, object name, PyObject *value) except -1:
    if name is BLOCKING and (value == wsf_true or value == wsf_false):
        waiter._asyncio_future_blocking = value == wsf_true
        return 0
    return wsf_generic_setattr(waiter, name, value)


cdef object waiter_call(Waiter waiter, PyObject **args, size_t n, PyObject *names):
    """Register a callback: ``waiter(callback, context=context)``."""
    global WITH_CONTEXT
    if names != <PyObject *>WITH_CONTEXT or PyVectorcall_NARGS(n) != 1:
        if names is not NULL and <tuple>names == WITH_CONTEXT:
            WITH_CONTEXT = <tuple>names  # asyncio's own, which is always the same
        method = PyObject_GenericGetAttr(waiter, ADD_CALLBACK)
        return wsf_vectorcall(method, args, n, names)
    waiter._callback = <object>args[0]
    waiter._context = <object>args[1]
    return None


cdef Waiter _any = Waiter(None)
wsf_install_waiter(Waiter, <getattrofunc>waiter_getattro, <setattrofunc>waiter_setattro,
                   <char *>&_any._call - <char *><PyObject *>_any)
