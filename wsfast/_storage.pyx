"""
Storage of long messages, used again.

A message of a megabyte that is freed goes back to the operating system, and the next
one costs a page fault per 4 KiB: more than receiving, unmasking and sending it. So the
last few long messages are remembered, and the storage of one to which nothing refers
any more is used for the next. At most :data:`KEEP_OCTETS` are held that way: enough for
two of 16 MiB, since who iterates over messages has one while the next one comes.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.ref cimport Py_INCREF, Py_XDECREF, PyObject
from libc.stdint cimport uint8_t


cdef extern from *:
    """
    /* An object that only we know may change: reset its hash, set its length. */
    static void wsf_cut_bytes(PyObject *bytes, size_t size)
    {
        (void)bytes;
        #if defined(__GNUC__) || defined(__clang__)
        #pragma GCC diagnostic push
        #pragma GCC diagnostic ignored "-Wdeprecated-declarations"
        #endif
        ((PyBytesObject *)bytes)->ob_shash = -1;
        #if defined(__GNUC__) || defined(__clang__)
        #pragma GCC diagnostic pop
        #endif
        Py_SET_SIZE((PyVarObject *)bytes, (Py_ssize_t)size);
        PyBytes_AS_STRING(bytes)[size] = 0;
    }

    static void wsf_cut_ascii(PyObject *text, size_t size)
    {
        ((PyASCIIObject *)text)->hash = -1;
        ((PyASCIIObject *)text)->length = (Py_ssize_t)size;
        ((char *)PyUnicode_1BYTE_DATA(text))[size] = 0;
    }

    static int wsf_is_ours_alone(PyObject *o)
    {
        return Py_REFCNT(o) == 1;
    }
    """
    void wsf_cut_bytes(PyObject *bytes, size_t size) noexcept
    void wsf_cut_ascii(PyObject *text, size_t size) noexcept
    bint wsf_is_ours_alone(PyObject *o) noexcept


cdef extern from "Python.h":
    void *PyUnicode_1BYTE_DATA(PyObject *text)
    bint PyUnicode_CHECK_INTERNED(PyObject *text)


# Where no GIL guards what is kept, nothing is: allocators keep storage of threads.
cdef extern from *:
    """
    #if defined(Py_GIL_DISABLED) || defined(WSF_NO_GIL)
    #define WSF_KEEPS 0
    #else
    #define WSF_KEEPS 1
    #endif
    """
    const bint WSF_KEEPS


cdef enum:
    KEEP_OCTETS = 32 * 1024 * 1024
    KEEP_SLOTS = 8


cdef struct spare:
    PyObject *storage
    size_t room


cdef spare _spares[KEEP_SLOTS]
cdef size_t _kept = 0
cdef unsigned int _oldest = 0


cdef PyObject *take_storage(bint as_str, size_t whole, size_t *room) noexcept:
    global _kept
    cdef PyObject *found
    cdef spare *s
    cdef int i

    if whole < KEEP_MIN or _kept == 0:
        return NULL
    for i in range(KEEP_SLOTS):
        s = &_spares[i]
        if s.storage is NULL or s.room < whole or s.room > whole * 2:
            continue
        if (type(<object>s.storage) is str) != as_str:
            continue
        # Looking at the type is done through a reference of its own: count after it.
        if not wsf_is_ours_alone(s.storage):
            continue
        if as_str and PyUnicode_CHECK_INTERNED(s.storage):
            continue
        found = s.storage
        room[0] = s.room
        _kept -= s.room
        s.storage = NULL
        return found
    return NULL


cdef void keep_storage(PyObject *storage, size_t room) noexcept:
    global _kept, _oldest
    cdef PyObject *dropped
    cdef spare *s = NULL
    cdef int i

    if not WSF_KEEPS or room < KEEP_MIN or room > <size_t>KEEP_OCTETS // 2:
        return
    for i in range(KEEP_SLOTS):
        if _spares[i].storage is NULL:
            s = &_spares[i]
            break
    while s is NULL or _kept + room > KEEP_OCTETS:
        s = &_spares[_oldest]
        _oldest = (_oldest + 1) % KEEP_SLOTS
        if s.storage is not NULL:
            _kept -= s.room
            dropped = s.storage
            s.storage = NULL
            Py_XDECREF(dropped)
    Py_INCREF(<object>storage)
    s.storage = storage
    s.room = room
    _kept += room


cdef void cut_storage(PyObject *storage, size_t size) noexcept:
    if type(<object>storage) is str:
        wsf_cut_ascii(storage, size)
    else:
        wsf_cut_bytes(storage, size)


cdef uint8_t *storage_octets(PyObject *storage) noexcept:
    if type(<object>storage) is str:
        return <uint8_t *>PyUnicode_1BYTE_DATA(storage)
    return <uint8_t *>PyBytes_AS_STRING(<object>storage)
