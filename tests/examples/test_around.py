"""Examples that have something around them: Redis between nodes, nginx in front."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest

from tests import needs
from tests.examples.pages import ROOT, Example, examples
from tests.examples.test_pages import run, serving, write
from tests.hub.daemons import daemon, redis_command
from tests.interop.test_balancers import NGINX
from tests.support.ports import free_port

CONFIG = re.compile(r"<!-- config: nginx -->\n```nginx\n(.*?)```", re.DOTALL)


def of_kind(page: Path, *kinds: str) -> list[Example]:
    """Return the examples of a page that are of these kinds."""
    return [example for example in examples(page) if example.kind in kinds]


@pytest.mark.needs("redis-server")
def test_nodes_over_redis(tmp_path):
    page = ROOT / "docs" / "scaling.md"
    (server,) = of_kind(page, "redis server")
    (client,) = of_kind(page, "redis client")
    ports = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(daemon(redis_command))
        text = server.text.replace("6379", str(redis.port))
        assert text != server.text
        for port in ports:
            program = write(server._replace(text=text, line=port), tmp_path, port)
            stack.enter_context(serving(program, port))
        text = client.text.replace("8766", str(ports[1]))
        assert (
            run(write(client._replace(text=text), tmp_path, ports[0])) == client.output
        )


@pytest.mark.needs("redis-server")
def test_nodes_of_javascript(tmp_path):
    (example,) = of_kind(ROOT / "docs" / "socketio.md", "redis run")
    with daemon(redis_command) as redis:
        text = example.text.replace("6379", str(redis.port))
        assert text != example.text
        program = write(example._replace(text=text), tmp_path, 0)
        assert run(program) == example.output


@pytest.mark.needs("nginx")
def test_fastapi_behind_nginx(tmp_path):
    page = ROOT / "docs" / "fastapi.md"
    (config,) = CONFIG.findall(page.read_text(encoding="utf-8"))
    server, client = of_kind(page, "server", "client")
    port = free_port()

    def nginx(own: int) -> list[str]:
        text = config.replace("127.0.0.1:8765", f"127.0.0.1:{port}")
        text = text.replace("127.0.0.1:8000", f"127.0.0.1:{own}")
        path = tmp_path / "nginx.conf"
        path.write_text(NGINX.format(folder=tmp_path, text=text))
        program = needs.find("nginx")
        assert program is not None
        return [program, "-p", str(tmp_path), "-c", str(path)]

    with serving(write(server, tmp_path, port), port), daemon(nginx) as proxy:
        elsewhere = 'connect("ws://127.0.0.1:8765/ws", local_addr=("127.0.0.2", 0))'
        text = client.text.replace('connect("ws://127.0.0.1:8765/ws")', elsewhere)
        assert text != client.text
        seen = run(write(client._replace(text=text), tmp_path, proxy.port))
    assert seen == "127.0.0.2: HELLO\n"  # the client's address, not that of nginx
