"""A pass of the driver: bounded, fair, and consistent whatever a callback raises."""

from __future__ import annotations

import asyncio

import pytest

from tests.asyncio.conftest import only_reactor
from tests.asyncio.wire import Peer, Wires, tcp_pair, turn, until
from wsfast import Listener
from wsfast.asyncio import Connection
from wsfast.protocol.options import Options


class Collects(Listener):
    """A listener that keeps what it gets, and raises at one message."""

    def __init__(self, error=None, at=None):
        self.got = []
        self.error = error
        self.at = at
        self.closed = None

    def on_message(self, ws, message):
        self.got.append(message)
        if message == self.at:
            raise self.error

    def on_close(self, ws, code, reason):
        self.closed = code


async def test_one_connection_cannot_have_a_pass_for_itself(wire: Wires):
    """A flood waits for the next pass after a bounded number of messages."""
    in_this_turn = 0
    most = 0

    class Counts(Listener):
        def on_message(self, ws, message):
            nonlocal in_this_turn
            in_this_turn += 1

    _, peer = await wire(Counts())
    frames = peer.frame(1, b"") * 10_000
    peer.send(frames[: 16 * 1024])
    sending = asyncio.ensure_future(peer.send_all(frames[16 * 1024 :]))
    total = 0
    while total < 10_000:
        in_this_turn = 0
        await turn()
        most = max(most, in_this_turn)
        total += in_this_turn
    await sending
    assert total == 10_000
    assert 0 < most <= 3000


async def test_others_are_served_during_a_flood(wire: Wires):
    flooded, quiet = Collects(), Collects()
    _, flooding = await wire(flooded)
    _, peer = await wire(quiet)
    flooding.send(flooding.frame(1, b"") * 2500)
    await until(lambda: flooded.got)
    peer.send_texts("hello")
    await until(lambda: quiet.got)
    assert len(flooded.got) <= 2500
    await until(lambda: len(flooded.got) == 2500)


async def test_flooding_connections_take_turns(wire: Wires):
    listeners = [Collects() for _ in range(4)]
    peers = [(await wire(listener))[1] for listener in listeners]
    for peer in peers:
        peer.send(peer.frame(1, b"") * 2500)
    spread = 0
    while sum(len(listener.got) for listener in listeners) < 4 * 2500:
        counts = [len(listener.got) for listener in listeners]
        spread = max(spread, max(counts) - min(counts))
        await turn()
    assert spread <= 2500 - 1  # none is done before another has begun


async def test_what_is_left_of_a_pass_is_kept_though_one_ended_at_its_last_octet(
    wire: Wires,
):
    """
    Octets of which a pass leaves some are not read over by another connection's.

    Before, a pass has used its budget and what was kept of the input up, both at once.
    """
    first, second = Collects(), Collects()
    _, flooding = await wire(first)
    _, other = await wire(second)
    numbers = [f"{n:05}" for n in range(3500)]
    flooding.send_texts(*numbers[:2000])  # two budgets
    await until(lambda: len(first.got) == 2000)
    flooding.send_texts(*numbers[2000:])
    other.send_texts(*numbers)  # read in the same pass
    await until(lambda: len(second.got) == 3500 or first.closed or second.closed)
    await until(lambda: len(first.got) == 3500 or first.closed)
    assert first.got == numbers
    assert second.got == numbers


async def test_an_error_in_a_callback_fails_its_connection_alone(wire: Wires, caplog):
    fails, works = Collects(LookupError("mine"), "bad"), Collects()
    _, bad = await wire(fails)
    _, good = await wire(works)
    bad.send_texts("fine", "bad", "after")
    good.send_texts("one", "two")
    (close,) = await bad.rest()
    assert close.opcode == 8
    assert close.payload[:2] == (1011).to_bytes(2, "big")
    await until(lambda: works.got == ["one", "two"])
    assert fails.got == ["fine", "bad"]
    assert "mine" in caplog.text


