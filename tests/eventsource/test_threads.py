"""Event streams for threads: bare sockets, and WSGI servers."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
import wsgiref.simple_server
import wsgiref.validate
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.eventsource.wire import LIMIT_S, REQUEST
from wsfast import ConnectionClosed, EventSource, SlowConsumer
from wsfast.eventsource import EventSourceClosed, History
from wsfast.eventsource.threads import SocketEventSource, WSGIEventSource
from wsfast.exceptions import InvalidHandshake

ASKED = REQUEST + b"\r\n"
FIRST = b":\n\n"


class Peer:
    """The client's end."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.seen = b""
        sock.settimeout(LIMIT_S)

    def until(self, octets: bytes) -> bytes:
        """Read up to these octets."""
        while octets not in self.seen:
            data = self.sock.recv(65536)
            assert data, self.seen[-200:]
            self.seen += data
        end = self.seen.index(octets) + len(octets)
        found, self.seen = self.seen[:end], self.seen[end:]
        return found

    def rest(self) -> bytes:
        """Read to the end."""
        while data := self.sock.recv(65536):
            self.seen += data
        return self.seen

    def leave(self, how: str) -> None:
        """End the connection."""
        if how == "reset":
            linger = struct.pack("ii", 1, 0)
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.sock.close()


@contextlib.contextmanager
def pair(**options: Any) -> Iterator[tuple[SocketEventSource, Peer]]:
    """Return an event stream over a socket, and its client."""
    ours, theirs = _connected()
    with theirs:
        theirs.sendall(ASKED)
        source = EventSource.from_socket(ours, **options)
        try:
            yield source, Peer(theirs)
        finally:
            source.close()


def _connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    return ours, theirs


def wait_until(true: Callable[[], Any]) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# ---- sockets ----


def test_socket():
    history = History()
    event = history.add("old", id=1)
    history.add("newer", id=2)
    del event
    ours, theirs = _connected()
    with theirs:
        peer = Peer(theirs)
        theirs.sendall(b"\r\n")
        head = REQUEST + b"Last-Event-ID: 1\r\n"
        source = EventSource.from_socket(ours, head, history=history, retry=1)
        assert (source.last_event_id, source.missed) == ("1", False)
        with source:
            assert source.send("a\nb", event="e", id=7)
            assert source.ping("hi")
            with pytest.raises(ValueError, match="line ends"):
                source.send("x", event="a\nb")
            with pytest.raises(TimeoutError):
                source.recv(timeout=0)
        assert b"text/event-stream" in peer.until(b"\r\n\r\n")
        assert peer.rest() == (
            b"retry: 1000\n\nid: 2\ndata: newer\n\n"
            b"event: e\nid: 7\ndata: a\ndata: b\n\n: hi\n\n"
        )
    with pytest.raises(EventSourceClosed, match="was closed"):
        source.send("x")
    assert not source.ping()


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_socket_disconnect_is_noticed_while_nobody_sends(how):
    codes: list[int] = []
    options = {"ping": None, "on_close": lambda _, code, reason: codes.append(code)}
    with pair(**options) as (source, peer):
        peer.until(FIRST)
        peer.leave(how)
        with pytest.raises(EventSourceClosed, match="the peer has gone"):
            source.recv(LIMIT_S)
        assert list(source) == []
    wait_until(lambda: codes)
    assert codes == [1006]


def test_socket_callback_that_fails_does_no_harm(caplog):
    def on_close(*_: Any) -> None:
        raise RuntimeError("on purpose")

    for _ in range(2):  # the keeper goes on
        with pair(on_close=on_close) as (source, peer):
            peer.until(FIRST)
            peer.leave("fin")
            assert source.wait_closed(LIMIT_S)
    wait_until(lambda: caplog.text.count("on_close failed") == 2)


def test_socket_pings():
    with pair(ping=0.05) as (_, peer):
        for _ in range(3):
            peer.until(b": ping\n\n")


