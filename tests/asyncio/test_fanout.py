"""One loop over many members."""

from __future__ import annotations

import asyncio

from tests.asyncio.conftest import Pair
from tests.asyncio.test_broadcast import Quiet, everybody
from wsfast import Prepared
from wsfast.asyncio.fanout import fan_out
from wsfast.asyncio.prepared import GONE, QUEUED, SLOW


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
