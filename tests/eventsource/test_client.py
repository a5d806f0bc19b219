"""The client against servers that fail as they are told (WHATWG HTML §9.2.3)."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from tests.eventsource.wire import (
    HEAD,
    LIMIT_S,
    Scripted,
    answer,
    drop,
    reset,
    soon,
    stay,
    stream,
)
from wsfast import EventSourceClient
from wsfast.engine import EventError
from wsfast.eventsource import (
    EventSourceClosed,
    InvalidContentType,
    UnexpectedStatus,
)
from wsfast.eventsource._subscription import Delays
from wsfast.exceptions import (
    HandshakeTimeout,
    InvalidMessage,
    InvalidURI,
    SecurityError,
)

QUICK: dict[str, Any] = {"retry": 0.0, "jitter": 0.0, "max_retry": 0.1, "proxy": None}


def client(url: str, **options: Any) -> EventSourceClient:
    """Return a client that does not make a test wait."""
    return EventSourceClient(url, **{**QUICK, **options})


async def take(source: EventSourceClient, count: int) -> list[tuple[str, ...]]:
    """Receive so many events."""
    return [tuple(await soon(source.recv())) for _ in range(count)]


SILENT = "nothing came for 0.3 seconds"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n"


def chunks(data: bytes) -> list[bytes]:
    """Return octets as chunks of one octet, each a segment of its own."""
    return [b"1\r\n" + bytes((octet,)) + b"\r\n" for octet in data]


STREAM = "\ufeff: hi\r\nid:7\revent: é\ndata: 漢\r\n\r\ndata\n\nretry: 150\n".encode()
EVENTS = [("é", "漢", "7"), ("message", "", "7")]


@pytest.mark.parametrize(
    ("head", "pieces"),
    [
        (HEAD, [STREAM]),
        (HEAD, [bytes((octet,)) for octet in STREAM]),
        (HEAD + b"Content-Length: %d\r\n" % len(STREAM), [STREAM]),
        (CHUNKED, [b"%x\r\n%b\r\n0\r\n\r\n" % (len(STREAM), STREAM)]),
        (CHUNKED, [*chunks(STREAM), b"0\r\n\r\n"]),
        (HEAD.replace(b"1.1", b"1.0"), [STREAM]),
        (HEAD.replace(b"stream", b"stream; charset=utf-8"), [STREAM]),
        (HEAD.replace(b"text/event", b"Text/Event"), [STREAM]),
    ],
)
async def test_events_in_every_wrapping_then_the_server_ends(head, pieces):
    async with Scripted(stream(*pieces, head=head), stream(then=stay)) as server:
        async with client(server.url("/a?b")) as source:
            assert await take(source, 2) == EVENTS
            await server.visited(2)
            assert source.retry == 0.15
        first, second = server.visits
        assert first.line == "GET /a?b HTTP/1.1"
        assert first.fields["accept"] == "text/event-stream"
        assert first.fields["cache-control"] == "no-store"
        assert first.fields["host"] == f"127.0.0.1:{server.port}"
        assert "last-event-id" not in first.fields
        assert second.fields["last-event-id"] == "7"


async def test_event_that_breaks_off_is_not_there_and_its_id_neither():
    whole = b"id:1\ndata:one\n\n"
    acts = [
        stream(whole, b"id:2\ndata:half\n"),  # ended
        stream(b"id:3\ndata:ha", then=reset),
        drop,
        stream(b"data:two\n\n", then=stay),
    ]
    async with Scripted(*acts) as server, client(server.url()) as source:
        assert await take(source, 2) == [
            ("message", "one", "1"),
            ("message", "two", "1"),
        ]
        ids = [visit.fields.get("last-event-id") for visit in server.visits]
        assert ids == [None, "1", "1", "1"]


async def test_id_in_utf8_and_one_to_begin_with():
    acts = [stream("id: é漢\ndata:1\n\n".encode()), stream(b"data:2\n\n", then=stay)]
    async with Scripted(*acts) as server:
        async with client(server.url(), last_event_id="ü") as source:
            await take(source, 2)
        ids = [visit.fields["last-event-id"] for visit in server.visits]
        assert [i.encode("latin-1").decode() for i in ids] == ["ü", "é漢"]


async def test_id_that_no_header_can_hold(caplog):
    acts = [stream(b"id: \x01\ndata:1\n\n"), stream(b"data:2\n\n", then=stay)]
    async with Scripted(*acts) as server, client(server.url()) as source:
        await take(source, 2)
        assert "last-event-id" not in server.visits[1].fields
    assert "cannot send Last-Event-ID" in caplog.text
    with pytest.raises(ValueError, match="Last-Event-ID"):
        client("http://localhost/", last_event_id="a\nb")


# ---- what ends it for good ----


async def test_204_ends_it():
    errors: list[Exception] = []
    async with Scripted(stream(b"data:1\n\n"), answer("204 No Content")) as server:
        source = client(server.url(), on_error=lambda _, exc: errors.append(exc))
        async with source:
            assert [event.data async for event in source] == ["1"]
            assert source.ready_state == 2
            with pytest.raises(EventSourceClosed, match="the peer has gone"):
                await source.recv()
        assert len(server.visits) == 2
    assert [type(exc) for exc in errors] == [EOFError, EventSourceClosed]


@pytest.mark.parametrize("status", ["400 No", "404 No", "500 No", "503 No", "205 No"])
async def test_other_status_fails_it(status):
    async with Scripted(answer(status, body=b"so sorry\nindeed")) as server:
        with pytest.raises(UnexpectedStatus) as info:
            async with client(server.url()):
                pass
        assert len(server.visits) == 1
    wanted = f"server refused the event stream: HTTP {status[:3]}: so sorry"
    assert str(info.value) == wanted
    assert info.value.response.body == b"so sorry\nindeed"


async def test_status_that_may_go_away():
    acts = [answer("503 Busy"), stream(b"data:1\n\n", then=stay)]
    async with (
        Scripted(*acts) as server,
        client(server.url(), process_exception=lambda exc: None) as source,
    ):
        assert await take(source, 1) == [("message", "1", "")]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ([b"Content-Type: text/html"], "the response is text/html, expected"),
        ([], "the response has no Content-Type"),
        ([b"Content-Type: text/event-stream", b"Content-Type: a/b"], "is text/event-s"),
    ],
)
async def test_other_content_type_fails_it(fields, text):
    async with Scripted(answer("200 OK", *fields, body=b"data:1\n\n")) as server:
        with pytest.raises(InvalidContentType, match=text):
            async with client(server.url()):
                pass


async def test_something_that_is_not_http_fails_it():
    async def garbage(visit):
        await visit.write(b"\x16\x03\x01\r\n\r\n")

    async with Scripted(garbage) as server:
        with pytest.raises(InvalidMessage):
            async with client(server.url()):
                pass


async def test_l5_endless_line():
    async def endless(visit):
        await visit.write(HEAD + b"\r\ndata:1\n\ndata:")
        while True:
            await visit.write(b"x" * 65536)

    async with Scripted(endless) as server:
        source = client(server.url())
        async with source:
            assert await take(source, 1) == [("message", "1", "")]
            with pytest.raises(EventError, match="line of more than 1048576 octets"):
                await soon(source.recv())
        assert len(server.visits) == 1


async def test_l5_event_of_too_many_lines():
    acts = stream(b"data:1\n\n" + b"data:12345\n" * 100, then=stay)
    async with Scripted(acts) as server, client(server.url(), max_size=64) as source:
        assert await take(source, 1) == [("message", "1", "")]
        with pytest.raises(EventError, match="more than 64 octets of data"):
            await soon(source.recv())


# ---- coming back ----


def test_l5_delays_have_a_floor_and_a_ceiling():
    delays = Delays(0.0, 2.0, 0.0, 60.0)
    assert [delays.next() for _ in range(4)] == [0.1, 0.2, 0.4, 0.8]
    delays.failures = 5000
    assert delays.next() == 60.0
    delays.retry = 300.0  # the server says so
    assert delays.next() == 300.0
    jittered = Delays(1.0, 1.0, 0.5, 60.0)
    seen = [jittered.next() for _ in range(200)]
    assert 1.0 <= min(seen) < max(seen) <= 1.5
    for wrong in ((-1, 2, 0, 1), (1, 0.5, 0, 1), (1, 2, -1, 1), (1, 2, 0, -1)):
        with pytest.raises(ValueError, match=r"negative|below 1"):
            Delays(*wrong)


async def test_l5_retry_of_zero_waits_all_the_same():
    async with Scripted(stream(b"retry: 0\ndata:1\n\n")) as server:
        loop = asyncio.get_running_loop()
        start = loop.time()
        async with client(server.url(), backoff=1.0) as source:
            await take(source, 4)
            assert loop.time() - start >= 0.29  # three times the floor
            assert source.retry == 0.0


async def test_nobody_listens_then_somebody_does():
    async with Scripted(stream(b"data:1\n\n", then=stay)) as server:
        port, url = server.port, server.url()
    errors: list[Exception] = []
    failed = asyncio.Event()

    def on_error(source: EventSourceClient, exc: Exception) -> None:
        errors.append(exc)
        failed.set()

    source = client(url, on_error=on_error)
    opening = asyncio.ensure_future(source.open())
    await soon(failed.wait())
    assert isinstance(errors[0], OSError)
    assert source.ready_state == 0
    again = Scripted(stream(b"data:1\n\n", then=stay))
    server = await asyncio.start_server(again.serve, "127.0.0.1", port)
    async with server:
        await soon(opening)
        assert await take(source, 1) == [("message", "1", "")]
        await source.close()


@pytest.mark.parametrize(
    ("act", "options", "error"),
    [
        (stay, {"open_timeout": 0.3}, HandshakeTimeout),
        (stream(b": hi\n", then=stay), {"idle_timeout": 0.3}, TimeoutError),
    ],
)
async def test_silence(act, options, error):
    errors: list[Exception] = []
    options["on_error"] = lambda _, exc: errors.append(exc)
    async with Scripted(act, stream(b"data:1\n\n", then=stay)) as server:
        async with client(server.url(), **options) as source:
            assert await take(source, 1) == [("message", "1", "")]
    assert type(errors[0]) is error
    assert str(errors[0]) in ("timed out while connecting", SILENT)


async def test_back_pressure_stops_reading():
    sent = 0

    async def flood(visit):
        nonlocal sent
        await visit.write(HEAD + b"\r\n")
        while True:
            await visit.write(b"data: %b\n\n" % (b"x" * 50_000))
            sent += 1

    async with Scripted(flood) as server, client(server.url(), max_queue=4) as source:
        before = -1
        while before != sent:  # until nothing moves any more
            before = sent
            await asyncio.sleep(0.5)
        assert sent < 1000  # what the system's buffers hold, not what there is
        await take(source, sent + 100)


# ---- redirects ----


def location(url: str) -> bytes:
    """Return the header field."""
    return b"Location: " + url.encode()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_to_another_origin_without_credentials(status):
    secrets = {"Authorization": "Bearer x", "Cookie": "a=b", "X-Other": "kept"}
    async with Scripted(stream(b"data:1\n\n", then=stay)) as target:
        redirect = answer(f"{status} There", location(target.url("/new")))
        async with Scripted(redirect) as first:
            async with client(first.url(), additional_headers=secrets) as source:
                assert await take(source, 1) == [("message", "1", "")]
                assert source.url == first.url()
            seen = first.visits[0].fields
            assert (seen["authorization"], seen["cookie"]) == ("Bearer x", "a=b")
        assert target.visits[0].line == "GET /new HTTP/1.1"
        seen = target.visits[0].fields
        assert seen["x-other"] == "kept"
        assert not {"authorization", "cookie"} & set(seen)


async def test_redirect_at_the_same_origin_keeps_them_and_is_followed_each_time():
    redirect = answer("302 There", b"Location: new?x")
    acts = [redirect, stream(b"data:1\n\n"), redirect, stream(b"data:2\n\n", then=stay)]
    async with Scripted(*acts) as server:
        url = server.url("/old/").replace("//127", "//me:secret@127")
        async with client(url) as source:
            await take(source, 2)
        assert [visit.line.split()[1] for visit in server.visits] == [
            "/old/",
            "/old/new?x",
            "/old/",
            "/old/new?x",
        ]
        basic = "Basic " + base64.b64encode(b"me:secret").decode()
        assert server.visits[0].fields["authorization"] == basic


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ([b"Location: /"], SecurityError),  # for ever
        ([b"Location: ws://127.0.0.1/"], InvalidURI),
        ([b"Location: ftp://127.0.0.1/"], InvalidURI),
        ([], UnexpectedStatus),
    ],
)
async def test_redirect_that_is_not_followed(fields, error):
    async with Scripted(answer("302 There", *fields)) as server:
        with pytest.raises(error):
            async with client(server.url(), max_redirects=3):
                pass
        assert len(server.visits) <= 4


async def test_redirect_with_an_explicit_host():
    async with Scripted(answer("302 There", b"Location: http://other/")) as server:
        with pytest.raises(ValueError, match="with an explicit host"):
            async with client("http://some/", host="127.0.0.1", port=server.port):
                pass
        assert server.visits[0].fields["host"] == "some"


# ---- callbacks ----


async def test_callbacks_and_listeners():
    seen: list[tuple[Any, ...]] = []
    done = asyncio.Event()
    data = b"data:1\n\nevent:add\ndata:2\n\nevent:other\ndata:3\n\nevent:end\ndata:\n\n"

    def on_message(source: EventSourceClient, event: Any) -> None:
        seen.append(("message", event.data))
        raise RuntimeError("on purpose")

    def on_add(source: EventSourceClient, event: Any) -> None:
        seen.append(("add", event.data))

    def on_end(source: EventSourceClient, event: Any) -> None:
        source.remove_listener("add", on_add)
        source.close()
        done.set()

    async with Scripted(stream(data, then=stay)) as server:
        source = client(
            server.url(),
            on_open=lambda source: seen.append(("open", source.ready_state)),
            on_message=on_message,
        )
        source.add_listener("add", on_add)
        source.add_listener("add", on_add)
        source.add_listener("end", on_end)
        with pytest.raises(RuntimeError, match="callbacks take the events"):
            await source.recv()
        await asyncio.wait_for(source, LIMIT_S)
        await soon(done.wait())
    assert seen == [("open", 1), ("message", "1"), ("add", "2")]
    assert source.ready_state == 2


async def test_coroutine_functions_are_no_callbacks():
    async def callback(*args: object) -> None:
        pass

    with pytest.raises(TypeError, match="coroutine function"):
        client("http://localhost/", on_message=callback)
    with pytest.raises(TypeError, match="coroutine function"):
        client("http://localhost/").add_listener("x", callback)


async def test_closed_and_opened_again():
    async with Scripted(stream(b"id:5\ndata:1\n\n", then=stay)) as server:
        source = client(server.url())
        for _ in range(2):
            async with source:
                assert await take(source, 1) == [("message", "1", "5")]
            with pytest.raises(EventSourceClosed, match="was closed"):
                await source.recv()
        assert server.visits[1].fields["last-event-id"] == "5"


async def test_cancelled_at_any_time():
    async with Scripted(stay) as server:
        source = client(server.url())
        task = asyncio.ensure_future(source.open())
        await server.visited(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await source.close()


# ---- arguments ----


async def test_headers_of_the_request():
    async with Scripted(stream(then=stay)) as server:
        headers = [("X-A", "1"), ("X-A", "2"), ("accept", "text/event-stream, */*")]
        options = {"additional_headers": headers, "user_agent_header": "me"}
        async with client(server.url(), **options):
            request = server.visits[0].request
    assert request.count(b"X-A: ") == 2
    assert request.lower().count(b"\r\naccept: ") == 1
    assert b"User-Agent: me\r\n" in request


@pytest.mark.parametrize(
    ("url", "options", "error", "text"),
    [
        ("ws://localhost/", {}, InvalidURI, "scheme isn't http or https"),
        ("http:///x", {}, InvalidURI, "hostname"),
        ("http://a/", {"ssl": object()}, ValueError, "incompatible"),
        ("http://a/", {"sock": object()}, ValueError, "sock is for one connection"),
        ("http://a/", {"additional_headers": {"A": "b\nc"}}, ValueError, "A"),
        (
            "http://a/",
            {"additional_headers": {"Connection": "x"}},
            ValueError,
            "is set",
        ),
    ],
)
def test_wrong_arguments(url, options, error, text):
    with pytest.raises(error, match=text):
        EventSourceClient(url, **options)
