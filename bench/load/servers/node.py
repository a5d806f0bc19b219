"""
Start a server for Node: ``python -m bench.load.servers.node SCRIPT [OPTION...]``.

It takes the listening socket, so that it has the settings of all others, as descriptor
``LISTEN_FD``, and the packages of tests/interop.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench.load.servers._serving import CERTIFICATE, arguments, listening_socket

HERE = Path(__file__).parent


def main() -> None:
    parser = arguments()
    parser.add_argument("script")
    args = parser.parse_args()
    if args.core >= 0:
        os.sched_setaffinity(0, {args.core})
    sock = listening_socket(args.port)
    sock.set_inheritable(True)
    modules = HERE.parents[2] / "tests" / "interop" / "node_modules"
    os.environ.update(
        NODE_PATH=str(modules),
        NODE_ENV="production",
        LISTEN_FD=str(sock.fileno()),
        CERTIFICATE=str(CERTIFICATE) if args.tls else "",
        DEFLATE="1" if args.deflate else "",
    )
    os.execvp("node", ["node", str(HERE / args.script)])


if __name__ == "__main__":
    sys.exit(main())
