"""Direct dispatch: a task waiting for a message is stepped when it is there."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys

import pytest

from tests.asyncio.wire import Wires, turn
from wsfast import ConcurrencyError, ConnectionClosedError, Listener

VAR: contextvars.ContextVar[str] = contextvars.ContextVar("VAR", default="unset")

since_311 = pytest.mark.skipif(sys.version_info < (3, 11), reason="since Python 3.11")
since_312 = pytest.mark.skipif(sys.version_info < (3, 12), reason="since Python 3.12")


class Steps:
    """What a task saw when it was stepped: within a pass or not, and the message."""

    def __init__(self, ws, driver):
        self.ws = ws
        self.driver = driver
        self.seen = []

    async def run(self):
        while True:
            message = await self.ws.recv()
            self.seen.append((message, self.driver.in_pass))


async def test_a_waiting_task_is_stepped_within_the_pass(wire: Wires):
    ws, peer = await wire()
    steps = Steps(ws, wire.driver)
    task = asyncio.create_task(steps.run())
    await turn()
    peer.send_texts("one", "two")
    await turn(4)
    peer.send_texts("three")
    await turn(4)
    assert steps.seen == [("one", True), ("two", True), ("three", True)]
    task.cancel()


async def test_debug_mode_steps_it_a_turn_later(wire: Wires):
    ws, peer = await wire()
    steps = Steps(ws, wire.driver)
    asyncio.get_running_loop().set_debug(True)
    try:
        task = asyncio.create_task(steps.run())
        await turn()
        peer.send_texts("one")
        await turn(6)
        assert steps.seen == [("one", False)]
        task.cancel()
        await turn(2)
    finally:
        asyncio.get_running_loop().set_debug(False)


async def test_never_while_another_task_is_running(wire: Wires):
    """A task that ends another's connection is not interrupted by it."""
    ws, _ = await wire()
    running = []

    async def waits():
        try:
            await ws.recv()
        finally:
            running.append(asyncio.current_task().get_name())

    async def aborts():
        await turn()
        running.append("aborts begins")
        ws.abort()
        assert asyncio.current_task().get_name() == "aborts"
        running.append("aborts ends")

    waiting = asyncio.create_task(waits(), name="waits")
    await asyncio.create_task(aborts(), name="aborts")
    with pytest.raises(ConnectionClosedError):
        await waiting
    assert running == ["aborts begins", "aborts ends", "waits"]


async def test_not_while_a_task_stepped_directly_is_running(wire: Wires):
    one, peer = await wire()
    two, _ = await wire()
    order = []

    async def ends_the_other():
        await one.recv()
        order.append("begins")
        two.abort()
        order.append("ends")

    async def waits():
        with pytest.raises(ConnectionClosedError):
            await two.recv()
        order.append("waits")

    tasks = [asyncio.create_task(ends_the_other()), asyncio.create_task(waits())]
    await turn()
    peer.send_texts("go")
    await asyncio.gather(*tasks)
    assert order == ["begins", "ends", "waits"]


async def test_not_within_a_callback_of_another_connection(wire: Wires):
    """What a callback calls returns before any task runs, as it would with a future."""
    two, _ = await wire()
    order = []

    class Ends(Listener):
        def on_message(self, ws, message):
            order.append("begins")
            two.abort()
            order.append("ends")

    _, peer = await wire(Ends())

    async def waits():
        with pytest.raises(ConnectionClosedError):
            await two.recv()
        order.append("waits")

    task = asyncio.create_task(waits())
    await turn()
    peer.send_texts("go")
    await task
    assert order == ["begins", "ends", "waits"]


@since_312
async def test_not_while_an_eager_task_is_running(wire: Wires):
    """A callback may start a task that runs at once, and that ends a connection."""
    two, _ = await wire()
    loop = asyncio.get_running_loop()
    eager = []

    async def ends_the_other():
        two.abort()
        assert asyncio.current_task().get_name() == "eager"

    class Ends(Listener):
        def on_message(self, ws, message):
            task = asyncio.Task(
                ends_the_other(), loop=loop, eager_start=True, name="eager"
            )
            eager.append(task)

    one, peer = await wire(Ends())
    waiting = asyncio.create_task(two.recv())
    await turn()
    peer.send_texts("go")
    with pytest.raises(ConnectionClosedError):
        await waiting
    await eager[0]
    assert one.state.name == "OPEN"


