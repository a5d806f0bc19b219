"""Hooks of the opening handshake: the client's request, the server's errors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.asyncio.conftest import Pair, uri
from tests.asyncio.raw import RawPeer, request, settle
from wsfast import Response, connect
from wsfast.exceptions import (
    HandshakeError,
    HandshakeTimeout,
    InvalidMessage,
    InvalidOrigin,
    InvalidStatus,
    SecurityError,
)
from wsfast.protocol import Headers, Limits, Request


async def tell(ws: Any) -> None:
    await ws.send(f"{ws.request.path} {ws.request.headers.get('X-Signed', '-')}")


# ---- on_request


async def test_on_request_changes_the_request(pair: Pair):
    server = await pair.serve(tell)

    def sign(request: Request) -> None:
        request.headers["X-Signed"] = f"by me for {request.path}"

    ws = await pair.connect(server, "/there", on_request=sign)
    assert await ws.recv() == "/there by me for /there"
    assert ws.request.headers["X-Signed"] == "by me for /there"


async def test_on_request_can_wait_and_return_another(pair: Pair):
    server = await pair.serve(tell)

    async def other(request: Request) -> Request:
        await asyncio.sleep(0)
        return Request("/elsewhere", Headers([*request.headers.raw_items()]))

    ws = await pair.connect(server, on_request=other)
    assert await ws.recv() == "/elsewhere -"


async def test_on_request_sees_redirects_too(pair: Pair):
    def process_request(connection, request):
        if request.path == "/":
            response = connection.respond(302, "")
            response.headers["Location"] = "/next"
            return response
        return None

    server = await pair.serve(tell, process_request=process_request)
    paths: list[str] = []
    ws = await pair.connect(server, on_request=lambda r: paths.append(r.path))
    assert await ws.recv() == "/next -"
    assert paths == ["/", "/next"]


@pytest.mark.parametrize(
    "name", ["Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"]
)
async def test_on_request_cannot_break_the_handshake(pair: Pair, name: str):
    server = await pair.serve(tell)

    def change(request: Request) -> None:
        del request.headers[name]
        request.headers[name] = "other"

    with pytest.raises(ValueError, match=f"{name} is set by the opening handshake"):
        await connect(uri(server), on_request=change)


async def test_on_request_cannot_split_the_request(pair: Pair):
    server = await pair.serve(tell)

    def split(request: Request) -> None:
        request.headers["X"] = "a\r\nY: b"

    with pytest.raises(ValueError, match="X"):
        await connect(uri(server), on_request=split)


async def test_on_request_that_fails_or_never_ends(pair: Pair):
    server = await pair.serve(tell)

    def fail(request: Request) -> None:
        raise KeyError("no key")

    with pytest.raises(KeyError):
        await connect(uri(server), on_request=fail)

    async def wait(request: Request) -> None:
        await asyncio.sleep(60)

    with pytest.raises(HandshakeTimeout):
        await connect(uri(server), on_request=wait, open_timeout=0.05)


# ---- on_handshake_error


class Errors:
    """Keeps what the hook is told, and answers it."""

    def __init__(self, status: int = 418) -> None:
        self.status = status
        self.found: list[tuple[Exception, str | None]] = []

    def __call__(self, exc: Exception, request: Request | None) -> Response | None:
        self.found.append((exc, None if request is None else request.path))
        if not self.status:
            return None
        return Response(self.status, "No", Headers([("X-Why", type(exc).__name__)]))


@pytest.mark.parametrize(
    ("octets", "options", "kind", "status", "path"),
    [
        (b"GET / HTTP/1.1\r\nbad\r\n\r\n", {}, HandshakeError, 400, None),
        (
            request("/" + "x" * 2000),
            {"limits": Limits(line=1000)},
            SecurityError,
            414,
            None,
        ),
        (b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", {}, HandshakeError, 426, "/a"),
        (request("/a", "Host: twice"), {}, InvalidMessage, 400, None),
        (
            request("/a", "Origin: http://evil"),
            {"origins": ["http://good"]},
            InvalidOrigin,
            403,
            "/a",
        ),
        (request("/a"), {"path": "/b"}, HandshakeError, 404, "/a"),
        (b"GET / HTTP/1.1\r\n", {"open_timeout": 0.1}, HandshakeTimeout, 408, None),
        (request("/a"), {"max_connections": 0}, HandshakeError, 503, None),
    ],
    ids=["malformed", "long", "plain", "host", "origin", "path", "late", "full"],
)
@pytest.mark.parametrize("answer", [418, 0], ids=["answers", "looks on"])
async def test_errors_of_each_kind(
    pair: Pair,
    octets: bytes,
    options: dict[str, Any],
    kind: type[Exception],
    status: int,
    path: str | None,
    answer: int,
):
    errors = Errors(answer)
    server = await pair.serve(tell, on_handshake_error=errors, **options)
    async with await RawPeer.to(server) as peer:
        peer.send(octets)
        got, headers = await peer.head()
        await peer.rest()
    [(exc, asked)] = errors.found
    assert isinstance(exc, kind)
    assert isinstance(exc, HandshakeError)
    assert asked == path
    if answer:
        assert (got, headers["x-why"]) == (418, type(exc).__name__)
    else:
        assert got == status
    assert exc.code == status


async def test_a_hook_that_fails_is_an_error_too(
    pair: Pair, caplog: pytest.LogCaptureFixture
):
    errors = Errors()

    def process_request(connection, request):
        raise KeyError("oh")

    server = await pair.serve(
        tell, on_handshake_error=errors, process_request=process_request
    )
    with pytest.raises(InvalidStatus) as info:
        await connect(uri(server))
    assert info.value.response.status_code == 418
    assert isinstance(errors.found[0][0], KeyError)
    assert caplog.messages.count("process_request failed") == 1


async def test_refusals_of_the_application_are_no_errors(pair: Pair):
    errors = Errors()

    def process_request(connection, request):
        return connection.respond(401, "who are you?")

    server = await pair.serve(
        tell, on_handshake_error=errors, process_request=process_request
    )
    with pytest.raises(InvalidStatus) as info:
        await connect(uri(server))
    assert info.value.response.status_code == 401
    assert errors.found == []


@pytest.mark.parametrize("status", [101, 200, None])
async def test_error_hook_that_is_of_no_use(
    pair: Pair, status: int | None, caplog: pytest.LogCaptureFixture
):
    def hook(exc: Exception, request: Request | None) -> Any:
        return Response(status, "OK", Headers()) if status else 1 / 0

    server = await pair.serve(tell, on_handshake_error=hook, path="/b")
    with pytest.raises(InvalidStatus) as info:
        await connect(uri(server))
    assert info.value.response.status_code == 404
    await settle(lambda: "hook failed" in caplog.messages)


def textual(ws: Any, *args: Any) -> Response:
    response = ws.respond(403, "no")
    response.body = "not octets"
    return response


#: What people return that comes from elsewhere, or is not done.
NO_RESPONSES = {
    "tuple": lambda ws, *args: (403, [], b"no"),
    "text": lambda ws, *args: "no",
    "body of text": textual,
    "status of text": lambda ws, *args: Response("403", "No", Headers()),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", NO_RESPONSES)
@pytest.mark.parametrize("hook", ["process_request", "process_response"])
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "coroutine"])
async def test_what_is_no_response(
    pair: Pair, name: str, hook: str, waits: bool, caplog: pytest.LogCaptureFixture
):
    """It is logged, once, and its client is answered."""
    returned = NO_RESPONSES[name]

    async def later(*args: Any) -> Any:
        await asyncio.sleep(0)
        return returned(*args)

    options = {hook: later if waits else returned}
    server = await pair.serve(tell, **options)
    with pytest.raises(InvalidStatus) as info:
        await connect(uri(server), open_timeout=30)
    assert info.value.response.status_code == 500
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert errors[0].name == "wsfast.server"


@pytest.mark.parametrize(
    "useless",
    [
        "no",
        Response(403, "x\r\nX-Smuggled: 1", Headers()),
        Response(403, "No", {}, "no"),
    ],  # type: ignore[arg-type]
    ids=["text", "split", "body of text"],
)
async def test_error_hook_whose_response_cannot_be_sent(
    pair: Pair, useless: Any, caplog: pytest.LogCaptureFixture
):
    def hook(exc: Exception, request: Request | None) -> Any:
        return useless

    server = await pair.serve(tell, on_handshake_error=hook, path="/b")
    with pytest.raises(InvalidStatus) as info:
        await connect(uri(server), open_timeout=30)
    assert info.value.response.status_code == 404
    await settle(lambda: "hook failed" in caplog.messages)
