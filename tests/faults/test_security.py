"""SECURITY.md promises what the code has: each threat, each limit, each test."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wsfast
from tests.faults.rows import ROWS
from tests.faults.security import Promise, known_tests, promises
from wsfast import engineio, eventsource, hub, protocol, socketio, sockjs
from wsfast.hub.redis_log import RedisLog

TESTS = Path(__file__).parents[1]
PROMISES = promises()
LIMIT = re.compile(r"`(?P<name>[\w.]+)` (?P<default>`\"\w+\"`|[^,]+)")
UNITS = {"": 1, "s": 1, "KiB": 1 << 10, "MiB": 1 << 20}

#: Which functions the limits of a group are arguments of.
CORE = [wsfast.Server, wsfast.connect, protocol.DeflateOptions]
CLIENT = [wsfast.connect, wsfast.Reconnecting]
LAYERS: list[Callable[..., Any]] = [
    *(engineio.Server, eventsource.EventSourceClient, hub.Hub, hub.Bus),
    *(socketio.Server, socketio.JSONParser, sockjs.SockJS, RedisLog),
]


def value(text: str) -> object:
    """Return the default that a text stands for."""
    number, _, unit = text.strip("`").partition(" ")
    if number == "none":
        return None
    if re.fullmatch(r"[\d.]+", number):
        return float(number) * UNITS[unit]
    return ast.literal_eval(number)


def defaults(row: str, name: str) -> list[object]:
    """Return what the functions of a row's group have for an argument."""
    if name.startswith("limits."):
        return [getattr(protocol.Limits(), name.removeprefix("limits."))]
    group = {"K": CLIENT, "L": LAYERS}.get(row[0], CORE)
    found = [inspect.signature(function).parameters.get(name) for function in group]
    return [parameter.default for parameter in found if parameter is not None]


def test_every_threat_is_there_once():
    assert [promise.row for promise in PROMISES] == ROWS
    assert all(promise.threat and promise.promise for promise in PROMISES)


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.row)
def test_tests_are_those_of_the_row(promise: Promise):
    assert promise.tests == known_tests(promise.row), "python -m tests.faults.security"
    for entry in promise.tests.split("; "):
        file, _, names = entry.partition(": ")
        assert (TESTS / file.strip("`")).is_file()
        assert names


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.row)
def test_limits_are_those_of_the_code(promise: Promise):
    found = list(LIMIT.finditer(promise.limits))
    assert "`" not in LIMIT.sub("", promise.limits)
    for match in found:
        told, had = value(match["default"]), defaults(promise.row, match["name"])
        assert told in had, (match["name"], told, had)


def test_there_are_limits_to_check():
    assert sum(len(LIMIT.findall(promise.limits)) for promise in PROMISES) >= 40
