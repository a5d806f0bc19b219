"""One loop over many members, and output that leaves in portions."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from tests.asyncio.conftest import Pair
from tests.asyncio.test_broadcast import Quiet, everybody
from wsfast import Prepared
from wsfast.asyncio import link
from wsfast.asyncio.fanout import fan_out
from wsfast.asyncio.prepared import GONE, QUEUED, SLOW
from wsfast.exceptions import ConnectionClosedOK


class Member:
    """One that says of itself what it does."""

    def __init__(self, answer: int | Exception) -> None:
        self.answer = answer

    def offer(self, prepared: Prepared, limit: int) -> int:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def accepted(pair: Pair, count: int):
    """Return connections of a client, and the server's ends of them."""
    server = await pair.serve(Quiet, compression=None)
    clients = [await pair.connect(server) for _ in range(count)]
    await everybody(server, count)
    ends = {ws.remote_address: ws for ws in server.connections}
    return clients, [ends[ws.local_address] for ws in clients]


async def test_whoever_does_not_take_it_is_named_by_place(pair: Pair):
    clients, (first, second, third) = await accepted(pair, 3)
    second.abort()
    third.send("x" * 100)
    failure = ZeroDivisionError()
    members = [first, None, second, Member(SLOW), Member(failure)]
    members += [Member(QUEUED), third]
    rest = fan_out(members, Prepared("hello"), 50)
    assert rest == [(1, GONE), (2, GONE), (3, SLOW), (4, failure), (6, SLOW)]
    assert await asyncio.wait_for(clients[0].recv(), 5) == "hello"
    assert await asyncio.wait_for(clients[2].recv(), 5) == "x" * 100
    assert fan_out([], Prepared("hello")) == []


async def test_what_follows_a_frame_that_many_have_is_nobody_elses(pair: Pair):
    clients, members = await accepted(pair, 3)
    fan_out(members, Prepared("to all"))
    for number, member in enumerate(members):
        member.send(str(number))
    fan_out(members, Prepared("again"))
    for n, ws in enumerate(clients):
        for expected in ("to all", str(n), "again"):
            assert await asyncio.wait_for(ws.recv(), 5) == expected


class Counted(link.Link):
    """A link that notes when it is flushed."""

    def __init__(self, driver: link.Driver, flushed: list[int], number: int) -> None:
        super().__init__(driver)
        self.flushed = flushed
        self.number = number

    def flush(self) -> None:
        self.flushed.append(self.number)
        if self.number == 700:
            raise ZeroDivisionError


async def test_the_event_loop_has_its_turn_between_portions():
    loop = asyncio.get_running_loop()
    driver, flushed, seen = link.Driver(loop), [], []
    errors = []
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    for number in range(1500):
        Counted(driver, flushed, number).wrote()

    def look() -> None:
        seen.append(len(flushed))
        if len(flushed) < 1500:
            loop.call_soon(look)

    look()
    while len(flushed) < 1500:
        assert driver.dirty
        await asyncio.sleep(0)
    assert flushed == list(range(1500))  # in order, each once, whatever one raises
    assert [type(error) for error in errors] == [ZeroDivisionError]
    portions = {b - a for a, b in pairwise(seen)}
    assert 512 in portions and max(portions) == 512
    assert not driver.dirty


async def test_passes_between_portions_begin_no_second_row_of_them():
    loop = asyncio.get_running_loop()
    driver, flushed, turns = link.Driver(loop), [], []
    for number in range(701, 8701):
        Counted(driver, flushed, number).wrote()
    while len(flushed) < 8000:
        before = len(flushed)
        driver.enter()
        driver.leave()  # of what waits, this flushes a portion as well
        assert len(flushed) - before <= 512
        await asyncio.sleep(0)
        turns.append(len(flushed) - before)
    assert max(turns) <= 2 * 512
    assert flushed == list(range(701, 8701))


async def test_events_keep_their_order_and_none_is_lost_between_portions(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(link, "FLUSH_MOST", 2)
    clients, members = await accepted(pair, 7)
    driver = members[0].link.driver
    fan_out(members, Prepared("0"))
    fan_out(members, Prepared("1"))
    await asyncio.sleep(0)
    assert 0 < len(driver.dirty) < 7  # between two portions
    members[5].abort()
    members[6].close()
    rest = fan_out(members, Prepared("2"))
    assert rest == [(5, GONE), (6, GONE)]
    for ws in clients[:5]:
        got = [await asyncio.wait_for(ws.recv(), 5) for _ in range(3)]
        assert got == ["0", "1", "2"]
    assert [await asyncio.wait_for(clients[6].recv(), 5) for _ in "01"] == ["0", "1"]
    with pytest.raises(ConnectionClosedOK):
        await asyncio.wait_for(clients[6].recv(), 5)
