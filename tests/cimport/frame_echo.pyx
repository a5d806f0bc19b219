# cython: language_level=3
"""A module of a user of the engine, compiled against it: echoes what clients send."""

from libc.stdint cimport uint8_t

from wsfast._csrc cimport wsf_kernels
from wsfast._engine cimport decode_text, fill_masking_key, kernels
from wsfast._frames cimport MessageParser
from wsfast._writer cimport FrameWriter

from wsfast import engine


cdef class Echo:
    """The messages of one client, sent back to it."""

    cdef MessageParser _parser
    cdef FrameWriter _writer

    def __cinit__(self):
        self._parser = MessageParser(client=False)
        self._writer = FrameWriter(client=False)

    def answer(self, bytes octets):
        """Return the frames that answer whole frames of a client."""
        cdef size_t size
        cdef const uint8_t *head
        cdef int event

        self._parser.set_window(octets, len(octets))
        while True:
            event = self._parser.next()
            if event == <int>engine.NEED_DATA:
                break
            if event == <int>engine.ERROR:
                raise ValueError(self._parser.error_reason_code)
            self._writer.message(self._parser.opcode, self._parser.take_payload())
        answer = b""
        while self._writer.queued:
            head = self._writer.head(&size)
            answer += head[:size]
            self._writer.advance(size)
        return answer


def masking_key():
    """Return a fresh masking-key, from the engine's pool."""
    cdef uint8_t key[4]

    fill_masking_key(key)
    return <bytes>key[:4]


def text_of(bytes octets):
    """Return the text, None if it is not UTF-8."""
    return decode_text(octets, len(octets))


def kernel():
    """Return the name of the kernels that the engine runs on."""
    cdef const wsf_kernels *found = kernels()

    return found.name.decode()
