"""What extensions are made of, where the websockets library has it."""

from ...protocol.extension_base import (
    ClientExtensionFactory,
    Extension,
    ServerExtensionFactory,
)

__all__ = ["ClientExtensionFactory", "Extension", "ServerExtensionFactory"]
