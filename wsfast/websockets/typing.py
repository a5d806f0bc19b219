"""Types that programs for the websockets library name."""

from __future__ import annotations

import http
import logging
import os
from typing import TYPE_CHECKING, Any, NewType, TypeAlias

__all__ = [
    "BytesLike",
    "ConnectionOption",
    "Data",
    "DataLike",
    "ExtensionHeader",
    "ExtensionName",
    "ExtensionParameter",
    "LoggerLike",
    "Origin",
    "PathLike",
    "StatusLike",
    "Subprotocol",
    "UpgradeProtocol",
]

BytesLike: TypeAlias = bytes | bytearray | memoryview
Data: TypeAlias = str | bytes
DataLike: TypeAlias = str | bytes | bytearray | memoryview
StatusLike: TypeAlias = http.HTTPStatus | int
if TYPE_CHECKING:
    LoggerLike: TypeAlias = logging.Logger | logging.LoggerAdapter[Any]
    PathLike: TypeAlias = str | os.PathLike[str]
else:
    LoggerLike = logging.Logger | logging.LoggerAdapter
    PathLike = str | os.PathLike

Origin = NewType("Origin", str)
Subprotocol = NewType("Subprotocol", str)
ExtensionName = NewType("ExtensionName", str)
ExtensionParameter: TypeAlias = tuple[str, str | None]
ExtensionHeader: TypeAlias = tuple[ExtensionName, list[ExtensionParameter]]
ConnectionOption = NewType("ConnectionOption", str)
UpgradeProtocol = NewType("UpgradeProtocol", str)
