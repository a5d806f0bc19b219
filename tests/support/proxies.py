"""Proxies of Debian, started on the loopback with a configuration of their own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests import needs
from tests.support.ports import free_port

#: Who may use a proxy that asks for it.
USER, PASSWORD = "me", "secret"

TINYPROXY = """
Port {port}
Listen 127.0.0.1
Allow 127.0.0.1
Timeout 60
MaxClients 20
DisableViaHeader Yes
"""
TINYPROXY_AUTHENTICATION = f"BasicAuth {USER} {PASSWORD}\n"

DANTE = """
logoutput: stderr
internal: 127.0.0.1 port = {port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 127.0.0.0/8 protocol: tcp }}
"""


def command(name: str, port: int, folder: Path, authentication: bool) -> list[str]:
    """Return the command that runs a proxy in the foreground."""
    path = needs.find(name)
    assert path is not None
    if name == "microsocks":
        arguments = [path, "-i", "127.0.0.1", "-p", str(port)]
        return [*arguments, "-u", USER, "-P", PASSWORD] if authentication else arguments
    text = TINYPROXY if name == "tinyproxy" else DANTE
    config = folder / f"{name}.conf"
    config.write_text(
        text.format(port=port) + (TINYPROXY_AUTHENTICATION if authentication else "")
    )
    if name == "tinyproxy":
        return [path, "-d", "-c", str(config)]
    return [path, "-N", "1", "-f", str(config), "-p", str(folder / "pid")]


@contextlib.contextmanager
def proxy(name: str, authentication: bool = False) -> Iterator[int]:
    """
    Run a proxy for the length of a block.

    Args:
        name: ``tinyproxy``, ``microsocks`` or ``danted``.
        authentication: Whether it asks for `USER` and `PASSWORD`.

    Yields:
        Its port, on 127.0.0.1.

    """
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        for attempt in range(5):  # the port may be gone by the time it is wanted
            port = free_port()
            with log.open("wb") as output:
                process = subprocess.Popen(
                    command(name, port, Path(folder), authentication),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            if answers(process, port):
                break
            end(process)
            assert attempt < 4, log.read_text(errors="replace")
        try:
            yield port
        finally:
            end(process)


def answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until a proxy listens; False if it has ended instead."""
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port)),
        ):
            return True
        time.sleep(0.05)
    return False


def end(process: subprocess.Popen[bytes]) -> None:
    """End a proxy that was started here."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
