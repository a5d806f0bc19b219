"""Channels by pattern, and the number of subscribers, of a real Redis."""

from __future__ import annotations

import asyncio

import pytest

from tests.hub.daemons import daemon, redis_command
from tests.hub.waiting import until
from wsfast.hub.redis_patterns import RedisPatternBus, escaped

pytestmark = pytest.mark.needs("redis-server")


async def test_patterns_and_numbers_outlive_redis():
    heard, other = [], []

    def hear(*message):
        heard.append(message)

    with daemon(redis_command) as redis:
        async with RedisPatternBus(
            f"redis://127.0.0.1:{redis.port}", max_retry=0.2
        ) as bus:
            bus.subscribe_pattern(escaped("a[b]*?\\ #") + "*", hear)
            bus.subscribe("one", lambda *_: None)
            bus.subscribe_pattern("other*", lambda *message: other.append(message))
            await bus.synced()
            bus.publish("a[b]*?\\ #room with blanks#", b"1")
            bus.publish("ab", b"no")
            bus.publish("other", b"2")
            await until(lambda: other)
            assert heard == [("a[b]*?\\ #room with blanks#", b"1")]
            assert await bus.subscribers("one") == 1
            assert await bus.subscribers("none") == 0
            bus.unsubscribe_pattern("other*")
            bus.unsubscribe_pattern("other*")
            await bus.synced()
            asked = asyncio.ensure_future(bus.subscribers("one"))
            redis.kill()
            with pytest.raises(ConnectionError):
                await asked
            await until(lambda: bus.state == "down")
            with pytest.raises(ConnectionError):
                await bus.subscribers("one")
            redis.start()
            await bus.synced()
            bus.publish("other", b"3")
            bus.publish("a[b]*?\\ #", b"4")
            await until(lambda: heard[1:] == [("a[b]*?\\ #", b"4")])
            assert len(other) == 1
            assert await bus.subscribers("one") == 1
            for name in ("", "\ud800"):
                with pytest.raises(ValueError, match=r"name|surrogates"):
                    bus.subscribe_pattern(name, hear)


async def test_a_number_that_may_not_be_asked_for():
    with daemon(redis_command) as redis:
        url = f"redis://127.0.0.1:{redis.port}"
        async with RedisPatternBus(url) as bus:
            await bus.synced()
            await bus._links[0].ask(
                [("ACL", "SETUSER", "default", "-pubsub")], lambda answer: answer
            )
            with pytest.raises(ConnectionError, match="no number"):
                await bus.subscribers("one")
            asked = asyncio.ensure_future(bus.subscribers("one"))
            await asyncio.sleep(0)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            bus.publish("one", b"x")
            await until(lambda: not bus.queued)