class FatalError(BaseException):
    """An error that is no Exception, which not even asyncio catches in a task."""


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("style", ["callback", "task"])
@pytest.mark.parametrize("uvloop", [False, True])
@pytest.mark.parametrize("by_reactor", [False, True])
def test_an_interrupt_leaves_everything_consistent(error, style, uvloop, by_reactor):
    """It ends the loop's run; when that runs again, nothing is lost."""
    if uvloop:
        loop = pytest.importorskip("uvloop").new_event_loop()
    else:
        loop = asyncio.new_event_loop()
    wire = Wires(by_reactor)

    async def setup():
        if style == "callback":
            first = Collects(error("stop"), "bad")
            one, peer_one = await wire(first)
        else:
            first = []
            one, peer_one = await wire()

            async def receive():
                while len(first) < 4:
                    first.append(await one.recv())
                    if first[-1] == "bad":
                        raise error("stop")

            tasks.append(asyncio.ensure_future(receive()))
        second = Collects()
        _, peer_two = await wire(second)
        await turn(3)
        return one, first, peer_one, second, peer_two

    tasks: list[asyncio.Task] = []
    try:
        one, first, peer_one, second, peer_two = loop.run_until_complete(setup())
        peer_one.send_texts("fine", "bad", "after", "more")
        peer_two.send_texts("one", "two")
        with pytest.raises(error):
            loop.run_until_complete(asyncio.sleep(0.2))
        driver_state = (one.link.driver.in_pass, one.link.driver.direct)
        assert driver_state == (False, False)
        loop.run_until_complete(until(lambda: second.got == ["one", "two"]))

        async def the_rest():
            if style == "callback":
                await until(lambda: len(first.got) == 4)
                assert first.got == ["fine", "bad", "after", "more"]
                one.send("still open")
                assert await peer_one.messages(1) == ["still open"]
            else:
                assert tasks[0].done()
                assert first == ["fine", "bad"]
                assert [await one.recv(), await one.recv()] == ["after", "more"]
                await one.send("still open")
                assert await peer_one.messages(1) == ["still open"]

        loop.run_until_complete(the_rest())
        loop.run_until_complete(wire.close())
        if tasks:
            with pytest.raises(error):
                tasks[0].result()
    finally:
        loop.close()


async def test_every_error_of_a_pass_is_reported(wire: Wires):
    """What the application's own subclass raises goes to the loop, all of it."""

    class Raises(Connection):
        def ping_received(self, payload):
            raise LookupError(payload.decode())

        def handler_failed(self, exc):
            raise exc

    seen = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: seen.append(context))
    made = [await wire(make=Raises) for _ in range(3)]
    for n, (_, peer) in enumerate(made):
        peer.send(peer.frame(9, str(n)))
    await turn(6)
    if wire.reactor:
        assert {str(context["exception"]) for context in seen} >= {"0", "1", "2"}


async def test_an_error_does_not_hold_up_what_others_have_to_send(wire: Wires):
    answered = []

    class Echoes(Listener):
        def on_message(self, ws, message):
            ws.send(message)
            answered.append(message)

    class Fails(Listener):
        def on_message(self, ws, message):
            ws.send("before")
            raise LookupError

    made = [await wire(Echoes() if n % 2 else Fails()) for n in range(6)]
    for _, peer in made:
        peer.send_texts("hello")
    for n, (_, peer) in enumerate(made):
        if n % 2:
            assert await peer.messages(1) == ["hello"]
        else:
            sent, close = await peer.rest()
            assert sent.payload == b"before"
            assert close.opcode == 8


async def test_an_error_in_on_drain_fails_its_connection_alone(wire: Wires, caplog):
    class Fails(Listener):
        def on_drain(self, ws):
            raise LookupError("in on_drain")

    ws, peer = await wire(Fails(), write_limit=0)
    _, other = await wire(Echo())
    ws.send("over the limit")
    other.send_texts("one")
    assert await other.messages(1) == ["one"]
    sent, close = await peer.rest()
    assert sent.payload == b"over the limit"
    assert close.payload[:2] == (1011).to_bytes(2, "big")
    assert "in on_drain" in caplog.text


class Echo(Listener):
    def on_message(self, ws, message):
        ws.send(message)


async def test_sending_from_on_drain_for_ever_does_not_stall_the_loop(wire: Wires):
    class Pours(Listener):
        def on_drain(self, ws):
            ws.send("more")

    ws, peer = await wire(Pours(), write_limit=0)
    ws.send("first")
    assert await asyncio.wait_for(peer.messages(20), 5) == ["first"] + ["more"] * 19