@since_312
async def test_eager_tasks_receive(wire: Wires):
    ws, peer = await wire()
    loop = asyncio.get_running_loop()
    loop.set_task_factory(lambda *args, **_: asyncio.eager_task_factory(*args))
    try:
        waiting = asyncio.create_task(ws.recv())
        assert not waiting.done()
        peer.send_texts("one", "two")
        assert await waiting == "one"

        async def receive():
            return await ws.recv(), asyncio.current_task()

        at_once = asyncio.create_task(receive())
        assert at_once.done()
        assert await at_once == ("two", at_once)
    finally:
        loop.set_task_factory(None)


async def test_current_task(wire: Wires):
    one, peer_one = await wire()
    two, peer_two = await wire()
    seen = {}

    async def receive(ws):
        before = asyncio.current_task()
        message = await ws.recv()
        seen[message] = before is asyncio.current_task() is not None

    tasks = [asyncio.create_task(receive(ws)) for ws in (one, two)]
    await turn()
    peer_one.send_texts("one")
    peer_two.send_texts("two")
    await asyncio.gather(*tasks)
    assert seen == {"one": True, "two": True}
    assert asyncio.current_task() is not None


async def test_no_task_is_current_in_a_callback(wire: Wires):
    current = []

    class Looks(Listener):
        def on_message(self, ws, message):
            current.append(asyncio.current_task())

    _, peer = await wire(Looks())
    peer.send_texts("go")
    await turn(4)
    assert current == [None]


async def test_each_task_sees_its_own_context(wire: Wires):
    one, peer_one = await wire()
    two, peer_two = await wire()
    seen = []

    async def receive(ws, name):
        VAR.set(name)
        for _ in range(3):
            message = await ws.recv()
            seen.append((message, VAR.get()))
            VAR.set(name)

    tasks = [
        asyncio.create_task(receive(one, "one")),
        asyncio.create_task(receive(two, "two")),
    ]
    await turn()
    for n in range(3):
        peer_one.send_texts(f"1{n}")
        peer_two.send_texts(f"2{n}")
        await turn(4)
    await asyncio.gather(*tasks)
    assert sorted(seen) == [
        *((f"1{n}", "one") for n in range(3)),
        *((f"2{n}", "two") for n in range(3)),
    ]
    assert VAR.get() == "unset"


@since_311
async def test_a_task_with_an_explicit_context(wire: Wires):
    ws, peer = await wire()
    context = contextvars.copy_context()
    context.run(VAR.set, "explicit")

    async def receive():
        await ws.recv()
        before = VAR.get()
        VAR.set("changed")
        await ws.recv()
        return before, VAR.get()

    task = asyncio.create_task(receive(), context=context)
    await turn()
    peer.send_texts("one")
    await turn(4)
    assert context[VAR] == "changed"
    peer.send_texts("two")
    assert await task == ("explicit", "changed")
    assert VAR.get() == "unset"


async def test_cancel_takes_effect_a_turn_later(wire: Wires):
    """As with a future: cancel() only asks for it."""
    ws, _ = await wire()
    task = asyncio.create_task(ws.recv())
    await turn()
    task.cancel()
    assert not task.done()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancel_carries_its_message(wire: Wires):
    ws, _ = await wire()
    seen = []

    async def receive():
        try:
            await ws.recv()
        except asyncio.CancelledError as exc:
            seen.append(exc.args)
            raise

    task = asyncio.create_task(receive())
    await turn()
    task.cancel("enough")
    await asyncio.wait([task])
    assert seen == [("enough",)]


async def test_a_message_that_meets_a_cancellation_stays(wire: Wires):
    ws, peer = await wire()
    task = asyncio.create_task(ws.recv())
    await turn()
    peer.send_texts("kept")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ws.recv() == "kept"


