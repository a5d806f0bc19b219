"""URIs, where the websockets library has them."""

from ..protocol.uri import WebSocketURI, parse_uri

__all__ = ["WebSocketURI", "parse_uri"]
