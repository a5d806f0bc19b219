"""The arguments of ``connect`` and ``bench`` that become those of ``connect()``."""

from __future__ import annotations

import argparse
import math
import ssl
from typing import Any

from wsfast.exceptions import InvalidHeaderValue, WebSocketException
from wsfast.protocol import Headers
from wsfast.protocol.headers import build_authorization_basic, validate_subprotocols
from wsfast.protocol.uri import MAX_REDIRECTS, parse_uri

from ._errors import CommandError, explain

__all__ = [
    "add_client_arguments",
    "client_arguments",
    "natural",
    "positive",
    "seconds",
    "subprotocol",
    "uri_of",
]


def natural(text: str) -> int:
    """Read a number from 0 on."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number


def positive(text: str) -> int:
    """Read a number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return number


def seconds(text: str) -> float:
    """Read a duration; ``inf`` for one without end."""
    number = float(text)
    if not number >= 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of seconds")
    return number


def subprotocol(text: str) -> str:
    """Read a subprotocol (RFC 6455 §4.1)."""
    try:
        validate_subprotocols([text])
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no subprotocol: that is one word, such as chat or soap.v2"
        ) from None
    return text


def header(text: str) -> tuple[str, str]:
    """Read a header field."""
    name, colon, value = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 'Name: value'")
    try:
        Headers([(name.strip(), value.strip())])
    except InvalidHeaderValue as exc:
        raise argparse.ArgumentTypeError(f"{text!r}: {exc}") from None
    return name.strip(), value.strip()


def credentials(text: str) -> tuple[str, str]:
    """Read what Basic authentication needs."""
    name, colon, password = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError("write it as USER:PASSWORD")
    return "Authorization", build_authorization_basic(name, password)


def uri_of(text: str) -> str:
    """
    Return the URI that is meant; without a scheme, ``ws://`` is.

    Raises:
        CommandError: It is none of a WebSocket.

    """
    uri = text if "://" in text else f"ws://{text}"
    try:
        parse_uri(uri)
    except WebSocketException as exc:
        raise CommandError(explain(exc, uri), 2) from exc
    return uri


def add_client_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says how to connect."""
    group = parser.add_argument_group("the opening handshake")
    group.add_argument(
        "-H",
        "--header",
        action="append",
        default=[],
        type=header,
        metavar="'NAME: VALUE'",
        help="add a header field to the request; may be repeated",
    )
    group.add_argument(
        "-s",
        "--subprotocol",
        action="append",
        type=subprotocol,
        metavar="NAME",
        help="offer a subprotocol; may be repeated, best first",
    )
    group.add_argument("--origin", help="send this Origin header")
    group.add_argument(
        "--auth",
        type=credentials,
        metavar="USER:PASSWORD",
        help="authenticate; every user of this machine can see it meanwhile",
    )
    group.add_argument(
        "--timeout",
        type=seconds,
        default=10.0,
        metavar="SECONDS",
        help="how long opening may take (default: 10)",
    )
    group.add_argument(
        "--max-redirects",
        type=natural,
        default=MAX_REDIRECTS,
        metavar="N",
        help=f"how many redirects to follow (default: {MAX_REDIRECTS})",
    )
    group = parser.add_argument_group("TLS")
    group.add_argument(
        "--cacert", metavar="FILE", help="trust the authorities in this file (PEM)"
    )
    group.add_argument(
        "--no-check", action="store_true", help="trust any certificate: only for tests"
    )
    group.add_argument("--cert", metavar="FILE", help="certificate of this client")
    group.add_argument("--key", metavar="FILE", help="key of this client's certificate")
    group.add_argument(
        "--server-name", metavar="NAME", help="name on the server's certificate"
    )
    group = parser.add_argument_group("proxies")
    group.add_argument(
        "--proxy",
        metavar="URL",
        help="connect through it: http, https, socks4, socks4a, socks5 or socks5h"
        " (default: what the environment says)",
    )
    group.add_argument("--no-proxy", action="store_true", help="use no proxy")
    group.add_argument(
        "--proxy-header",
        action="append",
        default=[],
        type=header,
        metavar="'NAME: VALUE'",
        help="add a header field for an HTTP proxy alone",
    )


def client_arguments(options: argparse.Namespace, uri: str) -> dict[str, Any]:
    """
    Return what to call ``connect()`` with, of asyncio or for threads.

    Args:
        options: What `add_client_arguments` has read, and ``compression``.
        uri: What to connect to.

    Raises:
        CommandError: They contradict each other, or a file is not what it should be.

    """
    fields = [*options.header, *([options.auth] if options.auth else [])]
    tls = options.cacert or options.no_check or options.cert or options.key
    secure = parse_uri(uri).secure
    proxy = options.proxy or ""
    if not secure and (tls or options.server_name) and not proxy.startswith("https:"):
        raise CommandError("the options of TLS are for wss://, and this is ws://", 2)
    if options.proxy is not None and options.no_proxy:
        raise CommandError("--proxy and --no-proxy contradict each other", 2)
    arguments: dict[str, Any] = {
        "additional_headers": fields or None,
        "subprotocols": options.subprotocol,
        "origin": options.origin,
        "compression": "deflate" if options.compression else None,
        "open_timeout": options.timeout if options.timeout < math.inf else None,
        "max_redirects": options.max_redirects,
        "proxy": None if options.no_proxy else options.proxy or True,
        "proxy_headers": options.proxy_header or None,
    }
    if tls:
        context = tls_context(options)
        if secure:
            arguments["ssl"] = context
        if proxy.startswith("https:"):
            arguments["proxy_ssl"] = context
    if options.server_name and secure:
        arguments["server_hostname"] = options.server_name
    return arguments


def tls_context(options: argparse.Namespace) -> ssl.SSLContext:
    """Return the settings of TLS that the options ask for."""
    if options.key and not options.cert:
        raise CommandError("--key is of no use without --cert", 2)
    context = ssl.create_default_context()
    try:
        if options.cacert:
            context.load_verify_locations(options.cacert)
    except OSError as exc:
        raise unreadable("--cacert", options.cacert, exc) from exc
    try:
        if options.cert:
            context.load_cert_chain(options.cert, options.key)
    except OSError as exc:
        raise unreadable("--cert", options.cert, exc) from exc
    if options.no_check:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def unreadable(option: str, path: str, exc: OSError) -> CommandError:
    """Return what to say of a file that TLS cannot use."""
    if isinstance(exc, ssl.SSLError):
        return CommandError(
            f"{option} {path}: not what it should be in PEM ({exc.reason})", 2
        )
    return CommandError(f"{option} {path}: {exc.strerror}", 2)
