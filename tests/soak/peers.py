"""
Peers of their own make: ``python -m tests.soak.peers SEED RATE NAME=PORT...``.

Most open, talk and close as they should, as fast as they are allowed to; one in eight
does what one of `MANNERS` does. None of them shares code with what is under test.
"""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import sys
import threading
import time
import zlib
from collections.abc import Callable

from tests.faults.rawpeer import (
    BINARY,
    CLOSE,
    CONT,
    KEY,
    PING,
    PONG,
    RSV1,
    TEXT,
    EndedError,
    Frame,
    Peer,
    frame,
    header,
    request,
)
from tests.soak.book import Book
from tests.soak.child import Notes, emit, obey
from tests.support.host import client_tls

NOTES = Notes()
THREADS = 6
LIMIT_S = 60.0
#: share of the cycles that are over TLS: a handshake is what they are made of
SECURE = 0.02
BAD = 1 / 8


class Crowd:
    """
    Threads that play one peer after another.

    Args:
        seed: Of the choices.
        rate: Cycles a second, of all threads.
        ports: Of the servers, by name.

    """

    def __init__(self, seed: int, rate: float, ports: dict[str, int]) -> None:
        self.seed, self.pause_s = seed, THREADS / rate
        self.ports = ports
        self.plain = [name for name in ports if not name.endswith("-tls")]
        self.secure = [name for name in ports if name.endswith("-tls")]
        self.tls = client_tls()
        self.tls.options |= ssl.OP_NO_TICKET
        self.running = False
        self.threads: list[threading.Thread] = []

    async def start(self) -> None:
        """Begin."""
        self.running = True
        self.threads = [
            threading.Thread(target=self.play, args=(random.Random(self.seed + n),))
            for n in range(THREADS)
        ]
        self.seed += THREADS
        for thread in self.threads:
            thread.start()

    async def rest(self) -> None:
        """End."""
        self.running = False
        for thread in self.threads:
            await asyncio.to_thread(thread.join)
        self.threads.clear()

    def play(self, choices: random.Random) -> None:
        """Play one peer after another, at most so many a second."""
        due = time.monotonic()
        while self.running:
            name = choices.choice(
                self.secure if choices.random() < SECURE else self.plain
            )
            bad = choices.random() < BAD
            manner = choices.choice(MANNERS) if bad else good
            try:
                manner(self, name, choices)
            except (AssertionError, OSError, EndedError) as exc:
                NOTES.complain(f"{manner.__name__} at {name}: {exc!r}")
            NOTES.count("bad cycles" if bad else "cycles")
            due = max(due + self.pause_s, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))

    def tcp(self, name: str, receive_buffer: int | None = None) -> Peer:
        """Connect to a server, with TLS if it wants that."""
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(LIMIT_S)
        try:
            sock.connect(("127.0.0.1", self.ports[name]))
            if name.endswith("-tls"):
                sock = self.tls.wrap_socket(sock, server_hostname="localhost")
        except OSError:
            sock.close()
            raise
        return Peer(sock, masks=True, timeout_s=LIMIT_S)

    def opened(
        self, name: str, path: str, receive_buffer: int | None = None, **changes: str
    ) -> Peer:
        """Connect to a server and do the opening handshake."""
        peer = self.tcp(name, receive_buffer)
        try:
            peer.send(request(path, **changes))  # type: ignore[arg-type]
            head = peer.head()
            assert head.status == 101, head.raw
        except BaseException:
            peer.sock.close()
            raise
        return peer


def good(crowd: Crowd, name: str, choices: random.Random) -> None:
    """Open, talk and close, as it should be."""
    book = Book()
    with crowd.opened(name, "/good") as peer:
        for _ in range(choices.choice([0, 1, 1, 2])):
            wanted = choices.choice([1, 1, 1, 3])
            opcode = choices.choice([TEXT, BINARY])
            peer.frame(opcode, book.say(wanted, choices.choice([0, 300])))
            for _ in range(wanted):
                hear(peer, book)
        peer.frame(TEXT, book.goodbye())
        hear(peer, book)
        assert book.done, "no goodbye"
        peer.close()
        closing = next_but_pings(peer)
        assert (closing.opcode, closing.code) == (CLOSE, 1000), closing
        end = peer.ended(LIMIT_S)
        assert end == "eof", end
    NOTES.count("messages", book.heard)


