"""
The hot path of what `wsfast.accelerate` puts into other libraries.

Nothing here decides what is an error: what is out of the ordinary is left to the
replaced code, so that its exceptions and their texts stay what they were.
"""

from cpython.bytearray cimport (
    PyByteArray_AS_STRING,
    PyByteArray_CheckExact,
    PyByteArray_FromStringAndSize,
    PyByteArray_GET_SIZE,
)
from cpython.bytes cimport (
    PyBytes_AS_STRING,
    PyBytes_CheckExact,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
)
from cpython.sequence cimport PySequence_DelSlice
from libc.stdint cimport uint8_t, uint64_t

from wsfast._csrc cimport wsf_mask
from wsfast._engine cimport kernels


# Octets of bytes or bytearray, NULL for any other object.
cdef inline const uint8_t *octets(object data, Py_ssize_t *size) noexcept:
    if PyBytes_CheckExact(data):
        size[0] = PyBytes_GET_SIZE(data)
        return <const uint8_t *>PyBytes_AS_STRING(data)
    if PyByteArray_CheckExact(data):
        size[0] = PyByteArray_GET_SIZE(data)
        return <const uint8_t *>PyByteArray_AS_STRING(data)
    return NULL


cdef inline bytes masked(const uint8_t *src, Py_ssize_t size, const uint8_t *key):
    cdef bytes out = PyBytes_FromStringAndSize(NULL, size)

    wsf_mask(kernels(), <uint8_t *>PyBytes_AS_STRING(out), src, <size_t>size, key, 0)
    return out


def data_then_key(original):
    """
    Return ``apply_mask(data, mask) -> bytes``, as websockets has it.

    Args:
        original: What does the rest: any other type, a mask of any other length.

    """
    def apply_mask(data, mask):
        """Apply masking to the data of a WebSocket message (RFC 6455 §5.3)."""
        cdef Py_ssize_t size = 0, key_size = 0
        cdef const uint8_t *src = octets(data, &size)
        cdef const uint8_t *key = octets(mask, &key_size)

        if src == NULL or key == NULL or key_size != 4:
            return original(data, mask)
        return masked(src, size, key)

    return apply_mask


def key_then_data(original):
    """
    Return ``websocket_mask(mask, data) -> bytes``, as tornado has it.

    Args:
        original: What does the rest: any other type, a mask of any other length.

    """
    def websocket_mask(mask, data):
        """Mask or unmask payload data (RFC 6455 §5.3)."""
        if (
            not PyBytes_CheckExact(mask)
            or not PyBytes_CheckExact(data)
            or PyBytes_GET_SIZE(mask) != 4
        ):
            return original(mask, data)
        return masked(
            <const uint8_t *>PyBytes_AS_STRING(data),
            PyBytes_GET_SIZE(data),
            <const uint8_t *>PyBytes_AS_STRING(mask),
        )

    return websocket_mask


def key_then_data_inplace(original):
    """
    Return ``websocket_mask(mask, data) -> None``, in place, as aiohttp has it.

    Args:
        original: What does the rest: any other type, a mask of any other length.

    """
    def websocket_mask(mask, data):
        """Mask or unmask payload data in place (RFC 6455 §5.3)."""
        cdef uint8_t *octets

        if (
            not PyBytes_CheckExact(mask)
            or not PyByteArray_CheckExact(data)
            or PyBytes_GET_SIZE(mask) != 4
        ):
            return original(mask, data)
        octets = <uint8_t *>PyByteArray_AS_STRING(data)
        wsf_mask(kernels(), octets, octets, <size_t>PyByteArray_GET_SIZE(data),
                 <const uint8_t *>PyBytes_AS_STRING(mask), 0)

    return websocket_mask


cdef enum:
    ANY_MASKING = -1
    # The opcodes of RFC 6455 §5.2, as bits: 0, 1, 2, 8, 9, 10.
    KNOWN_OPCODES = 0x0707


cdef class FrameTaker:
    """
    Takes frames off the front of a buffer (RFC 6455 §5.2).

    Args:
        masked: Whether frames are masked, None for either.
        plain_type: Type of a payload that came unmasked: bytes or bytearray. A masked
            one becomes bytes.

    """

    cdef int _masked
    cdef bint _plain_bytes

    def __init__(self, masked, plain_type):
        self._masked = ANY_MASKING if masked is None else bool(masked)
        self._plain_bytes = plain_type is bytes

    def take(self, buffer, max_size=None):
        """
        Take the next frame, if it is whole and in order.

        Args:
            buffer: Octets received, bytes or bytearray. From a bytearray, those of a
                frame that is returned are removed.
            max_size: Largest payload, None for no limit.

        Returns:
            The pair of the first octet of the header and of the payload, unmasked. A
            number if the frame isn't whole: how many octets the buffer must hold,
            as far as one can tell. None, with nothing removed, for a frame that some
            rule forbids: RSV2 or RSV3, a reserved opcode, a control frame that is long
            or fragmented, the wrong masking, a payload above ``max_size``.

        Raises:
            TypeError: ``buffer`` is of another type.

        """
        cdef Py_ssize_t have = 0, head = 2, end
        cdef const uint8_t *p = octets(buffer, &have)
        cdef uint64_t length, limit = <uint64_t>(<size_t>-1 >> 2)
        cdef int first, has_mask, i
        cdef object payload

        if p == NULL:
            raise TypeError(f"need bytes or bytearray, got {type(buffer).__name__}")
        if have < 2:
            return 2
        first = p[0]
        has_mask = p[1] >> 7
        length = p[1] & 0x7f
        if first & 0x30 or not (KNOWN_OPCODES >> (first & 0x0f)) & 1:
            return None
        if self._masked != ANY_MASKING and has_mask != self._masked:
            return None
        if first & 0x08 and (length > 125 or not first & 0x80):
            return None
        if length >= 126:
            head = 4 if length == 126 else 10
            if have < head:
                return head
            length = 0
            for i in range(2, head):
                length = length << 8 | p[i]
        if max_size is not None:
            if not isinstance(max_size, int) or max_size < 0:
                return None
            if max_size < <object>limit:
                limit = max_size
        if length > limit:
            return None
        if has_mask:
            head += 4
        if have < head:
            return head
        end = head + <Py_ssize_t>length
        if have < end:
            return end
        if has_mask:
            payload = masked(p + head, <Py_ssize_t>length, p + head - 4)
        elif self._plain_bytes:
            payload = PyBytes_FromStringAndSize(<const char *>p + head, length)
        else:
            payload = PyByteArray_FromStringAndSize(<const char *>p + head, length)
        if PyByteArray_CheckExact(buffer):
            PySequence_DelSlice(buffer, 0, end)
        return first, payload
