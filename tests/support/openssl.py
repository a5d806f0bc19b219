"""What OpenSSL can do, and Python's module on top of it does not offer."""

from __future__ import annotations

import _ssl
import ctypes
import ssl


def new_key(tls: ssl.SSLObject, *, answered: bool = True) -> None:
    """
    Have a peer told of a new key (RFC 8446 §4.6.3).

    Args:
        tls: One end of TLS 1.3, over buffers; what is to be sent is in its buffer then.
        answered: Ask it for one of its own.

    """
    # Behind the head of that object: a weak reference, and the SSL.
    field = object.__basicsize__ + ctypes.sizeof(ctypes.c_void_p)
    pointer = ctypes.c_void_p.from_address(id(tls._sslobj) + field)  # type: ignore[attr-defined]
    assert ctypes.CDLL(_ssl.__file__).SSL_key_update(pointer, int(answered)) == 1
    tls.do_handshake()
