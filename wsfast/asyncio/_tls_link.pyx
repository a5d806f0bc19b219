"""
A connection's descriptor in the reactor's readiness set, with TLS on it.

What was queued in a pass is encrypted in one go, as one record if it is short, and
sent in one system call; what one ``recv`` has brought is decrypted straight into the
message that it belongs to, if that is long. What the system does not take stays with
the link, and nothing more is encrypted before it has left.
"""

import ssl

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.errno cimport errno as c_errno
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from .._frames cimport MessageParser
from .._writer cimport FrameWriter
from ._reactor cimport READ_SIZE, Reactor
from ._reactor_link cimport ReactorLink
from ._tls cimport CIPHER_SIZE, SEAL_SIZE, Room, Session
from .connection cimport Connection

__all__ = ["TLSLink"]


cdef extern from *:
    """
    #include <errno.h>
    #include <sys/socket.h>
    #include <sys/uio.h>

    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    """
    struct iovec:
        void *iov_base
        size_t iov_len
    enum:
        EAGAIN
        EINTR
        MSG_DONTWAIT
        MSG_NOSIGNAL
        SHUT_WR
    Py_ssize_t recv(int fd, void *buffer, size_t size, int flags) nogil
    Py_ssize_t send(int fd, const void *buffer, size_t size, int flags) nogil
    int shutdown(int fd, int how) nogil


cdef enum:
    # Pieces of output that become one record.
    IOVECS = 64
    # Octets that TLS itself may have to say to a peer that does not read, answers to
    # its new keys, before that peer is given up.
    OWED_MOST = 64 * 1024
    # No octets, and no error: what has come is less than a record.
    NONE_YET = -2

#: How long a handshake may take, and how long the peer's octets are thrown away after
#: our end of the stream, in seconds, if nothing else is said.
cdef double HANDSHAKE_S = 60.0
cdef double LINGER_S = 1.0


