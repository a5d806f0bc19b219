"""Replies of many peers: what is counted, what comes twice, too late or from nobody."""

from __future__ import annotations

import asyncio

import pytest

from tests.socketio.conftest import WAIT_S
from wsfast import socketio
from wsfast.socketio.acks import Answered, Collected, Waiting


@pytest.fixture
def forgotten():
    """Return how often a waiter was forgotten."""
    return []


def waiting(forgotten, timeout=WAIT_S):
    return Waiting(timeout, lambda: forgotten.append(1))


async def test_the_first_word_counts(forgotten):
    reply, gone, late = (waiting(forgotten) for _ in range(3))
    reply(1, 2)
    gone.fail()
    late.late("too late")
    for each in (reply, gone, late):  # nothing of this changes anything
        each("more")
        each.fail()
        each.late("later still")
    assert await reply.future == (1, 2)
    with pytest.raises(socketio.Disconnected):
        await gone.future
    with pytest.raises(socketio.AckTimeout, match="too late"):
        await late.future
    await asyncio.sleep(0)
    assert len(forgotten) == 3


async def test_callback_is_called_once(forgotten):
    got = []
    answered = Answered(
        WAIT_S,
        lambda: forgotten.append(1),
        lambda *args: got.append(args),
        lambda function, *args: function(*args),
    )
    answered(1, 2)
    answered(3)
    answered.fail()
    await answered.future
    await asyncio.sleep(0)
    assert got == [(None, 1, 2)]


async def test_nobody_is_told_of_what_was_cancelled(forgotten):
    got = []
    answered = Answered(
        WAIT_S,
        lambda: forgotten.append(1),
        got.append,
        lambda function, *args: function(*args),
    )
    answered.future.cancel()
    await asyncio.wait([answered.future])
    await asyncio.sleep(0)  # its callbacks are called
    assert (got, forgotten) == ([], [1])


async def test_replies_of_two_nodes():
    """Those of a node that has not said how many count as well; others do not."""
    collected = Collected(WAIT_S, ["", "b"])
    collected.reply("b", [1])  # before its number
    collected.reply("nobody", [2])
    collected.fail("nobody")
    collected.gone("nobody")
    collected.expect(2, "b")
    collected.expect(7, "b")  # once is enough
    collected.expect(0)
    assert not collected.future.done()
    collected("late, and this node owes none")
    collected.fail("b")
    assert await collected.future == [1]
    assert collected.expected == 1
    collected.reply("b", [3])
    assert collected.replies == [1]


async def test_a_node_that_has_gone():
    collected = Collected(WAIT_S, ["", "b", "c"])
    collected.expect(1)
    collected(5)
    collected.gone("c")
    collected.gone("b")
    collected.gone("b")
    with pytest.raises(socketio.NodeGone) as caught:
        await collected.future
    assert caught.value.responses == [5]
    assert caught.value.nodes == ["b", "c"]


async def test_what_is_cancelled_takes_no_replies():
    collected = Collected(None)
    collected.future.cancel()
    collected.expect(1)
    collected(1)
    assert collected.future.cancelled()


async def test_late_is_only_who_is_not_done():
    collected = Collected(WAIT_S)
    collected.expect(0)
    collected._late()
    assert await collected.future == []
    collected = Collected(WAIT_S)
    collected.expect(2)
    collected(1)
    collected._late()
    with pytest.raises(socketio.AckTimeout, match="1 of 2"):
        await collected.future
