"""
TLS in the reactor: by OpenSSL itself, and by documented calls where that cannot be.

What has made others crash is here: contexts with callbacks, sessions that go on,
keys that change, ends that are cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading

import pytest

from tests.asyncio.conftest import LOCALHOST_PEM, Pair, only_reactor, uri
from tests.support.openssl import new_key
from wsfast import Listener
from wsfast.asyncio import connect
from wsfast.exceptions import ConnectionClosedError, InvalidMessage

pytestmark = only_reactor

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
#: a record that nobody has made
GARBAGE = b"\x17\x03\x03\x00\x20" + b"x" * 32
#: a text message with the masking-key 0
HELLO = b"\x81\x85\x00\x00\x00\x00hello"


@pytest.fixture(params=["direct", "object"])
def direct(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Tell whether OpenSSL itself is called."""
    from wsfast.asyncio import _tls

    if request.param == "object":
        monkeypatch.setattr(_tls, "DIRECT", False)
    elif not _tls.DIRECT:  # a Python with its own OpenSSL inside
        pytest.skip("OpenSSL is not to be found")
    return request.param == "direct"


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(LOCALHOST_PEM)
    return context


def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(LOCALHOST_PEM))


async def echo(ws):
    async for message in ws:
        await ws.send(message)


async def check(pair: Pair, server_tls, client_tls, direct: bool | None = None):
    """Have messages echoed; return what the server knows of the client."""
    known = {}

    async def handler(ws):
        for name in ("peercert", "cipher", "ssl_object", "sslcontext", "peername"):
            known[name] = ws.link.get_extra_info(name)
        await echo(ws)

    server = await pair.serve(handler, ssl=server_tls)
    async with connect(uri(server, scheme="wss"), ssl=client_tls) as ws:
        for message in ("small", "ж" * 5000, b"\xff" * 300_000):
            await ws.send(message)
            assert await ws.recv() == message
        if direct is not None:
            assert ws.link.direct is direct
        assert ws.link.get_extra_info("ssl_object").version().startswith("TLS")
    assert ws.close_code == 1000
    return known


# ---- octets ----


