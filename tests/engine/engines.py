"""The two engines, whichever of them ``wsfast.engine`` has chosen, and their input."""

from __future__ import annotations

import importlib
from itertools import pairwise
from types import SimpleNamespace

from hypothesis import strategies as st

import wsfast.engine

TYPES = ("_frame_types", "_event_types")
MODULES = {
    "c": (
        *TYPES,
        "_engine",
        "_frame_parser",
        "_frames",
        "_writer",
        "_events",
        "_sockjs",
    ),
    "python": (
        *TYPES,
        "_pure",
        "_pure_frames",
        "_pure_writer",
        "_pure_events",
        "_pure_sockjs",
    ),
}
KEY = bytes.fromhex("37fa213d")  # masking-key of the examples in RFC 6455 §5.7


def load(name: str) -> SimpleNamespace:
    """Return all names of ``wsfast.engine`` as one of the engines has them."""
    modules = [importlib.import_module(f"wsfast.{module}") for module in MODULES[name]]
    names = {}
    for public in wsfast.engine.__all__:
        (found,) = (vars(m)[public] for m in modules if public in _own(m))
        names[public] = found
    return SimpleNamespace(name=name, **names)


def _own(module):
    """Return the names that a module defines, leaving out what it imports."""
    return [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", module.__name__) == module.__name__
        and (name not in CONSTANTS or module.__name__.endswith("_frame_types"))
    ]


CONSTANTS = {
    name
    for name in wsfast.engine.__all__
    if isinstance(getattr(wsfast.engine, name), int)
}


def cuts_of(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut octets at the given places, in any order and with repetitions."""
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in pairwise(places)]


def cuts(most: int = 400) -> st.SearchStrategy[list[int]]:
    """Return a strategy of places at which to cut a stream."""
    return st.lists(st.integers(0, most), max_size=12)
