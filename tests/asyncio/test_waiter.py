"""What a task waits on in recv(), asked for as asyncio asks its own futures."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from tests.asyncio.wire import Wires, turn
from wsfast.asyncio.waiter import Waiter


async def test_tasks_written_in_python_are_stepped_too(wire: Wires):
    ws, peer = await wire()
    seen = []

    async def run():
        while True:
            seen.append((await ws.recv(), wire.driver.in_pass))

    task = asyncio.tasks._PyTask(run(), loop=asyncio.get_running_loop())
    await turn(2)
    for text in ("one", "two"):
        peer.send_texts(text)
        await turn(4)
    assert seen == [("one", True), ("two", True)]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_answers_as_a_future(wire: Wires):
    await wire()
    waiter = Waiter(wire.driver)
    waiter.prepare()
    assert waiter.get_loop() is asyncio.get_running_loop()
    assert waiter._asyncio_future_blocking is True
    waiter._asyncio_future_blocking = False
    assert waiter._asyncio_future_blocking is False
    waiter._asyncio_future_blocking = 1
    assert waiter._asyncio_future_blocking
    with pytest.raises(AttributeError):
        _ = waiter.no_such_name


@pytest.mark.parametrize("way", ["context", "keyword", "no context"])
async def test_callbacks_are_registered_in_any_way_of_calling(wire: Wires, way: str):
    await wire()
    var: contextvars.ContextVar[str] = contextvars.ContextVar("var", default="unset")
    context = contextvars.copy_context()
    context.run(var.set, "set")
    waiter = Waiter(wire.driver)
    seen = []

    def callback(of: object) -> None:
        seen.append((of is waiter, var.get()))

    for _ in range(2):
        waiter.prepare()
        if way == "context":
            waiter.add_done_callback(callback, context=context)
        elif way == "keyword":
            waiter.add_done_callback(callback=callback, context=context)
        else:
            waiter.add_done_callback(callback)
        waiter.wake_soon()
        await turn(2)
    assert seen == [(True, "unset" if way == "no context" else "set")] * 2


async def test_callbacks_are_refused_as_by_any_method(wire: Wires):
    await wire()
    waiter = Waiter(wire.driver)
    with pytest.raises(TypeError):
        waiter.add_done_callback()
    with pytest.raises(TypeError):
        waiter.add_done_callback(print, None, None)
    with pytest.raises(TypeError):
        waiter.add_done_callback(print, contexts=None)
    with pytest.raises(TypeError):
        waiter.add_done_callback(context=None)
