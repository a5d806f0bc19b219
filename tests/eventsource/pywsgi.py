"""``python -m tests.eventsource.pywsgi``: `wsgi_app` under gevent's own server."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Serve until SIGTERM."""
    import gevent
    from gevent import monkey

    monkey.patch_all()
    from gevent.pywsgi import WSGIServer

    from tests.eventsource.wsgi_app import app

    server = WSGIServer(("127.0.0.1", 0), app, log=None)
    server.init_socket()
    gevent.signal_handler(signal.SIGTERM, server.stop)
    port = server.socket.getsockname()[1]
    print(f"Listening at: http://127.0.0.1:{port}", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
