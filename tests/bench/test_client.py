"""The load client in C, built and run: how much it has in flight."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from select import select

import pytest

from bench.load.targets import HERE
from tests.faults.rawpeer import Listening, frame

READERS = 3


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Return the client, built where no benchmark that runs meanwhile looks."""
    build = tmp_path_factory.mktemp("build")
    path = build / "client"
    command = ["make", "-s", "-C", str(HERE), f"BUILD={build}", "CFLAGS=-O1", str(path)]
    subprocess.run(command, check=True)
    return path


@pytest.mark.needs("libssl-dev")
@pytest.mark.parametrize("depth", [1, 2])
def test_the_next_broadcast_waits_for_the_last_octet_of_one_before(client, depth):
    """What counts is the last octet that comes to the last reader."""
    with ExitStack() as stack:
        server = stack.enter_context(Listening())
        command = [client, "--broadcast", "--port", server.port, "--seconds", 60]
        command += ["--connections", READERS, "--depth", depth, "--warmup", 0]
        process = subprocess.Popen([*map(str, command)])
        stack.callback(process.wait)
        stack.callback(process.kill)
        peers = [server.opened() for _ in range(READERS)]
        for peer in peers:
            stack.callback(peer.sock.close)
        (ready, *others), _, _ = select([peer.sock for peer in peers], [], [], 10)
        assert not others  # one of them sends
        sender = next(peer for peer in peers if peer.sock is ready)
        waiting = [sender.recv() for _ in range(depth)]
        for _ in range(5):
            message = waiting.pop(0)
            octets = frame(message.opcode, message.payload, key=None)
            for peer in peers[:-1]:
                peer.send(octets)
            peers[-1].send(octets[:-1])
            # As long as one octet is missing nothing comes, however long one waits.
            assert not sender.buffer and not select([sender.sock], [], [], 0.1)[0]
            peers[-1].send(octets[-1:])
            waiting.append(sender.recv())