def test_socket_with_a_client_that_takes_nothing():
    with pair(send_timeout=0.3) as (source, _), pytest.raises(SlowConsumer):
        while True:
            source.send("x" * 100_000)


def test_socket_from_several_threads():
    with pair() as (source, peer):

        def send(n: int) -> None:
            for _ in range(100):
                source.send(f"{n}" * 1000)

        threads = [threading.Thread(target=send, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        peer.until(FIRST)
        events = [peer.until(b"\n\n")[6:-2] for _ in range(400)]
        for thread in threads:
            thread.join()
    assert sorted(events) == sorted([b"%d" % n * 1000 for n in range(4)] * 100)


@pytest.mark.parametrize(
    ("request_", "status"),
    [(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"406"), (b"\x16\r\n\r\n", b"400")],
)
def test_socket_refuses(request_, status):
    ours, theirs = _connected()
    with theirs:
        with pytest.raises(InvalidHandshake):
            EventSource.from_socket(ours, request_)
        assert Peer(theirs).rest().split()[1] == status
    assert ours.fileno() == -1


def test_socket_whose_request_does_not_come():
    ours, theirs = _connected()
    with theirs, pytest.raises(TimeoutError):
        EventSource.from_socket(ours, open_timeout=0.05)
    assert ours.fileno() == -1


# ---- WSGI ----


class WSGIApp:
    """An application whose handler greets, then sends what it is told."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.sources: list[WSGIEventSource] = []
        self.codes: list[int] = []

    def __call__(self, environ: Any, start_response: Any) -> Any:
        source = EventSource.from_wsgi(
            environ,
            start_response,
            self.handle,
            headers={"X-A": "b"},
            on_close=lambda _, code, reason: self.codes.append(code),
            **self.options,
        )
        self.sources.append(source)
        return source

    def handle(self, source: WSGIEventSource) -> None:
        source.send("hello", id=1)
        with contextlib.suppress(ConnectionClosed):
            source.recv()


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def wsgiref_serving(app: Any) -> Iterator[int]:
    """Serve one request after the other, with the reference implementation."""
    server = wsgiref.simple_server.make_server(
        "127.0.0.1", 0, wsgiref.validate.validator(app), handler_class=_Quiet
    )
    with server, _running(server):
        yield server.server_address[1]


@contextlib.contextmanager
def werkzeug_serving(app: Any) -> Iterator[int]:
    """Serve with werkzeug, a thread per request."""
    pytest.importorskip("werkzeug")
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *args: Any) -> None:
            pass

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    with _running(server):
        yield server.server_port
    server.server_close()


@contextlib.contextmanager
def _running(server: Any) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(LIMIT_S)


SERVERS = {"wsgiref": wsgiref_serving, "werkzeug": werkzeug_serving}


@contextlib.contextmanager
def visiting(port: int, asked: bytes = ASKED) -> Iterator[Peer]:
    """Connect and ask."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(asked)
        yield Peer(sock)


@pytest.mark.parametrize("server", SERVERS)
def test_wsgi(server):
    # The validator hides the socket: there, a ping finds out that the client has gone.
    app = WSGIApp(ping=0.05 if server == "wsgiref" else None)
    with SERVERS[server](app) as port:
        with visiting(port) as peer:
            head = peer.until(b"\r\n\r\n")
            assert b" 200 OK\r\n" in head
            assert b"X-A: b\r\n" in head
            peer.until(b"id: 1\ndata: hello\n\n")
            (source,) = app.sources
            assert source.url.endswith("/events?a=b")
            source.send("from another thread")
            peer.until(b"data: from another thread\n\n")
            source.close()
            peer.rest()
        wait_until(lambda: app.codes)
        assert app.codes == [1000]
        for how in ("fin", "reset"):
            app.codes.clear()
            with visiting(port) as peer:
                peer.until(b"hello\n\n")
                peer.leave(how)
            wait_until(lambda: app.codes)
            assert app.codes == [1006]
            with pytest.raises(EventSourceClosed, match="the peer has gone"):
                app.sources[-1].send("x")


def test_wsgi_pings():
    with werkzeug_serving(WSGIApp(ping=0.05)) as port, visiting(port) as peer:
        for _ in range(3):
            peer.until(b": ping\n\n")


def test_wsgi_client_that_takes_nothing():
    app = WSGIApp(send_timeout=0.5)
    with werkzeug_serving(app) as port, visiting(port) as peer:
        peer.until(b"hello\n\n")
        with pytest.raises(SlowConsumer):
            while True:
                app.sources[0].send("x" * 50_000)
        wait_until(lambda: app.codes)
    assert app.codes == [1008]


def without_a_socket(**options: Any) -> WSGIEventSource:
    """Return an event stream of a server that shows no socket."""
    environ = {"REQUEST_METHOD": "GET", "HTTP_ACCEPT": "text/event-stream"}
    return EventSource.from_wsgi(environ, lambda *_: None, **options)


def test_wsgi_without_a_socket():
    source = without_a_socket(ping=0.05)
    source.send("before")
    octets = iter(source)
    assert next(octets) == FIRST
    assert next(octets) == b"data: before\n\n"
    assert next(octets) == b": ping\n\n"
    threading.Timer(0.05, source.send, ("later",)).start()
    while (data := next(octets)) == b": ping\n\n":
        pass
    assert data == b"data: later\n\n"
    source.close()  # the server, which has found out by the ping
    with pytest.raises(EventSourceClosed, match="the peer has gone"):
        source.send("x")
    assert list(octets) == []


def test_wsgi_drops_for_a_slow_client():
    source = without_a_socket(overflow="drop", write_limit=100)
    assert source.send("x" * 200)
    assert not source.send("y")
    octets = iter(source)
    next(octets)
    assert next(octets) == b"data: " + b"x" * 200 + b"\n\n"
    assert source.send("z")
    threading.Thread(target=source.close).start()
    assert b"".join(octets) == b"data: z\n\n"
    with pytest.raises(ValueError, match="overflow must be"):
        without_a_socket(overflow="close")
    with pytest.raises(ValueError, match="ping must be"):
        without_a_socket(ping=0)


GUNICORN = "gunicorn tests.eventsource.wsgi_app:app -b 127.0.0.1:0 --threads 4"
PROCESSES = {
    "gthread": f"{GUNICORN} --graceful-timeout 5 -k gthread",
    "gevent": f"{GUNICORN} --graceful-timeout 5 -k gevent",
    "pywsgi": "tests.eventsource.pywsgi",
}


@pytest.mark.parametrize("name", PROCESSES)
def test_wsgi_in_a_process_of_its_own(name):
    pytest.importorskip("gunicorn")
    if name != "gthread":
        pytest.importorskip("gevent")
    from tests.asgi.process import Server

    server = Server(*PROCESSES[name].split())
    try:
        codes = []
        for how in ("fin", "reset"):
            with visiting(server.port) as peer:
                peer.until(b"hello\n\n")
                for n in range(50):
                    peer.until(b"data: %d\n\n" % n)
                peer.leave(how)
            codes.append(1006)
            wait_until(lambda: _codes(server.port) == codes)
        last = ASKED.replace(b"/events", b"/end")[:-2] + b"Connection: close\r\n\r\n"
        with visiting(server.port, last) as peer:
            assert b"data: end\n\n" in peer.rest()
    except BaseException:
        server.give_up()
        raise
    server.end()


def _codes(port: int) -> list[int]:
    """Ask the application which streams have ended, and how."""
    asked = b"GET /codes HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with visiting(port, asked) as peer:
        body = peer.rest().partition(b"\r\n\r\n")[2]
    codes: list[int] = json.loads(body)
    return codes
