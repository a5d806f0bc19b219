"""Puts accelerations in and takes them out: all that was asked for, or nothing."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata
from types import ModuleType
from typing import Any

from wsfast.engine import KERNEL

from ._report import Accelerated, Report
from ._target import AccelerateError, Entry, Name, Target

__all__ = ["KNOWN", "accelerate", "accelerated", "known", "undo"]

#: Target -> the module of this package that declares it.
KNOWN = {
    "aiohttp": "aiohttp",
    "autobahn": "autobahn",
    "gevent-websocket": "gevent_websocket",
    "tornado": "tornado",
    "websocket-client": "websocket_client",
    "websockets": "websockets",
    "ws4py": "ws4py",
    "wsaccel": "wsaccel",
    "wsproto": "wsproto",
}

_MISSING: Any = object()


class Change:
    """One name, what it was bound to and what it is to be bound to."""

    def __init__(self, owner: Any, key: str, new: Any, label: str) -> None:
        self.owner, self.key, self.new, self.label = owner, key, new, label
        self.old = self.current()

    def current(self) -> Any:
        """Return what the name is bound to; `_MISSING` if it is not."""
        if isinstance(self.owner, dict):
            return self.owner.get(self.key, _MISSING)
        return vars(self.owner).get(self.key, _MISSING)

    def bind(self, value: Any) -> None:
        """Bind the name to a value, or unbind it."""
        if isinstance(self.owner, dict):
            if value is _MISSING:
                self.owner.pop(self.key, None)
            else:
                self.owner[self.key] = value
        elif value is _MISSING:
            delattr(self.owner, self.key)
        else:
            setattr(self.owner, self.key, value)


@dataclass
class Plan:
    """What accelerating one target comes to."""

    done: Accelerated
    changes: list[Change]


_lock = threading.RLock()
_active: dict[str, Plan] = {}


def accelerate(*names: str) -> Report:
    """
    Replace the slow parts of other libraries by those of this engine.

    Either every target named is accelerated or, after an exception, none of them.
    Programs should call it before they import what uses the libraries.

    Args:
        names: Targets, as `known` lists them: ``"wsproto"`` for instance.

    Returns:
        What was replaced, by target.

    Raises:
        AccelerateError: A target is unknown, not installed, of a version whose contract
            is not known, cannot be imported, or is accelerated already.

    """
    if not names:
        raise AccelerateError(f"accelerate what? Name one or more of: {_known_names()}")
    with _lock:
        plans: dict[str, Plan] = {}
        for name in names:
            if name in _active or name in plans:
                raise AccelerateError(
                    f"{name} is accelerated already; call undo({name!r}) before"
                    " accelerating it again, or leave this call out"
                )
            plans[name] = _plan(_target(name))
        done: list[Change] = []
        try:
            for change in _changes(plans.values()):
                change.bind(change.new)
                done.append(change)
        except BaseException:
            for change in reversed(done):
                change.bind(change.old)
            raise
        _active.update(plans)
        return Report({name: plan.done for name, plan in plans.items()})


def undo(*names: str) -> tuple[str, ...]:
    """
    Give libraries their own parts back.

    What the program took from a library in the meantime, an object or a name imported
    from it, stays as it is.

    Args:
        names: Targets that are accelerated; none means all of them.

    Returns:
        The targets that were undone.

    Raises:
        AccelerateError: A target is not accelerated, or somebody has replaced one of
            its names since. Nothing is undone then.

    """
    with _lock:
        for name in names:
            if name not in _active:
                raise AccelerateError(
                    f"{name} is not accelerated; accelerated are:"
                    f" {', '.join(_active) or 'none'}"
                )
        wanted = tuple(dict.fromkeys(names or _active))
        for change in _changes(_active[name] for name in wanted):
            if change.current() is not change.new:
                raise AccelerateError(
                    f"{change.label} was replaced by somebody else after wsfast had"
                    " replaced it; undo that first"
                )
        for name in reversed(wanted):
            for change in reversed(_active.pop(name).changes):
                change.bind(change.old)
        return wanted


def accelerated() -> Report:
    """Return what is accelerated now, by target."""
    with _lock:
        return Report({name: plan.done for name, plan in _active.items()})


def known() -> tuple[Target, ...]:
    """Return all targets, by name."""
    return tuple(_target(name) for name in sorted(KNOWN))


def _known_names() -> str:
    return ", ".join(sorted(KNOWN))


def _changes(plans: Any) -> Iterator[Change]:
    for plan in plans:
        yield from plan.changes


def _target(name: str) -> Target:
    """Return the target of this name."""
    if name not in KNOWN:
        raise AccelerateError(
            f"{name} is nothing that wsfast can accelerate; it can: {_known_names()}"
        )
    target: Target = import_module(f"wsfast.accelerate.{KNOWN[name]}").TARGET
    return target


def _plan(target: Target) -> Plan:
    """Find everything that accelerating a target changes, and change nothing."""
    installed = _installed(target)
    early = [name for name in target.users if name in sys.modules]
    try:
        replacements = target.replacements()
        changes = [
            change
            for what in replacements
            for change in _change(target, what, installed)
        ]
    except ImportError as error:
        raise AccelerateError(
            f"importing {target.name} failed: {error}; see that"
            f" `python -c 'import {error.name or target.name}'` works, then try again"
        ) from error
    return Plan(
        Accelerated(
            target=target.name,
            installed=installed,
            versions=str(target.versions) if target.versions else None,
            contract=target.contract,
            replaced=tuple(change.label for change in changes),
            kernel=KERNEL,
            notes=(*target.also, *_notes(early)),
        ),
        changes,
    )


def _notes(early: Sequence[str]) -> Iterator[str]:
    if KERNEL == "python":
        yield "the engine is pure Python here: little or nothing becomes faster"
    for name in early:
        yield f"{name} was imported before and keeps what it has: accelerate first"


def _installed(target: Target) -> str | None:
    """Return the version that is installed, if it is one that is known."""
    if target.distribution is None:
        return None
    fix = f"pip install '{target.distribution}{target.versions}'"
    try:
        version = metadata.version(target.distribution)
    except metadata.PackageNotFoundError:
        raise AccelerateError(f"{target.name} is not installed: {fix}") from None
    if target.versions is not None and version not in target.versions:
        raise AccelerateError(
            f"{target.name} {version} is installed, and wsfast knows the contract of"
            f" {target.versions} only: {fix}, or use a wsfast that knows it"
        )
    return version


def _change(
    target: Target, what: Name | Entry, installed: str | None
) -> Iterator[Change]:
    """Yield the change that a replacement asks for, if it asks for one."""
    if isinstance(what, Entry):
        yield Change(sys.modules, what.module, what.value, str(what))
        return
    if what.optional and what.module not in sys.modules:
        return
    owner: Any = import_module(what.module)
    *path, key = what.attribute.split(".")
    for part in path:
        owner = getattr(owner, part, None)
    if not isinstance(owner, ModuleType | type) or key not in vars(owner):
        raise AccelerateError(
            f"{target.name} {installed or ''} has no {what}, though its version"
            f" should: is it modified, or shadowed by another module of that name?"
        )
    yield Change(owner, key, what.value, str(what))
