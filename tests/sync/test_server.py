"""``serve()``: handshakes, hooks, handlers, shutdown, limits."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
import time

import pytest

from tests.faults import rawpeer
from tests.support.host import client_tls, server_tls
from tests.support.systems import unix_sockets
from tests.sync.conftest import WAIT_S, echo, running, threaded
from wsfast.exceptions import (
    ConnectionClosedError,
    ConnectionClosedOK,
    HandshakeError,
    HandshakeTimeout,
    InvalidOrigin,
    InvalidStatus,
)
from wsfast.protocol import Headers, Response
from wsfast.sync import (
    ServerConnection,
    basic_auth,
    broadcast,
    connect,
    serve,
    unix_serve,
)


def test_handler_returns(echoing):
    with running(lambda ws: ws.send("bye")) as server:
        with connect(server.uri, proxy=None) as ws:
            assert ws.recv(WAIT_S) == "bye"
            with pytest.raises(ConnectionClosedOK):
                ws.recv(WAIT_S)


def test_handler_fails(caplog):
    def fail(ws):
        raise ZeroDivisionError("in the handler")

    with running(fail) as server, connect(server.uri, proxy=None) as ws:
        with pytest.raises(ConnectionClosedError) as caught:
            ws.recv(WAIT_S)
    assert caught.value.rcvd.code == 1011
    assert "connection handler failed" in caplog.text
    caplog.clear()
    caplog.get_records("call").clear()


def test_client_that_leaves_is_no_error():
    with running() as server:
        ws = connect(server.uri, proxy=None)
        ws.send("x")
        ws.abort()


def test_many_clients_at_once():
    with running() as server:

        def client(number):
            with connect(server.uri, proxy=None) as ws:
                for count in range(50):
                    ws.send(f"{number} {count}")
                    assert ws.recv(WAIT_S) == f"{number} {count}"

        threads = [threading.Thread(target=client, args=(n,)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * WAIT_S)
            assert not thread.is_alive()


def test_connections_and_broadcast():
    with running() as server:
        with contextlib.ExitStack() as stack:
            clients = [
                stack.enter_context(connect(server.uri, proxy=None)) for _ in range(5)
            ]
            for ws in clients:
                ws.send("x")
                ws.recv(WAIT_S)
            assert len(server.server.connections) == 5
            broadcast(server.server.connections, "all")
            assert [ws.recv(WAIT_S) for ws in clients] == ["all"] * 5
        deadline = time.monotonic() + WAIT_S
        while server.server.connections and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not server.server.connections


def test_shutdown_tells_the_clients():
    with running() as server:
        uri = server.uri
        ws = connect(uri, proxy=None)
        ws.send("x")
        ws.recv(WAIT_S)
        with threaded(server.server.shutdown):
            with pytest.raises(ConnectionClosedOK) as caught:
                ws.recv(WAIT_S)
        assert caught.value.rcvd.code == 1001
        with pytest.raises(OSError, match="refused"):
            connect(uri, proxy=None)


def test_shutdown_waits_for_clients_to_leave():
    with running() as server:
        ws = connect(server.uri, proxy=None)
        with threaded(server.server.shutdown, False):
            time.sleep(0.2)
            ws.send("x")
            assert ws.recv(WAIT_S) == "x"
            ws.close()


def test_shutdown_cuts_clients_that_stay():
    with running(drain_timeout=0.3, close_timeout=60) as server:
        with rawpeer.opened(server.port) as peer:
            peer.frame(1, "x")
            assert peer.recv().payload == b"x"
            started = time.monotonic()
            server.server.shutdown()
            assert time.monotonic() - started < WAIT_S
            assert peer.until_close()[1].code == 1001


def test_shutdown_during_a_handshake():
    with running(open_timeout=60) as server, rawpeer.tcp(server.port) as peer:
        peer.send(b"GET / HTTP/1.1\r\n")
        while not server.server._opening:
            time.sleep(0.01)
        server.server.shutdown()
        assert peer.head().status == 503
        assert peer.ended() in ("eof", "reset")


@contextlib.contextmanager
def on_signal(act):
    """Have a signal call a function; gives what sends one to this thread, the main."""
    before = signal.signal(signal.SIGUSR1, lambda *_: act())
    main = threading.get_ident()
    try:
        yield lambda: signal.pthread_kill(main, signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there are no signals")
def test_shutdown_in_a_signal_handler():
    """It interrupts ``serve_forever()``, which does the work then."""
    server = serve(echo, "127.0.0.1", 0)
    uri = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"

    def client():
        with connect(uri, proxy=None) as ws:
            ws.send("x")
            ws.recv(WAIT_S)
            interrupt()
            with pytest.raises(ConnectionClosedError):
                ws.recv(WAIT_S)
            return ws.close_code

    with on_signal(lambda: server.shutdown(code=1012)) as interrupt:
        with threaded(client) as got:
            server.serve_forever()
            assert server.fileno() == -1
        server.shutdown()
    assert got == [1012]


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="there are no signals")
def test_a_second_signal_cuts_what_is_left():
    server = serve(echo, "127.0.0.1", 0, close_timeout=300, drain_timeout=300)
    port = server.socket.getsockname()[1]

    def client():
        with rawpeer.opened(port) as peer:
            interrupt()
            assert peer.recv().opcode == rawpeer.CLOSE
            interrupt()
            return peer.ended()

    with on_signal(server.shutdown) as interrupt, threaded(client) as got:
        server.serve_forever()
    assert got[0] in ("eof", "reset")


def test_shutdown_without_serving_and_twice():
    server = serve(echo, "127.0.0.1", 0)
    assert server.fileno() >= 0
    server.shutdown()
    server.shutdown()
    server.serve_forever()  # returns at once
    with serve(echo, "127.0.0.1", 0) as server:
        pass
    assert server.fileno() == -1


def test_bad_arguments():
    with pytest.raises(ValueError, match="give one of"):
        serve(echo)
    with pytest.raises(TypeError):
        serve(echo, "127.0.0.1", 0, nonsense=1)
    with pytest.raises(TypeError):
        serve(echo, "127.0.0.1", 0, subprotocols="text")


@unix_sockets
def test_bad_path_of_a_unix_socket(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        unix_serve(echo, str(tmp_path / "a" / "b"))


def test_socket_of_the_callers():
    sock = socket.create_server(("127.0.0.1", 0))
    with running(sock=sock) as server, connect(server.uri, proxy=None) as ws:
        ws.send("x")
        assert ws.recv(WAIT_S) == "x"


def test_hooks_see_request_and_response():
    def request(ws, request):
        assert isinstance(ws, ServerConnection)
        assert ws.state == 0
        if request.path == "/health":
            return ws.respond(200, "OK\n")
        return None

    def response(ws, request, response):
        response.headers["X-Path"] = request.path

    with running(process_request=request, process_response=response) as server:
        with connect(server.uri + "p", proxy=None) as ws:
            assert ws.response.headers["X-Path"] == "/p"
        with rawpeer.tcp(server.port) as peer:
            peer.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            head = peer.head()
            assert head.status == 200
            assert peer.take(3) == b"OK\n"
            assert peer.ended() == "eof"


@pytest.mark.parametrize("name", ["process_request", "process_response"])
def test_hook_that_fails(name, caplog):
    def fail(*args):
        raise ZeroDivisionError

    with running(**{name: fail}) as server:
        with pytest.raises(InvalidStatus) as caught:
            connect(server.uri, proxy=None)
        assert caught.value.response.status_code == 500
    assert f"{name} failed" in caplog.text
    caplog.get_records("call").clear()


def test_select_subprotocol():
    def select(ws, offered):
        return offered[-1] if ws.request.path == "/last" else None

    with running(select_subprotocol=select) as server:
        with connect(server.uri + "last", subprotocols=["a", "b"], proxy=None) as ws:
            assert ws.subprotocol == "b"
        with connect(server.uri, subprotocols=["a", "b"], proxy=None) as ws:
            assert ws.subprotocol is None


def test_basic_auth():
    seen = []

    def handler(ws):
        seen.append(ws.username)

    auth = basic_auth("realm", ("hello", "iloveyou"))
    with running(handler, process_request=auth) as server:
        for user in ("", "hello:wrong@", "other:iloveyou@"):
            with pytest.raises(InvalidStatus) as caught:
                connect(f"ws://{user}127.0.0.1:{server.port}/", proxy=None)
            assert caught.value.response.status_code == 401
        uri = f"ws://hello:iloveyou@127.0.0.1:{server.port}/"
        connect(uri, proxy=None).close()
    assert seen == ["hello"]


def test_origins_and_path():
    with running(origins=["http://good"], path="/ws") as server:
        uri = server.uri + "ws?x=1"
        connect(uri, origin="http://good", proxy=None).close()
        for other, status in ((uri, 403), (server.uri, 404)):
            with pytest.raises(InvalidStatus) as caught:
                connect(other, proxy=None)
            assert caught.value.response.status_code == status


@pytest.mark.parametrize("answer", [418, None], ids=["answers", "looks on"])
@pytest.mark.parametrize(
    ("octets", "options", "kind", "status", "path"),
    [
        (b"GET / HTTP/1.1\r\nbad\r\n\r\n", {}, HandshakeError, 400, None),
        (b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", {}, HandshakeError, 426, "/a"),
        (
            rawpeer.request("/a", extra=("Origin: http://evil",)),
            {"origins": ["http://good"]},
            InvalidOrigin,
            403,
            "/a",
        ),
        (rawpeer.request("/a"), {"path": "/b"}, HandshakeError, 404, "/a"),
        (b"GET / HTTP/1.1\r\n", {"open_timeout": 0.1}, HandshakeTimeout, 408, None),
        (rawpeer.request("/a"), {"max_connections": 0}, HandshakeError, 503, "/a"),
    ],
    ids=["malformed", "plain", "origin", "path", "late", "full"],
)
def test_on_handshake_error(octets, options, kind, status, path, answer):
    found = []

    def hook(exc, request):
        found.append((exc, None if request is None else request.path))
        return Response(answer, "No", Headers()) if answer else None

    with running(on_handshake_error=hook, **options) as server:
        with rawpeer.tcp(server.port) as peer:
            peer.send(octets)
            assert peer.head().status == (answer or status)
            peer.ended()
    [(exc, asked)] = found
    assert isinstance(exc, kind)
    assert (exc.code, asked) == (status, path)


@pytest.mark.parametrize("useless", [101, 200, None])
def test_on_handshake_error_that_is_of_no_use(useless, caplog):
    def hook(exc, request):
        assert isinstance(exc, ZeroDivisionError)
        return Response(useless, "OK", Headers()) if useless else 1 / 0

    def fail(ws, request):
        raise ZeroDivisionError

    with running(on_handshake_error=hook, process_request=fail) as server:
        with pytest.raises(InvalidStatus) as caught:
            connect(server.uri, proxy=None)
    assert caught.value.response.status_code == 500
    assert "hook failed" in caplog.text
    caplog.get_records("call").clear()


@pytest.mark.parametrize("hook", ["process_request", "process_response"])
@pytest.mark.parametrize("returned", [(403, [], b"no"), Response("403", "No", {}, "")])
def test_what_is_no_response(hook, returned, caplog):
    with running(**{hook: lambda ws, *args: returned}) as server:
        with pytest.raises(InvalidStatus) as caught:
            connect(server.uri, proxy=None)
    assert caught.value.response.status_code == 500
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    caplog.get_records("call").clear()


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "TLS"])
def test_max_pending_handshakes(secure):
    ssl = server_tls() if secure else None
    with running(max_pending_handshakes=2, ssl=ssl) as server:
        with contextlib.ExitStack() as stack:
            slow = []
            for _ in range(3):
                slow.append(stack.enter_context(rawpeer.tcp(server.port)))
                while len(server.server._waiting) < min(len(slow), 2):
                    time.sleep(0.01)
            if secure:
                assert slow[0].ended() in ("eof", "reset")
            else:
                slow[0].send(b"GET")  # too late
                assert slow[0].head().status == 503
                slow[2].send(rawpeer.request())
                assert slow[2].head().status == 101


def test_max_connections():
    with running(max_connections=1) as server:
        with connect(server.uri, proxy=None), pytest.raises(InvalidStatus) as caught:
            connect(server.uri, proxy=None)
        assert caught.value.response.status_code == 503


def test_a_handshake_has_a_place_before_its_answer():
    """However slowly a client is answered, no other gets its place meanwhile."""
    asked, answer = threading.Event(), threading.Event()

    def process_request(connection, request):
        asked.set()
        assert answer.wait(20)

    with running(max_connections=1, process_request=process_request) as server:
        opened = []
        first = threading.Thread(
            target=lambda: opened.append(connect(server.uri, proxy=None))
        )
        first.start()
        assert asked.wait(20)
        try:
            with pytest.raises(InvalidStatus) as caught:
                connect(server.uri, proxy=None)
        finally:
            answer.set()
            first.join()
        assert caught.value.response.status_code == 503
        opened[0].close()


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"GET / HTTP/1.0\r\nHost: x\r\n\r\n", 426),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\n a: b\r\n\r\n", 400),
        (b"GET /" + b"x" * 9000, 414),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200, 431),
        (b"\x16\x03\x01\x02\x00", 400),
    ],
)
def test_bad_requests(echoing, octets, status):
    with rawpeer.tcp(echoing.port) as peer:
        peer.send(octets)
        assert peer.head().status == status
        assert peer.ended() == "eof"


def test_slow_requests():
    with running(open_timeout=0.3) as server, rawpeer.tcp(server.port) as peer:
        started = time.monotonic()
        peer.send(b"GET / HTTP/1.1\r\n")
        assert peer.head().status == 408
        assert peer.ended() == "eof"
        assert time.monotonic() - started < 5


def test_slow_tls():
    with running(open_timeout=0.3, ssl=server_tls()) as server:
        with rawpeer.tcp(server.port) as peer:
            assert peer.ended() in ("eof", "reset")
        with connect(
            f"wss://localhost:{server.port}/", ssl=client_tls(), proxy=None
        ) as ws:
            ws.send("others are served")
            assert ws.recv(WAIT_S) == "others are served"


def test_tls_that_drips():
    """No octet of it starts the time anew."""
    with (
        running(ssl=server_tls(), open_timeout=0.5) as server,
        socket.create_connection(("127.0.0.1", server.port)) as sock,
    ):
        sock.settimeout(0.1)
        sock.sendall(b"\x16\x03\x01\x3f\xff")  # the head of a long record
        until = time.monotonic() + WAIT_S
        data = b"?"
        while data:
            assert time.monotonic() < until
            try:
                data = sock.recv(1)
            except TimeoutError:
                with contextlib.suppress(ConnectionError):
                    sock.sendall(b"\1")
            except ConnectionError:
                data = b""


def test_frames_behind_the_request(echoing):
    with rawpeer.tcp(echoing.port) as peer:
        peer.send(rawpeer.request() + rawpeer.frame(1, "early"))
        assert peer.head().status == 101
        assert peer.recv().payload == b"early"


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (rawpeer.frame(3), 1002),
        (rawpeer.frame(1, "x", rsv=rawpeer.RSV2), 1002),
        (rawpeer.frame(1, "x", key=None), 1002),
        (rawpeer.frame(9, "x" * 126), 1002),
        (rawpeer.frame(0, "x"), 1002),
        (rawpeer.frame(1, b"\xed\xa0\x80"), 1007),
        (rawpeer.header(2, 1 << 62, key=rawpeer.KEY, form=8), 1009),
        (rawpeer.header(2, 1 << 63, key=rawpeer.KEY, form=8), 1002),
        (
            rawpeer.frame(2, b"", fin=False) + rawpeer.frame(0, b"", fin=False) * 5000,
            1008,
        ),
        (rawpeer.close_frame(1005), 1002),
        (rawpeer.close_frame(999), 1002),
        (rawpeer.frame(9) * 10_001, 1008),
    ],
)
def test_bad_frames(echoing, octets, code):
    with rawpeer.opened(echoing.port) as peer:
        with threaded(peer.send, octets):
            _, closing, _ = peer.until_close()
        assert closing is not None
        assert closing.code == code


def test_deflate_bomb():
    with running(max_size=100_000) as server:
        offer = "permessage-deflate"
        with rawpeer.opened(server.port, deflate=offer) as peer:
            import zlib

            packer = zlib.compressobj(9, zlib.DEFLATED, -12)
            data = packer.compress(bytes(50_000_000)) + packer.flush(zlib.Z_SYNC_FLUSH)
            peer.frame(2, data[:-4], rsv=rawpeer.RSV1)
            assert peer.until_close()[1].code == 1009


def test_accept_goes_on_after_an_error(monkeypatch, caplog):
    caplog.set_level(logging.ERROR)
    with running() as server:
        listening = server.server.socket

        class Out:
            """A socket that once has no descriptor left."""

            def __init__(self):
                self.failed = False

            def accept(self):
                if not self.failed:
                    self.failed = True
                    raise OSError(24, "Too many open files")
                return listening.accept()

            def __getattr__(self, name):
                return getattr(listening, name)

        server.server.socket = Out()
        with connect(server.uri, proxy=None) as ws:
            ws.send("x")
            assert ws.recv(WAIT_S) == "x"
        server.server.socket = listening
    assert "cannot accept" in caplog.text
    caplog.get_records("call").clear()