async def test_cancel_after_the_wake_up_in_debug_mode(wire: Wires):
    """The wake-up is under way: the task is told, and the message stays."""
    ws, peer = await wire()
    driver = wire.driver
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(ws.recv())
    await turn()
    loop.set_debug(True)
    try:
        peer.send_texts("kept")
        while not ws.queue_length():
            await turn()
        assert not driver.in_pass
        if not task.done():
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await ws.recv() == "kept"
    finally:
        loop.set_debug(False)


async def test_a_task_that_refuses_to_be_cancelled_goes_on(wire: Wires):
    ws, peer = await wire()

    async def stubborn():
        try:
            await ws.recv()
        except asyncio.CancelledError:
            return await ws.recv()

    task = asyncio.create_task(stubborn())
    await turn()
    task.cancel()
    await turn(2)
    peer.send_texts("after all")
    assert await task == "after all"


async def test_cancel_before_it_starts(wire: Wires):
    ws, peer = await wire()
    task = asyncio.create_task(ws.recv())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    peer.send_texts("one")
    assert await ws.recv() == "one"


async def test_recv_does_not_suspend_while_messages_are_queued(wire: Wires):
    ws, peer = await wire()
    peer.send_texts("one", "two", "three")
    await turn(4)
    turns = []
    asyncio.get_running_loop().call_soon(turns.append, "turn")
    assert [await ws.recv() for _ in range(3)] == ["one", "two", "three"]
    assert turns == []


async def test_several_messages_of_one_read_are_taken_in_one_step(wire: Wires):
    ws, peer = await wire()
    got, turns = [], []

    async def receive():
        async for message in ws:
            got.append((message, len(turns)))  # noqa: PERF401 - as they come

    task = asyncio.create_task(receive())
    await turn()
    peer.send_texts(*(str(n) for n in range(200)))
    while not got:
        turns.append(1)
        await turn()
    assert [message for message, _ in got] == [str(n) for n in range(200)]
    assert len({turn for _, turn in got}) == 1
    task.cancel()


async def test_two_tasks_cannot_receive(wire: Wires):
    ws, peer = await wire()
    first = asyncio.create_task(ws.recv())
    await turn()
    with pytest.raises(ConcurrencyError):
        await ws.recv()
    with pytest.raises(ConcurrencyError):
        async for _ in ws:
            pass
    with pytest.raises(ConcurrencyError):
        await ws.recv_many()
    with pytest.raises(ConcurrencyError):
        async for _ in ws.recv_streaming():
            pass
    peer.send_texts("for the first")
    assert await first == "for the first"
    peer.send_texts("for anybody")
    assert await ws.recv() == "for anybody"


async def test_nobody_takes_the_message_of_a_task_that_is_being_woken(wire: Wires):
    ws, peer = await wire()
    loop = asyncio.get_running_loop()
    loop.set_debug(True)  # the wake-up takes a turn
    try:
        first = asyncio.create_task(ws.recv())
        await turn()
        peer.send_texts("for the first")
        while not ws.queue_length() and not first.done():
            await turn()
        if not first.done():
            with pytest.raises(ConcurrencyError):
                await ws.recv()
        assert await first == "for the first"
    finally:
        loop.set_debug(False)


async def test_wait_for(wire: Wires):
    ws, peer = await wire()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(ws.recv(), 0.01)
    peer.send_texts("one", "two")
    assert await asyncio.wait_for(ws.recv(), 5) == "one"
    assert await asyncio.wait_for(ws.recv(), 5) == "two"
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(ws.recv(), 0)
    peer.send_texts("three")
    assert await ws.recv() == "three"


@since_311
async def test_timeout(wire: Wires):
    ws, peer = await wire()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await ws.recv()
    assert asyncio.current_task().cancelling() == 0
    peer.send_texts("one")
    async with asyncio.timeout(5):
        assert await ws.recv() == "one"


