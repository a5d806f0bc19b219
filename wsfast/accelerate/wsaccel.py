"""
The interface of wsaccel 0.6.7, for whatever imports that name.

websocket-client and gevent-websocket, for two, use wsaccel when they find it. wsaccel
itself need not be installed; where it is, ours takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ._target import Entry, Target
from .primitives import Utf8Validator, XorMaskerNull, XorMaskerSimple

__all__ = ["TARGET", "createXorMasker"]

_EMULATED = "0.6.7"


def createXorMasker(  # noqa: N802
    mask: bytes,
    len: int | None = None,  # noqa: A002
) -> XorMaskerSimple:
    """
    Return a masker.

    Args:
        mask: Masking-key, 4 octets.
        len: Octets to be masked; of no consequence.

    Raises:
        ValueError: ``mask`` is not 4 octets long.

    """
    return XorMaskerSimple(mask)


def _module(name: str, doc: str, **names: Any) -> ModuleType:
    """Make a module out of names."""
    module = ModuleType(name, doc)
    vars(module).update(names)
    return module


def replacements() -> Sequence[Entry]:
    """Return the three modules of wsaccel, with the names that they have there."""
    xormask = _module(
        "wsaccel.xormask",
        "Masking by wsfast, with the interface of wsaccel.",
        XorMaskerNull=XorMaskerNull,
        XorMaskerSimple=XorMaskerSimple,
        createXorMasker=createXorMasker,
    )
    utf8validator = _module(
        "wsaccel.utf8validator",
        "UTF-8 validation by wsfast, with the interface of wsaccel.",
        UTF8_ACCEPT=Utf8Validator.UTF8_ACCEPT,
        UTF8_REJECT=Utf8Validator.UTF8_REJECT,
        Utf8Validator=Utf8Validator,
    )
    package = _module(
        "wsaccel",
        "wsfast in the place of wsaccel.",
        __path__=[],
        __version__=_EMULATED,
        xormask=xormask,
        utf8validator=utf8validator,
    )
    return [
        Entry("wsaccel", package),
        Entry("wsaccel.xormask", xormask),
        Entry("wsaccel.utf8validator", utf8validator),
    ]


TARGET = Target(
    name="wsaccel",
    distribution=None,
    versions=None,
    contract=f"maskers and UTF-8 validator as in wsaccel {_EMULATED}",
    replacements=replacements,
    users=("websocket", "geventwebsocket"),
)
