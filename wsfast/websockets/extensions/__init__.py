"""Extensions, where the websockets library has them."""

from .permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)

__all__ = ["ClientPerMessageDeflateFactory", "ServerPerMessageDeflateFactory"]