@since_311
async def test_task_group(wire: Wires):
    one, peer_one = await wire()
    two, _ = await wire()

    class EnoughError(Exception):
        pass

    async def fails():
        raise EnoughError(await one.recv())

    with pytest.raises(ExceptionGroup) as caught:  # noqa: F821
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            other = group.create_task(two.recv())
            await turn()
            peer_one.send_texts("enough")
            await asyncio.sleep(10)
    assert [str(exc) for exc in caught.value.exceptions] == ["enough"]
    assert other.cancelled()


async def test_gather_and_create_task(wire: Wires):
    made = [await wire() for _ in range(5)]
    results = asyncio.gather(*(ws.recv() for ws, _ in made))
    await turn()
    for n, (_, peer) in enumerate(made):
        peer.send_texts(str(n))
    assert await results == ["0", "1", "2", "3", "4"]


async def test_wait_with_many(wire: Wires):
    made = [await wire() for _ in range(3)]
    tasks = [asyncio.create_task(ws.recv()) for ws, _ in made]
    await turn()
    made[1][1].send_texts("first")
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    assert done == {tasks[1]}
    for task in pending:
        task.cancel()
    for n in (0, 2):
        made[n][1].send_texts("kept")
    await asyncio.wait(pending)
    assert [await made[n][0].recv() for n in (0, 2)] == ["kept", "kept"]


async def test_shield(wire: Wires):
    ws, peer = await wire()
    inner = asyncio.ensure_future(ws.recv())
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.shield(inner), 0.01)
    assert not inner.done()
    peer.send_texts("one")
    assert await inner == "one"


async def test_what_a_task_raises_is_its_own(wire: Wires):
    ws, peer = await wire()

    async def fails():
        await ws.recv()
        raise LookupError("mine")

    task = asyncio.create_task(fails())
    await turn()
    peer.send_texts("one", "two")
    with pytest.raises(LookupError, match="mine"):
        await task
    assert await ws.recv() == "two"


async def test_callbacks_of_a_task_run_a_turn_later(wire: Wires):
    ws, peer = await wire()
    driver = wire.driver
    seen = []
    task = asyncio.create_task(ws.recv())
    task.add_done_callback(lambda _: seen.append(driver.in_pass))
    await turn()
    peer.send_texts("one")
    await task
    await turn()
    assert seen == [False]


async def test_a_task_waits_for_something_else_meanwhile(wire: Wires):
    ws, peer = await wire()

    async def receive():
        got = []
        for _ in range(3):
            got.append(await ws.recv())
            await asyncio.sleep(0.001)
        return got

    task = asyncio.create_task(receive())
    await turn()
    peer.send_texts("one", "two")
    await asyncio.sleep(0.02)
    peer.send_texts("three")
    assert await task == ["one", "two", "three"]


async def test_a_receiver_that_is_dropped_does_no_harm(wire: Wires):
    ws, peer = await wire()
    ws.recv()
    ws.recv()
    gc.collect()
    peer.send_texts("one")
    assert await ws.recv() == "one"


async def test_a_coroutine_closed_while_it_waits_leaves(wire: Wires):
    ws, peer = await wire()

    async def receive():
        return await ws.recv()

    coroutine = receive()
    coroutine.send(None)
    coroutine.close()
    peer.send_texts("one")
    assert await ws.recv() == "one"


async def test_the_repr_of_a_waiting_task(wire: Wires):
    ws, peer = await wire()
    plain = asyncio.create_task(ws.recv())
    await turn()
    assert "pending" in repr(plain)
    assert plain.get_stack() == []
    peer.send_texts("one")
    assert await plain == "one"
    assert "finished" in repr(plain)


async def test_a_message_before_any_wait_and_after(wire: Wires):
    """The receiver of a connection serves again and again, waiting or not."""
    ws, peer = await wire()
    for n in range(50):
        if n % 2:
            task = asyncio.create_task(ws.recv())
            await turn()
            peer.send_texts(str(n))
            assert await task == str(n)
        else:
            peer.send_texts(str(n))
            while not ws.queue_length():
                await turn()
            assert await ws.recv() == str(n)