@pytest.mark.parametrize("size", [0, 1, 125, 16_384, 65_536, 1_000_000])
async def test_any_size_both_ways(pair: Pair, direct, server_tls, client_tls, size):
    server = await pair.serve(echo, ssl=server_tls)
    address = uri(server, scheme="wss")
    async with connect(address, ssl=client_tls, compression=None) as ws:
        assert ws.link.direct is direct
        for message in ("x" * size, "ж" * (size // 2), bytes(size)):
            ws.send(message)
            ws.send("and one more")
            assert await ws.recv() == message
            assert await ws.recv() == "and one more"


async def test_what_the_system_does_not_take_is_kept(
    pair: Pair, direct, server_tls, client_tls
):
    """Both ends write more than the sockets hold before either of them reads."""
    messages = [bytes([n]) * 200_000 for n in range(60)]

    async def handler(ws):
        for message in messages:
            await ws.send(message)
        for message in messages:
            assert await ws.recv() == message
        await ws.send("all")

    options = {"max_send_buffer": None, "write_limit": 1 << 30, "compression": None}
    server = await pair.serve(handler, ssl=server_tls, **options)
    async with connect(uri(server, scheme="wss"), ssl=client_tls, **options) as ws:
        for message in messages:
            await ws.send(message)
        for message in messages:
            assert await ws.recv() == message
        assert await ws.recv() == "all"


async def test_a_long_message_from_on_open(pair: Pair, direct, server_tls, client_tls):
    got = asyncio.get_running_loop().create_future()

    class Sender(Listener):
        def on_open(self, ws):
            ws.send("x" * 300_000)

        def on_message(self, ws, message):
            got.set_result(message)

    server = await pair.serve(echo, ssl=server_tls)
    async with connect(uri(server, scheme="wss"), ssl=client_tls, listener=Sender):
        assert await asyncio.wait_for(got, 10) == "x" * 300_000


# ---- contexts ----


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
async def test_versions(pair: Pair, direct, version):
    client_tls = client_context()
    client_tls.minimum_version = client_tls.maximum_version = ssl.TLSVersion[version]
    known = await check(pair, server_context(), client_tls, direct)
    assert known["cipher"][1] == version.replace("_", ".")
    assert known["peername"][0] == "127.0.0.1"


async def test_a_name_callback_that_changes_the_context(pair: Pair, direct):
    names = []
    first, second = server_context(), server_context()

    def name_callback(ssl_object, name, context):
        names.append(name)
        ssl_object.context = second

    first.sni_callback = name_callback
    await check(pair, first, client_context(), direct)
    assert names == [None]  # an address is no name, but the callback is called


async def test_a_name_callback_that_fails(pair: Pair, direct):
    context = server_context()
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    server = await pair.serve(echo, ssl=context)
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        await connect(uri(server, scheme="wss"), ssl=client_context())


async def test_a_key_log(pair: Pair, direct, tmp_path):
    server_tls, client_tls = server_context(), client_context()
    server_tls.keylog_filename = str(tmp_path / "server")
    client_tls.keylog_filename = str(tmp_path / "client")
    await check(pair, server_tls, client_tls, direct)
    for name in ("server", "client"):
        assert "TRAFFIC_SECRET" in (tmp_path / name).read_text()


async def test_a_message_callback_is_python_and_keeps_to_the_object(pair: Pair, direct):
    seen = []
    client_tls = client_context()
    client_tls._msg_callback = lambda *arguments: seen.append(arguments[1])
    await check(pair, server_context(), client_tls, False)
    assert {"read", "write"} <= set(seen)


async def test_client_certificates(pair: Pair, direct):
    server_tls, client_tls = server_context(), client_context()
    server_tls.load_verify_locations(LOCALHOST_PEM)
    server_tls.verify_mode = ssl.CERT_REQUIRED
    client_tls.load_cert_chain(LOCALHOST_PEM)
    known = await check(pair, server_tls, client_tls, direct)
    assert known["peercert"]["subject"]


async def test_no_client_certificate(pair: Pair, direct):
    server_tls = server_context()
    server_tls.load_verify_locations(LOCALHOST_PEM)
    server_tls.verify_mode = ssl.CERT_REQUIRED
    server = await pair.serve(echo, ssl=server_tls)
    with pytest.raises((OSError, InvalidMessage)):  # which, depends on the moment
        await connect(uri(server, scheme="wss"), ssl=client_context())
    assert not server.connections


async def test_application_protocols(pair: Pair, direct):
    server_tls, client_tls = server_context(), client_context()
    server_tls.set_alpn_protocols(["http/1.1"])
    client_tls.set_alpn_protocols(["h2", "http/1.1"])
    known = await check(pair, server_tls, client_tls, direct)
    assert known["ssl_object"].selected_alpn_protocol() == "http/1.1"


async def test_the_name_is_checked(pair: Pair, direct, server_tls, client_tls):
    server = await pair.serve(echo, ssl=server_tls)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        await connect(
            uri(server, scheme="wss"), ssl=client_tls, server_hostname="example.org"
        )


# ---- peers that are plain sockets ----


class Plain:
    """A client in a thread, with the TLS of the standard library."""

    def __init__(self, port: int, context: ssl.SSLContext, session=None):
        raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.sock = context.wrap_socket(
            raw, server_hostname="localhost", session=session
        )

    def open(self) -> None:
        self.sock.sendall(REQUEST)
        assert b" 101 " in self.sock.recv(4096)

    def hello(self) -> None:
        self.sock.sendall(HELLO)
        got = b""
        while len(got) < 7:
            got += self.sock.recv(100)
        assert got == b"\x81\x05hello"


async def in_thread(work):
    return await asyncio.wait_for(asyncio.to_thread(work), 30)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
async def test_sessions_are_resumed(pair: Pair, direct, version):
    context = client_context()
    context.maximum_version = ssl.TLSVersion[version]
    server = await pair.serve(echo, ssl=server_context())
    port = server.sockets[0].getsockname()[1]

    def work():
        first = Plain(port, context)
        first.open()
        first.hello()
        again = Plain(port, context, first.sock.session)
        assert again.sock.session_reused
        again.open()
        again.hello()
        first.sock.close()
        again.sock.close()

    await in_thread(work)


class Slow:
    """A client in a thread, whose octets wait until they are asked for."""

    def __init__(self, port: int, room: int | None = None):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context().wrap_bio(
            self.incoming, self.outgoing, server_hostname="localhost"
        )
        self.sock = socket.socket()
        if room is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.sock.settimeout(10)
        self.sock.connect(("127.0.0.1", port))
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.sock.sendall(self.outgoing.read())
                self.incoming.write(self.sock.recv(65536))

    def send(self, behind: bytes = b"") -> None:
        self.sock.sendall(self.outgoing.read() + behind)

    def read_until(self, end: bytes) -> bytes:
        got = b""
        while not got.endswith(end):
            self.incoming.write(self.sock.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                while True:
                    got += self.tls.read(4096)
        return got


async def test_request_and_message_behind_the_handshake(pair: Pair, direct):
    """What comes with the last flight of the handshake is not overlooked."""
    server = await pair.serve(echo, ssl=server_context())
    port = server.sockets[0].getsockname()[1]

    def work():
        peer = Slow(port)
        with peer.sock:
            peer.tls.write(REQUEST + HELLO)
            peer.send()  # Finished, request and message at once
            assert b" 101 " in peer.read_until(b"\x81\x05hello")

    await in_thread(work)


async def test_garbage_behind_the_handshake(pair: Pair, direct):
    """It ends that stream, without a fuss, and no other: the alert is not for them."""
    reports = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reports.append(context))
    server = await pair.serve(echo, ssl=server_context())
    port = server.sockets[0].getsockname()[1]

    def work():
        peer = Slow(port)
        with peer.sock:
            peer.send(GARBAGE)
            with contextlib.suppress(ConnectionResetError):
                while peer.sock.recv(4096):
                    pass

    async with connect(uri(server, scheme="wss"), ssl=client_context()) as ws:
        await in_thread(work)
        await ws.send("still here")
        assert await asyncio.wait_for(ws.recv(), 10) == "still here"
    assert reports == []


async def test_a_message_in_front_of_garbage(pair: Pair, direct):
    """It is delivered, although both came at once."""
    got = []
    ended = asyncio.get_running_loop().create_future()

    async def handler(ws):
        try:
            while True:
                got.append(await ws.recv())
        except ConnectionClosedError as exc:
            ended.set_result(exc)

    server = await pair.serve(handler, ssl=server_context())
    port = server.sockets[0].getsockname()[1]

    def work():
        peer = Slow(port)
        with peer.sock:
            peer.tls.write(REQUEST)
            peer.send()
            peer.read_until(b"\r\n\r\n")
            peer.tls.write(HELLO)
            peer.send(GARBAGE)
            with contextlib.suppress(ConnectionResetError):
                while peer.sock.recv(4096):
                    pass

    await in_thread(work)
    exc = await asyncio.wait_for(ended, 10)
    assert got == ["hello"]
    assert isinstance(exc.__cause__, ssl.SSLError)


async def test_new_keys_without_end(pair: Pair, direct):
    """A peer that asks for them, and reads no answer, is given up."""
    ended = asyncio.get_running_loop().create_future()

    async def handler(ws):
        try:
            await ws.recv()
        except ConnectionClosedError as exc:
            ended.set_result(exc)

    sock = socket.create_server(("127.0.0.1", 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    await pair.serve(handler, sock=sock, ssl=server_context())
    port = sock.getsockname()[1]

    def work():
        peer = Slow(port, room=4096)
        with peer.sock, contextlib.suppress(ConnectionError):
            peer.tls.write(REQUEST)
            peer.send()
            peer.read_until(b"\r\n\r\n")
            for _ in range(1000):
                for _ in range(100):
                    new_key(peer.tls)
                peer.send()
            raise AssertionError("the server took it all")

    await in_thread(work)
    exc = await asyncio.wait_for(ended, 10)
    assert isinstance(exc.__cause__, ssl.SSLError)
    assert "of TLS's own wait to be sent" in str(exc.__cause__)


async def test_an_ssl_object_in_other_hands(pair: Pair, direct, server_tls, client_tls):
    """What is done with it later is not sent on another connection."""
    kept = []

    async def handler(ws):
        kept.append(ws.link.get_extra_info("ssl_object"))
        await echo(ws)

    server = await pair.serve(handler, ssl=server_tls)
    address = uri(server, scheme="wss")
    async with (
        connect(address, ssl=client_tls) as other,
        connect(address, ssl=client_tls) as ws,
    ):
        await ws.send("hello")
        assert await ws.recv() == "hello"
        kept.append(ws.link.get_extra_info("ssl_object"))
        ws.abort()
        for ssl_object in kept[1:]:
            with contextlib.suppress(ssl.SSLError):
                ssl_object.write(b"x" * 300_000)
        await other.send("still here")
        assert await asyncio.wait_for(other.recv(), 10) == "still here"


@pytest.mark.parametrize("how", ["cut", "garbage", "piece"])
async def test_streams_that_break_off(pair: Pair, direct, how, server_tls):
    """A stream cut without an alert, or that is no TLS any more, ends with 1006."""
    ended = asyncio.get_running_loop().create_future()

    async def handler(ws):
        try:
            async for _ in ws:
                pass
        except ConnectionClosedError as exc:
            ended.set_result(exc)

    server = await pair.serve(handler, ssl=server_tls)
    port = server.sockets[0].getsockname()[1]

    def work():
        peer = Plain(port, client_context())
        peer.open()
        raw = socket.socket(fileno=peer.sock.detach())
        raw.settimeout(10)
        if how == "garbage":
            raw.sendall(GARBAGE)
        elif how == "piece":
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 9)
        raw.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):  # it did not read all of it
            while raw.recv(4096):
                pass
        raw.close()

    await in_thread(work)
    exc = await asyncio.wait_for(ended, 10)
    assert exc.rcvd is None
    assert isinstance(exc.__cause__, ssl.SSLError) is (how == "garbage")


async def test_octet_by_octet(pair: Pair, direct):
    """Records that come in pieces are put together."""
    server = await pair.serve(echo, ssl=server_context())
    port = server.sockets[0].getsockname()[1]
    listener = socket.create_server(("127.0.0.1", 0))

    def relay():  # slices what the client says, and forwards the rest
        near, _ = listener.accept()
        far = socket.create_connection(("127.0.0.1", port))
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def back():
            with contextlib.suppress(OSError):
                while octets := far.recv(65536):
                    near.sendall(octets)
                near.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=back)
        thread.start()
        while octets := near.recv(65536):
            for i in range(len(octets)):
                far.sendall(octets[i : i + 1])
        far.shutdown(socket.SHUT_WR)
        thread.join()
        near.close()
        far.close()

    relaying = asyncio.ensure_future(in_thread(relay))
    context = client_context()
    with listener:
        address = f"wss://127.0.0.1:{listener.getsockname()[1]}/"
        async with connect(address, ssl=context, compression=None) as ws:
            for size in (1, 300):
                await ws.send("x" * size)
                assert await ws.recv() == "x" * size
        await relaying


# ---- the handshake ----


async def test_a_server_that_says_nothing(pair: Pair, direct):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"wss://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(ConnectionAbortedError, match=r"longer than 0\.1 seconds"):
            await connect(address, ssl=client_context(), ssl_handshake_timeout=0.1)
        with pytest.raises(ValueError, match="should be a positive number"):
            await connect(address, ssl=client_context(), ssl_handshake_timeout=0)
        with pytest.raises(TimeoutError):
            await connect(address, ssl=client_context(), open_timeout=0.1)


async def test_a_server_that_knows_no_tls(pair: Pair, direct):
    server = await pair.serve(echo)
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await connect(uri(server, scheme="wss"), ssl=client_context())


async def test_clients_in_their_handshake_end_with_the_server(pair: Pair, direct):
    server = await pair.serve(echo, ssl=server_context())
    _, port = server.sockets[0].getsockname()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x16\x03\x01\x02\x00")  # the head of a record
    await check_alive(server)
    server.close()
    await asyncio.wait_for(server.wait_closed(), 10)
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def check_alive(server):
    """Have the server accept one more client, and so all before."""
    async with connect(uri(server, scheme="wss"), ssl=client_context()) as ws:
        await ws.send("alive")
        assert await ws.recv() == "alive"


# ---- what OpenSSL's own client can do, and Python's cannot ----


@pytest.mark.needs("openssl")
@pytest.mark.parametrize(
    ("command", "version"),
    [(b"K\n", "-tls1_3"), (b"k\n", "-tls1_3"), (b"R\n", "-tls1_2")],
)
async def test_new_keys_and_renegotiation(pair: Pair, direct, command, version):
    """New keys are taken, and given; another handshake is refused."""
    server = await pair.serve(echo, ssl=server_context())
    port = server.sockets[0].getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", version),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said = bytearray()

    async def until(text: bytes) -> None:
        while text not in said:
            octets = await asyncio.wait_for(process.stdout.read(4096), 20)
            assert octets, bytes(said)
            said.extend(octets)

    await until(b"---\n")
    process.stdin.write(REQUEST)
    await until(b" 101 ")
    process.stdin.write(HELLO)
    await until(b"\x81\x05hello")
    process.stdin.write(command)
    if command == b"R\n":
        await asyncio.wait_for(process.wait(), 20)
    else:
        await until(b"KEYUPDATE")
        said.clear()
        for _ in range(3):
            process.stdin.write(HELLO)
            await until(b"\x81\x05hello")
            said.clear()
        process.stdin.close()
        process.kill()
        await process.wait()
    await check_alive(server)