cdef class TLSLink(ReactorLink):
    """
    One connection's descriptor in the readiness set, with TLS.

    Args:
        reactor: The reactor.
        fd: A connected socket; it belongs to the link.
        told: Called once, with the link and None when the handshake is done, or with
            the link and why it failed.
        context: Context of the session.
        server_side: It is the server's end.
        server_hostname: Name to check and to ask for, for a client.
        handshake_timeout: Seconds that the handshake may take.
        shutdown_timeout: Seconds to wait for the peer's end after ours.
        shaking: Has the link during the handshake; told by ``add()`` and ``discard()``.

    Attributes:
        born: When the link was made, on the reactor's clock.

    """

    cdef readonly double born
    cdef Session _session
    cdef bytes _left                # ciphertext that the system has not taken
    cdef size_t _owed               # of these, what TLS itself had to say
    cdef object _failure            # what is wrong behind the octets that were taken
    cdef object _told
    cdef object _context
    cdef object _shaking
    cdef double _shutdown_s
    cdef double _handshake_s
    cdef unsigned char _secure      # the handshake is done
    cdef unsigned char _ended       # the peer has ended its side, by an alert
    cdef unsigned char _alerted     # so have we

    def __init__(
        self,
        Reactor reactor,
        int fd,
        told,
        context,
        *,
        server_side,
        server_hostname=None,
        handshake_timeout=None,
        shutdown_timeout=None,
        shaking=None,
    ):
        ReactorLink.__init__(self, reactor, fd, None)
        if reactor.tls_room is None:
            reactor.tls_room = Room()
        self._session = Session(
            reactor.tls_room, context, server_side, server_hostname
        )
        self._context = context
        self._told = told
        self._handshake_s = (
            HANDSHAKE_S if handshake_timeout is None else handshake_timeout
        )
        self._shutdown_s = LINGER_S if shutdown_timeout is None else shutdown_timeout
        self._shaking = shaking
        self.born = self.driver.time()
        reactor._register(self, False)
        self.driver.schedule(self, self.born + self._handshake_s)
        self._unread = True
        if not server_side:
            self.wrote()  # the client speaks first
        if shaking is not None:
            shaking.add(self, (<object>self).abort)

    # ---- handshakes ----

    cdef int _shake(self) except -1:
        """Go on with the TLS handshake, with the octets that have come, if any."""
        cdef Reactor reactor = <Reactor>self.driver
        cdef Py_ssize_t n
        cdef bint done

        if self._unread:
            n = recv(self.fd, self._session.room.cipher, CIPHER_SIZE, MSG_DONTWAIT)
            if n == 0 or (n < 0 and c_errno != EAGAIN and c_errno != EINTR):
                return self._no_octets(n)
            self._unread = self._hangup or n == CIPHER_SIZE
            if n > 0:
                self._session.feed(n)
        try:
            done = self._session.shake()
        except Exception as exc:
            return self._broken_off(exc)
        self._push()
        if self._unread and not self._closed:
            reactor._do_again(self)
        if not done or self._closed:
            return 0
        self._secure = True
        if self._session.has_input():
            self._unread = True
        self.driver.cancel(self)
        told = self._take_told()
        try:
            told(self, None)
        except BaseException:
            self._finish(None)
            raise
        return 0

    cdef object _take_told(self):
        told, self._told = self._told, None
        if self._shaking is not None:
            self._shaking.discard(self)
            self._shaking = None
        return told

    def first_octets(self):
        """
        Return the octets that have arrived already; there may be none.

        To be called once, right after the TLS handshake.

        Raises:
            ssl.SSLError: They are no TLS.

        """
        cdef Reactor reactor = <Reactor>self.driver
        cdef Py_ssize_t n

        try:
            n = self._receive(NULL, 0)
        except ssl.SSLError:
            self._push()  # an alert, not to be left where others have their output
            raise
        if self._unread or self._ended:
            reactor._do_again(self)
        return (<char *>reactor._buffer)[:n] if n > 0 else b""

    def replay(self, receiver):
        """Tell ``receiver`` what happened while nobody was there."""
        if self._closed:
            receiver.connection_lost(None)
        elif self._unread:
            (<Reactor>self.driver)._do_again(self)

    # ---- input ----

    cdef Py_ssize_t _receive(self, uint8_t *dst, size_t room) except? -3:
        """
        Take octets from the system, and decrypt them.

        Args:
            dst: Where the first of them go; the others go into the reactor's buffer.
            room: Octets that there are room for at ``dst``.

        Returns:
            How many; 0 at the end, -1 with an ``errno``, or ``NONE_YET``.

        """
        cdef Reactor reactor = <Reactor>self.driver
        cdef Session session = self._session
        cdef size_t have = 0, size
        cdef uint8_t *at
        cdef Py_ssize_t n

        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        session.begin()
        while True:
            if not session.has_input():
                if self._ended:
                    return 0
                n = recv(self.fd, session.room.cipher, CIPHER_SIZE, MSG_DONTWAIT)
                if n <= 0:
                    return n
                # Fewer octets than there was room for: the system has no more.
                self._unread = self._hangup or n == CIPHER_SIZE
                session.feed(n)
            n = 0
            try:
                while True:
                    if have < room:
                        at, size = dst + have, room - have
                    else:
                        at = reactor._buffer + (have - room)
                        size = READ_SIZE - (have - room)
                    n = session.open(at, size)
                    if n <= 0:
                        break
                    have += n
            except ssl.SSLError as exc:
                if have == 0:
                    raise
                self._failure = exc  # for the next time
                self._unread = True
            if n < 0:
                self._ended = self._unread = True
            if session.has_input():
                self._unread = True  # the next pass goes on there
            if session.has_output():
                self._answer()
            if have != 0:
                return have
            if not self._ended:  # others have their turn, whatever has come
                return NONE_YET

    cdef int _answer(self) except -1:
        """Send what TLS itself has to say, a new key, say, as long as it is read."""
        cdef Py_ssize_t before = 0 if self._left is None else len(self._left)
        self._push()
        if self._left is not None:
            self._owed += len(self._left) - before
            if self._owed > OWED_MOST:
                raise ssl.SSLError(
                    f"over {OWED_MOST} octets of TLS's own wait to be sent"
                )
        return 0

    cdef int _read(self) except -1:
        """Take octets from the system, once, and deliver what they say."""
        cdef Connection conn = <Connection>self.connection
        cdef Reactor reactor = <Reactor>self.driver
        cdef MessageParser parser
        cdef uint8_t *dst = NULL
        cdef size_t room = 0, direct
        cdef Py_ssize_t n

        if not self._secure:
            return self._shake()
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
        if parser._progress is not NULL:
            room = parser.direct_room(&dst)
        try:
            n = self._receive(dst, room)
        except ssl.SSLError as exc:
            return self._broken_off(exc)
        if n <= 0:
            return self._nothing(n)
        conn.now = reactor._now
        direct = min(room, <size_t>n)
        if direct != 0:
            parser.direct_filled(direct)
        parser.set_window(reactor._buffer, n - direct)
        self._serve_connection(conn)
        return 0

    cdef int _read_opening(self) except -1:
        """Take octets of the opening handshake."""
        cdef Reactor reactor = <Reactor>self.driver
        cdef Py_ssize_t n

        if self.receiver is None and not self._lingering and not self._closing:
            return 0
        try:
            n = self._receive(NULL, 0)
        except ssl.SSLError as exc:
            return self._broken_off(exc)
        if n <= 0:
            return self._nothing(n)
        if self._unread:
            reactor._do_again(self)
        if self.receiver is not None and not self._closing:
            self.receiver.data_received((<char *>reactor._buffer)[:n])
        return 0

    cdef int _nothing(self, Py_ssize_t n) except -1:
        if n == NONE_YET:
            if self._unread and not self._paused:
                (<Reactor>self.driver)._do_again(self)
            self.flush()  # what could not be encrypted before that
            return 0
        if n < 0:
            return self._no_octets(n)
        if self.connection is not None:
            self.connection.receive_eof()
            if not self._blocked:
                self._flush()  # it may have ended its own side only
        self._alert()
        return self._finish(None)

    cdef int _broken_off(self, exc) except -1:
        """End a stream whose octets are not those that the peer has sent."""
        self._push()  # an alert
        return self._finish(exc)

    # ---- output ----

    cdef int _push(self) except -1:
        """Send ciphertext; what the system does not take is kept."""
        cdef Session session = self._session
        cdef const uint8_t *data
        cdef bytes octets
        cdef size_t size
        cdef Py_ssize_t n

        octets = session.take()
        if octets is not None:
            data, size = <const uint8_t *>PyBytes_AS_STRING(octets), len(octets)
        else:
            data, size = session.room.io.output, session.room.io.output_size
            session.room.io.output_size = 0
        if self._left is not None:
            octets = self._left + PyBytes_FromStringAndSize(<char *>data, size)
            self._left = None
            data, size = <const uint8_t *>PyBytes_AS_STRING(octets), len(octets)
        if size == 0 or self._closed or self._broken:
            return 0
        n = 0
        if not self._blocked:
            n = send(self.fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT)
            if n < 0:
                self._output_failed(c_errno)
                if self._broken:
                    return 0
                n = 0
        if <size_t>n < size:
            self._blocked = True
            self._left = PyBytes_FromStringAndSize(<char *>data + n, size - n)
        else:
            self._owed = 0
        return 0

    cdef int _flush(self) except -1:
        """Send what is queued, as much as the system takes now."""
        cdef Connection conn = <Connection>self.connection
        cdef FrameWriter writer
        cdef int sealed

        if self._closed or self._lingering:
            return 0
        if self._left is not None:
            self._push()
        if not self._secure:
            if not self._unread or self._blocked or self._closed:
                return 0
            return self._shake()
        try:
            if conn is None:
                return self._flush_opening()
            writer = conn.writer
            while writer.queued != 0 and not self._blocked and not self._broken:
                sealed = self._seal_some(writer)
                self._push()
                if not sealed:
                    break
        except ssl.SSLError as exc:
            return self._broken_off(exc)
        if self._broken and self._closing:
            writer.advance(writer.queued)
        if self._closing and writer.queued == 0 and not self._blocked:
            return self._end_output()
        if writer.queued | conn._unsent or self._left is not None:
            conn.output_left(self._left_of(conn))
        if conn._was_high or conn._late_pong is not None:
            conn.output_flushed()
        return 0

    cpdef Py_ssize_t unsent(self) except -1:
        cdef Py_ssize_t left = 0 if self._left is None else len(self._left)
        return left + ReactorLink.unsent(self)

    cdef int _seal_some(self, FrameWriter writer) except -1:
        """Encrypt the next octets that are queued, in one piece; tell if that went."""
        cdef uint8_t *plain = self._session.room.plain
        cdef iovec iov[IOVECS]
        cdef size_t parts, i, size = 0, more
        cdef int sealed

        if writer._older is NULL:  # as usual: everything is in the buffer
            size = min(<size_t>writer.queued, <size_t>SEAL_SIZE)
            sealed = self._session.seal(writer._buf + writer._start, size)
        else:
            parts = writer.gather(iov, IOVECS)
            for i in range(parts):
                more = min(iov[i].iov_len, SEAL_SIZE - size)
                memcpy(plain + size, iov[i].iov_base, more)
                size += more
            sealed = self._session.seal(plain, size)
        if sealed:
            writer.advance(size)
        return sealed

    cdef int _flush_opening(self) except -1:
        cdef bytes data = self._opening_output
        if data is not None:
            if self._session.seal(
                <const uint8_t *>PyBytes_AS_STRING(data), len(data)
            ):
                self._opening_output = None
            self._push()
        if self._closing and not self._blocked:
            return self._end_output()
        return self._tell_receiver(self.unsent() != 0)

    # ---- the end ----

    cdef int _alert(self) except -1:
        """Say that nothing more will come, so that nobody can end the stream for us."""
        if not self._alerted and self._secure:
            self._alerted = True
            self._session.unwrap()
            self._push()
        return 0

    cdef int _end_output(self) except -1:
        """End our side, and give the peer a moment to read what it got."""
        cdef Reactor reactor = <Reactor>self.driver

        self._alert()
        if self._left is not None:
            return 0  # until it has left
        self._lingering = True
        shutdown(self.fd, SHUT_WR)
        self.driver.schedule(self, self.driver.time() + self._shutdown_s)
        self._unread = True
        reactor._do_again(self)
        return 0

    def on_timer(self, now):
        """Wait no longer: for the handshake, or for the peer's end."""
        exc = None
        if not self._secure:
            exc = ConnectionAbortedError(
                f"the TLS handshake took longer than {self._handshake_s} seconds"
            )
        self._finish(exc)
        return 0.0

    cdef int _finish(self, object exc) except -1:
        """Leave the set, close the descriptor, tell who is concerned."""
        told = self._take_told()
        ReactorLink._finish(self, exc)
        if told is not None:
            if exc is None:
                exc = ConnectionResetError("the peer ended the TLS handshake")
            told(self, exc)
        return 0

    @property
    def direct(self):
        """Whether OpenSSL is called, not the SSLObject."""
        return self._session.direct

    def get_extra_info(self, name, default=None):
        """Return what asyncio's transports know under ``name``, about TLS as well."""
        ssl_object = self._session.ssl_object
        if name == "ssl_object":
            return ssl_object
        if name == "sslcontext":
            return self._context
        if name in ("peercert", "cipher", "compression"):
            known = {
                "peercert": ssl_object.getpeercert,
                "cipher": ssl_object.cipher,
                "compression": ssl_object.compression,
            }
            return known[name]() if self._secure else default
        return ReactorLink.get_extra_info(self, name, default)