def next_but_pings(peer: Peer) -> Frame:
    """Return the next frame that is no ping; there are some when it was slow."""
    while (received := peer.recv()).opcode == PING:
        peer.frame(PONG, received.payload)
    return received


def hear(peer: Peer, book: Book) -> None:
    """Take a message in."""
    received = next_but_pings(peer)
    assert received.opcode in (TEXT, BINARY), received
    book.hear(received.payload)


def refused(peer: Peer, *codes: int) -> None:
    """See that the server ends the connection, with one of these codes."""
    _, closing, _ = peer.until_close()
    # A reset may take the close frame with it: the server did not read all.
    assert closing is None or closing.code in codes, closing


def breaks_the_protocol(crowd: Crowd, name: str, choices: random.Random) -> None:
    with crowd.opened(name, "/bad") as peer:
        peer.send(
            choices.choice(
                [
                    frame(3, b"reserved"),
                    frame(TEXT, "rsv", rsv=RSV1),
                    frame(TEXT, "not masked", key=None),
                    frame(CONT, "continues nothing"),
                    frame(PING, bytes(126)),
                    frame(CLOSE, b"\x03"),
                    frame(CLOSE, (1005).to_bytes(2, "big")),
                    header(TEXT, 5, form=8, key=KEY) + b"hello",
                ]
            )
        )
        refused(peer, 1002)


def half_a_handshake(crowd: Crowd, name: str, choices: random.Random) -> None:
    octets = request("/bad")
    with crowd.tcp(name) as peer:
        peer.send(octets[: choices.randrange(len(octets))])
        choices.choice([peer.reset, peer.half_close, lambda: None])()


def no_handshake(crowd: Crowd, name: str, choices: random.Random) -> None:
    with crowd.tcp(name) as peer:
        peer.send(
            choices.choice(
                [
                    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    b"\x16\x03\x01 nonsense \x00\xff\r\n\r\n",
                    request("/bad", drop=("Sec-WebSocket-Key",)),
                    request("/bad", Sec_WebSocket_Version="8"),
                    request("/bad", extra=("X: " + "x" * 70_000,)),
                ]
            )
        )
        peer.half_close()
        peer.ended(LIMIT_S)


def does_not_read(crowd: Crowd, name: str, choices: random.Random) -> None:
    book = Book()
    with crowd.opened(name, "/bad", receive_buffer=4096) as peer:
        peer.frame(TEXT, book.say(40, 50_000))
        time.sleep(choices.uniform(0, 0.5))
        choices.choice([peer.reset, peer.half_close, lambda: None])()


def reads_slowly(crowd: Crowd, name: str, choices: random.Random) -> None:
    book = Book()
    with crowd.opened(name, "/good", receive_buffer=4096) as peer:
        peer.frame(TEXT, book.say(10, 30_000))
        for _ in range(10):
            time.sleep(0.01)
            hear(peer, book)
        peer.frame(TEXT, book.goodbye())
        hear(peer, book)
        assert book.done
        peer.close()
        peer.ended(LIMIT_S)


def resets(crowd: Crowd, name: str, choices: random.Random) -> None:
    octets = frame(TEXT, Book().say(5, 30_000))
    peer = crowd.opened(name, "/bad")
    peer.send(octets[: choices.randrange(1, len(octets) + 1)])
    peer.reset()


def leaves(crowd: Crowd, name: str, choices: random.Random) -> None:
    octets = frame(TEXT, Book().say(5, 30_000)) + frame(PING, "x") * 20
    with crowd.opened(name, "/bad") as peer:
        peer.send(octets[: choices.randrange(1, len(octets) + 1)])
        peer.half_close()
        peer.ended(LIMIT_S)


