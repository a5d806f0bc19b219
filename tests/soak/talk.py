"""
Clients of wsfast in a soak: ``python -m tests.soak.talk SEED NAME=PORT...``.

Coroutines, callbacks and threads; short talks one after another, and some connections
that stay from the beginning to the end.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import sys
import threading
import time
from typing import Any

from tests.soak.book import Book, WrongError
from tests.soak.child import Notes, emit, obey
from tests.support.host import client_tls
from wsfast import Listener, connect
from wsfast.sync import connect as connect_sync

NOTES = Notes()
TALKERS = 4
#: connections to each server that stay
RESIDENTS = 4
LIMIT_S = 60  # for an answer, on a machine that is busy with other things
#: Octets of messages; the second of those that are sent without waiting for any, which
#: are within ``max_send_buffer`` together.
SIZES = (0, 0, 0, 100, 100, 1000, 5000, 20_000, 60_000)
SHORT_SIZES = SIZES[:6]
PAUSE_S = 0.25  # between two talks of one talker


class Traffic:
    """
    What all clients of this process share.

    Args:
        seed: Of the choices.
        ports: Of the servers, by name.

    """

    def __init__(self, seed: int, ports: dict[str, int]) -> None:
        self.random = random.Random(seed)
        self.ports = ports
        self.tls = client_tls()
        self.running = False
        self.tasks: list[asyncio.Task[None]] = []
        self.thread: threading.Thread | None = None
        self.residents: list[asyncio.Task[None]] = []
        self.leaving = asyncio.Event()

    def address(self, name: str) -> dict[str, Any]:
        """Return the arguments of ``connect`` for a server."""
        secure = name.endswith("-tls")
        context: ssl.SSLContext | None = self.tls if secure else None
        uri = f"{'wss' if secure else 'ws'}://127.0.0.1:{self.ports[name]}/good"
        deflate = self.random.choice(["deflate", None])
        common = {"ssl": context, "proxy": None, "open_timeout": LIMIT_S}
        return {"uri": uri, "compression": deflate, **common}

    def question(
        self, book: Book, sizes: tuple[int, ...] = SIZES
    ) -> tuple[str | bytes, int]:
        """Return something to say, and how many answers it wants."""
        wanted = self.random.choice([0, 1, 1, 1, 2, 10])
        text = book.say(wanted, self.random.choice(sizes))
        return self.random.choice([text, text.encode()]), wanted

    async def start(self) -> None:
        """Begin to talk; the residents come first of all."""
        if not self.residents:
            for name in list(self.ports) * RESIDENTS:
                self.residents.append(asyncio.create_task(self.reside(name)))
        self.running = True
        self.tasks = [asyncio.create_task(self.talk()) for _ in range(TALKERS)]
        self.thread = threading.Thread(target=self.talk_in_a_thread)
        self.thread.start()

    async def rest(self) -> None:
        """End all talks but the residents'."""
        self.running = False
        await asyncio.gather(*self.tasks)
        self.tasks.clear()
        while self.thread is not None and self.thread.is_alive():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        self.thread = None

    async def leave(self) -> None:
        """Have the residents say goodbye."""
        self.leaving.set()
        await asyncio.gather(*self.residents)
        self.residents.clear()

    async def talk(self) -> None:
        """Talk to one server after another."""
        while self.running:
            name = self.random.choice(list(self.ports))
            one = self.random.choice([self.by_coroutine, self.by_callbacks])
            try:
                await asyncio.wait_for(one(name), LIMIT_S)
            except Exception as exc:
                NOTES.complain(f"client of {name}: {exc!r}")
            else:
                NOTES.count("cycles")
            await asyncio.sleep(PAUSE_S)

    async def by_coroutine(self, name: str) -> None:
        """Have one talk."""
        book = Book()
        async with connect(**self.address(name)) as ws:
            for _ in range(self.random.choice([1, 5, 20])):
                await self.exchange(ws, book)
                if self.random.random() < 0.1:
                    await ws.ping()
            await ws.send(book.goodbye())
            book.hear(await ws.recv())
        self.check(book)

    async def exchange(self, ws: Any, book: Book) -> None:
        """Say something and hear the answers."""
        message, wanted = self.question(book)
        await ws.send(message)
        for _ in range(wanted):
            book.hear(await ws.recv())

    async def by_callbacks(self, name: str) -> None:
        """Have one talk, all questions at once."""
        traffic, book = self, Book()
        count = self.random.choice([1, 5, 20])
        failures: list[WrongError] = []

        class Asking(Listener):
            def on_open(self, ws: Any) -> None:
                self.missing = 0
                for _ in range(count):
                    message, wanted = traffic.question(book, SHORT_SIZES)
                    self.missing += wanted
                    ws.send(message)
                self.next(ws)

            def next(self, ws: Any) -> None:
                if self.missing == 0:
                    ws.send(book.goodbye())

            def on_message(self, ws: Any, message: Any) -> None:
                try:
                    book.hear(message)
                except WrongError as exc:
                    failures.append(exc)
                self.missing -= 1
                self.next(ws)
                if book.done:
                    ws.close()

        ws = await connect(listener=Asking, **self.address(name))
        await ws.wait_closed()
        if failures:
            raise failures[0]
        self.check(book)

    def check(self, book: Book) -> None:
        """See that a talk has come to its end."""
        if not book.done:
            raise WrongError("no goodbye")
        NOTES.count("messages", book.heard)

    def talk_in_a_thread(self) -> None:
        """Talk to one server after another, in a thread."""
        while self.running:
            name = self.random.choice(list(self.ports))
            try:
                self.by_thread(name)
            except Exception as exc:
                NOTES.complain(f"thread, client of {name}: {exc!r}")
            else:
                NOTES.count("cycles")
            time.sleep(PAUSE_S)

    def by_thread(self, name: str) -> None:
        """Have one talk."""
        book = Book()
        with connect_sync(**self.address(name)) as ws:
            for _ in range(self.random.choice([1, 5])):
                message, wanted = self.question(book)
                ws.send(message)
                for _ in range(wanted):
                    book.hear(ws.recv(timeout=LIMIT_S))
            ws.send(book.goodbye())
            book.hear(ws.recv(timeout=LIMIT_S))
        self.check(book)

    async def reside(self, name: str) -> None:
        """Talk now and then on one connection, until told to leave."""
        book = Book()
        try:
            async with connect(**self.address(name)) as ws:
                NOTES.count("residents")
                while not self.leaving.is_set():
                    if self.running:
                        await asyncio.wait_for(self.exchange(ws, book), LIMIT_S)
                    await asyncio.sleep(self.random.uniform(0.1, 1))
                await ws.send(book.goodbye())
                book.hear(await ws.recv())
            self.check(book)
        except Exception as exc:
            NOTES.complain(f"resident of {name}: {exc!r}")


async def main() -> None:
    """Talk as told until standard input ends."""
    ports = {name: int(port) for name, port in (a.split("=") for a in sys.argv[2:])}
    traffic = Traffic(int(sys.argv[1]), ports)
    emit(ready=True)
    await obey(NOTES, go=traffic.start, rest=traffic.rest, leave=traffic.leave)


if __name__ == "__main__":
    asyncio.run(main())
