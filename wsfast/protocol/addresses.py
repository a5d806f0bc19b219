"""The addresses of a name, which clients of both kinds try in a race (RFC 8305)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

__all__ = ["ATTEMPT_DELAY_S", "Info", "interleaved", "none_answers"]

#: How long an address has for itself before the next one is tried too (RFC 8305 §5).
ATTEMPT_DELAY_S: Final = 0.25

#: What :func:`socket.getaddrinfo` tells of an address.
Info: TypeAlias = "tuple[int, int, int, str, Any]"


def interleaved(infos: Sequence[Info], first: int = 1) -> list[Info]:
    """
    Have the families take turns (RFC 8305 §4).

    Args:
        infos: Addresses, in the order of the system.
        first: Addresses of the first family that come before that.

    """
    families: dict[int, list[Info]] = {}
    for info in infos:
        families.setdefault(info[0], []).append(info)
    lists = list(families.values())
    ahead = lists[0][: first - 1]
    lists[0] = lists[0][first - 1 :]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*lists))
    return ahead + [info for info in turns if info is not None]


def none_answers(errors: Sequence[OSError]) -> OSError:
    """Return one error for those of all attempts, of which there is at least one."""
    first, texts = errors[0], dict.fromkeys(map(str, errors))
    if len(texts) == 1:
        return first
    number = first.errno if len({exc.errno for exc in errors}) == 1 else None
    text = "; ".join(texts)
    return OSError(text) if number is None else OSError(number, text)
