"""Namespaces that are classes, as those of python-socketio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from .handlers import Handlers

if TYPE_CHECKING:
    from .server import Server

__all__ = ["AsyncNamespace"]

#: Methods of the server that take a namespace: here they need none.
_METHODS = frozenset(
    (
        "call",
        "close_room",
        "disconnect",
        "emit",
        "emit_with_ack",
        "enter_room",
        "get_environ",
        "get_session",
        "leave_room",
        "rooms",
        "save_session",
        "send",
        "session",
        "socket",
        "transport",
    )
)


class AsyncNamespace:
    """
    A namespace whose handlers are methods: ``on_`` and the name of the event.

    ``emit``, ``call``, ``enter_room`` and the other methods of the server that take a
    namespace are here, too, and are about this one.

    Args:
        namespace: Its name; ``"*"`` for all namespaces without handlers of their own.

    """

    server: Server

    def __init__(self, namespace: str | None = None) -> None:
        self.namespace = namespace or "/"

    def __getattr__(self, name: str) -> Any:
        if name in _METHODS and self.namespace != "*":
            return partial(getattr(self.server, name), namespace=self.namespace)
        raise AttributeError(f"{type(self).__name__} has no {name}")

    def trigger_event(self, event: str, *args: Any) -> Any | Awaitable[Any]:
        """Call the method of an event; to be overridden where more is to be done."""
        handler = getattr(self, f"on_{event}", None)
        return None if handler is None else handler(*args)

    def register(self, server: Server) -> None:
        """Have a server call the methods."""
        self.server = server
        handlers = _Methods(self)
        if self.namespace == "*":
            handlers.by_event = {} if server.star is None else server.star.by_event
            server.star = handlers
        else:
            namespace = server.of(self.namespace)
            handlers.by_event = namespace.handlers.by_event
            namespace.handlers = handlers


class _Methods(Handlers):
    """The methods of such an object, behind handlers that are functions."""

    def __init__(self, owner: AsyncNamespace) -> None:
        super().__init__()
        self._owner = owner
        self._triggers = type(owner).trigger_event is not AsyncNamespace.trigger_event

    def find(
        self, event: str, first: tuple[Any, ...]
    ) -> tuple[Callable[..., Any] | None, tuple[Any, ...]]:
        """Return the handler of an event."""
        handler = self.by_event.get(event)
        if handler is not None:
            return handler, first
        if self._triggers:
            return partial(self._owner.trigger_event, event), first
        handler = getattr(self._owner, f"on_{event}", None)
        if handler is not None:
            return handler, first
        return super().find(event, first)