def sends_too_much(crowd: Crowd, name: str, choices: random.Random) -> None:
    with crowd.opened(name, "/bad") as peer:
        if choices.random() < 0.5:
            peer.send(header(BINARY, 1 << 40, key=KEY) + b"the beginning")
        else:
            peer.send(frame(BINARY, bytes(40_000), fin=False))
            peer.send(frame(CONT, bytes(40_000)))
        refused(peer, 1009)


def no_utf8(crowd: Crowd, name: str, choices: random.Random) -> None:
    with crowd.opened(name, "/bad") as peer:
        bad = choices.choice(
            [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"x" * 99 + b"\xe2"]
        )
        if choices.random() < 0.5:
            peer.frame(TEXT, b"begins well", fin=False)
            peer.frame(CONT, bad)
        else:
            peer.frame(TEXT, bad)
        refused(peer, 1007)


def deflated(payload: bytes) -> bytes:
    """Compress a payload as RFC 7692 says."""
    deflate = zlib.compressobj(wbits=-15)
    return (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


BOMB = deflated(bytes(10_000_000))


def deflates_nonsense(crowd: Crowd, name: str, choices: random.Random) -> None:
    offer = {"Sec_WebSocket_Extensions": "permessage-deflate"}
    with crowd.opened(name, "/bad", **offer) as peer:
        kind = choices.choice(["nonsense", "bomb", "cut"])
        if kind == "nonsense":
            peer.frame(TEXT, b"\xff" * 50, rsv=RSV1)
            refused(peer, 1002, 1007)
        elif kind == "bomb":
            peer.frame(BINARY, BOMB, rsv=RSV1)
            refused(peer, 1009)
        else:
            data = deflated(Book().say(0, 60_000).encode())
            peer.send(frame(TEXT, data, rsv=RSV1)[:-6])
            peer.reset()


def fragments(crowd: Crowd, name: str, choices: random.Random) -> None:
    with crowd.opened(name, "/bad") as peer:
        peer.frame(TEXT, "", fin=False)
        if choices.random() < 0.3:
            peer.send(frame(CONT, "", fin=False) * 5000)
            refused(peer, 1008, 1009)
        else:
            peer.send(frame(CONT, "x", fin=False) * choices.randrange(2000))


def no_end_of_tls(crowd: Crowd, name: str, choices: random.Random) -> None:
    secure = choices.choice(crowd.secure)
    sock = socket.create_connection(("127.0.0.1", crowd.ports[secure]), LIMIT_S)
    with Peer(sock, masks=True) as peer:
        if choices.random() < 0.5:
            peer.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40))
            choices.choice([peer.reset, peer.half_close])()
            return
        wrapped = crowd.tls.wrap_socket(sock, server_hostname="localhost")
        inner = Peer(wrapped, masks=True, timeout_s=LIMIT_S)
        inner.send(request("/bad"))
        assert inner.head().status == 101
        inner.send(frame(TEXT, Book().say(1))[:20])
        plain = socket.socket(fileno=wrapped.detach())
        plain.close()


MANNERS: list[Callable[[Crowd, str, random.Random], None]] = [
    breaks_the_protocol,
    half_a_handshake,
    no_handshake,
    does_not_read,
    reads_slowly,
    resets,
    leaves,
    sends_too_much,
    no_utf8,
    deflates_nonsense,
    fragments,
    no_end_of_tls,
]


async def main() -> None:
    """Play as told until standard input ends."""
    ports = {name: int(port) for name, port in (a.split("=") for a in sys.argv[3:])}
    crowd = Crowd(int(sys.argv[1]), float(sys.argv[2]), ports)
    emit(ready=True)
    await obey(NOTES, go=crowd.start, rest=crowd.rest)


if __name__ == "__main__":
    asyncio.run(main())
