"""
The reactor: one readiness set of its own inside the event loop's.

All connections of an event loop are in one epoll or kqueue set, and the loop watches
that set's one descriptor. When it is ready a *pass* takes every ready connection:
receives into one shared buffer, has the connection parse and deliver what came, and
sends what was queued meanwhile in one system call. It works on asyncio's loop and on
uvloop alike.

The links to the connections themselves are in ``_reactor_link``.
"""

import asyncio
import os
import weakref

from cpython.exc cimport PyErr_SetFromErrno
from cpython.pythread cimport PyThread_get_thread_ident
from libc.errno cimport ECONNABORTED, EPROTO
from libc.errno cimport errno as c_errno
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc

from .._csrc cimport (
    WSF_READABLE,
    wsf_poller_add,
    wsf_poller_close,
    wsf_poller_open,
    wsf_poller_remove,
    wsf_poller_take,
    wsf_ready,
)
from .link cimport Driver, Link

__all__ = ["Reactor", "ReactorLink", "reactor_for"]


cdef extern from "Python.h":
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1


cdef extern from *:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <sys/socket.h>
    #include <time.h>

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

    #ifdef __linux__
    #define WSF_INHERITED 1
    #else
    #define WSF_INHERITED 0
    #endif

    static int wsf_accept(int fd)
    {
    #ifdef __linux__
        return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    #else
        return accept(fd, NULL, NULL);
    #endif
    }
    """
    double wsf_now() nogil
    bint WSF_INHERITED  # what is set on a listening socket holds for those it accepts
    void wsf_prepare_socket(int fd, int family) nogil
    bint wsf_not_now(int code) nogil
    int wsf_accept(int fd) nogil


cdef enum:
    EVENTS = 256
    # Connections that are served before what they answered is sent. The system's way
    # of sending is long: it stays in the processor's cache for one after the other.
    REPLIES = 16
    #: Connections accepted per pass and listening socket.
    ACCEPTS = 64

#: How long polling without sleeping may keep the event loop from running, in seconds.
cdef double BUSY_MOST_S = 1e-3

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
        self._registered = []
        self._released = []
        self._replied = []
        self._acceptors = {}
        loop.add_reader(self._poller, self.run_pass)

    def __dealloc__(self):
        if self._poller >= 0:
            wsf_poller_close(self._poller)
        free(self._buffer)

    cpdef double time(self) except? -1:
        return wsf_now()

    cpdef object step(self, object callback, object context):
        PyContext_Enter(context)
        try:
            callback(self.done)
        finally:
            PyContext_Exit(context)

    cdef int check_thread(self) except -1:
        if PyThread_get_thread_ident() != self._thread:
            self.other_thread()
        return 0

    # ---- a pass ----

    def run_pass(self):
        """Serve every connection that is ready; called by the event loop."""
        cdef double now, until, most
        cdef int n
        if self.in_pass:
            raise RuntimeError("a pass of the reactor can't be nested in another")
        self._pass()
        if self.busy_poll > 0:
            now = wsf_now()
            until = now + self.busy_poll
            most = now + BUSY_MOST_S
            while now < until and self._error is None and not self._again:
                n = self._pass()
                now = wsf_now()
                if n != 0:
                    until = now + self.busy_poll
                if now >= most:  # the loop's turn, and then ours again
                    self._again_due = True
                    self.loop.call_soon(self._run_again)
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
            self._serving = True
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
            self._send_replies()
            self._serving = False
            if self._released:
                self._released = []
            self.leave()
        return n if n > 0 else 0

    cdef int _serve(self, Source source, uint32_t events) except -1:
        """Serve one of the ready; whatever it raises, the others are served."""
        try:
            source.on_ready(events)
        except Exception as exc:
            self.report("serving a connection failed", exc)
        except BaseException as exc:  # is to end the loop's run, after this pass
            self._error = exc
        if len(self._replied) >= REPLIES:
            self._send_replies()
        return 0

    cdef int _send_replies(self) except -1:
        """Send what the last connections that were served have queued meanwhile."""
        cdef Source source
        for source in self._replied:
            source.dirty = False
            try:
                source.flush()
            except Exception as exc:
                self.report("sending failed", exc)
            except BaseException as exc:
                self._error = exc
        self._replied.clear()
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
        # The set's own reference, in a way that the garbage collector sees.
        source._place = <int>len(self._registered)
        self._registered.append(source)
        return 0

    cdef int _unregister(self, Source source) except -1:
        cdef Source last
        wsf_poller_remove(self._poller, source.fd)
        if self._serving:  # there may still be an event with its address
            self._released.append(source)
        last = <Source>self._registered.pop()
        if last is not source:
            self._registered[source._place] = last
            last._place = source._place
        return 0

    # ---- listening ----

    def listen(self, sock, factory, *, tls=None):
        """
        Accept connections on a listening socket.

        Args:
            sock: A non-blocking socket that listens; it stays the caller's.
            factory: Called with a :class:`ReactorLink` for each connection; it sets the
                link's ``receiver``.
            tls: Arguments for a :class:`TLSLink` to be made instead. The factory is
                called when its handshake is done or has failed, as the link's ``told``.

        """
        cdef Acceptor acceptor = Acceptor(self, sock, factory, tls)
        self._register(acceptor, True)
        self._acceptors[sock.fileno()] = acceptor

    def unlisten(self, sock):
        """Stop accepting on ``sock``, before it is closed."""
        cdef Acceptor acceptor = self._acceptors.pop(sock.fileno(), None)
        if acceptor is not None:
            acceptor.stop()

    def adopt(self, transport, keep=True):
        """
        Take over the socket of an asyncio transport.

        Args:
            transport: A transport from which nothing more is to be read or written by
                its owner.
            keep: Keep it. It is closed through its own ``abort()`` in the end; its
                owner's ``connection_lost()`` is called then, or if the owner closes it.
                Otherwise it ends now, without its owner hearing of it, and its memory
                with it: the link goes on with a descriptor of its own.

        Returns:
            The link, or None if its socket can't be taken over: TLS, no socket, or
            octets that wait to be written.

        """
        if transport.get_extra_info("sslcontext") is not None:
            return None
        sock = transport.get_extra_info("socket")
        if sock is None or transport.is_closing():
            return None
        try:
            if transport.get_write_buffer_size() != 0:
                return None
            owner = transport.get_protocol()
            transport.pause_reading()
        except (AttributeError, NotImplementedError):
            return None
        wsf_prepare_socket(sock.fileno(), sock.family)
        if not keep:
            link = self._duplicate(sock.fileno())
            if link is not None:
                transport.set_protocol(_NOBODY)
                transport.close()
                return link
        link = self._link(sock.fileno(), transport)
        transport.set_protocol(Adopted(link, owner))
        return link

    def _duplicate(self, int fd):
        """Return a link with a descriptor of its own; None if there is none left."""
        try:
            fd = os.dup(fd)
        except OSError:
            return None
        return self._link(fd, None)

    def secure(self, sock, told, **tls):
        """
        Take over a connected socket, and do the TLS handshake on it.

        Args:
            sock: The socket; it is detached.
            told: See :class:`TLSLink`, as for the arguments ``tls``.

        """
        sock.setblocking(False)
        wsf_prepare_socket(sock.fileno(), sock.family)
        return TLSLink(self, sock.detach(), told, **tls)

    def _link(self, int fd, transport):
        link = ReactorLink(self, fd, transport)
        self._register(link, False)
        return link


#: The protocol of transports that have lost their socket to a link.
_NOBODY = asyncio.Protocol()


class Adopted(asyncio.Protocol):
    """
    What a transport has as its protocol after its socket was taken over.

    The link has to leave the readiness set before the transport closes the descriptor,
    whose number may be given out again at once.
    """

    __slots__ = ("_link", "_owner")

    def __init__(self, link, owner):
        self._link = link
        self._owner = owner

    def connection_lost(self, exc):
        """Tell the link, then the owner."""
        link, owner = self._link, self._owner
        self._link = self._owner = None
        try:
            link.transport_lost(exc)
        finally:
            owner.connection_lost(exc)


cdef class Source(Link):
    """Something in the readiness set."""

    def __cinit__(self):
        self.fd = -1

    cdef int on_ready(self, uint32_t events) except -1:
        raise NotImplementedError


cdef class Acceptor(Source):
    """A listening socket."""

    cdef Reactor _reactor
    cdef object _factory
    cdef dict _tls
    cdef object _retry
    cdef double _backoff
    cdef int _family

    def __init__(self, Reactor reactor, sock, factory, tls):
        Source.__init__(self, reactor)
        self._reactor = reactor
        self.fd = sock.fileno()
        self._family = sock.family
        self._factory = factory
        self._tls = tls
        wsf_prepare_socket(self.fd, self._family)

    cdef int on_ready(self, uint32_t events) except -1:
        cdef int fd, i

        if self.fd < 0:
            return 0
        for i in range(ACCEPTS):
            fd = wsf_accept(self.fd)
            if fd < 0:
                return self._refused(c_errno)
            if not WSF_INHERITED:
                wsf_prepare_socket(fd, self._family)
            if self._tls is not None:
                TLSLink(self._reactor, fd, self._factory, **self._tls)
                continue
            link = self._reactor._link(fd, None)
            try:
                self._factory(link)
            except BaseException:
                link.abort()
                raise
            if self.fd < 0:
                return 0
        return 0

    cdef int _refused(self, int code) except -1:
        """Handle an error of accept(): some are the peer's, or pass by waiting."""
        if wsf_not_now(code):
            self._backoff = 0  # whoever waited has been served
            return 0
        if code in (ECONNABORTED, EPROTO):
            return 0
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


from ._reactor_link import ReactorLink  # noqa: E402  (it needs the classes above)
from ._tls_link import TLSLink  # noqa: E402
