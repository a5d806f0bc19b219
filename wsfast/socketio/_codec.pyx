# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""
The packet codec in C: headers, depth, placeholders.

What each function promises is written down once, in ``wsfast.socketio._pure_codec``.
"""

from cpython.bytes cimport PyBytes_Check
from cpython.bytearray cimport PyByteArray_Check
from cpython.dict cimport PyDict_Check
from cpython.list cimport PyList_Check, PyList_GET_ITEM, PyList_GET_SIZE
from cpython.memoryview cimport PyMemoryView_Check
from cpython.tuple cimport PyTuple_Check, PyTuple_GET_ITEM
from cpython.unicode cimport (
    PyUnicode_DATA,
    PyUnicode_GET_LENGTH,
    PyUnicode_KIND,
    PyUnicode_READ,
    PyUnicode_Substring,
)
from libc.stdint cimport uint64_t

from .packet import MAX_NESTING as _MAX_NESTING
from .packet import PacketError

cdef uint64_t MAX_ID = 1ULL << 53
cdef int MAX_NESTING = _MAX_NESTING
cdef str ROOT = "/"


cdef inline Py_ssize_t digits(int kind, void *data, Py_ssize_t at, Py_ssize_t size,
                              Py_ssize_t most, uint64_t *value) noexcept:
    """Read up to ``most`` digits; return where they end, -1 if there are more."""
    cdef Py_UCS4 c
    cdef Py_ssize_t start = at
    cdef uint64_t number = 0

    while at < size:
        c = PyUnicode_READ(kind, data, at)
        if c < 48 or c > 57:
            break
        if at - start == most:
            return -1
        number = number * 10 + (<uint64_t>c - 48)
        at += 1
    value[0] = number
    return at


def decode_header(str text not None, int max_attachments):
    """Read a header; see ``wsfast.socketio._pure_codec.decode_header``."""
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text)
    cdef int kind = PyUnicode_KIND(text)
    cdef void *data = PyUnicode_DATA(text)
    cdef Py_ssize_t at = 1, end
    cdef uint64_t attachments = 0, number = 0
    cdef int type_
    cdef object namespace = ROOT

    type_ = <int>PyUnicode_READ(kind, data, 0) - 48 if size else -1
    if type_ < 0 or type_ > 6:
        raise PacketError("unknown packet type", "type")
    if type_ >= 5:
        end = digits(kind, data, 1, size, 10, &attachments)
        if end == -1 and not overlong(kind, data, 1, size):
            end = 1
        if end == 1 or (end >= 0 and (end == size
                                      or PyUnicode_READ(kind, data, end) != 45)):
            raise PacketError("illegal attachments", "attachments")
        if end < 0 or attachments > <uint64_t>max_attachments:
            raise PacketError(
                f"more than {max_attachments} attachments", "too_many_attachments"
            )
        if attachments == 0:
            raise PacketError("illegal attachments", "attachments")
        at = end + 1
    if at < size and PyUnicode_READ(kind, data, at) == 47:
        end = at
        while end < size and PyUnicode_READ(kind, data, end) != 44:
            end += 1
        namespace = PyUnicode_Substring(text, at, end)
        at = end + 1 if end < size else size
    end = digits(kind, data, at, size, 16, &number)
    if end < 0 or number > MAX_ID:
        raise PacketError("the id is more than 2 ** 53", "id")
    if end == at:
        return type_, <int>attachments, namespace, None, at
    return type_, <int>attachments, namespace, number, end


cdef bint overlong(int kind, void *data, Py_ssize_t at, Py_ssize_t size) noexcept:
    """Tell whether the digits from here on, however many, end with a hyphen."""
    cdef Py_UCS4 c

    while at < size:
        c = PyUnicode_READ(kind, data, at)
        if c < 48 or c > 57:
            return c == 45
        at += 1
    return False


def encode_header(int kind, str namespace not None, number, int attachments,
                  str payload not None):
    """Write a packet; see ``wsfast.socketio._pure_codec.encode_header``."""
    if kind < 5:
        if namespace == ROOT:
            if number is None:
                return f"{kind}{payload}"
            return f"{kind}{number}{payload}"
        if number is None:
            return f"{kind}{namespace},{payload}"
        return f"{kind}{namespace},{number}{payload}"
    name = "" if namespace == ROOT else namespace + ","
    number = "" if number is None else str(number)
    return f"{kind}{attachments}-{name}{number}{payload}"


def nesting(str text not None, Py_ssize_t at):
    """Return the depth of JSON; see ``wsfast.socketio._pure_codec.nesting``."""
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(text)
    cdef int kind = PyUnicode_KIND(text)
    cdef void *data = PyUnicode_DATA(text)
    cdef Py_ssize_t depth = 0, deepest = 0
    cdef Py_UCS4 c

    while at < size:
        c = PyUnicode_READ(kind, data, at)
        at += 1
        if c == 34:
            while at < size:
                c = PyUnicode_READ(kind, data, at)
                at += 1
                if c == 34:
                    break
                if c == 92:
                    at += 1
        elif c == 91 or c == 123:
            depth += 1
            if depth > deepest:
                deepest = depth
        elif c == 93 or c == 125:
            depth -= 1
    return deepest


def deconstruct(data, list to not None):
    """Take octets out; see ``wsfast.socketio._pure_codec.deconstruct``."""
    return taken_out(data, to, 0)


cdef object taken_out(object data, list to, int depth):
    cdef Py_ssize_t place
    cdef object copy = None, item, new, key
    cdef bint array = PyList_Check(data)

    if array or PyTuple_Check(data):
        one_deeper(depth)
        for place in range(len(data)):
            if array:
                if place >= PyList_GET_SIZE(data):
                    break  # a finalizer, or another thread, has made it shorter
                item = <object>PyList_GET_ITEM(data, place)
            else:
                item = <object>PyTuple_GET_ITEM(data, place)
            if type(item) is str:
                continue
            new = taken_out(item, to, depth + 1)
            if new is not item:
                if copy is None:
                    copy = list(data)
                copy[place] = new
        return data if copy is None else copy
    if PyDict_Check(data):
        one_deeper(depth)
        for key, item in (<dict>data).items():
            if type(item) is str:
                continue
            new = taken_out(item, to, depth + 1)
            if new is not item:
                if copy is None:
                    copy = dict(data)
                copy[key] = new
        return data if copy is None else copy
    if PyBytes_Check(data) or PyByteArray_Check(data) or PyMemoryView_Check(data):
        to.append(bytes(data))
        return {"_placeholder": True, "num": len(to) - 1}
    return data


def reconstruct(data, list attachments not None):
    """Put octets back; see ``wsfast.socketio._pure_codec.reconstruct``."""
    return put_back(data, attachments)


cdef object put_back(object data, list attachments):
    cdef Py_ssize_t place
    cdef object item, number

    if PyList_Check(data):
        for place in range(PyList_GET_SIZE(data)):
            if place >= PyList_GET_SIZE(data):
                break
            item = <object>PyList_GET_ITEM(data, place)
            if PyList_Check(item) or PyDict_Check(item):
                (<list>data)[place] = put_back(item, attachments)
    elif PyDict_Check(data):
        if (<dict>data).get("_placeholder") is True:
            number = (<dict>data).get("num")
            if type(number) is not int or not 0 <= number < len(attachments):
                raise PacketError("illegal attachments", "placeholder")
            return attachments[number]
        for key, item in (<dict>data).items():
            if PyList_Check(item) or PyDict_Check(item):
                data[key] = put_back(item, attachments)
    return data


cdef int one_deeper(int depth) except -1:
    if depth >= MAX_NESTING:
        raise PacketError(f"more than {MAX_NESTING} levels, or a cycle", "nesting")
    return 0
