"""``wsfast connect`` between pipes, and what it says when it cannot."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import subprocess
import threading

import pytest

from tests.cli.conftest import COMMAND
from tests.faults import rawpeer
from tests.support.host import HERE as SUPPORT
from tests.support.host import server_tls
from wsfast.cli._errors import error_of
from wsfast.exceptions import InvalidProxyStatus
from wsfast.protocol import Headers, Response
from wsfast.sync import serve

QUICK = ("--wait", "0.1", "--no-proxy")


def test_lines_go_out_and_messages_come_in(run, server):
    lines = "one\ntwö\r\n\nno end".encode()
    done = run("connect", server.uri, *QUICK, given=lines)
    assert (done.status, done.err) == (0, "")
    assert done.out == "one\ntwö\n\nno end\n".encode()


def test_many_lines(run, server):
    lines = b"".join(b"%d\n" % number for number in range(20_000))
    assert run("connect", server.uri, *QUICK, given=lines).out == lines


def test_json_is_laid_out(run, server):
    given = '{"a": [1, "é"]}\nnot JSON\n'.encode()
    done = run("connect", server.uri, "--json", *QUICK, given=given)
    assert done.out.decode() == '{\n  "a": [\n    1,\n    "é"\n  ]\n}\nnot JSON\n'


@pytest.mark.parametrize(
    ("form", "text"), [("hex", b"00ff80\n"), ("base64", base64.b64encode(b"\0\xff"))]
)
def test_binary_messages_on_lines(run, server, form, text):
    done = run("connect", server.uri, "--binary", form, *QUICK, given=text)
    assert (done.status, done.out.strip()) == (0, text.strip())


def test_octets_as_they_come(run, server):
    octets = bytes(range(256)) * 1000
    done = run("connect", server.uri, "--binary", "raw", *QUICK, given=octets)
    assert (done.status, done.out) == (0, octets)


def test_messages_of_the_command_line(run, server):
    words = ["-x", "one", "-x", "two", "-x", "three", "--count", "2", "--wait", "inf"]
    done = run("connect", server.uri, *words, "--no-proxy")
    assert (done.status, done.out) == (0, b"one\ntwo\n")


@pytest.mark.parametrize(
    ("given", "form", "complaint"),
    [
        (b"ok\n\xff\n", (), "line 2 is not UTF-8: --binary raw sends octets"),
        (b"00\n0x\n", ("-b", "hex"), "line 2 is not hex"),
        (b"!\n", ("-b", "base64"), "line 1 is not base64"),
    ],
)
def test_lines_that_are_no_messages(run, server, given, form, complaint):
    done = run("connect", server.uri, *form, *QUICK, given=given)
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert complaint in done.err


@pytest.mark.parametrize(
    ("order", "status", "said"),
    [
        ("bye 1000", 0, ""),
        ("bye 4001", 1, "closed by the server with 4001 (private use) as you wish"),
        ("cut", 1, "cut off by the other side, without a closing handshake (1006)"),
    ],
)
def test_how_the_server_ends_it(run, server, order, status, said):
    done = run("connect", server.uri, "-x", order, "--wait", "inf", "--no-proxy")
    assert done.status == status
    assert done.err == (f"wsfast: {said}\n" if said else "")


def test_our_own_limit_is_named(run, server):
    done = run(
        "connect", server.uri, "--max-size", "9", "--wait", "inf", given=b"0123456789"
    )
    assert done.status == 1
    assert "1009 (message too big)" in done.err
    assert "--max-size takes larger messages" in done.err


def test_the_handshake_is_shown(run, server):
    words = ("-H", "X-Test: 1", "-s", "chat", "--origin", "http://a", "--auth", "me:pw")
    done = run("connect", server.uri, "-v", *words, "--no-compression", *QUICK)
    assert "> X-Test: 1\n" in done.err
    assert "> Origin: http://a\n" in done.err
    assert "> Sec-WebSocket-Protocol: chat\n" in done.err
    assert f"> Authorization: Basic {base64.b64encode(b'me:pw').decode()}\n" in done.err
    assert "Sec-WebSocket-Extensions" not in done.err
    assert "< HTTP/1.1 101 Switching Protocols\n" in done.err
    assert "\x1b" not in done.err


# ---- what can go wrong ----


@contextlib.contextmanager
def answering(octets: bytes):
    """Answer one client with these octets, whatever it asks."""
    with rawpeer.Listening() as listening:

        def answer() -> None:
            with contextlib.suppress(OSError, rawpeer.EndedError), listening.tcp() as p:
                p.take(1)
                p.send(octets)
                p.half_close()
                p.ended()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield listening.uri
        finally:
            thread.join()


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 11\r\n\r\n\nWho?\x1b[2J\n",
            "the server answers HTTP 401 Unauthorized: Who?\\x1b[2J (--auth USER:",
        ),
        (b"SSH-2.0-x\r\n\r\n", "the answer is not HTTP: this is no WebSocket server"),
        (b"", "the connection ended before an answer"),
        (
            b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\n",
            "not a proper opening handshake: missing Connection header",
        ),
    ],
)
def test_answers_that_are_no_handshake(run, octets, said):
    with answering(octets) as uri:
        done = run("connect", uri, "--no-proxy")
    assert (done.status, done.out) == (1, b"")
    assert done.err.startswith(f"wsfast: {uri}: {said}")
    assert done.err.count("\n") == 1


def test_status_and_first_line_of_a_refusal(run, server):
    done = run("connect", f"{server.uri}/nothing", "--no-proxy")
    said = "the server answers HTTP 404 Not Found: There is nothing here."
    assert done.err == f"wsfast: {server.uri}/nothing: {said} (is the path right?)\n"
    done = run("connect", f"{server.uri}/nothing", "--no-proxy", "--verbose")
    assert "Traceback" in done.err


def test_nobody_listens(run):
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    done = run("connect", f"127.0.0.1:{port}", "--no-proxy")
    assert done.status == 1
    assert f"ws://127.0.0.1:{port}: nobody listens there: is the server" in done.err
    done = run("connect", "ws://x/", "--proxy", f"http://me:pw@127.0.0.1:{port}")
    assert f"ws://x/ through http://127.0.0.1:{port}: nobody listens" in done.err


def test_no_answer_in_time(run):
    with rawpeer.Listening() as listening:
        done = run("connect", listening.uri, "--timeout", "0.2", "--no-proxy")
    assert "no answer in time; --timeout SECONDS waits longer" in done.err


def test_unknown_host_and_proxys_refusal():
    """As the exceptions are: asking would be traffic outside this machine."""
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    error = error_of(unknown, "ws://me:pw@nosuch.invalid/path")
    assert (error.status, str(error)) == (
        1,
        "ws://nosuch.invalid/path: unknown host: Name or service not known; is the "
        "name right, the network up?",
    )
    refusal = InvalidProxyStatus(Response(407, "Proxy Auth", Headers(), b""))
    assert "the proxy answers HTTP 407 Proxy Auth (give" in str(
        error_of(refusal, "ws://x/")
    )


def test_tls(run, tmp_path):
    with serve(lambda ws: ws.send(ws.recv()), "127.0.0.1", 0, ssl=server_tls()) as tls:
        thread = threading.Thread(target=tls.serve_forever)
        thread.start()
        try:
            port = tls.socket.getsockname()[1]
            uri, words = f"wss://localhost:{port}", ("-x", "hi", "--no-proxy")
            done = run("connect", uri, *words)
            assert "not trusted: self-signed certificate; --cacert FILE" in done.err
            pem = str(SUPPORT / "localhost.pem")
            assert run("connect", uri, *words, "--cacert", pem).out == b"hi\n"
            assert run("connect", uri, *words, "--no-check").out == b"hi\n"
            named = ("--cacert", pem, "--server-name", "example.org")
            assert (
                "not trusted: Hostname mismatch"
                in run("connect", uri, *words, *named).err
            )
            done = run("connect", uri.replace("wss", "ws"), *words)
            assert "one that wants wss://" in done.err
        finally:
            tls.shutdown()
            thread.join()


def test_tls_with_who_does_not_speak_it(run, server):
    done = run("connect", server.uri.replace("ws:", "wss:"), "--no-proxy")
    assert "the server does not speak TLS there; with ws:// it may answer" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "the following arguments are required: URL"),
        (["ftp://x/"], "ftp://x/ isn't a valid URI: scheme isn't ws or wss; write"),
        (["ws://x:99999/"], "Port out of range"),
        (["ws://"], "hostname isn't provided"),
        (["x", "--unknown"], "unrecognized arguments: --unknown"),
        (["x", "-s", "a b"], "'a b' is no subprotocol: that is one word"),
        (["x", "-H", "nonsense"], "'nonsense' is not of the form 'Name: value'"),
        (["x", "-H", "a b: c"], "invalid a b header: not a header name"),
        (["x", "--auth", "me"], "write it as USER:PASSWORD"),
        (["x", "--wait", "-1"], "-1 is no number of seconds"),
        (["x", "--wait", "nan"], "nan is no number of seconds"),
        (["x", "--count", "0"], "0 is below 1"),
        (["x", "--binary", "octal"], "invalid choice: 'octal'"),
        (["x", "--cacert", "f"], "the options of TLS are for wss://, and this is ws"),
        (["wss://x", "--cacert", "/no/file"], "--cacert /no/file: No such file"),
        (["wss://x", "--cert", __file__], "not what it should be in PEM"),
        (["wss://x", "--key", "f"], "--key is of no use without --cert"),
        (["x", "--proxy", "http://p", "--no-proxy"], "contradict each other"),
        (["x", "--proxy", "gopher://p"], "isn't a valid proxy: scheme gopher"),
    ],
)
def test_wrong_command_lines(run, words, said):
    done = run("connect", *words)
    assert (done.status, done.out, done.err.count("\n")) == (2, b"", 1)
    assert said in done.err


# ---- Ctrl-C, and readers that leave ----


def test_interrupted_it_closes(start, server):
    process = start("connect", server.uri, "-x", "here", "--no-proxy")
    process.see("here")
    assert process.end(signal.SIGINT) == 0
    assert (process.out, process.err) == ("here\n", "")
    server.see(r'"/" closed 1000 after')


def test_interrupted_twice_it_waits_for_nobody(start):
    with rawpeer.Listening() as listening:
        process = start("connect", listening.uri, "-v", "--no-proxy")
        with listening.opened() as peer:
            process.see("< HTTP/1.1 101", "err")
            peer.frame(rawpeer.TEXT, "up")
            process.see("up")
            process.signal(signal.SIGINT)
            assert peer.recv().code == 1000
            assert process.end(signal.SIGINT) == 130
    assert "Traceback" not in process.err


def test_closed_while_its_input_goes_on(start, server):
    process = start("connect", server.uri, "--wait", "inf", "--no-proxy")
    for order, answer in ((b"one\n", "one"), (b"bye 4001\n", "")):
        process.process.stdin.write(order)
        process.process.stdin.flush()
        process.see(answer)
    assert process.end() == 1
    assert "4001" in process.err


def test_a_reader_that_has_had_enough(server):
    words = ["connect", server.uri, "--no-proxy", "-x", "one", "--wait", "inf"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nowhere:
        done = subprocess.run(
            [*COMMAND, *words], stdout=nowhere, stderr=subprocess.PIPE, timeout=60
        )
    assert (done.returncode, done.stderr) == (1, b"")
