"""The cookie that tells load balancers whose request it is."""

from __future__ import annotations

from dataclasses import dataclass

from ..protocol.headers import check_field

__all__ = ["Cookie"]


@dataclass(frozen=True)
class Cookie:
    """
    A cookie with the identifier of the session (RFC 6265 §4.1).

    The session itself does not need it: clients send the identifier in the query.

    Args:
        name: Its name.
        path: For which paths it is sent; None for that of the request.
        http_only: Keep it from scripts.
        same_site: ``"Lax"``, ``"Strict"``, ``"None"``, or None to say nothing.
        secure: Send it over TLS alone.
        max_age: Seconds that it is kept; None for as long as the browser runs.
        domain: For which domain it is sent; None for this host alone.

    """

    name: str = "io"
    path: str | None = "/"
    http_only: bool = True
    same_site: str | None = "Lax"
    secure: bool = False
    max_age: int | None = None
    domain: str | None = None

    def __post_init__(self) -> None:
        check_field("Set-Cookie", self.value(""))

    def value(self, sid: str) -> str:
        """Return the value of the Set-Cookie header for a session."""
        parts = [f"{self.name}={sid}"]
        for name, value in (
            ("Domain", self.domain),
            ("Path", self.path),
            ("Max-Age", self.max_age),
            ("SameSite", self.same_site),
        ):
            if value is not None:
                parts.append(f"{name}={value}")
        if self.http_only:
            parts.append("HttpOnly")
        if self.secure:
            parts.append("Secure")
        return "; ".join(parts)
