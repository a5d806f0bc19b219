"""``python -m wsfast connect``: talk to a server, by hand or through pipes."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
from collections.abc import Callable
from typing import Any, cast

from wsfast.exceptions import ConnectionClosedOK
from wsfast.sync.client import ClientConnection
from wsfast.sync.client import connect as open_connection

from ._arguments import (
    add_client_arguments,
    client_arguments,
    natural,
    positive,
    seconds,
    uri_of,
)
from ._errors import CommandError, closing, error_of
from ._interactive import Talk, Talking
from ._messages import Format
from ._pipe import Pipe
from ._terminal import Style, one_line

__all__ = ["add", "run"]

QUEUED = 16 << 20  # octets that may wait to be printed

EPILOG = """
examples:
  wsfast connect ws://localhost:8765
  wsfast connect wss://example.com/feed -H 'Authorization: Bearer ...' --json
  echo '{"op": "subscribe"}' | wsfast connect example.com/feed --wait inf >feed.txt
  wsfast connect localhost:8765 -x Hello --count 1

In a terminal, each line that you type is a message; /help lists the commands. The
history is kept in ~/.local/state/wsfast/history, or where WSFAST_HISTORY says.

Otherwise each line of the input is a message, and each message is a line of the output.
At the end of the input the connection is closed, once no message has come for --wait
seconds. Ctrl-C closes it; a second one does not wait for the server.

exit status: 0 after a proper close (1000, 1001 or no code), 1 after anything else,
2 for a wrong command line, 130 after a second Ctrl-C.
"""


def add(commands: Any) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "connect",
        help="talk to a server, by hand or through pipes",
        description="Connect to a WebSocket server; send what is typed, or what comes"
        " on standard input, and print the messages that it sends.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("url", metavar="URL", help="without a scheme, ws:// is meant")
    group = parser.add_argument_group("messages")
    group.add_argument(
        "-x",
        "--execute",
        action="append",
        default=[],
        metavar="MESSAGE",
        help="send this, before or in place of the input; may be repeated",
    )
    group.add_argument(
        "--json", action="store_true", help="lay out messages that are JSON"
    )
    group.add_argument(
        "-b",
        "--binary",
        choices=("hex", "base64", "raw"),
        help="lines are binary messages in this form, and binary messages are printed"
        " in it; raw: octets as they come, both ways",
    )
    group.add_argument(
        "-w",
        "--wait",
        type=seconds,
        default=1.0,
        metavar="SECONDS",
        help="close when the input has ended and nothing came for so long; inf: the"
        " server closes (default: 1)",
    )
    group.add_argument(
        "-n",
        "--count",
        type=positive,
        metavar="N",
        help="close after so many messages",
    )
    group.add_argument(
        "--max-size",
        type=natural,
        default=1 << 20,
        metavar="OCTETS",
        help="largest message to take; 0: any (default: 1 MiB)",
    )
    group.add_argument(
        "--compression",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="offer permessage-deflate (default: yes)",
    )
    group.add_argument(
        "--ping-interval",
        type=seconds,
        default=20.0,
        metavar="SECONDS",
        help="ask so often whether the server is alive; 0: never (default: 20)",
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="show the handshake; tracebacks",
    )
    add_client_arguments(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command."""
    uri = uri_of(options.url)
    by_hand = _is_terminal(sys.stdin) and _is_terminal(sys.stdout)
    form = Format(options.binary, options.json, by_hand)
    if by_hand and options.binary == "raw":
        raise CommandError(
            "--binary raw is for pipes; in a terminal, take hex or base64", 2
        )
    messages = [form.outgoing(text, "-x") for text in options.execute]
    interval = options.ping_interval
    arguments = client_arguments(options, uri)
    arguments["ping_interval"] = interval if 0 < interval < math.inf else None
    arguments["max_size"] = options.max_size or None
    arguments["create_connection"] = Talking
    if not by_hand:
        # Lines are many and short. What is queued at a close is still printed.
        arguments.update(max_queue=None, max_queue_size=QUEUED)
    try:
        ws = cast("Talking", open_connection(uri, **arguments))
    except Exception as exc:
        raise error_of(exc, uri, arguments["proxy"]) from exc
    style = Style(sys.stderr)
    if options.verbose:
        _show_handshake(ws, style)
    if by_hand:
        talk = Talk(ws, form, options.count)
        return _ended(ws, lambda: talk.run(uri, messages), style, always=True)
    pipe = Pipe(ws, form, options.wait, options.count)
    take_input = not messages or not _is_terminal(sys.stdin)
    return _ended(ws, lambda: pipe.run(messages, take_input), style, options.verbose)


def _is_terminal(stream: Any) -> bool:
    return stream is not None and stream.isatty()


def _ended(
    ws: ClientConnection, talk: Callable[[], None], style: Style, always: bool
) -> int:
    """Talk until the end, see to it that there is a proper one, and tell of it."""
    try:
        try:
            talk()
        except KeyboardInterrupt:
            pass
        except BaseException:
            ws.start_closing(1001)
            raise
        ws.close()
    except KeyboardInterrupt:  # a second one
        with contextlib.suppress(KeyboardInterrupt):
            ws.abort()
        raise
    end = ws.closed_error()
    good = isinstance(end, ConnectionClosedOK)
    if always or not good:
        text = closing(end)
        print(f"wsfast: {style('faint' if good else 'red', text)}", file=sys.stderr)
    return 0 if good else 1


def _show_handshake(ws: ClientConnection, style: Style) -> None:
    """Print the heads of the request and of the response."""
    lines: list[str] = []
    if ws.request is not None:
        lines.append(f"> GET {ws.request.path} HTTP/1.1")
        lines += [f"> {name}: {text}" for name, text in ws.request.headers.raw_items()]
    if ws.response is not None:
        status, phrase = ws.response.status_code, ws.response.reason_phrase
        lines.append(f"< HTTP/1.1 {status:d} {phrase}")
        lines += [f"< {name}: {text}" for name, text in ws.response.headers.raw_items()]
    for line in lines:
        print(style("faint", one_line(line)), file=sys.stderr)
