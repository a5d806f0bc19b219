"""
TLS over buffers, for links in the reactor.

A :class:`Session` drives an :class:`ssl.SSLObject`. Up to the end of the handshake, and
where nothing else is possible for ever, that is by documented calls over two
:class:`ssl.MemoryBIO`. After the handshake it calls OpenSSL itself, on the ``SSL`` in
that object, with functions of the library that ``_ssl`` has loaded: no method calls,
no exceptions, and two copies of each octet less. It does so only if that object is laid
out as it is known to be. No ``SSL`` is ever made here, and no OpenSSL linked with.
"""

import _ssl
import os
import ssl

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc

__all__ = ["Session"]


cdef extern from "Python.h":
    enum:
        PyBUF_READ
        PyBUF_WRITE


cdef extern from *:
    """
    #include <dlfcn.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <string.h>

    /* As much of OpenSSL 1.1.1 and 3 as is needed. Opaque there as here. */
    static struct {
        int (*SSL_read_ex)(void *ssl, void *buf, size_t num, size_t *readbytes);
        int (*SSL_write_ex)(void *ssl, const void *buf, size_t num, size_t *written);
        int (*SSL_shutdown)(void *ssl);
        int (*SSL_get_error)(const void *ssl, int ret);
        void *(*SSL_get_rbio)(const void *ssl);
        void (*SSL_set_bio)(void *ssl, void *rbio, void *wbio);
        int (*BIO_get_new_index)(void);
        void *(*BIO_meth_new)(int type, const char *name);
        int (*BIO_meth_set_read)(void *m, int (*)(void *, char *, int));
        int (*BIO_meth_set_write)(void *m, int (*)(void *, const char *, int));
        int (*BIO_meth_set_ctrl)(void *m, long (*)(void *, int, long, void *));
        void *(*BIO_new)(const void *method);
        void (*BIO_set_init)(void *bio, int init);
        void (*BIO_set_data)(void *bio, void *data);
        void *(*BIO_get_data)(void *bio);
        void (*BIO_set_flags)(void *bio, int flags);
        void (*BIO_clear_flags)(void *bio, int flags);
        unsigned long (*ERR_peek_error)(void);
        void (*ERR_clear_error)(void);
        const char *(*ERR_reason_error_string)(unsigned long e);
    } wsf_ossl;

    static void *wsf_bio_method;

    enum { /* of openssl/ssl.h and openssl/bio.h */
        WSF_SSL_ERROR_WANT_READ = 2,
        WSF_SSL_ERROR_ZERO_RETURN = 6,
        WSF_BIO_TYPE_SOURCE_SINK = 0x0400,
        WSF_BIO_CTRL_FLUSH = 11,
        WSF_BIO_READ_RETRY = 0x01 | 0x08,
        WSF_BIO_RETRY_FLAGS = 0x0f
    };

    static int wsf_bio_read(void *bio, char *p, int size)
    {
        wsf_tls_io *io = wsf_ossl.BIO_get_data(bio);
        size_t n = size < 0 ? 0 : (size_t)size;

        wsf_ossl.BIO_clear_flags(bio, WSF_BIO_RETRY_FLAGS);
        if (io == NULL || io->reads <= 0)
            n = 0;
        else if (n > io->input_size)
            n = io->input_size;
        if (io != NULL)
            io->reads--;
        if (n == 0) {
            wsf_ossl.BIO_set_flags(bio, WSF_BIO_READ_RETRY);
            return -1;
        }
        memcpy(p, io->input, n);
        io->input += n;
        io->input_size -= n;
        return (int)n;
    }

    /* Append to the output; false if there is no memory. */
    static int wsf_tls_put(wsf_tls_io *io, const void *p, size_t n)
    {
        if (n > io->output_room - io->output_size) {
            const size_t room = 2 * (io->output_size + n);
            uint8_t *grown = realloc(io->output, room);

            if (grown == NULL)
                return 0;
            io->output = grown;
            io->output_room = room;
        }
        memcpy(io->output + io->output_size, p, n);
        io->output_size += n;
        return 1;
    }

    static int wsf_bio_write(void *bio, const char *p, int size)
    {
        wsf_tls_io *io = wsf_ossl.BIO_get_data(bio);

        wsf_ossl.BIO_clear_flags(bio, WSF_BIO_RETRY_FLAGS);
        if (io == NULL || size <= 0 || !wsf_tls_put(io, p, (size_t)size))
            return -1; /* no retry: an error of the connection */
        return size;
    }

    static long wsf_bio_ctrl(void *bio, int command, long number, void *pointer)
    {
        (void)bio, (void)number, (void)pointer;
        return command == WSF_BIO_CTRL_FLUSH;
    }

    /* Find the functions in the library that the module at `path` has loaded. True if
     * all are there. */
    static int wsf_ossl_find(const char *path)
    {
        void *library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);

        if (library == NULL)
            return 0;
    #define WSF_FIND(name)                                                        \\
        *(void **)&wsf_ossl.name = dlsym(library, #name);                         \\
        if (wsf_ossl.name == NULL)                                                \\
            return 0
        WSF_FIND(SSL_read_ex);
        WSF_FIND(SSL_write_ex);
        WSF_FIND(SSL_shutdown);
        WSF_FIND(SSL_get_error);
        WSF_FIND(SSL_get_rbio);
        WSF_FIND(SSL_set_bio);
        WSF_FIND(BIO_get_new_index);
        WSF_FIND(BIO_meth_new);
        WSF_FIND(BIO_meth_set_read);
        WSF_FIND(BIO_meth_set_write);
        WSF_FIND(BIO_meth_set_ctrl);
        WSF_FIND(BIO_new);
        WSF_FIND(BIO_set_init);
        WSF_FIND(BIO_set_data);
        WSF_FIND(BIO_get_data);
        WSF_FIND(BIO_set_flags);
        WSF_FIND(BIO_clear_flags);
        WSF_FIND(ERR_peek_error);
        WSF_FIND(ERR_clear_error);
        WSF_FIND(ERR_reason_error_string);
    #undef WSF_FIND
        wsf_bio_method = wsf_ossl.BIO_meth_new(
            wsf_ossl.BIO_get_new_index() | WSF_BIO_TYPE_SOURCE_SINK, "wsfast");
        return wsf_bio_method != NULL &&
               wsf_ossl.BIO_meth_set_read(wsf_bio_method, wsf_bio_read) &&
               wsf_ossl.BIO_meth_set_write(wsf_bio_method, wsf_bio_write) &&
               wsf_ossl.BIO_meth_set_ctrl(wsf_bio_method, wsf_bio_ctrl);
    }

    /* The SSL of an _ssl._SSLSocket, NULL if it is not laid out as CPython 3.10 to 3.14
     * do: behind the head of the object a weak reference to its socket, of which there
     * is none, the SSL, and its context; the BIO is the first of a MemoryBIO. */
    static void *wsf_ssl_of(PyObject *object, PyObject *context, PyObject *incoming)
    {
    #if defined(Py_GIL_DISABLED) || PY_VERSION_HEX < 0x030a0000 || \\
        PY_VERSION_HEX >= 0x030f0000
        (void)object, (void)context, (void)incoming;
        return NULL;
    #else
        const struct {
            PyObject_HEAD
            void *socket, *ssl, *context;
        } *laid_out = (const void *)object;
        const struct {
            PyObject_HEAD
            void *bio;
        } *memory = (const void *)incoming;

        if ((size_t)Py_TYPE(object)->tp_basicsize < sizeof *laid_out ||
            (size_t)Py_TYPE(incoming)->tp_basicsize < sizeof *memory ||
            laid_out->context != context || laid_out->socket != NULL ||
            laid_out->ssl == NULL ||
            wsf_ossl.SSL_get_rbio(laid_out->ssl) != memory->bio)
            return NULL;
        return laid_out->ssl;
    #endif
    }

    /* Give an SSL a BIO of ours; return that, or NULL. Only while one of the functions
     * below is at work does it lead anywhere: the SSLObject may outlive the buffers,
     * and what somebody else did with it would go out on another connection. */
    static void *wsf_ssl_use(void *ssl)
    {
        void *bio = wsf_ossl.BIO_new(wsf_bio_method);

        if (bio == NULL)
            return NULL;
        wsf_ossl.BIO_set_data(bio, NULL);
        wsf_ossl.BIO_set_init(bio, 1);
        wsf_ossl.SSL_set_bio(ssl, bio, bio); /* the old ones belong to MemoryBIOs too */
        return bio;
    }

    static int wsf_ssl_read(void *ssl, void *bio, wsf_tls_io *io, void *p, size_t size,
                            size_t *n)
    {
        int done;

        wsf_ossl.BIO_set_data(bio, io);
        done = wsf_ossl.SSL_read_ex(ssl, p, size, n);
        wsf_ossl.BIO_set_data(bio, NULL);
        return done;
    }

    static int wsf_ssl_write(void *ssl, void *bio, wsf_tls_io *io, const void *p,
                             size_t size)
    {
        size_t n = 0;
        int done;

        wsf_ossl.BIO_set_data(bio, io);
        done = wsf_ossl.SSL_write_ex(ssl, p, size, &n);
        wsf_ossl.BIO_set_data(bio, NULL);
        return done && n == size;
    }

    static void wsf_ssl_shutdown(void *ssl, void *bio, wsf_tls_io *io)
    {
        wsf_ossl.BIO_set_data(bio, io);
        (void)wsf_ossl.SSL_shutdown(ssl);
        wsf_ossl.BIO_set_data(bio, NULL);
    }

    static int wsf_ssl_error(const void *ssl)
    {
        return wsf_ossl.SSL_get_error(ssl, 0);
    }

    static const char *wsf_ssl_reason(void)
    {
        const char *reason =
            wsf_ossl.ERR_reason_error_string(wsf_ossl.ERR_peek_error());

        return reason == NULL ? "no reason given" : reason;
    }

    /* Clearing a queue that is empty costs more than the rest of a short message. */
    static void wsf_ssl_clear(void)
    {
        if (wsf_ossl.ERR_peek_error() != 0)
            wsf_ossl.ERR_clear_error();
    }
    """
    enum:
        WSF_SSL_ERROR_WANT_READ
        WSF_SSL_ERROR_ZERO_RETURN
    bint wsf_ossl_find(const char *path)
    bint wsf_tls_put(wsf_tls_io *io, const void *p, size_t n)
    void *wsf_ssl_of(object ssl_object, object context, object incoming)
    void *wsf_ssl_use(void *)
    bint wsf_ssl_read(
        void *, void *bio, wsf_tls_io *io, void *p, size_t size, size_t *n)
    bint wsf_ssl_write(void *, void *bio, wsf_tls_io *io, const void *p, size_t size)
    void wsf_ssl_shutdown(void *, void *bio, wsf_tls_io *io)
    int wsf_ssl_error(const void *)
    const char *wsf_ssl_reason()
    void wsf_ssl_clear()


