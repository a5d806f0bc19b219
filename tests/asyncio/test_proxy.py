"""Connecting through proxies that are scripted here (THREATS K-9)."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from typing import Any

import pytest

from tests.asyncio.conftest import Pair, uri
from tests.support.systems import unix_sockets
from wsfast import HandshakeTimeout, InvalidStatus, Response
from wsfast.asyncio import connect
from wsfast.asyncio.client import process_exception
from wsfast.exceptions import (
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    ProxyError,
)

OK = b"HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n"


async def echo(ws):
    async for message in ws:
        await ws.send(message)


class Script:
    """
    A proxy that answers each request with the next of some octets.

    Args:
        answers: What to answer; where it grants a tunnel, there is one, to ``port``.
        port: Port of the server, whatever a request asks for.
        tls: Context for an HTTPS proxy.

    Attributes:
        heads: The requests.
        connections: How many there were.
        asked: There was a request.
        left: A connection has ended.

    """

    def __init__(
        self,
        *answers: bytes,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        until: bytes = b"\r\n\r\n",
    ) -> None:
        self.answers = list(answers)
        self.target, self.tls, self.until = port, tls, until
        self.heads: list[str] = []
        self.connections = 0
        self.asked, self.left = asyncio.Event(), asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Script:
        self.server = await asyncio.start_server(
            self.serve, "127.0.0.1", 0, ssl=self.tls
        )
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for _ in range(5):
            await asyncio.sleep(0.01)  # transports close

    def uri(self, scheme: str = "http", who: str = "") -> str:
        """Return the address of this proxy."""
        return f"{scheme}://{who}127.0.0.1:{self.port}"

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        self.connections += 1
        try:
            await self.talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.tasks.discard(task)
            self.left.set()
            writer.transport.abort()

    async def talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one request after another; pass octets once there is a tunnel."""
        while self.answers:
            self.heads.append((await reader.readuntil(self.until)).decode("latin-1"))
            self.asked.set()
            answer = self.answers.pop(0)
            if answer is OK:
                there = await asyncio.open_connection("127.0.0.1", self.target)
                writer.write(answer)
                try:
                    await asyncio.gather(
                        self.copy(reader, there[1]), self.copy(there[0], writer)
                    )
                finally:
                    there[1].transport.abort()
                return
            writer.write(answer)
            await writer.drain()
            if b"Connection: close" in answer:
                writer.close()
                return
        await reader.read()

    @staticmethod
    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.write_eof() if sink.can_write_eof() else sink.close()


def port_of(server: Any) -> int:
    """Return the port of a server."""
    port: int = server.sockets[0].getsockname()[1]
    return port


async def round_trips(ws: Any) -> None:
    """See that messages pass, large ones too."""
    for message in ("hello", b"\0" * 300_000):
        await ws.send(message)
        assert await ws.recv() == message


# ---- tunnels ----


async def test_http_proxy(pair: Pair):
    requests = []
    server = await pair.serve(echo, process_request=lambda _, r: requests.append(r))
    async with (
        Script(OK, port=port_of(server)) as proxy,
        connect(
            "ws://name.invalid:81/there",
            proxy=proxy.uri(who="me:secret@"),
            proxy_headers={"X-For-Proxy": "1"},
            user_agent_header="me/1",
            reactor=pair.reactor,
        ) as ws,
    ):
        assert (type(ws.link).__name__ == "ReactorLink") == pair.reactor
        await round_trips(ws)
    assert proxy.heads == [
        "CONNECT name.invalid:81 HTTP/1.1\r\n"
        "Host: name.invalid:81\r\n"
        "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"
        "X-For-Proxy: 1\r\n"
        "User-Agent: me/1\r\n\r\n"
    ]
    (request,) = requests
    assert request.headers["Host"] == "name.invalid:81"
    assert "Proxy-Authorization" not in request.headers
    assert "X-For-Proxy" not in request.headers


async def test_host_and_port_are_where_the_tunnel_leads(pair: Pair):
    server = await pair.serve(echo)
    async with (
        Script(OK, port=port_of(server)) as proxy,
        connect("ws://name.invalid/", proxy=proxy.uri(), host="other", port=9) as ws,
    ):
        assert ws.request.headers["Host"] == "name.invalid"
    assert proxy.heads[0].startswith("CONNECT other:9 ")


async def test_tls_through_http_proxy(pair: Pair, server_tls, client_tls):
    server = await pair.serve(echo, ssl=server_tls)
    async with Script(OK, OK, port=port_of(server)) as proxy:
        address = proxy.uri()
        async with connect("wss://localhost/", proxy=address, ssl=client_tls) as ws:
            assert ws.transport.get_extra_info("ssl_object") is not None
            await round_trips(ws)
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect("wss://name.invalid/", proxy=address, ssl=client_tls)
    assert proxy.heads[0].startswith("CONNECT localhost:443 ")


async def test_certificate_behind_a_proxy_is_checked(pair: Pair, server_tls):
    server = await pair.serve(echo, ssl=server_tls)
    async with Script(OK, port=port_of(server)) as proxy:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect("wss://localhost/", proxy=proxy.uri())


