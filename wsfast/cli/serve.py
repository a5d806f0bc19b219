"""``python -m wsfast serve``: serve echo, broadcast, or a handler of yours."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import importlib.util
import inspect
import logging
import signal
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from wsfast.asyncio.listener import Listener
from wsfast.asyncio.server import Server, ServerConnection, broadcast
from wsfast.exceptions import WebSocketException
from wsfast.protocol import Response

from ._arguments import natural, seconds, subprotocol, unreadable
from ._errors import CommandError, explain
from ._terminal import one_line

__all__ = ["add", "handler_of", "run"]

EPILOG = """
examples:
  wsfast serve
  wsfast serve broadcast --host 0.0.0.0 --port 9000
  wsfast serve chat.py --cert cert.pem --key key.pem
  wsfast serve package.module:Handler

WHAT is one of:
  echo           sends each message back
  broadcast      sends each message to all who are connected
  DIRECTORY      serves handler.py in it
  FILE.py        serves what is named handler in it
  MODULE         serves what is named handler in it; it is found as by "python -m"
  ...:NAME       serves what has another name

A handler is a coroutine function that takes a connection, or a subclass of
wsfast.Listener. A module's process_request(connection, request), if it has one, may
answer a request before the handshake.

Each connection is a line of the access log at its beginning and one at its end. SIGTERM
and Ctrl-C let the connections close properly; a second one cuts them.

exit status: 0 after SIGTERM or Ctrl-C, 1 when there is no serving, 2 for a wrong
command line.
"""

log = logging.getLogger("wsfast.serve")


def add(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "serve",
        help="serve echo, broadcast, or a handler of yours",
        description="Serve WebSockets.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", nargs="?", default="echo", metavar="WHAT", help="(default: echo)"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)"
    )
    parser.add_argument(
        "-p",
        "--port",
        type=port,
        default=8765,
        help="0 for any that is free (default: 8765)",
    )
    parser.add_argument("--unix", metavar="PATH", help="listen on a UNIX socket")
    parser.add_argument("--path", help="serve only this path; others get status 404")
    parser.add_argument("--cert", metavar="FILE", help="serve wss:// with this chain")
    parser.add_argument("--key", metavar="FILE", help="its key, if that is elsewhere")
    parser.add_argument(
        "-s",
        "--subprotocol",
        action="append",
        type=subprotocol,
        metavar="NAME",
        help="support a subprotocol; may be repeated, best first",
    )
    parser.add_argument(
        "--origin",
        action="append",
        metavar="ORIGIN",
        help="serve pages of this origin, and programs; may be repeated (default: all)",
    )
    parser.add_argument(
        "--compression",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="agree to permessage-deflate (default: yes)",
    )
    parser.add_argument(
        "--max-size",
        type=natural,
        default=1 << 20,
        metavar="OCTETS",
        help="largest message to take; 0: any (default: 1 MiB)",
    )
    parser.add_argument(
        "--max-connections", type=natural, metavar="N", help="(default: no limit)"
    )
    parser.add_argument(
        "--drain",
        type=seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long connections may take to close at the end (default: 10)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no access log")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="tracebacks of what went wrong"
    )
    parser.set_defaults(run=run)


def port(text: str) -> int:
    """Read a port."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: 0 to 65535")
    return number


# ---- what is served ----


async def echo(ws: ServerConnection) -> None:
    """Send each message back."""
    async for message in ws:
        await ws.send(message)


async def to_all(ws: ServerConnection) -> None:
    """Send each message to everybody, the sender included."""
    async for message in ws:
        broadcast(ws.server.connections, message)


def handler_of(what: str) -> tuple[Any, Any]:
    """
    Return the handler that is meant, and its module's ``process_request`` or None.

    Args:
        what: As on the command line.

    Raises:
        CommandError: There is none.

    """
    if what in ("echo", "broadcast"):
        return (echo if what == "echo" else to_all), None
    place, _, name = what.rpartition(":")
    if not place or not name.isidentifier():  # a drive's letter is no module
        place, name = what, "handler"
    module = _module(place)
    found = getattr(module, name, None)
    listens = isinstance(found, Listener)
    listens = listens or (isinstance(found, type) and issubclass(found, Listener))
    if found is None:
        raise CommandError(f"{place} has no {name}; {place}:NAME names another", 2)
    if not listens and (isinstance(found, type) or not callable(found)):
        raise CommandError(
            f"{name} in {place} is neither a coroutine function nor a Listener", 2
        )
    if inspect.isfunction(found) and not inspect.iscoroutinefunction(found):
        raise CommandError(
            f"{name} in {place} is not a coroutine function: async def", 2
        )
    return found, getattr(module, "process_request", None)


