"""Clients through proxies that other people wrote."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.support.proxies import PASSWORD, USER, proxy
from tests.support.targets import REACTOR, TRANSPORT
from wsfast import Response, connect, serve
from wsfast.asyncio.client import process_exception
from wsfast.exceptions import InvalidProxyStatus, ProxyError

MESSAGES = ["hello", "Grüße", b"", b"\0\xff" * 200_000]


@pytest.fixture(params=[REACTOR, TRANSPORT])
def reactor(request: pytest.FixtureRequest) -> bool:
    return request.param == REACTOR


async def echo(ws):
    async for message in ws:
        await ws.send(message)


def runs(name: str, authentication: bool = False) -> Callable[[], Iterator[int]]:
    """Return a fixture that runs a proxy for the tests of this module."""

    @pytest.fixture(scope="module")
    def run() -> Iterator[int]:
        with proxy(name, authentication) as port:
            yield port

    return run


tinyproxy = runs("tinyproxy")
tinyproxy_with_password = runs("tinyproxy", authentication=True)
microsocks = runs("microsocks")
microsocks_with_password = runs("microsocks", authentication=True)
danted = runs("danted")

WHO = f"{USER}:{PASSWORD}@"
WAYS = [
    pytest.param("http", "tinyproxy", "", id="tinyproxy"),
    pytest.param("http", "tinyproxy_with_password", WHO, id="tinyproxy with password"),
    pytest.param("socks5h", "microsocks", "", id="microsocks"),
    pytest.param("socks5", "microsocks", "", id="microsocks, address"),
    pytest.param(
        "socks5h", "microsocks_with_password", WHO, id="microsocks with password"
    ),
    *(
        pytest.param(scheme, "danted", "", id=f"dante {scheme}")
        for scheme in ("socks4", "socks5", "socks5h")
    ),
]


def tool(name: str) -> str:
    """Return the tool that a fixture needs."""
    return name.partition("_")[0]


@pytest.fixture
def through(request: pytest.FixtureRequest) -> str:
    """Return the address of a proxy, run if it is not yet."""
    scheme, name, who = request.param
    return f"{scheme}://{who}127.0.0.1:{request.getfixturevalue(name)}"


def ways(*names: str):
    """Parametrize ``through`` with the ways whose fixture has one of these names."""
    return pytest.mark.parametrize(
        "through",
        [
            pytest.param(way.values, id=way.id, marks=pytest.mark.needs(tool(name)))
            for way in WAYS
            if not names or way.values[1] in names
            for name in [str(way.values[1])]
        ],
        indirect=True,
    )


def port_of(server) -> int:
    return server.sockets[0].getsockname()[1]


@ways()
async def test_messages_pass(through: str, reactor: bool):
    requests = []
    async with (
        serve(
            echo, "127.0.0.1", 0, process_request=lambda _, r: requests.append(r)
        ) as server,
        connect(
            f"ws://localhost:{port_of(server)}/there", proxy=through, reactor=reactor
        ) as ws,
    ):
        assert (type(ws.link).__name__ == "ReactorLink") == reactor
        for message in MESSAGES:
            await ws.send(message)
        assert [await ws.recv() for _ in MESSAGES] == MESSAGES
    assert ws.close_code == 1000
    (request,) = requests
    assert not {"proxy-authorization", "via"} & {
        name.lower() for name in request.headers
    }


@ways()
async def test_messages_pass_in_tls(through: str, tls):
    for_server, for_client = tls
    async with (
        serve(echo, "127.0.0.1", 0, ssl=for_server) as server,
        connect(
            f"wss://localhost:{port_of(server)}/", proxy=through, ssl=for_client
        ) as ws,
    ):
        for message in MESSAGES:
            await ws.send(message)
            assert await ws.recv() == message
    assert ws.close_code == 1000


@pytest.fixture(scope="module")
def tls():
    """Return contexts for a server and for its client."""
    import ssl
    from pathlib import Path

    import tests.support

    pem = Path(tests.support.__file__).with_name("localhost.pem")
    for_server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for_server.load_cert_chain(pem)
    return for_server, ssl.create_default_context(cafile=str(pem))


@ways()
async def test_server_that_is_away(through: str):
    """What every proxy says of that makes a reconnecting client try again."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(ProxyError) as caught:
            await connect(f"ws://127.0.0.1:{port}/", proxy=through)
    assert process_exception(caught.value) is None


@pytest.mark.parametrize("who", ["", f"{USER}:wrong@", f"other:{PASSWORD}@"])
@pytest.mark.needs("tinyproxy")
async def test_http_proxy_wants_a_password(tinyproxy_with_password: int, who: str):
    address = f"http://{who}127.0.0.1:{tinyproxy_with_password}"
    with pytest.raises(InvalidProxyStatus) as caught:
        await connect("ws://127.0.0.1:9/", proxy=address)
    assert caught.value.response.status_code in (401, 407)
    assert caught.value.response.body
    assert process_exception(caught.value) is caught.value


@pytest.mark.parametrize("who", ["", f"{USER}:wrong@"])
@pytest.mark.needs("microsocks")
async def test_socks_proxy_wants_a_password(microsocks_with_password: int, who: str):
    address = f"socks5h://{who}127.0.0.1:{microsocks_with_password}"
    with pytest.raises(ProxyError) as caught:
        await connect("ws://127.0.0.1:9/", proxy=address)
    assert PASSWORD not in str(caught.value)
    assert "wrong" not in str(caught.value)


@ways("tinyproxy", "microsocks")
async def test_redirect_to_another_server(through: str):
    requests = []

    def note(ws, request):
        requests.append(request)

    async with serve(echo, "127.0.0.1", 0, process_request=note) as there:
        to = {"Location": f"ws://127.0.0.1:{port_of(there)}/", "Content-Length": "0"}

        def redirect(ws, request):
            return Response(302, "Found", to)

        async with (
            serve(echo, "127.0.0.1", 0, process_request=redirect) as server,
            connect(
                f"ws://u:p@127.0.0.1:{port_of(server)}/",
                proxy=through,
                additional_headers={"Cookie": "c"},
            ) as ws,
        ):
            await ws.send("hello")
            assert await ws.recv() == "hello"
    (request,) = requests
    assert not {"Authorization", "Cookie"} & {*request.headers}


@ways("tinyproxy", "microsocks")
async def test_many_at_once(through: str, reactor: bool):
    async with serve(echo, "127.0.0.1", 0) as server:
        address = f"ws://127.0.0.1:{port_of(server)}/"

        async def one(number: int) -> None:
            async with connect(address, proxy=through, reactor=reactor) as ws:
                await ws.send(str(number))
                assert await ws.recv() == str(number)

        await asyncio.gather(*map(one, range(10)))
