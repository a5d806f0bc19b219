"""
A connection's descriptor in the reactor's readiness set.

Here are the system calls on it: one ``recv`` per pass into the shared buffer, or
straight into a long message; one ``send`` for all that was queued meanwhile.
"""

import os
import socket

from libc.errno cimport ENOBUFS
from libc.errno cimport errno as c_errno
from libc.stdint cimport uint8_t, uint32_t

from .._frames cimport MessageParser
from .._writer cimport FrameWriter
from .._csrc cimport WSF_HANGUP, WSF_READABLE, WSF_WRITABLE
from ._reactor cimport READ_SIZE, Reactor, Source
from .connection cimport Connection


cdef extern from *:
    """
    #include <errno.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <unistd.h>

    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif

    /* An errno that says: not now. */
    static int wsf_not_now(int code)
    {
        return code == EAGAIN || code == EWOULDBLOCK || code == EINTR;
    }

    #ifndef MSG_MORE
    #define MSG_MORE 0
    #endif

    /* Send what the iovecs point at; as send() for a single one. What is the last goes
     * into one segment with the end of the stream, which has to follow at once. */
    static ssize_t wsf_send(int fd, struct iovec *iov, size_t n, int last)
    {
        const int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (last ? MSG_MORE : 0);
        struct msghdr m;

        if (n == 1)
            return send(fd, iov[0].iov_base, iov[0].iov_len, flags);
        memset(&m, 0, sizeof m);
        m.msg_iov = iov;
        m.msg_iovlen = n;
        return sendmsg(fd, &m, flags);
    }
    """
    struct iovec:
        void *iov_base
        size_t iov_len
    enum:
        SHUT_WR
        MSG_DONTWAIT
    bint wsf_not_now(int code) nogil
    Py_ssize_t wsf_send(int fd, iovec *iov, size_t n, bint last) nogil
    Py_ssize_t recv(int fd, void *buffer, size_t size, int flags) nogil
    Py_ssize_t readv(int fd, iovec *iov, int n) nogil
    int shutdown(int fd, int how) nogil
    int close(int fd) nogil


cdef enum:
    # Pieces of output per system call.
    IOVECS = 64
    # Octets of what `write` is given that are sent at once, not at the pass's end.
    FLUSH_AT = 16 * 1024

#: How long the peer's octets are thrown away after our end of the stream, in seconds.
cdef double LINGER_S = 1.0


class _Duplicate(socket.socket):
    """A socket of its own for the same stream; closed when nobody has it any more."""

    def __del__(self):
        self.close()