def _find():
    """Tell whether OpenSSL can be called: not if it is linked into ``_ssl``, say."""
    path = getattr(_ssl, "__file__", None)
    return path is not None and wsf_ossl_find(os.fsencode(path))


#: OpenSSL is called for new sessions. To be switched off by tests.
DIRECT = _find()


cdef class Room:
    """Buffers that the TLS links of a reactor share."""

    def __cinit__(self):
        self.cipher = <uint8_t *>malloc(CIPHER_SIZE)
        self.plain = <uint8_t *>malloc(SEAL_SIZE)
        if self.cipher is NULL or self.plain is NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.cipher)
        free(self.plain)
        free(self.io.output)


cdef class Session:
    """
    One end of a TLS connection, without I/O.

    Args:
        room: Buffers that it shares.
        context: Context of the session.
        server_side: It is the server's end.
        server_hostname: Name to check and to ask for; see ``SSLContext.wrap_bio()``.

    Attributes:
        ssl_object: The :class:`ssl.SSLObject`.
        direct: OpenSSL is called, not that object.

    """

    def __init__(self, Room room, context, server_side, server_hostname):
        self.room = room
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.ssl_object = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=server_hostname,
        )

    def shake(self):
        """
        Go on with the handshake.

        Returns:
            Whether it is done. There may be something to send in any case.

        Raises:
            ssl.SSLError: It has failed; there may be an alert to send.

        """
        try:
            self.ssl_object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self._more = self._incoming.pending != 0
        self._go_direct()
        return True

    def _go_direct(self):
        """Call OpenSSL from now on, if possible."""
        cdef void *found
        cdef bytes said
        ssl_object = self.ssl_object
        # a message callback is Python code, which could come back here
        if (
            not DIRECT
            or type(ssl_object) is not ssl.SSLObject
            or ssl_object.context._msg_callback is not None
        ):
            return
        found = wsf_ssl_of(ssl_object._sslobj, ssl_object.context, self._incoming)
        if found is NULL:
            return
        self._bio = wsf_ssl_use(found)
        if self._bio is NULL:
            return
        self._ssl = found
        self.direct = True
        said = self._outgoing.read()
        if said and not wsf_tls_put(&self.room.io, PyBytes_AS_STRING(said), len(said)):
            raise MemoryError
        self._rest = self._incoming.read() or None  # what came behind the handshake
        self._more = False
        self._incoming = self._outgoing = None  # they keep the storage they once had

    def unwrap(self):
        """Say that nothing more will be sent; there is something to send then."""
        cdef wsf_tls_io *io = &self.room.io
        if self._ssl is not NULL:
            io.input_size = 0
            wsf_ssl_clear()
            wsf_ssl_shutdown(self._ssl, self._bio, io)
            wsf_ssl_clear()
            return
        try:
            self.ssl_object.unwrap()
        except ssl.SSLError:  # as a rule: the peer has not said so yet
            pass

    # ---- input ----

    cdef void begin(self) noexcept:
        """Begin a pass, in which so many records may be without data."""
        self.room.io.reads = READS_PER_RECORD * IDLE_RECORDS
        self._slices = self._gave = 0

    cdef bint has_input(self) except -1:
        """Tell whether there is ciphertext that was taken but not looked at."""
        return self._more or self._rest is not None

    cdef int feed(self, size_t n) except -1:
        """Take the first ``n`` octets of the room's ciphertext buffer."""
        if self._ssl is NULL:
            if n > SLICE:
                self._rest = PyBytes_FromStringAndSize(
                    <char *>self.room.cipher + SLICE, n - SLICE
                )
                self._rest_at = 0
                n = SLICE
            self._incoming.write(
                PyMemoryView_FromMemory(<char *>self.room.cipher, n, PyBUF_READ)
            )
            self._more = True
        else:
            self.room.io.input = self.room.cipher
            self.room.io.input_size = n
        return 0

    cdef Py_ssize_t open(self, uint8_t *dst, size_t size) except -2:
        """
        Decrypt.

        To be called until it returns 0 or -1: what was fed is in a shared buffer.

        Returns:
            How many octets are at ``dst``, at most ``size``; 0 if that takes more
            input, -1 if the peer has ended the stream.

        """
        cdef wsf_tls_io *io = &self.room.io
        cdef size_t n = 0
        cdef int error

        if self._ssl is NULL:
            return self._open_by_object(dst, size)
        if self._rest is not None:
            io.input = <const uint8_t *>PyBytes_AS_STRING(self._rest) + self._rest_at
            io.input_size = len(self._rest) - self._rest_at
        elif not self._more and io.input_size == 0:
            return 0  # the last record ended there, as a rule
        wsf_ssl_clear()
        if wsf_ssl_read(self._ssl, self._bio, io, dst, size, &n):
            io.reads += READS_PER_RECORD
            self._more = n == size  # then the rest of the record waits, maybe
            self._keep_rest()
            return <Py_ssize_t>n
        self._more = False
        error = wsf_ssl_error(self._ssl)
        if error == WSF_SSL_ERROR_WANT_READ:
            self._postpone()
            return 0
        io.input_size = 0
        self._rest = None
        if error == WSF_SSL_ERROR_ZERO_RETURN:
            return -1
        self._fail(error)

    cdef int _postpone(self) except -1:
        """Keep what too many records without data have left, for another pass."""
        cdef wsf_tls_io *io = &self.room.io
        if io.input_size != 0:
            self._rest = PyBytes_FromStringAndSize(
                <const char *>io.input, io.input_size
            )
            self._rest_at = 0
            io.input_size = 0
        else:
            self._rest = None
        return 0

    cdef int _keep_rest(self) except -1:
        """Keep of what came behind the handshake what is not decrypted yet."""
        cdef wsf_tls_io *io = &self.room.io
        if self._rest is not None:
            self._rest_at = len(self._rest) - io.input_size
            if io.input_size == 0:
                self._rest = None
            io.input_size = 0
        return 0

    cdef Py_ssize_t _open_by_object(self, uint8_t *dst, size_t size) except -2:
        while True:
            if not self._more:
                if self._rest is None or self._slices > 0:
                    return 0
                self._next_slice()
            try:
                n = self.ssl_object.read(
                    size, PyMemoryView_FromMemory(<char *>dst, size, PyBUF_WRITE)
                )
                break
            except ssl.SSLWantReadError:
                self._more = False
                self._slices += not self._gave
                self._gave = False
            except ssl.SSLZeroReturnError:
                n = 0
                break
        if n == 0:
            self._more = False
            self._rest = None
            return -1
        self._gave = True
        self._more = n == size or self._incoming.pending != 0
        return n

    cdef int _next_slice(self) except -1:
        """Hand over the next part of what was taken."""
        cdef size_t until = min(self._rest_at + SLICE, <size_t>len(self._rest))
        self._incoming.write(self._rest[self._rest_at : until])
        self._rest_at = until
        if until == <size_t>len(self._rest):
            self._rest = None
        self._more = True
        return 0

    # ---- output ----

    cdef int seal(self, const uint8_t *src, size_t size) except -1:
        """
        Encrypt; the output is to be taken after that.

        Returns:
            Whether that is done. While the peer has us renegotiate, it takes input.

        """
        cdef int error

        if self._ssl is NULL:
            try:  # a copy: a callback of Python's may move what is queued
                self.ssl_object.write(PyBytes_FromStringAndSize(<char *>src, size))
            except ssl.SSLWantReadError:
                return False
            return True
        wsf_ssl_clear()
        self.room.io.input_size = 0
        if not wsf_ssl_write(self._ssl, self._bio, &self.room.io, src, size):
            error = wsf_ssl_error(self._ssl)
            if error != WSF_SSL_ERROR_WANT_READ:
                self._fail(error)
            return False
        return True

    cdef bint has_output(self) except -1:
        """Tell whether there is something to be sent."""
        if self._ssl is NULL:
            return self._outgoing.pending != 0
        return self.room.io.output_size != 0

    cdef bytes take(self):
        """Return the output, and forget it; None if it is in the room's buffer."""
        return self._outgoing.read() if self._ssl is NULL else None

    cdef int _fail(self, int error) except -1:
        reason = wsf_ssl_reason().decode("ascii", "replace")
        wsf_ssl_clear()
        raise ssl.SSLError(error, f"[SSL] {reason}")
