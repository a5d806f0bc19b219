"""The hosts of the tests, each a process of its own."""

from __future__ import annotations

import contextlib
import importlib.util
import ssl
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.targets import REACTOR, TRANSPORT

#: Python 3.10 has none of the extra "asgi".
collect_ignore_glob = [] if importlib.util.find_spec("uvicorn") else ["test_*.py"]

PEM = Path(__file__).parent.parent / "support" / "localhost.pem"
UVICORN = "uvicorn tests.attach.apps:asgi --port 0 --ws"
GUNICORN = "gunicorn tests.attach.apps:wsgi -b 127.0.0.1:0 --access-logfile - -k"
OWN = "tests.attach.serve"

#: Host -> the command that starts it, and which way octets take.
HOSTS = {
    "uvicorn": (f"{UVICORN} wsfast.asgi.uvicorn:WebSocketProtocol", REACTOR),
    "uvicorn-websockets": (f"{UVICORN} websockets-sansio", REACTOR),
    "hypercorn": (f"{OWN} hypercorn", REACTOR),
    "aiohttp": (f"{OWN} aiohttp", REACTOR),
    "aiohttp-transport": (f"{OWN} aiohttp", TRANSPORT),
    "streams": (f"{OWN} streams", REACTOR),
    "streams-transport": (f"{OWN} streams", TRANSPORT),
    "streams-tls": (f"{OWN} streams {PEM}", REACTOR),
    "sockets": (f"{OWN} sockets", REACTOR),
    "threads": (f"{OWN} threads", REACTOR),
    "threads-tls": (f"{OWN} threads {PEM}", REACTOR),
    "gthread": (f"{GUNICORN} gthread --threads 8", REACTOR),
    "gthread-tls": (f"{GUNICORN} gthread --threads 8 --certfile {PEM}", REACTOR),
    "gevent": (f"{GUNICORN} gevent", REACTOR),
    "gevent_pywsgi": (f"{GUNICORN} gevent_pywsgi", REACTOR),
    "gevent-tls": (f"{GUNICORN} gevent --certfile {PEM}", REACTOR),
    "pywsgi": (f"{OWN} pywsgi", REACTOR),
    "werkzeug": (f"{OWN} werkzeug", REACTOR),
    "werkzeug-tls": (f"{OWN} werkzeug {PEM}", REACTOR),
}
if sys.version_info < (3, 11) or not importlib.util.find_spec("hypercorn"):
    del HOSTS["hypercorn"]

#: Those whose handshake is somebody else's.
SPEAKERS = ("uvicorn-websockets", "hypercorn")


class Attached:
    """
    A host, and clients for it.

    Args:
        name: Its name in `HOSTS`.

    """

    def __init__(self, name: str) -> None:
        from tests.asgi.process import Server

        self.name = name
        command, path = HOSTS[name]
        self.server = Server(*command.split(), path=path)
        self.tls: ssl.SSLContext | None = None
        if name.endswith("-tls"):
            self.tls = ssl.create_default_context(cafile=PEM)
            self.tls.check_hostname = False

    @property
    def speaks_asgi(self) -> bool:
        """Whether the connection is the host's, and only its events are ours."""
        return self.name in SPEAKERS

    def url(self, path: str) -> str:
        """Return the URL of a path."""
        scheme = "ws" if self.tls is None else "wss"
        return f"{scheme}://127.0.0.1:{self.server.port}{path}"

    def connect(self, path: str, **options: Any) -> Any:
        """
        Connect with the websockets library's client; over TLS, with ours for threads.

        The former has one thread receive while another one sends, which OpenSSL does
        not allow: now and then it waits for ever, or takes the process with it.
        """
        if self.tls is None:
            from websockets.sync.client import connect
        else:
            from wsfast.sync import connect

        return connect(self.url(path), ssl=self.tls, open_timeout=60, **options)

    def stop(self) -> None:
        """End the host, whatever it has logged."""
        with contextlib.suppress(Exception):
            self.server.process.terminate()
            self.server.process.wait(20)
        self.server.stop()


@pytest.fixture(scope="session")
def hosts() -> Iterator[dict[str, Attached]]:
    """Start all hosts at once, since that is what takes the time."""
    with ThreadPoolExecutor(4) as pool:
        starting = {name: pool.submit(Attached, name) for name in HOSTS}
    started = [f.result() for f in starting.values() if f.exception() is None]
    try:
        yield {name: future.result() for name, future in starting.items()}
    finally:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(Attached.stop, started))


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest, hosts: dict[str, Attached]) -> Attached:
    """Return one host after the other."""
    return hosts[request.param]
