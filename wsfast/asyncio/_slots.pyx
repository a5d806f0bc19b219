"""
Awaiting without an exception per message.

A class of Cython's returns the result of an ``await`` as Python does, by raising
``StopIteration``, which costs more than all else on the way of a short message.
Importing this module gives :class:`~wsfast.asyncio.inbound.Receiver` and
:class:`~wsfast.asyncio.waiter.Later` the slots by which the interpreter takes such a
result directly; what they do stays as their methods say.
"""

from cpython.object cimport PyObject

from .inbound cimport Inbound, Receiver
from .waiter cimport Later


cdef extern from *:
    """
    /* Take a step: the result, with *done set, or what the task is to wait on. */
    typedef PyObject *(*wsf_step)(PyObject *self, int *done);
    static wsf_step wsf_receiver_step, wsf_later_step;

    static PySendResult wsf_as_send(wsf_step step, PyObject *self, PyObject **result)
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
    static PySendResult wsf_later_send(PyObject *self, PyObject *arg, PyObject **r)
    {
        (void)arg;
        return wsf_as_send(wsf_later_step, self, r);
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
                            PyObject *later, wsf_step later_step, unaryfunc later_await)
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
        l->tp_as_async->am_send = (sendfunc)wsf_later_send;
        PyType_Modified(r);
        PyType_Modified(l);
    }
    """
    ctypedef PyObject *(*wsf_step)(PyObject *self, int *done) except NULL
    ctypedef PyObject *(*unaryfunc)(PyObject *self) except NULL
    void wsf_install(object receiver, wsf_step receiver_step, object later,
                     wsf_step later_step, unaryfunc later_await)


cdef object receiver_step(Receiver receiver, int *done):
    cdef Inbound connection = receiver._connection
    cdef Receiver waiting = connection.waiting
    if connection._head < len(connection._queue) and (
            waiting is None or waiting is receiver):
        receiver.busy = False
        connection.waiting = None
        done[0] = 1
        if receiver.peek:
            return None
        return connection._take_message(receiver.decode)
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


cdef object later_await(Later later):
    if later._finish is None:
        return later
    return later._finish().__await__()


wsf_install(Receiver, <wsf_step>receiver_step, Later, <wsf_step>later_step,
            <unaryfunc>later_await)
