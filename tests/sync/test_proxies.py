"""Connecting through proxies: scripted ones, and the real ones of Debian."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import threading
import time

import pytest

from tests.asyncio.test_proxy import OK as OPEN
from tests.asyncio.test_proxy import Script
from tests.faults import rawpeer
from tests.support.host import client_tls, server_tls
from tests.support.proxies import PASSWORD, USER, proxy
from tests.sync.conftest import WAIT_S, running, threaded
from wsfast.exceptions import (
    HandshakeTimeout,
    InvalidProxyMessage,
    InvalidProxyStatus,
    ProxyError,
)
from wsfast.sync import connect

REAL = [
    pytest.param(name, scheme, marks=pytest.mark.needs(name))
    for name, scheme in (
        ("tinyproxy", "http"),
        ("microsocks", "socks5"),
        ("microsocks", "socks5h"),
        ("danted", "socks4"),
        ("danted", "socks5h"),
    )
]
OK = b"HTTP/1.1 200 Connection established\r\n\r\n"


@pytest.mark.parametrize(("name", "scheme"), REAL)
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_real_proxies(name, scheme, secure):
    tls = {"ssl": server_tls()} if secure else {}
    with running(**tls) as server, proxy(name) as port:
        uri = f"{'wss' if secure else 'ws'}://localhost:{server.port}/"
        tls = {"ssl": client_tls()} if secure else {}
        with connect(uri, proxy=f"{scheme}://127.0.0.1:{port}", **tls) as ws:
            ws.send("x" * 100_000)
            assert len(ws.recv(WAIT_S)) == 100_000
        assert ws.close_code == 1000


@pytest.mark.needs("tinyproxy")
def test_real_proxy_that_asks_who_we_are(echoing):
    with proxy("tinyproxy", authentication=True) as port:
        who = f"http://{USER}:{PASSWORD}@127.0.0.1:{port}"
        connect(echoing.uri, proxy=who).close()
        with pytest.raises(InvalidProxyStatus) as caught:
            connect(echoing.uri, proxy=f"http://127.0.0.1:{port}")
        assert caught.value.response.status_code in (401, 407)


@contextlib.contextmanager
def scripted(answer, to=None):
    """Run a proxy that answers once; then it is a tunnel to the port ``to``."""
    with rawpeer.Listening() as listening:
        heads = []

        def run():
            with listening.tcp() as peer:
                if to is None:
                    peer.sock.recv(10_000)
                    peer.send(answer)
                    peer.ended()
                    return
                heads.append(peer.head())
                peer.send(answer)
                with socket.create_connection(("127.0.0.1", to)) as other:
                    copies = [
                        threading.Thread(target=copy, args=pair)
                        for pair in ((peer.sock, other), (other, peer.sock))
                    ]
                    for thread in copies:
                        thread.start()
                    for thread in copies:
                        thread.join()

        with threaded(run):
            yield listening.port, heads


def copy(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_request_to_the_proxy(echoing):
    with scripted(OK, echoing.port) as (port, heads):
        with connect(
            "ws://user:secret@example.org/",
            proxy=f"http://me:pw@127.0.0.1:{port}",
            proxy_headers={"X-For": "proxy"},
        ) as ws:
            ws.send("x")
            assert ws.recv(WAIT_S) == "x"
            assert "Proxy-Authorization" not in ws.request.headers
            assert "X-For" not in ws.request.headers
    assert heads[0].line == "CONNECT example.org:80 HTTP/1.1"
    assert heads[0].headers["proxy-authorization"].startswith("Basic ")
    assert heads[0].headers["x-for"] == "proxy"
    assert "authorization" not in heads[0].headers


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls in tls"])
async def test_https_proxy(secure):
    tls = {"ssl": server_tls()} if secure else {}
    with running(**tls) as server:
        async with Script(OPEN, OPEN, port=server.port, tls=server_tls()) as by:
            options = {"proxy": by.uri("https"), "proxy_ssl": client_tls()}
            if secure:
                options["ssl"] = client_tls()
            uri = "wss://localhost/" if secure else "ws://localhost/"

            def use():
                with connect(uri, **options) as ws:
                    for message in ("hello", b"\0" * 300_000):
                        ws.send(message)
                        assert ws.recv(WAIT_S) == message
                with pytest.raises(ssl.SSLCertVerificationError):
                    connect(uri, **{**options, "proxy_ssl": None})

            await asyncio.to_thread(use)
    assert len(by.heads) == 1


def test_proxy_of_the_environment(monkeypatch, echoing):
    with scripted(OK, echoing.port) as (port, heads):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "")
        connect("ws://example.org/").close()
        assert heads
    connect(echoing.uri, proxy=None).close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300 + b"\r\n",
        OK + b"greetings",
    ],
)
def test_answers_that_are_none(answer):
    with rawpeer.Listening() as listening:

        def run():
            with listening.tcp() as peer:
                peer.head()
                peer.send(answer)

        with threaded(run), pytest.raises(InvalidProxyMessage):
            connect("ws://x/", proxy=f"http://127.0.0.1:{listening.port}")


def test_refusal():
    answer = b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nlater"
    with scripted(answer) as (port, _):
        with pytest.raises(InvalidProxyStatus) as caught:
            connect("ws://x/", proxy=f"http://127.0.0.1:{port}")
        assert caught.value.response.body == b"later"


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h", "socks4a"])
def test_one_time_for_all(scheme):
    with scripted(b"") as (port, _):
        started = time.monotonic()
        with pytest.raises(HandshakeTimeout):
            connect(
                "ws://x/",
                proxy=f"{scheme}://127.0.0.1:{port}",
                proxy_ssl=client_tls() if scheme == "https" else None,
                open_timeout=0.4,
            )
        assert time.monotonic() - started < WAIT_S


def test_socks_reply():
    with scripted(b"\x05\x00\x05\x05\x00\x01\0\0\0\0\0\0") as (port, _):
        with pytest.raises(ProxyError) as caught:
            connect("ws://x/", proxy=f"socks5h://127.0.0.1:{port}", open_timeout=5)
        assert caught.value.__cause__.errno == errno.ECONNREFUSED
