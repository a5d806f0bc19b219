"""ws4py 0.6: masking of frames, and the UTF-8 validator of its stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from ..engine import Utf8Validator, unmask_inplace
from ._target import Name, Target, Versions

__all__ = ["TARGET"]


def _mask(original: Callable[[Any, Any], bytearray]) -> Callable[[Any, Any], bytearray]:
    """Return what takes the place of ``Frame.mask``, which is ``original``."""

    def mask(self: Any, data: Any) -> bytearray:
        """Mask or unmask payload data (RFC 6455 §5.3)."""
        key = self.masking_key
        if (
            isinstance(data, bytes | bytearray)
            and isinstance(key, bytes | bytearray)
            and len(key) >= 4
        ):
            masked = bytearray(data)
            unmask_inplace(masked, key[:4])
            return masked
        return original(self, data)

    return mask


def _validator(base: Any) -> type:
    """
    Return what takes the place of ``Utf8Validator``.

    Its state stays that of the original after every call, so that ``decode`` and
    ``state`` go on from there; and so does its habit to report, of octets that are all
    valid, the index of the last one, and not how many there are.

    Args:
        base: The original, which does what is left.

    """

    class FastUtf8Validator(base):  # type: ignore[misc]
        """The UTF-8 validator of ws4py, over wsfast's."""

        i: int

        def __init__(self) -> None:
            self._engine = Utf8Validator()
            super().__init__()

        def validate(self, ba: Any) -> tuple[bool, bool, int, int]:
            """Validate the next octets; see the original."""
            if not isinstance(ba, bytes | bytearray) or not ba:
                return super().validate(ba)  # type: ignore[no-any-return]
            begun = 0
            if self.state != base.UTF8_ACCEPT:
                begun = min(3, len(ba))  # no character lacks more
                total = self.i
                answer = super().validate(ba[:begun])
                if not answer[0] or begun == len(ba):
                    return answer  # type: ignore[no-any-return]
                if self.state != base.UTF8_ACCEPT:
                    self.i = total
                    return self._slowly(ba, begun)
                self.i = total
            return self._quickly(ba, begun)

        def _quickly(self, ba: Any, begun: int) -> tuple[bool, bool, int, int]:
            """Validate from a boundary of characters on."""
            engine = self._engine
            engine.reset()
            rest = memoryview(ba)[begun:] if begun else ba
            valid, whole, index, _ = engine.validate(rest)
            index += begun
            if valid:
                index -= 1
                if not whole:
                    self._finish(ba[-3:])
            else:
                self.state = base.UTF8_REJECT
            self.i += index
            return valid, whole, index, self.i

        def _slowly(self, ba: Any, begun: int) -> tuple[bool, bool, int, int]:
            """Validate the rest as the original does: the state is between two."""
            before = self.i
            valid, whole, index, _ = super().validate(ba[begun:])
            self.i = before + begun + index
            return valid, whole, begun + index, self.i

        def _finish(self, tail: Any) -> None:
            """Take on the state after an unfinished character at the end."""
            start = max(i for i, octet in enumerate(tail) if octet >= 0xC0)
            kept = self.i
            super().validate(tail[start:])
            self.i = kept

    return FastUtf8Validator


def replacements() -> Sequence[Name]:
    """Return the names that are replaced."""
    frame = import_module("ws4py.framing").Frame
    mask = _mask(vars(frame)["mask"])
    validator = _validator(import_module("ws4py.utf8validator").Utf8Validator)
    return [
        Name("ws4py.framing", "Frame.mask", mask),
        Name("ws4py.framing", "Frame.unmask", mask),
        Name("ws4py.streaming", "Utf8Validator", validator),
        Name("ws4py.utf8validator", "Utf8Validator", validator),
    ]


TARGET = Target(
    name="ws4py",
    distribution="ws4py",
    versions=Versions("0.5.1", "0.7"),
    contract=(
        "Frame.mask(data) and unmask(data) -> bytearray; Utf8Validator.validate(ba) ->"
        " (valid, ends on a character, index, total), incremental"
    ),
    replacements=replacements,
)
