"""What of the websockets library is not in ``wsfast.websockets``, and why."""

SANS_IO = "its sans-I/O layer: wsfast.protocol is ours, with another shape"
INTERNAL = "internal to it, and undocumented"
LEGACY = "deprecated since 14.0, and another API"
ROUTER = "needs werkzeug; process_request can do it, and so can path="
TRIO = "wsfast runs under asyncio and in threads"
COMMAND = "the command line is wsfast's own: python -m wsfast"

#: By module, or by module and name.
LEFT_OUT = {
    "websockets.__main__": COMMAND,
    "websockets.asyncio.messages": INTERNAL,
    "websockets.asyncio.router": ROUTER,
    "websockets.auth": LEGACY,
    "websockets.cli": COMMAND,
    "websockets.client.ClientProtocol": SANS_IO,
    "websockets.connection": LEGACY,
    "websockets.extensions.permessage_deflate.enable_client_permessage_deflate": (
        INTERNAL
    ),
    "websockets.extensions.permessage_deflate.enable_server_permessage_deflate": (
        INTERNAL
    ),
    "websockets.frames.Frame.parse": SANS_IO,
    "websockets.imports": INTERNAL,
    "websockets.legacy": LEGACY,
    "websockets.protocol.Protocol": SANS_IO,
    "websockets.protocol.SEND_EOF": SANS_IO,
    "websockets.proxy.Proxy.user_info": "ours is a pair or None as well",
    "websockets.server": SANS_IO,
    "websockets.speedups": "wsfast.engine has more of these",
    "websockets.streams": INTERNAL,
    "websockets.sync.messages": INTERNAL,
    "websockets.sync.router": ROUTER,
    "websockets.sync.utils": INTERNAL,
    "websockets.trio": TRIO,
    "websockets.utils.get_socket_name": INTERNAL,
    "websockets.version.commit": INTERNAL,
    "websockets.version.tag": INTERNAL,
    "websockets.Protocol": SANS_IO,
    "websockets.ClientProtocol": SANS_IO,
    "websockets.ServerProtocol": SANS_IO,
    "websockets.Router": ROUTER,
    "websockets.route": ROUTER,
    "websockets.unix_route": ROUTER,
}

#: Names of parameters that everybody gives by position, and what they are here.
RENAMED = {"header": "value", "key": "name"}

#: Parameters that are not there, or not with the same default.
OTHERWISE = {
    "user_agent_header": "it names wsfast",
    "server_header": "it names wsfast",
    "process_exception": "the same behaviour; each library has its own function",
    "write_limit": "64 KiB measured better",
    "reconnect_delays": "a random delay from the first attempt on",
}


def is_left_out(name: str) -> bool:
    """Return whether a module or name, or what it is part of, is left out."""
    parts = name.split(".")
    return any(".".join(parts[: n + 1]) in LEFT_OUT for n in range(len(parts)))
