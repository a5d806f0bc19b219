"""``connect()``: the ways to a server, and what can go wrong on them."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

import pytest

from tests.faults import rawpeer
from tests.support import systems
from tests.support.host import client_tls, server_tls
from tests.support.openssl import new_key
from tests.sync.conftest import WAIT_S, echo, running, threaded
from wsfast.exceptions import (
    HandshakeTimeout,
    InvalidMessage,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidStatus,
    InvalidURI,
    NegotiationError,
    SecurityError,
)
from wsfast.protocol import DeflateOptions, Headers, Request, Response
from wsfast.sync import ClientConnection, connect, reconnect, unix_connect
from wsfast.sync._stream import SocketStream, TLSStream
from wsfast.sync.client import process_exception


def test_plain(echoing):
    with connect(echoing.uri, proxy=None) as ws:
        ws.send("hello")
        assert ws.recv(WAIT_S) == "hello"
        assert ws.remote_address == ("127.0.0.1", echoing.port)
        assert ws.local_address[0] == "127.0.0.1"
        assert ws.response.status_code == 101
        assert ws.request.path == "/"
        assert ws.extensions
        assert ws.id == ws.id


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1_000_000])
@pytest.mark.parametrize("compression", [None, "deflate", DeflateOptions(threshold=0)])
def test_sizes(echoing, size, compression):
    with connect(echoing.uri, compression=compression, proxy=None) as ws:
        message = ("aé漢" * size)[: size // 2]
        ws.send(message)
        assert ws.recv(WAIT_S) == message


def test_name_instead_of_address(echoing):
    with connect(f"ws://localhost:{echoing.port}/", proxy=None) as ws:
        ws.send("x")
        assert ws.recv(WAIT_S) == "x"


def test_tls():
    with running(ssl=server_tls()) as server:
        uri = f"wss://localhost:{server.port}/"
        with connect(uri, ssl=client_tls(), proxy=None) as ws:
            for size in (1, 20_000, 900_000):
                ws.send(bytes(size))
                assert len(ws.recv(WAIT_S)) == size
            pong = ws.ping()
            assert pong.wait(WAIT_S)
        assert ws.close_code == 1000
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(uri, proxy=None)
        with pytest.raises(ssl.SSLCertVerificationError):
            connect(uri, ssl=client_tls(), server_hostname="example.org", proxy=None)


def test_tls_from_many_threads():
    with running(ssl=server_tls()) as server:
        uri = f"wss://localhost:{server.port}/"
        with connect(uri, ssl=client_tls(), proxy=None) as ws:
            texts = [f"{n} " * 3000 for n in range(6)]

            def send(text):
                for _ in range(30):
                    ws.send(text)

            threads = [threading.Thread(target=send, args=(text,)) for text in texts]
            for thread in threads:
                thread.start()
            got = [ws.recv(WAIT_S) for _ in range(180)]
            for thread in threads:
                thread.join(WAIT_S)
            assert sorted(got) == sorted(texts * 30)


def test_tls_keeper_answers_pings():
    def pinging(ws):
        time.sleep(0.3)
        assert ws.ping().wait(WAIT_S)
        ws.send("answered")
        ws.wait_closed()

    with running(pinging, ssl=server_tls()) as server:
        uri = f"wss://localhost:{server.port}/"
        with connect(uri, ssl=client_tls(), proxy=None) as ws:
            time.sleep(1)
            assert ws.recv(WAIT_S) == "answered"


@systems.unix_sockets
def test_unix_socket(tmp_path):
    path = str(tmp_path / "s")
    with running(unix_path=path):
        with unix_connect(path) as ws:
            ws.send("x")
            assert ws.recv(WAIT_S) == "x"
        with connect(f"ws+unix:{path}:/x") as ws:
            assert ws.request.path == "/x"
    assert not (tmp_path / "s").exists()


def test_socket_of_the_callers(echoing):
    sock = socket.create_connection(("127.0.0.1", echoing.port))
    with connect("ws://elsewhere/", sock=sock) as ws:
        ws.send("x")
        assert ws.recv(WAIT_S) == "x"
        assert ws.socket is sock


def test_addresses(echoing):
    with connect(
        "ws://example.org/",
        address=("127.0.0.1", echoing.port),
        source_address=("127.0.0.2", 0),
        proxy=None,
    ) as ws:
        assert ws.request.headers["Host"] == "example.org"
        assert ws.local_address[0] == "127.0.0.2"


def test_headers_and_subprotocol():
    def which(ws):
        ws.send(f"{ws.subprotocol} {ws.request.headers['X']} {ws.request.path}")

    with running(which, subprotocols=["b", "a"]) as server:
        uri = f"ws://user:secret@127.0.0.1:{server.port}/p?q=1"
        with connect(
            uri,
            subprotocols=["a", "b"],
            additional_headers={"X": "y"},
            origin="http://o",
            proxy=None,
        ) as ws:
            assert ws.recv(WAIT_S) == "b y /p?q=1"
            assert ws.request.headers["Origin"] == "http://o"
            assert ws.request.headers["Authorization"].startswith("Basic ")


def test_create_connection(echoing):
    class Mine(ClientConnection):
        pass

    with connect(echoing.uri, create_connection=Mine, proxy=None) as ws:
        assert type(ws) is Mine


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"uri": "http//x"}, InvalidURI),
        ({"uri": "ws://x/", "ssl": client_tls()}, ValueError),
        ({"uri": "ws://x/", "compression": "zip"}, ValueError),
        ({"uri": "ws://x/", "subprotocols": "text"}, TypeError),
        ({"uri": "ws://x/", "nonsense": 1}, TypeError),
        ({"uri": "ws://x/", "proxy": "ftp://user:pw@proxy:1"}, InvalidProxy),
        (
            {"uri": "ws://x/", "proxy": "http://p", "proxy_ssl": client_tls()},
            ValueError,
        ),
    ],
)
def test_bad_arguments(kwargs, error):
    with pytest.raises(error):
        connect(**kwargs)


def test_refused():
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        connect(f"ws://127.0.0.1:{port}/", proxy=None)


@pytest.mark.parametrize("drips", [False, True])
def test_silent_server(drips):
    with rawpeer.Listening() as listening:

        def answer():
            with listening.tcp() as peer:
                peer.head()
                if drips:
                    peer.send_slowly(b"HTTP/1.1 101 x\r\n" + b"a: b\r\n" * 10, 1, 0.02)
                peer.ended()

        with threaded(answer):
            started = time.monotonic()
            with pytest.raises(HandshakeTimeout, match="opening handshake"):
                connect(listening.uri, open_timeout=0.5, proxy=None)
            assert time.monotonic() - started < 5


def test_the_end_in_tls_behind_the_last_octets():
    """A peer that says both at once waits for our end; there is no more to read."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        peer = server_tls().wrap_bio(incoming, outgoing, server_side=True)

        def answer() -> None:
            while True:
                try:
                    peer.do_handshake()
                except ssl.SSLWantReadError:  # noqa: PERF203 - waiting is the work
                    theirs.sendall(outgoing.read())
                    incoming.write(theirs.recv(65536))
                else:
                    break
            peer.write(b"last words")
            with pytest.raises(ssl.SSLWantReadError):
                peer.unwrap()
            theirs.sendall(outgoing.read())

        stream = TLSStream(
            SocketStream(ours), client_tls(), server_hostname="localhost"
        )
        with threaded(answer) as outcome:
            stream.do_handshake(lambda: WAIT_S)
            while (data := stream.recv()) is None:
                pass
            assert data == b"last words"
            assert stream.wait(0)
            assert stream.recv() == b""
        assert outcome == [None]


