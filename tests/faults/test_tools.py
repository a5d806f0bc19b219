"""The tools of these tests: they do what they say, and test what they name."""

from __future__ import annotations

import time

import pytest

from tests.faults.probe import nobody_waits
from tests.faults.proxy import Proxy
from tests.faults.rawpeer import (
    CLOSE,
    KEY,
    TEXT,
    EndedError,
    Frame,
    Head,
    Listening,
    accept_value,
    close_frame,
    frame,
    header,
    opened,
)
from tests.support.process import Host, Served
from tests.support.targets import REACTOR


def test_frames_are_those_of_rfc_6455_5_7() -> None:
    assert frame(TEXT, "Hello", key=None).hex() == "810548656c6c6f"
    assert frame(TEXT, "Hello").hex() == "818537fa213d7f9f4d5158"
    assert frame(TEXT, "Hel", fin=False, key=None).hex() == "010348656c"
    assert header(2, 256).hex() == "827e0100"
    assert header(2, 65536).hex() == "827f0000000000010000"
    assert header(2, 5, form=8, key=KEY).hex() == "82ff000000000000000537fa213d"
    assert close_frame(1000, "x", key=None).hex() == "880303e878"


def test_accept_value_is_that_of_rfc_6455_1_3() -> None:
    head = Head("", {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}, b"")
    assert accept_value(head) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_both_ends_understand_each_other(host: Host) -> None:
    with Listening() as listening:
        client = host.connect(listening.uri, "ask", ["Hello"])
        with listening.opened() as peer:
            received = peer.recv()
            assert received.key is not None
            assert received == Frame(TEXT, b"Hello", True, 0, received.key)
            peer.close(3000, "bye")
            assert peer.recv().opcode == CLOSE
            peer.half_close()
            assert peer.ended() == "eof"
    assert client.event("end")["rcvd"] == [3000, "bye"]


@pytest.mark.parametrize("split", [None, 1, 3])
def test_proxy_passes_octets_on(echo: Served, split: int | None) -> None:
    with Proxy(echo.port, split=split) as proxy, opened(proxy.port) as peer:
        for size in (0, 5, 300, 5000):
            peer.frame(TEXT, "x" * size)
            assert peer.recv().payload == b"x" * size


def test_proxy_delays(echo: Served) -> None:
    with Proxy(echo.port) as proxy, opened(proxy.port) as peer:
        proxy.delay_s = 0.1
        start = time.monotonic()
        peer.frame(TEXT, "x")
        peer.recv()
        assert time.monotonic() - start > 0.19


@pytest.mark.parametrize("how", ["eof", "reset", "half"])
def test_proxy_cuts(echo: Served, how: str) -> None:
    with Proxy(echo.port) as proxy, opened(proxy.port) as peer:
        proxy.cut("server", proxy.passed["server"] + 5, how)
        peer.frame(TEXT, "four" + "x" * 100)
        with pytest.raises(EndedError, match="reset" if how == "reset" else "eof"):
            peer.recv()


def test_proxy_swallows(echo: Served) -> None:
    with Proxy(echo.port) as proxy, opened(proxy.port, timeout_s=0.3) as peer:
        proxy.black_hole = True
        peer.frame(TEXT, "x")
        with pytest.raises(TimeoutError):
            peer.recv()


def test_probe_sees_a_server_that_stalls(fresh: Host) -> None:
    server = fresh.serve("stall")
    with pytest.raises(AssertionError, match="longest"), nobody_waits(server):
        time.sleep(3)


def test_each_path_is_the_one_that_it_is_called(host: Host, echo: Served) -> None:
    if not host.target.own:
        pytest.skip("the target has one path only")
    wanted = "ReactorLink" if host.path == REACTOR else "StreamLink"
    with opened(echo.port, "/which"):
        assert echo.event("open", path="/which")["link"] == wanted
    client = host.connect(echo.uri, "ask", ["x"])
    assert client.event("open")["link"] == wanted
    client.cancel()
    client.event("done")


def test_tracebacks_are_found(fresh: Host) -> None:
    server = fresh.serve("fail")
    with opened(server.port) as peer:
        peer.frame(TEXT, "x")
        assert peer.recv().code == 1011
    with fresh.changed:
        assert fresh.changed.wait_for(fresh.tracebacks, 5)
        assert fresh.changed.wait_for(lambda: "mistake" in fresh.log[-1], 5)
    fresh.log[:] = []


def test_memory_is_measured(fresh: Host) -> None:
    server = fresh.serve("sink", max_size=None)
    before = fresh.reset_peak()
    size = 30 << 20
    with opened(server.port) as peer:
        peer.send(header(2, size, key=b"\0\0\0\0") + bytes(size))
        peer.close()
        peer.ended()
    assert server.event("end")["octets"] == size
    assert fresh.peak() - before > size * 0.9