async def test_what_a_pass_queues_leaves_in_one_write(wire: Wires):
    class Answers(Listener):
        def on_message(self, ws, message):
            ws.send(message)
            ws.send(message * 2)

    ws, peer = await wire(Answers())
    peer.send_texts("a", "b", "c")
    expected = 6 * 2 + 3 + 6
    octets = await peer.read()
    assert len(octets) == expected
    ws.send("outside of a pass")
    ws.send("in one write")
    assert ws.buffered_amount > 0
    octets = await peer.read()
    assert len(octets) == 2 * 2 + len("outside of a pass" + "in one write")


async def test_much_output_leaves_at_once(wire: Wires):
    ws, peer = await wire()
    ws.send("x" * 40_000)
    assert ws.buffered_amount == 0
    (frame,) = await peer.frames(1)
    assert len(frame.payload) == 40_000


@only_reactor
async def test_a_pass_within_a_pass_is_refused(wire: Wires):
    refused = []

    class Nests(Listener):
        def on_message(self, ws, message):
            try:
                ws.link.driver.run_pass()
            except RuntimeError as exc:
                refused.append(str(exc))

    _, peer = await wire(Nests())
    peer.send_texts("one", "two")
    await until(lambda: len(refused) == 2)
    assert "nested" in refused[0]


@only_reactor
async def test_polling_without_sleep(wire: Wires):
    """The option for those who want the shortest round trip, not the coolest CPU."""
    wire.driver.busy_poll = 0.002
    try:
        _, peer = await wire(Echo())
        for n in range(20):
            peer.send_texts(str(n))
            assert await peer.messages(1) == [str(n)]
    finally:
        wire.driver.busy_poll = 0.0


async def test_closing_another_connection_from_a_callback(wire: Wires):
    """Both are ready in the same pass; the second is gone when its turn would come."""
    connections = []

    class Closes(Listener):
        def on_message(self, ws, message):
            for other in connections:
                if other is not ws:
                    other.abort()

        def on_close(self, ws, code, reason):
            closed.append(ws)

    closed: list[Connection] = []
    peers = []
    for _ in range(8):
        ws, peer = await wire(Closes())
        connections.append(ws)
        peers.append(peer)
    for peer in peers:
        peer.send_texts("go")
    await until(lambda: len(closed) >= 7)
    survivors = [ws for ws in connections if ws not in closed]
    assert len(survivors) == 1
    survivors[0].send("alive")
    alive = peers[connections.index(survivors[0])]
    assert await alive.messages(1) == ["alive"]


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_closing_itself_in_a_callback(wire: Wires, how):
    got = []

    class Leaves(Listener):
        def on_message(self, ws, message):
            got.append(message)
            if message == "leave":
                getattr(ws, how)()

        def on_close(self, ws, code, reason):
            got.append(code)

    ws, peer = await wire(Leaves())
    peer.send(peer.texts("one", "leave", "behind") + peer.frame(8, b"\x03\xe8"))
    await until(lambda: ws.state.name == "CLOSED")
    if how == "abort":
        assert got == ["one", "leave", 1006]
    else:
        assert got == ["one", "leave", "behind", 1000]


@only_reactor
async def test_descriptors_that_are_given_out_again(wire: Wires):
    """A number freed during a pass, and given out in it, is not taken for the old."""
    loop = asyncio.get_running_loop()
    fresh = []

    class Replaces(Listener):
        def on_message(self, ws, message):
            victim.abort()
            here, there = tcp_pair()  # takes the numbers that became free
            fresh.append((here, Peer(there)))

    class Victim(Collects):
        pass

    one, peer_one = await wire(Replaces())
    gone = Victim()
    victim, peer_two = await wire(gone)
    number = victim.link.get_extra_info("socket").fileno()
    # Both become ready in one pass: the loop does not turn in between.
    peer_one.send_texts("go")
    peer_two.send_texts("for the old one")
    await until(lambda: fresh)
    here, peer = fresh[0]
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=here)
    link = wire.driver.adopt(transport)
    works = Collects()
    ws = Connection(link, Options(), client=False, listener=works)
    ws.opened()
    link.start(ws, b"")
    peer.send_texts("for the new one")
    await until(lambda: works.got)
    assert works.got == ["for the new one"]
    assert gone.got in ([], ["for the old one"])
    assert number >= 0
    assert one.state.name == "OPEN"
    peer.close()
    ws.abort()
