"""
The WebSocket protocol without I/O, for both roles.

`ServerHandshake` and `ClientHandshake` open a connection, with heads read by
`HeadReader`; `Protocol` is the open connection, whose messages `Deflate` compresses.
Nothing here knows of sockets, event loops, threads or the time.
"""

from .auth import BasicAuth
from .client import ClientHandshake
from .closing import Close, CloseCode, Opcode, State
from .deflate import Deflate, DeflateOptions, DeflateParameters
from .events import Event
from .extension_base import (
    ClientExtensionFactory,
    Extension,
    Frame,
    ServerExtensionFactory,
)
from .extension_frames import Chain, PerMessageDeflate
from .extensions import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from .headers import Headers, MultipleValuesError
from .heads import BodyReader, HeadReader, Limits, parse_request, parse_response
from .http import Request, Response
from .messages import Protocol
from .options import Options
from .server import ServerHandshake
from .uri import WebSocketURI, parse_uri

__all__ = [
    "BasicAuth",
    "BodyReader",
    "Chain",
    "ClientExtensionFactory",
    "ClientHandshake",
    "ClientPerMessageDeflateFactory",
    "Close",
    "CloseCode",
    "Deflate",
    "DeflateOptions",
    "DeflateParameters",
    "Event",
    "Extension",
    "Frame",
    "HeadReader",
    "Headers",
    "Limits",
    "MultipleValuesError",
    "Opcode",
    "Options",
    "PerMessageDeflate",
    "Protocol",
    "Request",
    "Response",
    "ServerExtensionFactory",
    "ServerHandshake",
    "ServerPerMessageDeflateFactory",
    "State",
    "WebSocketURI",
    "parse_request",
    "parse_response",
    "parse_uri",
]
