"""Extensions to test with: each claims a bit of its own, or none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wsfast.exceptions import InvalidPayload, NegotiationError
from wsfast.protocol import Extension, Frame


class Marked(Extension):
    """
    An extension that puts its mark before the payload of each data frame.

    Args:
        name: Its name.
        rsv: The RSV bit that tells that the mark is there: 1, 2, 3, or 0 for none.

    """

    def __init__(self, name: str, rsv: int) -> None:
        self.name = name
        self.rsv = rsv
        self.rsv1, self.rsv2, self.rsv3 = rsv == 1, rsv == 2, rsv == 3
        self.seen: list[int] = []

    def bits(self, value: bool) -> dict[str, bool]:
        """Return the bit as a field of a frame."""
        return {f"rsv{self.rsv}": value} if self.rsv else {}

    def encode(self, frame: Frame) -> Frame:
        """Mark a frame."""
        self.seen.append(frame.opcode)
        if frame.opcode >= 8:
            return frame
        if frame.data == b"spoil":
            raise RuntimeError("the mark is lost")
        return replace(
            frame, data=self.name.encode() + b":" + frame.data, **self.bits(True)
        )

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        """Take the mark off a frame."""
        self.seen.append(-frame.opcode)
        if frame.opcode >= 8:
            return frame
        mark = self.name.encode() + b":"
        if not frame.data.startswith(mark):
            raise InvalidPayload("the mark is missing", "no_mark")
        return replace(frame, data=frame.data[len(mark) :], **self.bits(False))


class MarkedFactory:
    """
    Offers and accepts `Marked`, for both roles.

    Args:
        name: Its name.
        rsv: Its RSV bit.
        level: Parameter of the offer; the answer must have no greater one.

    """

    def __init__(self, name: str = "mark", rsv: int = 2, level: int = 3) -> None:
        self.name = name
        self.rsv = rsv
        self.level = level

    def get_request_params(self) -> list[tuple[str, str | None]]:
        """Offer a level."""
        return [("level", str(self.level))]

    def process_request_params(
        self, params: Any, accepted_extensions: Any
    ) -> tuple[list[tuple[str, str | None]], Extension]:
        """Accept up to our level."""
        wanted = dict(params).get("level")
        if wanted is None or not wanted.isdigit():
            raise NegotiationError("a level is wanted")
        answer = [("level", str(min(int(wanted), self.level)))]
        return answer, Marked(self.name, self.rsv)

    def process_response_params(
        self, params: Any, accepted_extensions: Any
    ) -> Extension:
        """Check that the level is ours."""
        if int(dict(params)["level"]) > self.level:
            raise NegotiationError("level too high")
        return Marked(self.name, self.rsv)
