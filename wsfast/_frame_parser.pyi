"""Types of `wsfast._frame_parser`; see `wsfast._pure_frames`."""

from typing_extensions import Buffer

from wsfast._frame_types import Frame

class FrameParser:
    def __init__(
        self, *, client: bool, max_size: int | None = ..., rsv1: bool = False
    ) -> None: ...
    def feed(self, data: Buffer) -> list[Frame]: ...
