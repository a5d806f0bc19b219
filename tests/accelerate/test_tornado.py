"""tornado does with our parts what it does with its own."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.accelerate.peers import named, outcome, plugged
from wsfast import engine
from wsfast.accelerate.tornado import FastWebSocket

websocket = pytest.importorskip("tornado.websocket")

import tornado.util  # noqa: E402
import tornado.web  # noqa: E402
from tornado.httpserver import HTTPServer  # noqa: E402
from tornado.iostream import IOStream, StreamClosedError  # noqa: E402
from tornado.testing import bind_unused_port  # noqa: E402

KEY = bytes.fromhex("37fa213d")
WAIT_S = 30


class Delegate:
    """What happened to a connection, in order; each message is sent back."""

    def __init__(self, seen, asynchronous):
        self.seen = seen
        self.asynchronous = asynchronous
        self.protocol = None

    def on_message(self, message):
        self.seen.append((type(message), message))
        self.protocol.write_message(message, isinstance(message, bytes))
        return asyncio.sleep(0) if self.asynchronous else None

    def on_ping(self, data):
        self.seen.append(("ping", type(data), data))

    def on_pong(self, data):
        self.seen.append(("pong", type(data), data))

    def on_ws_connection_close(self, code, reason):
        self.seen.append(("closed", code, reason))

    def log_exception(self, *error):
        self.seen.append(error[1])


async def converse(parts, *, max_size, compressed, asynchronous, client):
    """Return what a connection saw of octets, counted, and answered."""
    seen = []
    near, far = socket.socketpair()
    far.setblocking(False)
    delegate = Delegate(seen, asynchronous)
    params = websocket._WebSocketParams(max_message_size=max_size)
    protocol = websocket.WebSocketProtocol13(delegate, client, params)
    if compressed:
        protocol._create_compressors("server", {}, {})
    protocol.stream = IOStream(near)
    delegate.protocol = protocol
    protocol.stream.set_close_callback(protocol.on_connection_close)
    receiving = asyncio.ensure_future(protocol._receive_frame_loop())
    loop = asyncio.get_running_loop()
    try:
        for part in parts:
            await loop.sock_sendall(far, part)
            for _ in range(4):
                await asyncio.sleep(0)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it has hung up on an error
    else:
        far.shutdown(socket.SHUT_WR)
    try:
        await asyncio.wait_for(receiving, WAIT_S)
    except UnicodeDecodeError as exc:  # of a close frame's reason
        seen.append(str(exc))
    protocol._abort()
    await asyncio.sleep(0)
    answer = b""
    try:
        while data := await asyncio.wait_for(loop.sock_recv(far, 1 << 16), WAIT_S):
            answer += data
    except ConnectionResetError:
        answer += b" reset"
    far.close()
    if client:
        answer = len(answer)  # its masking-keys differ
    counted = protocol._message_bytes_in, protocol._message_bytes_out
    return seen, counted, protocol._wire_bytes_in, protocol._wire_bytes_out, answer


@st.composite
def wire(draw):
    """Return octets of frames, most of them in order, in pieces."""
    made = []
    for _ in range(draw(st.integers(0, 5))):
        opcode = draw(st.sampled_from([0, 1, 1, 2, 2, 8, 9, 10]))
        size = draw(st.sampled_from([0, 1, 2, 5, 125, 126, 300]))
        payload = draw(st.binary(min_size=size, max_size=size))
        if opcode == 1 and draw(st.booleans()):
            payload = b"t" * size
        fin = opcode >= 8 or draw(st.integers(0, 3)) > 0
        mask = KEY if draw(st.integers(0, 5)) else False
        payload = payload[:125] if opcode >= 8 else payload
        made.append(engine.encode_frame(opcode, payload, fin=fin, mask=mask))
    octets = bytearray(b"".join(made))
    if octets and draw(st.integers(0, 2)) == 0:
        octets[draw(st.integers(0, len(octets) - 1))] ^= 1 << draw(st.integers(0, 7))
    cuts = draw(st.lists(st.integers(0, 900), max_size=5))
    places = sorted({cut % (len(octets) + 1) for cut in cuts} | {0, len(octets)})
    return [bytes(octets[a:b]) for a, b in itertools.pairwise(places)]


def compare(parts, **given_as):
    expected = asyncio.run(converse(parts, **given_as))
    with plugged("tornado"):
        got = asyncio.run(converse(parts, **given_as))
    # An abort resets the connection, or not, as the system's timing has it.
    assert got[:4] == expected[:4]
    reset = b" reset"
    if not given_as["client"]:
        a, b = got[4].removesuffix(reset), expected[4].removesuffix(reset)
        assert a.startswith(b) or b.startswith(a)
    return expected


@settings(max_examples=60)
@given(
    parts=wire(),
    max_size=st.sampled_from([0, 200, 10 << 20]),
    compressed=st.booleans(),
    asynchronous=st.booleans(),
    client=st.booleans(),
)
def test_any_octets_in_any_pieces(parts, max_size, compressed, asynchronous, client):
    compare(
        parts,
        max_size=max_size,
        compressed=compressed,
        asynchronous=asynchronous,
        client=client,
    )


@pytest.mark.parametrize("mask", [KEY, False], ids=["masked", "plain"])
@pytest.mark.parametrize("size", [65535, 65536, 70_000, 1 << 20])
def test_long_messages(size, mask):
    frames = [engine.encode_frame(2, bytes(size), fin=False, mask=mask)]
    frames += [engine.encode_frame(9, b"between", mask=mask)]
    frames += [engine.encode_frame(0, b"end" * size, mask=mask)]
    parts = [b"".join(frames)[:11], b"".join(frames)[11:100], b"".join(frames)[100:]]
    seen = compare(
        parts, max_size=10 << 20, compressed=False, asynchronous=False, client=True
    )[0]
    assert seen[1] == (bytes, bytes(size) + b"end" * size)


def test_compressed_messages():
    compressor = websocket._PerMessageDeflateCompressor(True, 15, {})
    frames = [
        engine.encode_frame(1, compressor.compress(text), rsv1=True, mask=KEY)
        for text in (b"hello " * 20, b"hello again " * 300)
    ]
    seen = compare(
        frames, max_size=10 << 20, compressed=True, asynchronous=True, client=False
    )[0]
    assert seen[1] == (str, "hello again " * 300)


async def test_write_to_a_connection_that_is_gone():
    with plugged("tornado"):
        near, far = socket.socketpair()
        params = websocket._WebSocketParams()
        protocol = websocket.WebSocketProtocol13(Delegate([], False), False, params)
        protocol.stream = IOStream(near)
        assert await asyncio.wait_for(protocol.write_message({"a": 1}), WAIT_S) is None
        assert far.recv(100) == b'\x81\x08{"a": 1}'
        waiting = protocol.write_message(b"x" * 20_000_000)
        far.close()
        with pytest.raises(websocket.WebSocketClosedError):
            await asyncio.wait_for(waiting, WAIT_S)
        with pytest.raises(websocket.WebSocketClosedError):
            protocol.write_message("late")
        with pytest.raises(StreamClosedError):
            protocol.write_ping(b"late")
        with pytest.raises(TypeError):
            protocol.write_message(7)


DATA = [b"", b"abcdefg", bytearray(b"abc"), memoryview(b"abc"), "text", None, 7]
MASKS = [KEY, b"abc", b"abcde", bytearray(KEY), "abcd", None]


@pytest.mark.parametrize("data", DATA, ids=named)
@pytest.mark.parametrize("mask", MASKS, ids=named)
def test_mask_of_any_type(data, mask):
    expected = outcome(tornado.util._websocket_mask, mask, data)
    with plugged("tornado"):
        for module in (tornado.util, tornado.web, websocket):
            assert outcome(module._websocket_mask, mask, data) == expected


@given(data=st.binary(max_size=300), key=st.binary(min_size=4, max_size=4))
def test_mask_of_any_octets(data, key):
    expected = tornado.util._websocket_mask(key, data)
    with plugged("tornado"):
        assert tornado.util._websocket_mask(key, data) == expected


class Echo(websocket.WebSocketHandler):
    def get_compression_options(self):
        return {}

    def on_message(self, message):
        self.write_message(message, isinstance(message, bytes))


class FastEcho(FastWebSocket, Echo):
    pass


async def echoes(handler):
    """Have a handler echo, to tornado's own client; return its protocol's class."""
    made = []

    class Kept(handler):
        def open(self):
            made.append(type(self.ws_connection))

    sock, port = bind_unused_port()
    server = HTTPServer(tornado.web.Application([("/", Kept)]))
    server.add_sockets([sock])
    url = f"ws://127.0.0.1:{port}/"
    client = await websocket.websocket_connect(url, compression_options={})
    for message in ("text", "é" * 40_000, b"\0" * 300_000, ""):
        await asyncio.wait_for(client.write_message(message, type(message) is bytes), 9)
        assert await asyncio.wait_for(client.read_message(), WAIT_S) == message
    client.close(1000, "done")
    assert await asyncio.wait_for(client.read_message(), WAIT_S) is None
    server.stop()
    await server.close_all_connections()
    return made[0]


async def test_one_handler_without_replacing_anything(caplog):
    caplog.set_level(logging.CRITICAL, "tornado.access")
    original = websocket.WebSocketProtocol13
    fast = await echoes(FastEcho)
    assert fast is not original
    assert issubclass(fast, original)
    assert await echoes(Echo) is original
    with plugged("tornado"):
        assert await echoes(Echo) is fast
        assert await echoes(FastEcho) is fast