cdef class ReactorLink(Source):
    """
    One connection's descriptor in the readiness set.

    Attributes:
        transport: Whose socket it is, if it was adopted; None if it is ours.

    """

    def __init__(self, Reactor reactor, int fd, transport):
        Source.__init__(self, reactor)
        self.fd = fd
        self.transport = transport
        self._own = transport is None

    def __dealloc__(self):
        if self._own and self.fd >= 0:  # left behind by an event loop that is gone
            close(self.fd)

    # ---- the opening handshake ----

    def write(self, data):
        """Send octets as they are; before :meth:`start`, or as its first octets."""
        if self._closed:
            return
        if self._opening_output is None:
            self._opening_output = bytes(data)
        else:
            self._opening_output += data
            if len(self._opening_output) >= FLUSH_AT and not self._blocked:
                self._flush()
                return
        if not self.dirty:
            self.wrote()

    def first_octets(self):
        """
        Return the octets that have arrived already; there may be none.

        To be called once, right after the connection was accepted.
        """
        cdef Reactor reactor = <Reactor>self.driver
        cdef Py_ssize_t n = recv(self.fd, reactor._buffer, READ_SIZE, MSG_DONTWAIT)
        if n <= 0:
            return b""  # of the end, or of an error, an event will tell
        if n == READ_SIZE:
            self._unread = True
            reactor._do_again(self)
        return (<char *>reactor._buffer)[:n]

    def start(self, connection, rest):
        """Serve ``connection`` from now on; ``rest`` is parsed first."""
        cdef Connection conn = connection
        self.receiver = None
        self.connection = conn
        if self._closed:
            conn.lost(None)
            return
        if self._opening_output is not None:
            # in front of what the connection has queued already
            queued = conn.writer.take() if conn.writer.queued != 0 else None
            conn.writer.raw(self._opening_output)
            if queued is not None:
                conn.writer.raw(queued)
            self._opening_output = None
        if conn.writer.queued != 0 and not self.dirty:
            self.wrote()
        if rest:
            conn.parser.feed(rest)
        if rest or self._unread:  # at the end of this pass, or in one of its own
            (<Reactor>self.driver)._do_again(self)

    # ---- input ----

    cdef int on_ready(self, uint32_t events) except -1:
        if self._closed:
            return 0
        if events & WSF_WRITABLE and self._blocked:
            self._blocked = False
            if self.connection is not None:
                self.connection.output_moved()
            self._flush()
            if self._closed:
                return 0
        if events & WSF_HANGUP:
            self._hangup = True
        if events & WSF_READABLE:
            self._unread = True
            if not self._paused:
                self._read()
        return 0

    cdef int _read(self) except -1:
        """Take octets from the system, once, and deliver them."""
        cdef Connection conn = <Connection>self.connection
        cdef Reactor reactor = <Reactor>self.driver
        cdef MessageParser parser
        cdef iovec iov[2]
        cdef uint8_t *dst = NULL
        cdef size_t room, direct
        cdef Py_ssize_t n
        cdef bint more

        if conn is None:
            return self._read_opening()
        parser = conn.parser
        if parser._pos != parser._end or conn._inflating is not None:
            # What was received before and is not delivered yet, goes first.
            self._serve_connection(conn)
            parser = conn.parser
            if parser._pos != parser._end or conn._inflating is not None:
                return 0
            if self._paused or self._closed:
                return 0
        room = 0
        if parser._progress is not NULL:
            room = parser.direct_room(&dst)
        if room != 0:
            iov[0].iov_base = dst
            iov[0].iov_len = room
            iov[1].iov_base = reactor._buffer
            iov[1].iov_len = READ_SIZE
            n = readv(self.fd, iov, 2)
        else:
            n = recv(self.fd, reactor._buffer, READ_SIZE, MSG_DONTWAIT)
        if n <= 0:
            return self._no_octets(n)
        # Fewer octets than there was room for: the system has no more, for now.
        self._unread = self._hangup or n == <Py_ssize_t>(room + READ_SIZE)
        conn.now = reactor._now
        direct = 0
        if room != 0:
            direct = min(room, <size_t>n)
            parser.direct_filled(direct)
        parser.set_window(reactor._buffer, n - direct)
        self._serve_connection(conn)
        return 0

    cdef int _serve_connection(self, Connection conn) except -1:
        """Parse and deliver what is in the parser's window; flush what that queued."""
        cdef bint more = True  # so it is if that is interrupted
        cdef bint listed = self.dirty

        self.dirty = True  # what is queued meanwhile leaves below, in one go
        try:
            more = conn._serve()
        finally:
            # The window may be the shared buffer, which the next connection gets.
            if conn.parser._pos != conn.parser._end:
                conn.parser.stash()
            if (more or self._unread) and not self._closed and not self._paused:
                (<Reactor>self.driver)._do_again(self)
            if not listed:
                if self._closing:
                    self.dirty = False
                    self._flush()
                elif conn.writer.queued != 0:
                    (<Reactor>self.driver)._replied.append(self)
                else:
                    self.dirty = False
        return 0

    cdef int _read_opening(self) except -1:
        """Take octets of the opening handshake."""
        cdef Reactor reactor = <Reactor>self.driver
        cdef Py_ssize_t n

        if self.receiver is None and not self._lingering and not self._closing:
            return 0
        n = recv(self.fd, reactor._buffer, READ_SIZE, MSG_DONTWAIT)
        if n <= 0:
            return self._no_octets(n)
        self._unread = self._hangup or n == READ_SIZE
        if self._unread:
            reactor._do_again(self)
        if self.receiver is not None and not self._closing:
            self.receiver.data_received((<char *>reactor._buffer)[:n])
        return 0

    cdef int _no_octets(self, Py_ssize_t n) except -1:
        """Handle the end of the stream, an error, or nothing to read after all."""
        cdef int code = c_errno
        if n == 0:
            if self.connection is not None:
                self.connection.receive_eof()
                if not self._blocked:
                    self._flush()  # it may have ended its own side only
            self._finish(None)
        elif wsf_not_now(code):
            self._unread = False
        else:
            self._finish(OSError(code, os.strerror(code)))
        return 0

    cpdef object pause_reading(self):
        self._paused = True

    cpdef object resume_reading(self):
        self._paused = False
        if not self._closed:
            self._unread = True
            (<Reactor>self.driver)._do_again(self)

    # ---- output ----

    cpdef object flush(self):
        if not self._blocked:
            self._flush()
        elif self.connection is not None:
            (<Connection>self.connection).output_left(self._left_of(self.connection))

    cdef long long _left_of(self, Connection conn) except -1:
        """Return how much of a connection's output the system has not taken."""
        return (<FrameWriter>conn.writer).queued + self.unsent()

    cdef int _flush(self) except -1:
        """Send what is queued, as much as the system takes now."""
        cdef Connection conn = <Connection>self.connection
        cdef FrameWriter writer
        cdef iovec iov[IOVECS]
        cdef size_t parts, i, size
        cdef Py_ssize_t n

        if self._closed or self._lingering:
            return 0
        if conn is None:
            return self._flush_opening()
        writer = conn.writer
        while writer.queued != 0 and not self._broken:
            size = 0
            if writer._older is NULL:  # as usual: everything is in the buffer
                iov[0].iov_base = writer._buf + writer._start
                iov[0].iov_len = size = <size_t>writer.queued
                parts = 1
            else:
                parts = writer.gather(iov, IOVECS)
                for i in range(parts):
                    size += iov[i].iov_len
            n = wsf_send(self.fd, iov, parts, self._closing and self._may_leave(conn))
            if n < 0:
                self._output_failed(c_errno)
                break
            writer.advance(n)
            if <size_t>n < size:
                self._blocked = True
                break
        # What cannot be sent stays queued until the end is told: whoever sends in a
        # loop is to wait, not to go on for ever.
        if self._broken and self._closing:
            writer.advance(writer.queued)
        if self._closing and writer.queued == 0:
            return self._finish(None) if self._may_leave(conn) else self._end_output()
        if writer.queued | conn._unsent:
            conn.output_left(writer.queued)
        if conn._was_high or conn._late_pong is not None:
            conn.output_flushed()
        return 0

    cpdef Py_ssize_t unsent(self) except -1:
        return 0 if self._opening_output is None else len(self._opening_output)

    cdef int _tell_receiver(self, bint full) except -1:
        """Tell a receiver that wants to know that it should wait, or may go on."""
        if full == self._told_full or self.receiver is None:
            return 0
        self._told_full = full
        tell = getattr(
            self.receiver, "pause_writing" if full else "resume_writing", None
        )
        if tell is not None:
            tell()
        return 0

    cdef int _flush_opening(self) except -1:
        cdef bytes data = self._opening_output
        cdef iovec iov[1]
        cdef Py_ssize_t n

        if data is not None:
            iov[0].iov_base = <char *>data
            iov[0].iov_len = len(data)
            n = wsf_send(self.fd, iov, 1, False)
            if n < 0:
                self._output_failed(c_errno)
                n = 0
            if self._broken or n == len(data):
                self._opening_output = None
            else:
                self._blocked = True
                self._opening_output = data[n:]
        if self._closing and self._opening_output is None:
            return self._end_output()
        return self._tell_receiver(self._opening_output is not None)

    cdef int _output_failed(self, int code) except -1:
        if wsf_not_now(code) or code == ENOBUFS:
            self._blocked = True
            return 0
        # The peer is gone. What it has sent before can be read still; the end of that,
        # or the error, is told then, outside of whatever is being called now.
        self._broken = True
        self._unread = True
        self._paused = False
        (<Reactor>self.driver)._do_again(self)
        return 0

    # ---- the end ----

    cpdef object close(self):
        if self._closed or self._closing:
            return
        self._closing = True
        self._paused = False
        if not self.dirty:
            self.wrote()

    cdef bint _may_leave(self, Connection conn) except -1:
        """
        Tell whether the peer needs no moment to read what it got.

        Leaving octets of the peer unread would make the system tell it of an error, and
        drop what we sent. Behind its close frame there are none.
        """
        return self._own and not self._unread and conn._closed_both_ways()

    cdef int _end_output(self) except -1:
        """End our side, and give the peer a moment to read what it got."""
        self._lingering = True
        shutdown(self.fd, SHUT_WR)
        self.driver.schedule(self, self.driver.time() + LINGER_S)
        self._unread = True
        (<Reactor>self.driver)._do_again(self)
        return 0

    def on_timer(self, now):
        """Linger no longer."""
        self._finish(None)
        return 0.0

    cpdef object abort(self):
        if not self._closed:
            self._finish(None)

    def transport_lost(self, exc):
        """Take the news that the transport is about to close the descriptor."""
        if not self._closed:
            self._finish(exc)

    cdef int _finish(self, object exc) except -1:
        """Leave the set, give the descriptor back, tell who is concerned."""
        cdef Connection conn = <Connection>self.connection
        if self._closed:
            return 0
        self._closed = True
        (<Reactor>self.driver)._unregister(self)
        if self.timer_slot != 0:
            self.driver.cancel(self)
        if self.transport is not None:
            self.transport.abort()
        else:
            close(self.fd)
        self.fd = -1
        receiver, self.receiver = self.receiver, None
        self.connection = None
        if conn is not None:
            conn.lost(exc)
        elif receiver is not None:
            receiver.connection_lost(exc)
        return 0

    def get_extra_info(self, name, default=None):
        """Return what asyncio transports know under ``name``."""
        if self.transport is not None:
            return self.transport.get_extra_info(name, default)
        if self._closed or name not in ("socket", "sockname", "peername"):
            return default
        if name == "socket":
            return _Duplicate(fileno=os.dup(self.fd))
        sock = socket.socket(fileno=self.fd)  # no descriptor more: there may be none
        try:
            return sock.getsockname() if name == "sockname" else sock.getpeername()
        except OSError:
            return default
        finally:
            sock.detach()

    @property
    def closed(self):
        """Whether the stream has ended."""
        return self._closed != 0

    def is_closing(self):
        """Tell whether the stream has ended or is about to."""
        return self._closed != 0 or self._closing != 0
