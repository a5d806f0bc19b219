"""Marks for tests of what not every operating system has."""

from __future__ import annotations

import socket
import sys

import pytest

unix_sockets = pytest.mark.skipif(
    not hasattr(socket, "AF_UNIX"), reason="there are no UNIX sockets"
)
reuse_port = pytest.mark.skipif(
    not hasattr(socket, "SO_REUSEPORT"), reason="ports cannot be shared"
)
other_loopbacks = pytest.mark.skipif(
    sys.platform == "darwin", reason="127.0.0.2 is no address of this machine"
)
