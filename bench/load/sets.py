"""Which cases belong together: those of ``make bench``, and of the manual."""

from __future__ import annotations

_OURS = ("wsfast-callback", "wsfast")
_FEW = ("raw-c", *_OURS, "picows", "websockets")
_SOME = ("floor", *_OURS, "raw-uvloop", "picows", "ws", "websockets", "aiohttp")
_MANY = (
    "floor",
    *_OURS,
    "uvicorn-wsfast",
    "raw-uvloop",
    "picows",
    "ws",
    "uvicorn-sansio",
    "websockets",
    "aiohttp",
)
_CLIENTS = (
    "client-floor",
    "client-wsfast-callback",
    "client-wsfast",
    "client-picows",
    "client-websockets",
    "client-aiohttp",
)

_SOCKETIO = ("socketio-node", "socketio-wsfast", "socketio-python")

#: the cases that matter, and the servers that matter in each
MAIN: dict[str, tuple[str, ...]] = {
    "echo64": _MANY,
    "echo64x16": _MANY,
    "echo1k": _SOME,
    "utf8-1k": ("floor", *_OURS, "picows", "websockets", "aiohttp"),
    "echo16k": _FEW,
    "echo1m": _FEW,
    "echo16m": _FEW,
    "one": ("floor", *_OURS, "wsfast-polling", "raw-uvloop", "picows", "websockets"),
    "storm": ("floor", *_OURS, "picows", "ws", "websockets", "aiohttp"),
    "memory": ("floor", *_OURS, "picows", "websockets", "aiohttp"),
    "memory-tls": ("floor", *_OURS, "picows", "websockets"),
    "tls64": ("floor", *_OURS, "uvicorn-wsfast", "raw-uvloop", "picows", "websockets"),
    "tls64x16": ("floor", *_OURS, "raw-uvloop", "picows", "uvicorn-sansio"),
    "tls16k": ("floor", *_OURS, "raw-uvloop", "picows", "uvicorn-sansio"),
    "deflate-1k": (*_OURS, "picows-websockets", "ws", "websockets", "aiohttp"),
    "broadcast": (
        "floor-broadcast",
        "wsfast-broadcast",
        "wsfast-hub",
        "picows-broadcast",
        "ws-broadcast",
        "websockets-broadcast",
    ),
    "socketio64x16": _SOCKETIO,
    "room200": ("room-floor", *_SOCKETIO),
    "room200x16": ("room-floor", *_SOCKETIO),
    "memory-socketio": _SOCKETIO[:2],
    "sockjs64x16": ("sockjs-node", "sockjs-wsfast"),
    "engineio64x16": ("engineio-node", "engineio-wsfast"),
    "conns1": ("floor", *_OURS, "picows", "websockets"),
    "conns1000": ("floor", *_OURS, "picows", "websockets"),
    "conns10000": ("floor", *_OURS, "picows", "websockets"),
    "client256": _CLIENTS,
}

SETS = {"main": MAIN}
