"""What a server of SockJS answers that is no part of a session."""

from __future__ import annotations

import hashlib
import html
import json
import secrets
import time
from email.utils import formatdate

from ..asgi.exchange import Exchange
from .options import Options

__all__ = ["NO_CACHE", "IframePage", "cached", "cors_fields", "info", "preflight"]

GREETING = b"Welcome to SockJS!\n"
NOT_FOUND = b"404 Error: Page not found\n"
PLAIN = ("content-type", "text/plain; charset=UTF-8")
JAVASCRIPT = ("content-type", "application/javascript; charset=UTF-8")
HTML = ("content-type", "text/html; charset=UTF-8")

#: Nothing of a session may be kept, nor be compressed by a proxy, which would hold it
#: back; some browsers keep even what POST has got.
NO_CACHE = (
    "cache-control",
    "no-store, no-cache, no-transform, must-revalidate, max-age=0",
)
YEAR_S = 365 * 24 * 60 * 60

#: The page as the protocol has it (IFrame page), but for the script's URL.
_PAGE = """\
<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src="%s"></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>"""


class IframePage:
    """
    The page that a client loads where requests cannot cross domains.

    Args:
        sockjs_url: URL of the client's script.

    """

    def __init__(self, sockjs_url: str) -> None:
        self._body = (_PAGE % html.escape(sockjs_url)).encode()
        self._etag = f'"{hashlib.sha256(self._body).hexdigest()[:32]}"'

    async def answer(self, exchange: Exchange) -> None:
        """Send the page, or that it has not changed."""
        asked = exchange.field("if-none-match").split(",")
        fields = [*cached(), ("etag", self._etag)]
        if any(tag.strip().removeprefix("W/") == self._etag for tag in asked):
            await exchange.respond(304, b"", fields)
        else:
            await exchange.respond(200, self._body, [HTML, *fields])


def cached() -> list[tuple[str, str]]:
    """Return the header fields of what may be kept for a year."""
    return [
        ("cache-control", f"public, max-age={YEAR_S}"),
        ("expires", formatdate(time.time() + YEAR_S, usegmt=True)),
    ]


def cors_fields(exchange: Exchange, options: Options) -> list[tuple[str, str]]:
    """
    Return the header fields by which pages of allowed origins may read an answer.

    Unlike for other services, a request without an Origin is told as well: some
    browsers sent none with requests across domains.
    """
    if options.cors is None:
        return []
    origin = exchange.field("origin")
    fields = [("access-control-allow-origin", origin or "*"), ("vary", "Origin")]
    if origin:
        fields.append(("access-control-allow-credentials", "true"))
    asked = exchange.field("access-control-request-headers")
    if asked:
        fields.append(("access-control-allow-headers", asked))
    return fields


def preflight(methods: str) -> list[tuple[str, str]]:
    """Return the header fields of the answer to OPTIONS, but those of CORS."""
    return [
        *cached(),
        ("access-control-allow-methods", methods),
        ("access-control-max-age", str(YEAR_S)),
    ]


def info(options: Options) -> bytes:
    """Return what clients ask first: what there is, and some entropy (Info test)."""
    facts: dict[str, object] = {"websocket": "websocket" in options.transports}
    if options.cors == "*":
        facts["origins"] = ["*:*"]
    facts["cookie_needed"] = bool(options.jsessionid)
    facts["entropy"] = secrets.randbits(32)
    base_url = options.base_url
    if callable(base_url):
        base_url = base_url()
    if base_url:
        facts["base_url"] = base_url
    return json.dumps(facts, separators=(",", ":")).encode()
