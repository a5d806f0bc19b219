"""
The reactor: one readiness set of its own inside the event loop's.

All connections of an event loop are in one epoll or kqueue set, and the loop watches that
set's one descriptor. When it is ready a *pass* takes every ready connection: receives into
one shared buffer, has the connection parse and deliver what came, and sends what was queued
meanwhile in one system call. It works on asyncio's loop and on uvloop alike.

Only this module and ``wsf_poller`` make system calls on a connection's descriptor.
"""

import errno
import os
import socket
import weakref

from cpython.exc cimport PyErr_SetFromErrno
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport ECONNABORTED, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTO
from libc.errno cimport errno as c_errno
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc

from .._frames cimport MessageParser
from .._writer cimport FrameWriter
from .connection cimport Connection
from .link cimport Driver, Link

__all__ = ["Reactor", "ReactorLink", "reactor_for"]


cdef extern from "wsf_poller.h" nogil:
    enum:
        WSF_READABLE
        WSF_WRITABLE
        WSF_HANGUP
    ctypedef struct wsf_ready:
        void *owner
        uint32_t events
    int wsf_poller_open()
    int wsf_poller_add(int poller, int fd, void *owner, int level)
    int wsf_poller_remove(int poller, int fd)
    int wsf_poller_take(int poller, wsf_ready *ready, int most)
    void wsf_poller_close(int poller)


cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <time.h>
    #include <unistd.h>

    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif

    static double wsf_now(void)
    {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
    }

    /* A descriptor of ours: non-blocking, closed on exec, without Nagle's delay. */
    static void wsf_prepare_socket(int fd, int family)
    {
        int one = 1;

    #ifndef __linux__
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    #endif
    #ifdef SO_NOSIGPIPE
        (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &one, sizeof one);
    #endif
        if (family == AF_INET || family == AF_INET6)
            (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }

    /* An errno that says: not now. */
    static int wsf_not_now(int code)
    {
        return code == EAGAIN || code == EWOULDBLOCK || code == EINTR;
    }

    static int wsf_accept(int fd)
    {
    #ifdef __linux__
        return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    #else
        return accept(fd, NULL, NULL);
    #endif
    }

    /* Send what the iovecs point at; as send() for a single one. */
    static ssize_t wsf_send(int fd, struct iovec *iov, size_t n)
    {
        struct msghdr m;

        if (n == 1)
            return send(fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        memset(&m, 0, sizeof m);
        m.msg_iov = iov;
        m.msg_iovlen = n;
        return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    """
    struct iovec:
        void *iov_base
        size_t iov_len
    enum:
        SHUT_WR
        MSG_DONTWAIT
    double wsf_now() nogil
    void wsf_prepare_socket(int fd, int family) nogil
    bint wsf_not_now(int code) nogil
    int wsf_accept(int fd) nogil
    Py_ssize_t wsf_send(int fd, iovec *iov, size_t n) nogil
    Py_ssize_t recv(int fd, void *buffer, size_t size, int flags) nogil
    Py_ssize_t readv(int fd, iovec *iov, int n) nogil
    int shutdown(int fd, int how) nogil
    int close(int fd) nogil


cdef enum:
    #: Size of the read buffer that all connections share, in octets, and so the most that
    #: one of them takes out of the system per pass.
    READ_SIZE = 256 * 1024
    EVENTS = 256
    IOVECS = 64
    #: Connections accepted per pass and listening socket.
    ACCEPTS = 64

#: How long the peer's octets are thrown away after our end of the stream, in seconds.
cdef double LINGER_S = 1.0

cdef double BACKOFF_MIN_S = 0.1
cdef double BACKOFF_MAX_S = 1.0


cdef class Reactor(Driver):
    """
    A driver whose links are descriptors in a readiness set.

    Args:
        loop: The event loop that it is nested in.

    Attributes:
        busy_poll: Seconds for which a pass polls for more, without sleeping, before it
            returns to the loop: a shorter round trip, for more CPU time while idle.

    """

    cdef int _poller
    cdef uint8_t *_buffer
    cdef double _now
    cdef list _again                # links that have more to do than a pass allowed
    cdef list _released             # links that left the set during this pass
    cdef bint _again_due
    cdef object _error
    cdef dict _acceptors
    cdef public double busy_poll
    cdef object __weakref__

    def __cinit__(self):
        self._poller = -1

    def __init__(self, loop):
        Driver.__init__(self, loop)
        self._buffer = <uint8_t *>malloc(READ_SIZE)
        if self._buffer is NULL:
            raise MemoryError
        self._poller = wsf_poller_open()
        if self._poller < 0:
            PyErr_SetFromErrno(OSError)
        self._again = []
        self._released = []
        self._acceptors = {}
        loop.add_reader(self._poller, self.run_pass)

    def __dealloc__(self):
        if self._poller >= 0:
            wsf_poller_close(self._poller)
        free(self._buffer)

    cpdef double time(self) except? -1:
        return wsf_now()

    # ---- a pass ----

    def run_pass(self):
        """Serve every connection that is ready; called by the event loop."""
        cdef double until
        if self.in_pass:
            raise RuntimeError("a pass of the reactor can't be nested in another")
        self._pass()
        if self.busy_poll > 0:
            until = wsf_now() + self.busy_poll
            while wsf_now() < until and self._error is None:
                if self._pass() != 0:
                    break
        if self._again and not self._again_due:
            self._again_due = True
            self.loop.call_soon(self._run_again)
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _run_again(self):
        self._again_due = False
        self.run_pass()

    cdef int _pass(self) except -1:
        cdef wsf_ready ready[EVENTS]
        cdef int i, n
        cdef Source source
        cdef list again

        self.enter()
        try:
            n = wsf_poller_take(self._poller, ready, EVENTS)
            self._now = wsf_now()
            if self._again:
                again, self._again = self._again, []
                for source in again:
                    source.listed = False
                    self._serve(source, WSF_READABLE)
            for i in range(n):
                source = <Source>ready[i].owner
                self._serve(source, ready[i].events)
        finally:
            self.leave()
            if self._released:
                self._released = []
        return n if n > 0 else 0

    cdef int _serve(self, Source source, uint32_t events) except -1:
        """Serve one of the ready; whatever it raises, the others are served."""
        try:
            source.on_ready(events)
        except BaseException as exc:
            if self._error is None or not isinstance(exc, Exception):
                self._error = exc
        return 0

    cdef int _do_again(self, Source source) except -1:
        """Have ``source`` served in the next pass, with no event."""
        if not source.listed:
            source.listed = True
            self._again.append(source)
            if not self.in_pass and not self._again_due:
                self._again_due = True
                self.loop.call_soon(self._run_again)
        return 0

    # ---- the readiness set ----

    cdef int _register(self, Source source, bint level) except -1:
        if wsf_poller_add(self._poller, source.fd, <void *>source, level) < 0:
            PyErr_SetFromErrno(OSError)
        Py_INCREF(source)  # the set's own reference
        return 0

    cdef int _unregister(self, Source source) except -1:
        wsf_poller_remove(self._poller, source.fd)
        # This pass may still hold an event with its address.
        self._released.append(source)
        Py_DECREF(source)
        if not self.in_pass:
            self._released = []
        return 0

    # ---- listening ----

    def listen(self, sock, factory):
        """
        Accept connections on a listening socket.

        Args:
            sock: A non-blocking socket that listens; it stays the caller's.
            factory: Called with a :class:`ReactorLink` for each connection; it sets the
                link's ``receiver``.

        """
        cdef Acceptor acceptor = Acceptor(self, sock, factory)
        self._register(acceptor, True)
        self._acceptors[sock.fileno()] = acceptor

    def unlisten(self, sock):
        """Stop accepting on ``sock``, before it is closed."""
        cdef Acceptor acceptor = self._acceptors.pop(sock.fileno(), None)
        if acceptor is not None:
            acceptor.stop()

    def adopt(self, transport):
        """
        Take over the socket of an asyncio transport.

        Args:
            transport: A transport from which nothing more is to be read or written by
                its owner; it is closed through its own ``abort()`` in the end.

        Returns:
            The link, or None if its socket can't be taken over: TLS, no socket, or
            octets that wait to be written.

        """
        cdef ReactorLink link
        if transport.get_extra_info("sslcontext") is not None:
            return None
        sock = transport.get_extra_info("socket")
        if sock is None or transport.is_closing():
            return None
        try:
            if transport.get_write_buffer_size() != 0:
                return None
            transport.pause_reading()
        except (AttributeError, NotImplementedError):
            return None
        link = ReactorLink(self)
        link.transport = transport
        link.fd = sock.fileno()
        wsf_prepare_socket(link.fd, sock.family)
        self._register(link, False)
        return link


cdef class Source(Link):
    """Something in the readiness set."""

    cdef int fd
    cdef bint listed                # it waits in the reactor's list for the next pass

    def __cinit__(self):
        self.fd = -1

    cdef int on_ready(self, uint32_t events) except -1:
        raise NotImplementedError


cdef class Acceptor(Source):
    """A listening socket."""

    cdef Reactor _reactor
    cdef object _factory
    cdef object _retry
    cdef double _backoff
    cdef int _family

    def __init__(self, Reactor reactor, sock, factory):
        Source.__init__(self, reactor)
        self._reactor = reactor
        self.fd = sock.fileno()
        self._family = sock.family
        self._factory = factory

    cdef int on_ready(self, uint32_t events) except -1:
        cdef int fd, i
        cdef ReactorLink link

        if self.fd < 0:
            return 0
        for i in range(ACCEPTS):
            fd = wsf_accept(self.fd)
            if fd < 0:
                return self._refused(c_errno)
            self._backoff = 0
            wsf_prepare_socket(fd, self._family)
            link = ReactorLink(self._reactor)
            link.fd = fd
            self._reactor._register(link, False)
            self._factory(link)
            if self.fd < 0:
                return 0
        return 0

    cdef int _refused(self, int code) except -1:
        """Handle an error of accept(): most are the peer's, some are ours (C-8)."""
        if wsf_not_now(code) or code in (ECONNABORTED, EPROTO):
            return 0
        if code not in (EMFILE, ENFILE, ENOBUFS, ENOMEM):
            raise OSError(code, os.strerror(code))
        if self._backoff == 0:
            self.driver.report(
                "accepting connections is suspended",
                OSError(code, os.strerror(code)),
            )
        self._backoff = min(max(self._backoff * 2, BACKOFF_MIN_S), BACKOFF_MAX_S)
        self._reactor._unregister(self)
        self._retry = self.driver.loop.call_later(self._backoff, self._resume)
        return 0

    def _resume(self):
        self._retry = None
        if self.fd >= 0:
            self._reactor._register(self, True)

    def stop(self):
        """Leave the set."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        elif self.fd >= 0:
            self._reactor._unregister(self)
        self.fd = -1


cdef class ReactorLink(Source):
    """
    One connection's descriptor in the readiness set.

    Attributes:
        transport: Whose socket it is, if it was adopted; None if it is ours.

    """

    cdef Reactor _reactor
    cdef Connection _connection     # the same as connection, typed
    cdef readonly object transport
    cdef object _opening_output     # octets to send before there is a connection
    cdef bint _paused               # take no octets from the system
    cdef bint _unread               # an edge said that there is something to read
    cdef bint _hangup               # the end of the stream is behind what is unread
    cdef bint _blocked              # the system takes no more output for now
    cdef bint _broken               # the system takes no output any more
    cdef bint _closing              # end our side once the output is flushed
    cdef bint _lingering            # our side has ended; the peer's octets are dropped
    cdef readonly bint closed
    cdef public long long timer_slot
    cdef public long long timer_index

    def __init__(self, Reactor reactor):
        Source.__init__(self, reactor)
        self._reactor = reactor

    # ---- the opening handshake ----

    def write(self, data):
        """Send octets as they are; only before :meth:`start`, or as its first octets."""
        if self.closed:
            return
        if self._opening_output is None:
            self._opening_output = bytes(data)
        else:
            self._opening_output += data
        if not self.dirty:
            self.wrote()

    def start(self, connection, rest):
        """Serve ``connection`` from now on; ``rest`` is parsed first."""
        cdef Connection conn = connection
        cdef Reactor reactor = self._reactor
        cdef bint nested = reactor.in_pass

        self.receiver = None
        self.connection = self._connection = conn
        if self.closed:
            conn.lost(None)
            return
        if self._opening_output is not None:
            # in front of what the connection has queued already
            queued = conn.writer.take()
            conn.writer.raw(self._opening_output)
            if queued:
                conn.writer.raw(queued)
            self._opening_output = None
            if not self.dirty:
                self.wrote()
        if rest:
            conn.parser.feed(rest)
        # Parse at the end of this pass, or in one of its own.
        self._unread = True
        reactor._do_again(self)

    # ---- input ----

    cdef int on_ready(self, uint32_t events) except -1:
        if self.closed:
            return 0
        if events & WSF_WRITABLE and self._blocked:
            self._blocked = False
            self._flush()
            if self.closed:
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
        cdef Connection conn = self._connection
        cdef Reactor reactor = self._reactor
        cdef MessageParser parser
        cdef iovec iov[2]
        cdef uint8_t *dst = NULL
        cdef size_t room, direct
        cdef Py_ssize_t n
        cdef bint more

        if conn is None:
            return self._read_opening()
        parser = conn.parser
        if parser._pos != parser._end:
            # What was received before and not parsed yet, goes first.
            self._serve_connection(conn)
            if parser._pos != parser._end or self._paused or self.closed:
                return 0
        room = 0
        if parser._target is not NULL:
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
        cdef bint more = False
        cdef bint listed = self.dirty

        self.dirty = True  # what is queued meanwhile leaves below, in one go
        try:
            more = conn.serve()
        finally:
            # The window may be the shared buffer, which the next connection gets.
            if conn.parser._pos != conn.parser._end:
                conn.parser.stash()
            if not listed:
                self.dirty = False
                if conn.writer.queued != 0 or self._closing:
                    self._flush()
        if (more or self._unread) and not self.closed and not self._paused:
            self._reactor._do_again(self)
        return 0

    cdef int _read_opening(self) except -1:
        """Take octets of the opening handshake."""
        cdef Reactor reactor = self._reactor
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
            if self._connection is not None:
                self._connection.receive_eof()
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
        if not self.closed:
            self._unread = True
            self._reactor._do_again(self)

    # ---- output ----

    cpdef object flush(self):
        if not self._blocked:
            self._flush()

    cdef int _flush(self) except -1:
        """Send what is queued, as much as the system takes now."""
        cdef Connection conn = self._connection
        cdef FrameWriter writer
        cdef iovec iov[IOVECS]
        cdef size_t parts, i, size
        cdef Py_ssize_t n

        if self.closed or self._lingering:
            return 0
        if conn is None:
            return self._flush_opening()
        writer = conn.writer
        while writer.queued != 0 and not self._broken:
            size = 0
            if writer._n_segments == 0:  # as usual: everything is in the buffer
                iov[0].iov_base = writer._buf + writer._start
                iov[0].iov_len = size = <size_t>writer.queued
                parts = 1
            else:
                parts = writer.gather(iov, IOVECS)
                for i in range(parts):
                    size += iov[i].iov_len
            n = wsf_send(self.fd, iov, parts)
            if n < 0:
                self._output_failed(c_errno)
                break
            writer.advance(n)
            if <size_t>n < size:
                self._blocked = True
                break
        if self._broken:
            writer.advance(writer.queued)
        if self._closing and writer.queued == 0:
            return self._end_output()
        if conn._was_high or conn._late_pong is not None:
            conn.output_flushed()
        return 0

    cdef int _flush_opening(self) except -1:
        cdef bytes data = self._opening_output
        cdef iovec iov[1]
        cdef Py_ssize_t n

        if data is not None:
            iov[0].iov_base = <char *>data
            iov[0].iov_len = len(data)
            n = wsf_send(self.fd, iov, 1)
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
        return 0

    cdef int _output_failed(self, int code) except -1:
        if wsf_not_now(code) or code == ENOBUFS:
            self._blocked = True
            return 0
        # The peer is gone. What it has sent before can be read still; the end of that,
        # or the error, is told then, outside of whatever is being called now.
        self._broken = True
        self._unread = True
        self._paused = False
        self._reactor._do_again(self)
        return 0

    # ---- the end ----

    cpdef object close(self):
        if self.closed or self._closing:
            return
        self._closing = True
        self._paused = False
        if not self.dirty:
            self.wrote()

    cdef int _end_output(self) except -1:
        """End our side, and give the peer a moment to read what it got."""
        self._lingering = True
        shutdown(self.fd, SHUT_WR)
        self._reactor.schedule(self, wsf_now() + LINGER_S)
        self._unread = True
        self._reactor._do_again(self)
        return 0

    def on_timer(self, now):
        """Linger no longer."""
        self._finish(None)
        return 0.0

    cpdef object abort(self):
        if not self.closed:
            self._finish(None)

    cdef int _finish(self, object exc) except -1:
        """Leave the set, give the descriptor back, tell who is concerned."""
        cdef Connection conn = self._connection
        if self.closed:
            return 0
        self.closed = True
        self._reactor._unregister(self)
        self._reactor.cancel(self)
        if self.transport is not None:
            self.transport.abort()
        else:
            close(self.fd)
        self.fd = -1
        receiver, self.receiver = self.receiver, None
        if conn is not None:
            conn.lost(exc)
        elif receiver is not None:
            receiver.connection_lost(exc)
        return 0

    def get_extra_info(self, name, default=None):
        """Return what asyncio transports know under ``name``."""
        if self.transport is not None:
            return self.transport.get_extra_info(name, default)
        if self.closed or name not in ("socket", "sockname", "peername"):
            return default
        sock = socket.socket(fileno=os.dup(self.fd))
        if name == "socket":
            return sock
        try:
            return sock.getsockname() if name == "sockname" else sock.getpeername()
        except OSError:
            return default
        finally:
            sock.close()

    def is_closing(self):
        """Tell whether the stream has ended or is about to."""
        return self.closed or self._closing


cdef object _reactors = weakref.WeakValueDictionary()


def reactor_for(loop):
    """
    Return the reactor of an event loop, made on the first call.

    Returns:
        None if the loop can't have one: it has no ``add_reader``.

    """
    cdef Reactor reactor = _reactors.get(id(loop))
    if reactor is not None and reactor.loop is loop:
        return reactor
    try:
        reactor = Reactor(loop)
    except (NotImplementedError, AttributeError):
        return None
    _reactors[id(loop)] = reactor
    return reactor
