"""
The names of the websockets library, version 17, for programs that were written for it.

``import wsfast.websockets as websockets`` is all there is to change. What is not here
is listed in the manual, with the reasons.
"""

from __future__ import annotations

from . import exceptions
from .asyncio.client import (
    ClientConnection,
    connect,
    unix_connect,
)
from .asyncio.server import (
    Server,
    ServerConnection,
    basic_auth,
    broadcast,
    serve,
    unix_serve,
)
from .datastructures import (
    Headers,
    HeadersLike,
    MultipleValuesError,
)
from .exceptions import *  # noqa: F403
from .frames import (
    Close,
    CloseCode,
    Frame,
    Opcode,
)
from .http11 import (
    Request,
    Response,
)
from .protocol import (
    Side,
    State,
)
from .typing import (
    Data,
    ExtensionName,
    ExtensionParameter,
    LoggerLike,
    Origin,
    StatusLike,
    Subprotocol,
)
from .version import version as __version__

__all__ = [
    "ClientConnection",
    "Close",
    "CloseCode",
    "Data",
    "ExtensionName",
    "ExtensionParameter",
    "Frame",
    "Headers",
    "HeadersLike",
    "LoggerLike",
    "MultipleValuesError",
    "Opcode",
    "Origin",
    "Request",
    "Response",
    "Server",
    "ServerConnection",
    "Side",
    "State",
    "StatusLike",
    "Subprotocol",
    "__version__",
    "basic_auth",
    "broadcast",
    "connect",
    "serve",
    "unix_connect",
    "unix_serve",
]
__all__ += exceptions.__all__