def _module(place: str) -> ModuleType:
    """Import a directory's handler.py, a file, or a module by its name."""
    path = Path(place)
    if path.is_dir():
        path = path / "handler.py"
        if not path.is_file():
            raise CommandError(f"there is no handler.py in {place}", 2)
    if path.suffix == ".py":
        if not path.is_file():
            raise CommandError(f"there is no file {place}", 2)
        sys.path.insert(0, str(path.parent.absolute()))
        name = path.stem
    else:
        sys.path.insert(0, str(Path.cwd()))
        name = place
    try:
        if path.suffix != ".py":
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except Exception as exc:
        missing = isinstance(exc, ModuleNotFoundError) and exc.name == name
        if missing or not all(part.isidentifier() for part in name.split(".")):
            said = f"{place} is neither echo, broadcast, a directory, a file nor a"
            raise CommandError(f"{said} module", 2) from exc
        said = one_line(f"{type(exc).__name__}: {exc}")
        raise CommandError(
            f"cannot import {place}: {said}; see where with --verbose"
        ) from exc
    return module


# ---- the access log ----


class LoggedConnection(ServerConnection):
    """A connection with a line in the log at its beginning and at its end."""

    since = 0.0
    what = ""

    def opened(self) -> None:
        """Log the beginning."""
        self.since = time.monotonic()
        path = "?" if self.request is None else one_line(self.request.path)
        self.what = f'{peer_of(self.link)} "{path}"'
        log.info("%s open", self.what)
        super().opened()

    def lost(self, exc: BaseException | None) -> None:
        """Log the end."""
        super().lost(exc)
        if self.what:
            lasted = time.monotonic() - self.since
            how = one_line(f"{self.close_code or 1006} {self.close_reason or ''}")
            log.info("%s closed %s after %.3f s", self.what, how, lasted)
            self.what = ""


class LoggedServer(Server):
    """A server that logs whom it refuses."""

    def log_refusal(self, link: Any, response: Response) -> None:
        """Log that a client was refused, and why."""
        first = bytes(response.body or b"").partition(b"\n")[0].decode(errors="replace")
        log.info(
            "%s refused %d: %s", peer_of(link), response.status_code, one_line(first)
        )


def peer_of(link: Any) -> str:
    """Return who is at the other end, as the log has it."""
    peer = link.get_extra_info("peername")
    if isinstance(peer, tuple):
        return f"[{peer[0]}]:{peer[1]}" if ":" in peer[0] else f"{peer[0]}:{peer[1]}"
    return "unix"


# ---- the command ----


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    handler, process_request = handler_of(options.what)
    context = tls_context(options)
    _start_log(options.quiet)
    where: dict[str, Any] = {"host": options.host, "port": options.port}
    if options.unix:
        where = {"unix_path": options.unix}
    server = (Server if options.quiet else LoggedServer)(
        handler,
        **where,
        path=options.path,
        ssl=context,
        subprotocols=options.subprotocol,
        origins=[*options.origin, None] if options.origin else None,
        compression="deflate" if options.compression else None,
        max_size=options.max_size or None,
        max_connections=options.max_connections,
        drain_timeout=options.drain if options.drain < float("inf") else None,
        process_request=process_request,
        create_connection=None if options.quiet else LoggedConnection,
        logger=logging.getLogger("wsfast.server"),
    )
    # From Python 3.11 on asyncio has a handler of its own while it runs.
    numbers = [
        number
        for number in (signal.SIGINT, signal.SIGTERM)
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)
    ]
    with contextlib.suppress(KeyboardInterrupt):  # Windows
        asyncio.run(_serve(server, options, numbers))
    return 0


def tls_context(options: argparse.Namespace) -> ssl.SSLContext | None:
    """Return the settings of TLS that the options ask for."""
    if not options.cert:
        if options.key:
            raise CommandError("--key is of no use without --cert", 2)
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(options.cert, options.key)
    except OSError as exc:
        raise unreadable("--cert", options.cert, exc) from exc
    return context


async def _serve(
    server: Server, options: argparse.Namespace, numbers: list[signal.Signals]
) -> None:
    def stop() -> None:
        if server.closing:
            server.abort()
        else:
            server.close()

    try:
        await server.start_serving()
    except (OSError, WebSocketException) as exc:
        place = options.unix or f"{options.host}:{options.port}"
        raise CommandError(explain(exc, place)) from exc
    for address in addresses(server.sockets, options):
        print(f"serving {options.what} on {address}", flush=True)
    with contextlib.suppress(NotImplementedError):  # Windows
        for number in numbers:
            asyncio.get_running_loop().add_signal_handler(number, stop)
    await server.serve_forever(signals=())


def addresses(sockets: Sequence[Any], options: argparse.Namespace) -> list[str]:
    """Return the URIs to connect to."""
    scheme = "wss" if options.cert else "ws"
    if options.unix:
        return [f"ws+unix:{options.unix}"]
    found = []
    for sock in sockets:
        host, number = sock.getsockname()[:2]
        host = f"[{host}]" if ":" in host else host
        found.append(f"{scheme}://{host}:{number}{options.path or '/'}")
    return found


def _start_log(quiet: bool) -> None:
    """Log to standard output; what went wrong to standard error."""
    access = logging.StreamHandler(sys.stdout)
    access.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log.addHandler(access)
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    log.propagate = False
    errors = logging.StreamHandler(sys.stderr)
    errors.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.getLogger("wsfast.server").addHandler(errors)