def test_new_keys_without_end_in_tls():
    """A peer that asks for them, and reads no answer, is given up."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        peer = server_tls().wrap_bio(incoming, outgoing, server_side=True)

        def ask() -> None:
            while True:
                try:
                    peer.do_handshake()
                except ssl.SSLWantReadError:  # noqa: PERF203 - waiting is the work
                    theirs.sendall(outgoing.read())
                    incoming.write(theirs.recv(65536))
                else:
                    break
            with contextlib.suppress(ConnectionError):
                for _ in range(100):
                    for _ in range(500):
                        new_key(peer)
                    theirs.sendall(outgoing.read())

        stream = TLSStream(
            SocketStream(ours), client_tls(), server_hostname="localhost"
        )
        with threaded(ask) as outcome:
            stream.do_handshake(lambda: WAIT_S)
            with pytest.raises(ssl.SSLError, match="wait to be sent"):
                while True:
                    stream.recv()
            ours.close()
        assert outcome == [None]


def test_silence_in_tls():
    with rawpeer.Listening() as listening:
        uri = listening.uri.replace("ws:", "wss:")
        with pytest.raises(TimeoutError):
            connect(uri, ssl=client_tls(), open_timeout=0.3, proxy=None)


ANSWERS = [
    (b"", InvalidMessage),
    (b"HTTP/1.1 101", InvalidMessage),
    (b"SSH-2.0-x\r\n\r\n", InvalidMessage),
    (b"HTTP/1.1 101 ok\r\na b: c\r\n\r\n", InvalidMessage),
    (b"HTTP/1.1 101 ok\r\n" + b"a: b\r\n" * 300 + b"\r\n", SecurityError),
    (b"HTTP/1.1 101 ok\r\na: " + b"b" * 20_000, SecurityError),
]


@pytest.mark.parametrize(("answer", "error"), ANSWERS)
def test_bad_response(answer, error):
    with rawpeer.Listening() as listening:

        def respond():
            with listening.tcp() as peer:
                peer.head()
                peer.send(answer)

        with threaded(respond), pytest.raises(error):
            connect(listening.uri, proxy=None)


def test_refusal_with_its_body():
    def refuse(connection, request):
        return connection.respond(403, "not you\n")

    with running(process_request=refuse) as server:
        with pytest.raises(InvalidStatus) as caught:
            connect(server.uri, proxy=None)
        assert caught.value.response.status_code == 403
        assert caught.value.response.body == b"not you\n"


def test_subprotocol_that_nobody_offered():
    with rawpeer.Listening() as listening:

        def respond():
            with listening.opened("Sec-WebSocket-Protocol: x") as peer:
                peer.ended()

        with threaded(respond), pytest.raises(NegotiationError):
            connect(listening.uri, proxy=None)


def test_message_right_behind_the_response():
    with rawpeer.Listening() as listening:

        def respond():
            with listening.opened(behind=rawpeer.frame(1, "first", key=None)) as peer:
                peer.until_close()

        with threaded(respond):
            with connect(listening.uri, close_timeout=1, proxy=None) as ws:
                assert ws.recv(WAIT_S) == "first"


def redirecting(*targets):
    left = list(targets)

    def redirect(connection, request):
        if not left:
            return None
        response = connection.respond(302, "")
        response.headers["Location"] = left.pop(0)
        return response

    return redirect


def test_redirects():
    with running(process_request=redirecting("/a", "b")) as server:
        with connect(server.uri, proxy=None) as ws:
            assert ws.request.path == "/b"


def test_redirects_without_end():
    with running(process_request=redirecting(*["/"] * 20)) as server:
        with pytest.raises(SecurityError, match="more than 5 redirects"):
            connect(server.uri, max_redirects=5, proxy=None)


def test_redirect_to_another_origin_forgets_credentials():
    with running() as other:
        with running(process_request=redirecting(other.uri)) as server:
            headers = {"Authorization": "x", "Cookie": "y", "X": "z"}
            with connect(server.uri, additional_headers=headers, proxy=None) as ws:
                assert ws.remote_address[1] == other.port
                assert "Authorization" not in ws.request.headers
                assert "Cookie" not in ws.request.headers
                assert ws.request.headers["X"] == "z"


def test_redirect_with_a_socket():
    with running(process_request=redirecting("/")) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        with pytest.raises(ValueError, match="preexisting socket"):
            connect(server.uri, sock=sock)


def test_on_request():
    def process_request(ws, request):
        if request.path == "/":
            response = ws.respond(302, "")
            response.headers["Location"] = "/next"
            return response
        return None

    paths = []

    def sign(request):
        paths.append(request.path)
        request.headers["X-Signed"] = f"by me for {request.path}"

    def other(request):
        return Request("/elsewhere", request.headers)

    def spoil(request):
        del request.headers["Upgrade"]

    with running(process_request=process_request) as server:
        with connect(server.uri, proxy=None, on_request=sign) as ws:
            assert paths == ["/", "/next"]
            assert ws.request.headers["X-Signed"] == "by me for /next"
        with connect(server.uri, proxy=None, on_request=other) as ws:
            assert ws.request.path == "/elsewhere"
        with pytest.raises(ValueError, match="set by the opening handshake"):
            connect(server.uri, proxy=None, on_request=spoil)


def test_errors_of_a_proxy_may_go_away():
    busy, denied = (
        InvalidProxyStatus(Response(status, "", Headers())) for status in (503, 403)
    )
    reset = InvalidProxyMessage("none")
    reset.__cause__ = ConnectionResetError()
    assert process_exception(busy) is process_exception(reset) is None
    assert process_exception(denied) is denied


def test_reconnect_goes_on():
    count = []

    def once(ws):
        ws.send(str(len(count)))
        count.append(1)
        if len(count) == 2:
            raise ZeroDivisionError  # the client sees 1011

    with running(once) as server:
        server.server.logger.disabled = True
        got = []
        try:
            for ws in reconnect(
                server.uri, reconnect_delays=lambda: iter([0.0] * 9), proxy=None
            ):
                got.append(ws.recv(WAIT_S))
                if len(got) == 4:
                    break
        finally:
            server.server.logger.disabled = False
        assert got == ["0", "1", "2", "3"]


def test_reconnect_gives_up_on_what_does_not_go_away():
    with running(process_request=lambda c, r: c.respond(404, "no")) as server:
        with pytest.raises(InvalidStatus):
            next(iter(reconnect(server.uri, proxy=None)))


def test_reconnect_as_a_context():
    with running(echo) as server:
        once = reconnect(server.uri, proxy=None)
        with once as ws:
            with pytest.raises(RuntimeError, match="reentrant"), once:
                pass
            ws.send("x")
            assert ws.recv(WAIT_S) == "x"
