"""Proxies without I/O: addresses, environment, CONNECT (RFC 9110 §9.3.6)."""

from __future__ import annotations

import errno
import importlib
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from ..exceptions import (
    InvalidHeaderValue,
    InvalidProxy,
    InvalidProxyStatus,
    ProxyError,
)
from .headers import Headers, HeadersLike, build_authorization_basic, build_host
from .http import USER_AGENT, Response
from .uri import WebSocketURI

__all__ = [
    "SOCKS_ERRORS",
    "Proxy",
    "check_connect_response",
    "connect_request",
    "environment_proxy",
    "parse_proxy",
    "raise_socks_error",
    "socks_proxy",
]

#: Schemes of proxies, and their default ports.
_PORTS: Final = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}
#: Header fields of CONNECT that are ours alone.
_OURS: Final = frozenset(("connection", "content-length", "host", "transfer-encoding"))

#: Replies of a SOCKS proxy that may be another one tomorrow: of SOCKS5 a network or
#: host that is not reached, a connection that is refused or lasts too long; of SOCKS4
#: any of these.
SOCKS_ERRORS = {
    3: errno.ENETUNREACH,
    4: errno.EHOSTUNREACH,
    5: errno.ECONNREFUSED,
    6: errno.ETIMEDOUT,
    91: errno.ECONNREFUSED,
}


@dataclass
class Proxy:
    """
    Address of a proxy.

    Attributes:
        scheme: ``http`` or ``https``, for CONNECT; ``socks5h`` or ``socks4a``, which
            look names up; ``socks5`` or ``socks4``, for which we do.
        host: Host name or address, in lower case.
        port: Port, the scheme's default where there is none.
        username: User name, None if there is none.
        password: Password, None if there is none.

    """

    scheme: str
    host: str
    port: int
    username: str | None = None
    password: str | None = None

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User name and password, or None."""
        if self.username is None or self.password is None:
            return None
        return self.username, self.password

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS rather than HTTP."""
        return self.scheme.startswith("socks")

    def __str__(self) -> str:
        # Without the password: it is for error messages.
        return f"{self.scheme}://{build_host(self.host, self.port, False)}"

    def __repr__(self) -> str:
        return f"<Proxy {self}>"


def parse_proxy(proxy: str) -> Proxy:
    """
    Take the address of a proxy apart.

    Args:
        proxy: URL with scheme http, https, socks4, socks4a, socks5 or socks5h.

    Raises:
        InvalidProxy: It is not one. The message shows no password.

    """
    shown = _without_password(proxy)
    if any(char <= " " or char == "\x7f" for char in proxy):
        raise InvalidProxy(shown, "contains white space or control characters")
    try:
        parsed = urllib.parse.urlsplit(proxy)
        port = parsed.port
    except ValueError:  # its text may hold a part of the password
        raise InvalidProxy(shown, "malformed address") from None
    if parsed.scheme not in _PORTS:
        raise InvalidProxy(shown, f"scheme {parsed.scheme} isn't supported")
    if not parsed.hostname:
        raise InvalidProxy(shown, "hostname isn't provided")
    if port == 0:
        raise InvalidProxy(shown, "port is 0")
    if parsed.path not in ("", "/"):
        raise InvalidProxy(shown, "path is meaningless")
    if parsed.query:
        raise InvalidProxy(shown, "query is meaningless")
    if parsed.fragment:
        raise InvalidProxy(shown, "fragment is meaningless")
    username, password = _user_info(shown, parsed)
    try:
        host = parsed.hostname
        if not host.isascii():
            host = host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise InvalidProxy(shown, f"hostname isn't valid: {error}") from error
    return Proxy(parsed.scheme, host, port or _PORTS[parsed.scheme], username, password)


def _user_info(
    shown: str, parsed: urllib.parse.SplitResult
) -> tuple[str | None, str | None]:
    username, password = parsed.username, parsed.password
    if username is None:
        return None, None
    if password is None and parsed.scheme.startswith("socks4"):
        password = ""  # there is none in that protocol
    if password is None:
        raise InvalidProxy(shown, "username provided without password")
    try:
        username = urllib.parse.unquote(username, errors="strict")
        password = urllib.parse.unquote(password, errors="strict")
    except UnicodeDecodeError:
        raise InvalidProxy(shown, "user information isn't valid UTF-8") from None
    if ":" in username and not parsed.scheme.startswith("socks"):
        raise InvalidProxy(shown, "username contains a colon")
    return username, password