async def test_https_proxy(pair: Pair, server_tls, client_tls):
    server = await pair.serve(echo)
    async with (
        Script(OK, port=port_of(server), tls=server_tls) as proxy,
        connect(
            "ws://name.invalid/",
            proxy=proxy.uri("https"),
            proxy_ssl=client_tls,
            reactor=pair.reactor,
        ) as ws,
    ):
        await round_trips(ws)


async def test_tls_in_tls(pair: Pair, server_tls, client_tls):
    server = await pair.serve(echo, ssl=server_tls)
    async with (
        Script(OK, port=port_of(server), tls=server_tls) as proxy,
        connect(
            "wss://other.invalid/",
            proxy=proxy.uri("https"),
            ssl=client_tls,
            server_hostname="localhost",
            proxy_ssl=client_tls,
        ) as ws,
    ):
        await round_trips(ws)


async def test_certificate_of_the_proxy_is_checked(server_tls, client_tls):
    async with Script(OK, OK, tls=server_tls) as proxy:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect("ws://name.invalid/", proxy=proxy.uri("https"))
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(
                "ws://name.invalid/",
                proxy=proxy.uri("https"),
                proxy_ssl=client_tls,
                proxy_server_hostname="other.invalid",
            )
    assert proxy.heads == []


async def test_proxy_of_the_environment(pair: Pair, monkeypatch):
    server = await pair.serve(echo)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with Script(OK, port=port_of(server)) as proxy:
        monkeypatch.setenv("ws_proxy", proxy.uri())
        async with connect("ws://name.invalid/") as ws:
            await round_trips(ws)
        direct = uri(server)
        async with connect(direct, proxy=None) as ws:
            await round_trips(ws)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with connect(direct) as ws:
            await round_trips(ws)
    assert proxy.connections == 1


