"""What an acceleration has done, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Accelerated", "Report"]


@dataclass(frozen=True)
class Accelerated:
    """
    One library, accelerated.

    Attributes:
        target: What it is called here.
        installed: Its installed version; None for a target that needs no library.
        versions: The versions whose contract is known, such as ``>=1.2,<1.4``.
        contract: What the names replaced do, in one sentence.
        replaced: The names replaced, in full.
        kernel: What does the work: a C kernel, or ``python``.
        notes: What one should know, such as modules that were imported too early.

    """

    target: str
    installed: str | None
    versions: str | None
    contract: str
    replaced: tuple[str, ...]
    kernel: str
    notes: tuple[str, ...]

    def __str__(self) -> str:
        version = (
            f" {self.installed} (known: {self.versions})" if self.installed else ""
        )
        lines = [f"{self.target}{version}: {self.contract}; kernel {self.kernel}"]
        lines += [f"  replaced {name}" for name in self.replaced]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


class Report(Mapping[str, Accelerated]):
    """
    Accelerated libraries by target, in the order in which they were accelerated.

    ``str()`` of it is for people, `as_dict` for programs.
    """

    def __init__(self, accelerated: Mapping[str, Accelerated]) -> None:
        self._accelerated = dict(accelerated)

    def __getitem__(self, target: str) -> Accelerated:
        return self._accelerated[target]

    def __iter__(self) -> Iterator[str]:
        return iter(self._accelerated)

    def __len__(self) -> int:
        return len(self._accelerated)

    def __repr__(self) -> str:
        return f"<Report {', '.join(self) or 'of nothing'}>"

    def __str__(self) -> str:
        return "\n".join(map(str, self.values())) or "nothing is accelerated"

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Return the report as what JSON can hold."""
        return {target: asdict(done) for target, done in self.items()}
