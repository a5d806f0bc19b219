"""Which nodes there are, and questions to all of them."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from .bus import Bus, BusState
from .envelope import Codec, Envelope, EnvelopeError, new_node_id

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Answers", "Node", "Presence"]

KINDS: Final[dict[str, dict[str, Any]]] = {
    "hello": {"info": dict},  # who is there?
    "here": {"info": dict},
    "bye": {},
    "ask": {"id": str, "what": str, "body": (object, None), "to": ([str], None)},
    "answer": {"id": str, "body": (object, None), "error": (str, None)},
}
#: A node is forgotten after so many seconds at most.
MOST_EXPIRY_S: Final = 30.0
#: Nodes that are known, and questions that are being answered, at most.
MAX_NODES: Final = 10_000
MAX_ANSWERING: Final = 1_000

Handler = Callable[[str, Any], Any]


class Node(NamedTuple):
    """
    Another node.

    Attributes:
        id: Its ID.
        info: What it tells of itself.
        seen: When it was heard of last, by the clock of this node.

    """

    id: str
    info: Mapping[str, Any]
    seen: float


class Answers(NamedTuple):
    """
    What nodes have answered.

    Attributes:
        answers: By node.
        failed: By node, why it has none.
        missing: Nodes that have not answered in time, or have gone.

    """

    answers: dict[str, Any]
    failed: dict[str, str]
    missing: set[str]


class _Question:
    """A question that waits for its answers."""

    def __init__(self, nodes: Collection[str]) -> None:
        self.waits_for = set(nodes)
        self.result = Answers({}, {}, set())
        self.done = asyncio.get_running_loop().create_future()
        self.see()

    def see(self) -> None:
        if not self.waits_for and not self.done.done():
            self.done.set_result(None)


class Presence:
    """
    The nodes on a bus: each says every few seconds that it is there.

    One that is not heard of for ``expiry`` seconds has gone: it ended, or a network was
    cut. When it is heard of again, it is back: nothing has to be done about it. There
    may be several of these on a bus, of different names.

    Args:
        bus: The bus; it is started and closed by others.
        node: ID of this node; by default a new one.
        name: What channels begin with.
        info: What this node tells of itself, as JSON has it.
        interval: Seconds between two signs of life.
        expiry: Seconds without one after which a node has gone: at most 30, and at
            least twice the interval.
        format: As of :class:`Codec`.
        max_size: As of :class:`Codec`.
        on_join: ``on_join(node)``: there is a :class:`Node` more.
        on_leave: ``on_leave(node)``: there is one less.
        clock: What tells the time in seconds; by default that of the event loop.
        logger: Logger; by default ``wsfast.hub``.

    Attributes:
        nodes: The others, by ID.

    Raises:
        ValueError: An argument is out of its range.

    """

    def __init__(
        self,
        bus: Bus,
        *,
        node: str | None = None,
        name: str = "wsfast",
        info: Mapping[str, Any] | None = None,
        interval: float = 5.0,
        expiry: float = 15.0,
        format: Literal["json", "msgpack"] = "json",  # noqa: A002 - as of Codec
        max_size: int = 1 << 20,
        on_join: Callable[[Node], object] | None = None,
        on_leave: Callable[[Node], object] | None = None,
        clock: Callable[[], float] | None = None,
        logger: logging.Logger | logging.LoggerAdapter[Any] | None = None,
    ) -> None:
        if not 0 < interval * 2 <= expiry <= MOST_EXPIRY_S:
            raise ValueError(
                f"expiry must be at most {MOST_EXPIRY_S:.0f} s, and twice the interval"
            )
        self.bus: Final = bus
        self.node: Final = new_node_id() if node is None else node
        self.codec: Final = Codec(self.node, KINDS, format=format, max_size=max_size)
        self.info = dict(info or {})
        self.nodes: dict[str, Node] = {}
        self.on_join = on_join
        self.on_leave = on_leave
        self.logger = logging.getLogger("wsfast.hub") if logger is None else logger
        self._interval = interval
        self._expiry = expiry
        self._clock = clock
        self._everybody = f"{name}:nodes"
        self._prefix = f"{name}:node:"
        self._handlers: dict[str, Handler] = {}
        self._when_gone: list[Callable[[str], object]] = []
        self._questions: dict[str, _Question] = {}
        self._answering: set[asyncio.Future[None]] = set()
        self._said_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._greeting: asyncio.Task[None] | None = None
        self._running = False

    # ---- the two ends of its life ----

    async def start(self) -> None:
        """Tell the others that this node is there, once the bus is up."""
        if self._running:
            raise RuntimeError("it has been started")
        self._running = True
        self.bus.on_state(self._bus_is)
        self.bus.subscribe(self._everybody, self._heard)
        self.bus.subscribe(self._prefix + self.node, self._heard)
        loop = asyncio.get_running_loop()
        if self._clock is None:
            self._clock = loop.time
        self._greeting = loop.create_task(self._greet())
        self._timer = loop.call_later(self._interval / 4, self._on_timer)

    async def close(self) -> None:
        """Tell the others that this node has gone."""
        if not self._running:
            return
        self._running = False
        self.bus.off_state(self._bus_is)
        if self._timer is not None:
            self._timer.cancel()
        waiting = list(self._answering)
        if self._greeting is not None:
            waiting.append(self._greeting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        self._say(self._everybody, "bye")
        self.bus.unsubscribe(self._everybody, self._heard)
        self.bus.unsubscribe(self._prefix + self.node, self._heard)
        for question in self._questions.values():
            question.result.missing.update(question.waits_for)
            question.waits_for.clear()
            question.see()
        nodes = list(self.nodes)
        self.nodes.clear()
        for node in nodes:
            for callback in tuple(self._when_gone):
                self._call(callback, node)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def when_gone(self, callback: Callable[[str], object]) -> None:
        """Have ``callback(node)`` called with the ID of each node, when it has gone."""
        self._when_gone.append(callback)

    def off_gone(self, callback: Callable[[str], object]) -> None:
        """Call a callback no longer that was given to `when_gone`; else do nothing."""
        if callback in self._when_gone:
            self._when_gone.remove(callback)

    async def _greet(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self.bus.synced()
            self._hello()

    def _bus_is(self, state: BusState) -> None:
        if state == "up":
            self._hello()

    def _hello(self) -> None:
        self._said_at = self._now()
        self._say(self._everybody, "hello", info=self.info)

    def _now(self) -> float:
        assert self._clock is not None
        return self._clock()

    # ---- time ----

    def _on_timer(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._interval / 4, self._on_timer)
        self.tick(self._now())

    def tick(self, now: float) -> None:
        """
        Give a sign of life if it is due, and forget nodes that give none.

        Called by a timer.

        Args:
            now: The time, by the clock.

        """
        if now - self._said_at >= self._interval:
            self._said_at = now
            self._say(self._everybody, "here", info=self.info)
        for node in list(self.nodes.values()):
            if now - node.seen > self._expiry:
                self._gone(node.id)

    def _seen(self, node: str, info: Mapping[str, Any]) -> None:
        known = self.nodes.get(node)
        if known is None and len(self.nodes) >= MAX_NODES:
            return
        self.nodes[node] = new = Node(node, info, self._now())
        if known is None:
            self._call(self.on_join, new)

    def _gone(self, node: str) -> None:
        for question in self._questions.values():
            if node in question.waits_for:
                question.waits_for.discard(node)
                question.result.missing.add(node)
                question.see()
        gone = self.nodes.pop(node, None)
        if gone is not None:
            self._call(self.on_leave, gone)
            for callback in tuple(self._when_gone):
                self._call(callback, node)

    def _call(self, callback: Callable[[Any], object] | None, node: Any) -> None:
        if callback is not None:
            try:
                callback(node)
            except Exception as exc:
                self.logger.error("a callback of presence failed", exc_info=exc)

    # ---- what is said ----

    def _say(self, channel: str, kind: str, **fields: Any) -> None:
        if self.bus.state == "up" or kind in ("ask", "answer"):
            # What is said of now is of no use later.
            self.bus.publish(channel, self.codec.encode(kind, **fields))

    def _heard(self, channel: str, octets: bytes) -> None:
        try:
            envelope = self.codec.decode(octets)
        except EnvelopeError as exc:
            level = logging.WARNING if self.codec.refused == 1 else logging.DEBUG
            self.logger.log(level, "presence did not understand a node: %s", exc)
            return
        if envelope is not None and self._running:
            self._take(envelope)

    def _take(self, envelope: Envelope) -> None:
        node, kind, fields = envelope
        if kind in ("hello", "here"):
            self._seen(node, fields["info"])
            if kind == "hello":
                self._say(self._prefix + node, "here", info=self.info)
        elif kind == "bye":
            self._gone(node)
        elif kind == "ask":
            if fields["to"] is None or self.node in fields["to"]:
                self._asked(node, fields["id"], fields["what"], fields["body"])
        else:
            question = self._questions.get(fields["id"])
            if question is not None and (
                node in question.waits_for or node in self.nodes
            ):
                if fields["error"] is not None:
                    question.result.failed[node] = fields["error"]
                else:
                    question.result.answers[node] = fields["body"]
                question.waits_for.discard(node)
                question.see()

    # ---- questions ----

    def answer(self, what: str, handler: Handler | None) -> None:
        """
        Answer a kind of question, or leave off with None.

        Args:
            what: Its name.
            handler: ``handler(node, body)`` returns the answer, as JSON has it, or an
                awaitable of it. What it raises is told to the node that asked.

        """
        if handler is None:
            self._handlers.pop(what, None)
        else:
            self._handlers[what] = handler

    async def ask(
        self,
        what: str,
        body: Any = None,
        *,
        timeout: float = 5.0,
        nodes: Collection[str] | None = None,
        self_too: bool = True,
    ) -> Answers:
        """
        Ask nodes, and wait until all have answered, or for so long.

        Args:
            what: Kind of the question.
            body: What is asked, as JSON has it.
            timeout: Seconds to wait.
            nodes: IDs of those to ask; None for all.
            self_too: Whether this node is among all.

        Raises:
            EnvelopeError: The question is too long, or JSON has no such thing.

        """
        wanted = set(self.nodes if nodes is None else nodes)
        if nodes is None and self_too:
            wanted.add(self.node)
        ident = secrets.token_urlsafe(12)
        to = None if nodes is None else sorted(wanted)
        octets = self.codec.encode("ask", id=ident, what=what, body=body, to=to)
        question = self._questions[ident] = _Question(wanted)
        try:
            if wanted - {self.node}:
                self.bus.publish(self._everybody, octets)
            if self.node in wanted:
                self._asked(self.node, ident, what, body)
            await asyncio.wait([question.done], timeout=timeout)
        finally:
            del self._questions[ident]
        question.result.missing.update(question.waits_for)
        return question.result

    def _asked(self, node: str, ident: str, what: str, body: Any) -> None:
        handler = self._handlers.get(what)
        if handler is None:
            self._reply(node, ident, error=f"nobody answers {what!r:.50}")
        elif len(self._answering) >= MAX_ANSWERING:
            self._reply(node, ident, error="too many questions")
        else:
            try:
                answer = handler(node, body)
            except Exception as exc:
                self._failed(node, ident, what, exc)
                return
            if not inspect.isawaitable(answer):
                self._reply(node, ident, body=answer)
                return
            answering = self._answer_later(node, ident, what, answer)
            task = asyncio.get_running_loop().create_task(answering)
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _answer_later(
        self, node: str, ident: str, what: str, answer: Awaitable[Any]
    ) -> None:
        try:
            body = await answer
        except Exception as exc:
            self._failed(node, ident, what, exc)
        else:
            self._reply(node, ident, body=body)

    def _failed(self, node: str, ident: str, what: str, exc: Exception) -> None:
        self.logger.error("answering %s failed", what, exc_info=exc)
        self._reply(node, ident, error=type(exc).__name__)

    def _reply(
        self, node: str, ident: str, *, body: Any = None, error: str | None = None
    ) -> None:
        try:
            octets = self.codec.encode("answer", id=ident, body=body, error=error)
        except EnvelopeError as exc:
            self.logger.error("an answer cannot be sent: %s", exc)
            body, error = None, "the answer cannot be sent"
            octets = self.codec.encode("answer", id=ident, error=error)
        if node == self.node:
            fields = {"id": ident, "body": body, "error": error}
            self._take(Envelope(node, "answer", fields))
        else:
            self.bus.publish(self._prefix + node, octets)
