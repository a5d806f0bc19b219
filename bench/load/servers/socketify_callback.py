"""Echo with socketify, which is uWebSockets under Python's callbacks."""

from __future__ import annotations

import os
import threading
from typing import Any

from socketify import App, CompressOptions

from bench.load.servers._serving import arguments

args = arguments().parse_args()


def message(ws: Any, data: str | bytes, opcode: Any) -> None:
    ws.send(data, opcode)


def until_stdin_ends() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    if args.core >= 0:
        os.sched_setaffinity(0, {args.core})
    app = App()
    app.ws(
        "/",
        {
            "compression": CompressOptions.DISABLED,
            "max_payload_length": 64 << 20,
            "max_backpressure": 128 << 20,
            "idle_timeout": 0,
            "message": message,
        },
    )
    threading.Thread(target=until_stdin_ends, daemon=True).start()
    app.listen(
        {"port": args.port, "host": "127.0.0.1"},
        lambda config: print(f"port {config.port} pid {os.getpid()}", flush=True),
    )
    app.run()
