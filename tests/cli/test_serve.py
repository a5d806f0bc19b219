"""``wsfast serve``: what it serves, its log, its end."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

import pytest

from tests.cli.conftest import HERE, WAIT_S
from tests.faults import rawpeer
from tests.support.host import HERE as SUPPORT
from tests.support.host import client_tls
from wsfast import Listener
from wsfast.cli._errors import CommandError
from wsfast.cli.serve import echo, handler_of
from wsfast.exceptions import ConnectionClosedOK, InvalidStatus
from wsfast.sync import connect, unix_connect


def test_a_handler_and_its_log(server):
    with connect(f"{server.uri}/a%20path?x", proxy=None) as ws:
        port = ws.local_address[1]
        ws.send("hello")
        assert ws.recv(WAIT_S) == "hello"
    server.see(rf'\d\d:\d\d:\d\d 127\.0\.0\.1:{port} "/a%20path\?x" open\n')
    server.see(rf':{port} "/a%20path\?x" closed 1000 after \d+\.\d\d\d s\n')
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{server.uri}/nothing", proxy=None)
    assert refused.value.response.status_code == 404
    server.see(r"127\.0\.0\.1:\d+ refused 404: There is nothing here\.\n")
    with rawpeer.tcp(int(server.uri.rpartition(":")[2])) as peer:
        peer.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert peer.head().status == 426
    server.see(r"127\.0\.0\.1:\d+ refused 426: ")


def test_broadcast_ends_gracefully(start):
    process = start("serve", "broadcast", "--port", "0")
    uri = process.see(r"serving broadcast on (ws://\S+)")[1]
    with connect(uri, proxy=None) as one, connect(uri, proxy=None) as two:
        one.send("to all")
        assert (one.recv(WAIT_S), two.recv(WAIT_S)) == ("to all", "to all")
        process.signal(signal.SIGTERM)
        for ws in (one, two):
            with pytest.raises(ConnectionClosedOK, match="1001"):
                ws.recv(WAIT_S)
    assert (process.end(), process.err) == (0, "")
    assert len(re.findall('"/" closed 1001 after', process.out)) == 2


def test_echo_with_tls_and_options(start):
    pem = str(SUPPORT / "localhost.pem")
    words = ["--cert", pem, "-s", "chat", "--path", "/only", "-q", "--max-size", "10"]
    process = start("serve", "--port", "0", *words, "--origin", "https://a")
    uri = process.see(r"serving echo on (wss://\S+/only)")[1]
    with connect(uri, ssl=client_tls(), subprotocols=["x", "chat"], proxy=None) as ws:
        assert ws.subprotocol == "chat"
        ws.send("hello")
        assert ws.recv(WAIT_S) == "hello"
        ws.send("more than 10")
        assert ws.wait_closed(WAIT_S)
        assert ws.closed_error().rcvd.code == 1009
    for change in ({"uri": uri.replace("only", "")}, {"origin": "https://b"}):
        with pytest.raises(InvalidStatus):
            connect(**{"uri": uri, "ssl": client_tls(), "proxy": None} | change)
    assert process.end(signal.SIGINT) == 0
    assert process.out.count("\n") == 1  # quiet


def test_interrupted_twice_it_cuts(start):
    process = start("serve", f"{HERE / 'handler.py'}:silent", "--port", "0")
    port = int(process.see(r"on ws://\S+:(\d+)/")[1])
    with rawpeer.opened(port) as peer:
        process.see("open")
        process.signal(signal.SIGINT)
        assert peer.recv().code == 1001
        assert process.end(signal.SIGINT) == 0
        assert peer.ended() in ("eof", "reset")
    assert re.search('"/" closed 1006 after', process.out)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no UNIX sockets")
def test_unix_socket(start, tmp_path):
    path = tmp_path / "s"
    process = start("serve", "--unix", str(path))
    process.see(f"serving echo on ws\\+unix:{path}")
    with unix_connect(path) as ws:
        ws.send("hello")
        assert ws.recv(WAIT_S) == "hello"
    process.see('unix "/" closed 1000')
    assert process.end(signal.SIGTERM) == 0


def test_what_a_handler_may_be(tmp_path, monkeypatch):
    assert handler_of("echo") == (echo, None)
    found, process_request = handler_of(str(HERE))
    assert (found.__name__, process_request.__name__) == ("handler", "process_request")
    program = tmp_path / "served_listener.py"
    program.write_text(
        "import wsfast\nclass Handler(wsfast.Listener): pass\nhandler = Handler()\n"
    )
    found, _ = handler_of(f"{program}:Handler")
    assert issubclass(found, Listener)
    monkeypatch.chdir(tmp_path)
    assert isinstance(handler_of("served_listener")[0], Listener)


@pytest.mark.parametrize(
    ("what", "text", "said"),
    [
        ("nosuchmodule", "", "nosuchmodule is neither echo, broadcast, a directory"),
        ("ws://x/", "", "is neither echo"),
        ("nosuch.py", "", "there is no file nosuch.py"),
        (".", "", "there is no handler.py in ."),
        ("served1.py", "x = 1", "served1.py has no handler; served1.py:NAME names"),
        ("served2.py:other", "x = 1", "served2.py has no other"),
        ("served3.py", "handler = 1", "neither a coroutine function nor a Listener"),
        (
            "served4.py",
            "def handler(ws): pass",
            "is not a coroutine function: async def",
        ),
        ("served5.py", "import nosuch", "cannot import served5.py: ModuleNotFound"),
        ("served6.py", "x = ", "cannot import served6.py: SyntaxError: invalid"),
    ],
)
def test_what_is_no_handler(tmp_path, monkeypatch, what, text, said):
    monkeypatch.chdir(tmp_path)
    if text:
        Path(what.partition(":")[0]).write_text(text)
    with pytest.raises(CommandError) as caught:
        handler_of(what)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--port", "70000"], 2, "70000 is no port: 0 to 65535"),
        (["--key", "k"], 2, "--key is of no use without --cert"),
        (["--cert", "/no/file"], 2, "--cert /no/file: No such file"),
        (["--port", "{port}"], 1, "127.0.0.1:{port}: somebody listens there already"),
        (["--unix", "/no/such/folder/s"], 1, "/no/such/folder/s: there is no such"),
    ],
)
def test_what_cannot_be_served(run, server, words, status, said):
    port = server.uri.rpartition(":")[2]
    done = run("serve", *(word.format(port=port) for word in words))
    assert (done.status, done.err.count("\n")) == (status, 1)
    assert said.format(port=port) in done.err
