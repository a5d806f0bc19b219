"""
The WebSocket protocol without I/O, for both roles.

`ServerHandshake` and `ClientHandshake` open a connection, with heads read by
`HeadReader`; `Deflate` compresses its messages, and `Close` ends it. Nothing here knows
of sockets, event loops, threads or the time.
"""

from .auth import BasicAuth
from .client import ClientHandshake
from .closing import Close, CloseCode, Opcode, State
from .deflate import Deflate, DeflateOptions, DeflateParameters
from .extensions import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from .headers import Headers, MultipleValuesError
from .heads import BodyReader, HeadReader, Limits, parse_request, parse_response
from .http import Request, Response
from .server import ServerHandshake
from .uri import WebSocketURI, parse_uri

__all__ = [
    "BasicAuth",
    "BodyReader",
    "ClientHandshake",
    "ClientPerMessageDeflateFactory",
    "Close",
    "CloseCode",
    "Deflate",
    "DeflateOptions",
    "DeflateParameters",
    "HeadReader",
    "Headers",
    "Limits",
    "MultipleValuesError",
    "Opcode",
    "Request",
    "Response",
    "ServerHandshake",
    "ServerPerMessageDeflateFactory",
    "State",
    "WebSocketURI",
    "parse_request",
    "parse_response",
    "parse_uri",
]