async def test_a_socket_needs_no_proxy(pair: Pair, monkeypatch):
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("ws_proxy", "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = await pair.serve(echo)
    sock = socket.create_connection(server.sockets[0].getsockname())
    async with connect("ws://name.invalid/", sock=sock) as ws:
        await round_trips(ws)


@unix_sockets
async def test_a_unix_socket_needs_no_proxy(pair: Pair, monkeypatch, tmp_path):
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    path = str(tmp_path / "s")
    await pair.serve(echo, unix_path=path)
    async with connect(f"ws+unix:{path}:/") as ws:
        await round_trips(ws)


# ---- redirects ----


async def test_redirect_through_a_proxy(pair: Pair):
    """K-5, K-9: nothing of the proxy's reaches a server, on either side of it."""
    requests = []

    def process(ws, request):
        requests.append(request)
        if request.path == "/":
            where = {"Location": "ws://b.invalid/there", "Content-Length": "0"}
            return Response(302, "Found", where)
        return None

    server = await pair.serve(echo, process_request=process)
    async with (
        Script(OK, OK, port=port_of(server)) as proxy,
        connect(
            "ws://u:origin@a.invalid/",
            proxy=proxy.uri(who="me:secret@"),
            additional_headers={"Cookie": "a"},
            reactor=pair.reactor,
        ) as ws,
    ):
        await round_trips(ws)
    assert [head.split()[1] for head in proxy.heads] == ["a.invalid:80", "b.invalid:80"]
    assert all("Proxy-Authorization: Basic" in head for head in proxy.heads)
    assert "Authorization" in requests[0].headers
    assert not {"Authorization", "Cookie"} & {*requests[1].headers}
    assert not any("Proxy-Authorization" in r.headers for r in requests)


# ---- proxies that do not help ----


async def test_credentials_are_missing(reactor: bool):
    answer = (
        b"HTTP/1.1 407 Proxy Authentication Required\r\n"
        b'Proxy-Authenticate: Basic realm="x"\r\nContent-Length: 4\r\n\r\nnope'
    )
    async with Script(answer, answer) as proxy:
        with pytest.raises(InvalidProxyStatus, match="HTTP 407") as caught:
            await connect("ws://name.invalid/", proxy=proxy.uri(), reactor=reactor)
    assert caught.value.response.body == b"nope"
    assert caught.value.response.headers["Proxy-Authenticate"] == 'Basic realm="x"'
    assert proxy.connections == 1
    assert len(proxy.heads) == 1
    assert process_exception(caught.value) is caught.value


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_server_that_is_away_may_come_back(status: int):
    answer = f"HTTP/1.1 {status} Oh\r\nContent-Length: 0\r\n\r\n".encode()
    async with Script(answer) as proxy:
        with pytest.raises(InvalidProxyStatus) as caught:
            await connect("ws://name.invalid/", proxy=proxy.uri())
    assert process_exception(caught.value) is None


@pytest.mark.parametrize(
    "answer",
    [
        b"\x05\x00\x00\x01\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 8192,
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 129 + b"\r\n",
        b"HTTP/1.1 200 OK\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n\x81\x02hi",
        b"HTTP/2 200\r\n\r\n",
    ],
)
async def test_answers_that_are_none(reactor: bool, answer: bytes):
    async with Script(answer) as proxy:
        with pytest.raises(InvalidProxyMessage, match="valid HTTP response") as caught:
            await connect("ws://name.invalid/", proxy=proxy.uri(), reactor=reactor)
    assert caught.value.__cause__ is not None
    assert process_exception(caught.value) is caught.value


async def test_proxy_that_ends_the_stream(reactor: bool):
    async with Script(b"HTTP/1.1 200 OK\r\nConnection: close\r\n") as proxy:
        with pytest.raises(InvalidProxyMessage) as caught:
            await connect("ws://name.invalid/", proxy=proxy.uri(), reactor=reactor)
    assert isinstance(caught.value.__cause__, EOFError)
    assert process_exception(caught.value) is None


async def test_proxy_that_is_not_there():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        for scheme in ("http", "https", "socks5h", "socks4"):
            with pytest.raises(ConnectionRefusedError):
                await connect("ws://127.0.0.1/", proxy=f"{scheme}://127.0.0.1:{port}")


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h", "socks4a"])
async def test_one_time_for_all(scheme: str):
    """K-3."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(HandshakeTimeout):
            await connect("wss://name.invalid/", proxy=address, open_timeout=0.3)
    await asyncio.sleep(0.05)  # transports close


async def test_one_time_for_tls_in_a_tunnel(client_tls):
    async with Script(b"HTTP/1.1 200 OK\r\n\r\n") as proxy:
        with pytest.raises(HandshakeTimeout):
            await connect(
                "wss://localhost/", proxy=proxy.uri(), ssl=client_tls, open_timeout=0.5
            )
    await asyncio.sleep(0.05)  # transports close


async def test_addresses_that_are_none():
    with pytest.raises(InvalidProxy, match="scheme"):
        await connect("ws://127.0.0.1/", proxy="ftp://p")
    with pytest.raises(ValueError, match="proxy_ssl=None"):
        await connect("ws://127.0.0.1/", proxy="https://p", proxy_ssl=None)
    for scheme in ("http", "socks5"):
        with pytest.raises(ValueError, match="proxy_ssl argument"):
            await connect("ws://127.0.0.1/", proxy=f"{scheme}://p", proxy_ssl=True)
    with pytest.raises(TypeError, match="no_such"):
        await connect("ws://127.0.0.1:9/", no_such=1)


# ---- SOCKS; tests/interop has it with real proxies ----


async def test_socks_without_python_socks(monkeypatch):
    monkeypatch.setitem(sys.modules, "python_socks", None)
    with pytest.raises(ImportError, match=r"pip install 'wsfast\[proxy\]'"):
        await connect("ws://127.0.0.1/", proxy="socks5h://127.0.0.1:9")


@pytest.mark.parametrize(
    ("reply", "again"),
    [(1, False), (2, False), (3, True), (4, True), (5, True), (6, True)],
)
async def test_socks_replies(reply: int, again: bool):
    refusal = bytes((5, reply, 0, 1, 0, 0, 0, 0, 0, 0))
    # No authentication; then the request for name.invalid, port 80.
    async with Script(b"\x05\x00", refusal, until=b"\0") as proxy:
        with pytest.raises(ProxyError, match="failed to connect through socks5h") as e:
            await connect("ws://name.invalid/", proxy=proxy.uri("socks5h"))
    assert (process_exception(e.value) is None) == again


@pytest.mark.parametrize("who", ["", "me@"])
async def test_socks4a_sends_the_name(who: str):
    """Dante, which stands for SOCKS4 in tests/interop, knows no names in it."""
    refusal = bytes((0, 91, 0, 0, 0, 0, 0, 0))
    async with Script(refusal, until=b"name.invalid\0") as proxy:
        with pytest.raises(ProxyError) as caught:
            await connect("wss://name.invalid/", proxy=proxy.uri("socks4a", who))
    user = who.rstrip("@")
    assert proxy.heads == [f"\4\1\1\xbb\0\0\0\1{user}\0name.invalid\0"]
    assert process_exception(caught.value) is None


async def test_socks_proxy_that_ends_the_stream():
    async with Script(b"Connection: close", until=b"\0") as proxy:
        with pytest.raises(ProxyError):
            await connect("ws://name.invalid/", proxy=proxy.uri("socks5h"))


# ---- cancelling ----


@pytest.mark.parametrize("stage", ["request", "tls"])
async def test_cancelled_on_the_way(stage: str, client_tls):
    answers = {"request": b"", "tls": b"HTTP/1.1 200 OK\r\n\r\n"}
    async with Script(answers[stage]) as proxy:
        opening = connect(
            "wss://localhost/", proxy=proxy.uri(), ssl=client_tls, open_timeout=None
        )
        task = asyncio.ensure_future(opening.connect())
        await asyncio.wait_for(proxy.asked.wait(), 10)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(proxy.left.wait(), 10)


async def test_refusal_of_the_server_is_none_of_the_proxy(pair: Pair):
    def process(ws, request):
        return Response(503, "Busy", {"Content-Length": "0"})

    server = await pair.serve(echo, process_request=process)
    async with Script(OK, port=port_of(server)) as proxy:
        with pytest.raises(InvalidStatus):
            await connect("ws://name.invalid/", proxy=proxy.uri())
