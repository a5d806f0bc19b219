"""A log in Redis by itself: what it refuses, and what becomes of what is asked."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from redis import Redis

from tests.hub.daemons import daemon, redis_command
from tests.hub.waiting import until
from wsfast.hub.redis_log import RedisLog, id_of, number_of

NOWHERE = "redis://127.0.0.1:9"


@pytest.fixture(scope="module")
def redis():
    """Return a Redis."""
    with daemon(redis_command) as server:
        yield server


@pytest.fixture
async def up(redis, request):
    """Return a log that is up, and the entries that it has told."""
    url = f"redis://127.0.0.1:{redis.port}"
    log = RedisLog(url, name=f"log:{request.node.name}", max_waiting=4)
    seen = []
    log.follow(lambda _: None, lambda _, octets, __: seen.append(octets), seconds=60)
    async with log:
        await until(lambda: log.state == "up")
        yield log, seen


@pytest.mark.parametrize(
    ("terms", "error"),
    [
        ({"max_entries": 0}, "must be positive"),
        ({"max_size": 0}, "must be positive"),
        ({"max_waiting": 0}, "must be positive"),
        ({"liveness": 0}, "liveness must be above 0"),
        ({"liveness": 6}, "at most 5 s: 6"),
        ({"min_retry": 0}, "min_retry"),
        ({"min_retry": 2, "max_retry": 1}, "min_retry"),
    ],
)
def test_terms(terms, error):
    with pytest.raises(ValueError, match=error):
        RedisLog(NOWHERE, name="x", **terms)


def test_numbers():
    assert number_of(b"1700000000000-3") == 1700000000000 << 64 | 3
    assert id_of(number_of(b"5-6")) == "5-6"


async def test_one_follower_and_one_start():
    log = RedisLog(NOWHERE, name="x")
    await log.close()  # it has not been started
    log.follow(lambda _: None, lambda *_: None, seconds=9)
    with pytest.raises(RuntimeError, match="a follower"):
        log.follow(lambda _: None, lambda *_: None, seconds=9)
    async with log:
        with pytest.raises(RuntimeError, match="has been started"):
            await log.start()
        for ask in (log.append, log.take):
            with pytest.raises(ConnectionError, match="the log is away"):
                ask("x")


@pytest.mark.needs("redis-server")
async def test_values(up):
    log, _ = up
    await log.put("key", b"value", 60)
    assert await log.take("key") == b"value"
    assert await log.take("key") is None


@pytest.mark.needs("redis-server")
async def test_what_redis_refuses_fails_by_itself(up):
    log, seen = up
    refused = log.put("key", b"value", 1e300)
    taken = log.append(b"1")
    with pytest.raises(ConnectionError, match="Redis says: "):
        await refused
    await taken
    await until(lambda: seen == [b"1"])
    assert log.state == "up"


@pytest.mark.needs("redis-server")
async def test_who_does_not_wait_for_the_answer(up):
    log, seen = up
    log.append(b"1").cancel()
    await log.append(b"2")
    await until(lambda: seen == [b"1", b"2"])


@pytest.mark.needs("redis-server")
async def test_entries_of_somebody_else_are_not_told(up, redis):
    log, seen = up
    with contextlib.closing(Redis(port=redis.port)) as client:
        client.xadd(log.name, {"a": "b", "c": "d"})
    await log.append(b"1")
    await until(lambda: seen == [b"1"])


@pytest.mark.needs("redis-server")
async def test_what_waits_is_bounded(up, redis):
    log, _ = up
    with redis.stopped():
        asked = []
        with pytest.raises(ConnectionError, match="does not keep up"):
            for _ in range(5):
                asked.append(log.append(b"x"))  # noqa: PERF401 - it raises
        assert 0 < len(asked) <= 4
    await asyncio.gather(*asked, return_exceptions=True)


@pytest.mark.needs("redis-server")
async def test_closing_waits_for_answers(redis, request):
    url = f"redis://127.0.0.1:{redis.port}"
    log = RedisLog(url, name=f"log:{request.node.name}")
    log.follow(lambda _: None, lambda *_: None, seconds=60)
    async with log:
        await until(lambda: log.state == "up")
        asked = log.append(b"x")
    assert number_of(await asked) > 0
    assert log.state == "closed"
    with pytest.raises(ConnectionError, match="the log is away"):
        log.append(b"y")