def _without_password(proxy: str) -> str:
    scheme, mark, rest = proxy.rpartition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def environment_proxy(uri: WebSocketURI) -> str | None:
    """
    Return the proxy that the environment asks for.

    What counts is ``wss_proxy`` or ``ws_proxy``, then ``socks_proxy``,
    ``https_proxy``, for a ws URI ``http_proxy``, and ``all_proxy``, as
    :func:`urllib.request.getproxies` reads them: from the environment or the settings
    of the system. ``no_proxy`` names hosts to which no proxy leads.

    Args:
        uri: URI to connect to.

    Returns:
        URL of the proxy, None to connect directly.

    """
    if uri.unix_path is not None or urllib.request.proxy_bypass(
        f"{uri.host}:{uri.port}"
    ):
        return None
    proxies = urllib.request.getproxies()
    if uri.secure:
        schemes = ["wss", "socks", "https", "all"]
    else:
        schemes = ["ws", "socks", "https", "http", "all"]
    for scheme in schemes:
        proxy = proxies.get(scheme)
        if not proxy:
            continue
        # The settings of a system give a SOCKS proxy the scheme http.
        if scheme == "socks" and proxy.startswith("http://"):
            return f"socks5h://{proxy[7:]}"
        if "://" not in proxy:  # host:port, as other programs take it too
            return f"{'socks5h' if scheme == 'socks' else 'http'}://{proxy}"
        return proxy
    return None


def connect_request(
    proxy: Proxy,
    host: str,
    port: int,
    *,
    user_agent_header: str | None = USER_AGENT,
    additional_headers: HeadersLike | None = None,
) -> bytes:
    """
    Return the request that asks an HTTP proxy for a tunnel.

    Args:
        proxy: The proxy; its user name and password make Basic authentication.
        host: Name or address of the server.
        port: Port of the server.
        user_agent_header: Value of the User-Agent header, None for no such header.
        additional_headers: Header fields for the proxy alone.

    Raises:
        ValueError: A header cannot be sent safely, or is one of ours.

    """
    target = build_host(host, port, False, always_include_port=True)
    if not all("!" <= char <= "~" for char in target):
        raise InvalidHeaderValue("request target", target)
    headers = Headers()
    headers["Host"] = target
    if proxy.user_info is not None:
        headers["Proxy-Authorization"] = build_authorization_basic(*proxy.user_info)
    if additional_headers is not None:
        added = Headers(additional_headers)
        for name, value in added.items():
            if name.lower() in _OURS:
                raise ValueError(f"{name} is set by the request to the proxy")
            if name.lower() == "proxy-authorization":
                headers.replace(name, value)
            else:
                headers[name] = value
    if user_agent_header is not None:
        headers.setdefault("User-Agent", user_agent_header)
    line = f"CONNECT {target} HTTP/1.1\r\n"
    return line.encode("ascii") + headers.serialize()


def check_connect_response(response: Response) -> None:
    """
    Check what a proxy has answered.

    Raises:
        InvalidProxyStatus: It gives no tunnel. Nothing is tried again: a status of 407
            says that its credentials are missing or wrong.

    """
    if not 200 <= response.status_code < 300:
        raise InvalidProxyStatus(response)


def socks_proxy(proxy: Proxy, flavour: str, opener: Any) -> Any:
    """
    Return what connects through a SOCKS proxy, of python-socks.

    Args:
        proxy: The proxy.
        flavour: Module of python-socks: ``sync`` or ``async_.asyncio``.
        opener: Opens the connection to the proxy.

    Raises:
        ImportError: python-socks is not installed.

    """
    try:
        kinds = importlib.import_module("python_socks").ProxyType
        make = importlib.import_module(f"python_socks.{flavour}").Proxy
    except ImportError as exc:
        raise ImportError(
            "connecting through a SOCKS proxy requires python-socks: "
            "pip install 'wsfast[proxy]'"
        ) from exc
    return make(
        kinds.SOCKS4 if proxy.scheme.startswith("socks4") else kinds.SOCKS5,
        proxy.host,
        proxy.port,
        proxy.username,
        proxy.password,
        rdns=proxy.scheme in ("socks4a", "socks5h"),
        forward=opener,
    )


def raise_socks_error(proxy: Proxy, exc: Exception) -> NoReturn:
    """
    Raise the error for one of python-socks.

    Raises:
        ProxyError: Its cause is an OSError if connecting may work later.

    """
    code = SOCKS_ERRORS.get(getattr(exc, "error_code", None) or 0)
    cause = exc if code is None else OSError(code, str(exc))
    raise ProxyError(f"failed to connect through {proxy}: {exc}") from cause
