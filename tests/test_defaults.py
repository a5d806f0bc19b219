"""One default for one option, in whichever function it is given."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import wsfast.asyncio
import wsfast.sync
from wsfast.protocol import Options

FACTS = [name for name in dir(Options()) if not name.startswith("_")]
OPTIONS = {
    *("auto_pong", "binary", "close_timeout", "mask", "max_control_rate"),
    *("max_fragments", "max_queue", "max_queue_size", "max_send_buffer", "max_size"),
    *("overflow", "ping_interval", "ping_timeout", "text", "validate_utf8"),
    "write_limit",
}

#: Function: the options that it has not, and why.
FUNCTIONS: list[tuple[Any, set[str]]] = [
    (wsfast.asyncio.connect, set()),
    (wsfast.asyncio.serve, {"mask"}),  # a server masks nothing
    (wsfast.sync.connect, {"max_send_buffer", "overflow", "write_limit"}),
    (wsfast.sync.Server, {"mask", "max_send_buffer", "overflow", "write_limit"}),
]


def facts_of(options: Options) -> dict[str, Any]:
    """Return all that can be read of options."""
    return {name: getattr(options, name) for name in FACTS}


@pytest.mark.parametrize(("function", "without"), FUNCTIONS)
def test_defaults_are_those_of_options(function: Any, without: set[str]):
    parameters = inspect.signature(function).parameters
    given = {name: p.default for name, p in parameters.items() if name in OPTIONS}
    assert given.keys() == OPTIONS - without
    assert facts_of(Options(**given)) == facts_of(Options())


def test_there_are_no_other_options():
    assert len(FACTS) >= len(OPTIONS)
    with pytest.raises(TypeError):
        Options(nonsense=1)  # type: ignore[call-arg]
