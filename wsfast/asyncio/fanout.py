"""One message on its way to many members, in one loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .outbound import Outbound
from .prepared import GONE, QUEUED

if TYPE_CHECKING:
    from .prepared import Prepared

__all__ = ["fan_out"]

_QUEUED, _GONE = QUEUED, GONE


def fan_out(
    members: Sequence[Any], prepared: Prepared, limit: int = -1
) -> list[tuple[int, Any]]:
    """
    Offer a message to many members, as ``Connection.offer`` does to one.

    Args:
        members: Connections, or others with such a method; None counts as `GONE`.
        prepared: The message.
        limit: Octets that may wait for a member; -1 for its high-water mark.

    Returns:
        Those that it was not queued for, by place: with ``SLOW``, ``GONE``, or the
        exception that was raised.

    """
    rest: list[tuple[int, Any]] = []
    checked = None
    place = -1
    for member in members:
        place += 1
        try:
            if isinstance(member, Outbound):
                known = member
                driver = known.link.driver
                if driver is not checked:
                    driver.check_thread()
                    checked = driver
                code = known._offer(prepared, limit)
            elif member is None:
                code = _GONE
            else:
                code = member.offer(prepared, limit)
        except Exception as exc:
            rest.append((place, exc))
            continue
        if code != _QUEUED:
            rest.append((place, code))
    return rest
