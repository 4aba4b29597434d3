"""Real servers asked in their own words: what estab counts is what they count."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests import servers
from tests.conformance.counts import assert_healthy
from tests.limits.more_servers import redis

import estab
from estab import RunResult

SHORT = 0.15
NODE = """
let asked = 0
require('http').createServer((request, response) => {
  if (request.url == '/asked') return response.end(String(asked))
  asked++
  response.statusCode = request.url == '/busy' ? 503 : 200
  response.write('a'); response.end('b')
}).listen(PORT, '127.0.0.1')
"""


@contextmanager
def started(name: str, *arguments: str) -> Iterator[str]:
    """A program that listens on the port which stands as PORT in its arguments. Gives its HOST:PORT."""
    port = servers.closed_port()
    command = [servers.program(name), *(argument.replace("PORT", str(port)) for argument in arguments)]
    with servers.running(command, port):
        yield f"127.0.0.1:{port}"


def said(target: str, request: bytes) -> str:
    """What a server answers until it closes."""
    host, port = target.split(":")
    with socket.create_connection((host, int(port)), timeout=20) as sock:
        sock.sendall(request)
        sock.shutdown(socket.SHUT_WR)
        data = b""
        while more := sock.recv(65536):
            data += more
    return data.decode()


def answered(run: RunResult) -> int:
    assert run.requests is not None
    assert run.requests.count > 0
    return run.requests.count


@pytest.mark.parametrize("path", ["/", "/none"])
def test_nginx_that_closes_after_some_requests(tmp_path: Path, path: str) -> None:
    answers = "keepalive_requests 20; location = / { return 200 hello; } location / { return 404; }"
    with servers.nginx(tmp_path, answers=answers) as (target, _master):
        run = estab.bench(f"http://{target}{path}", connections=4, duration_s=SHORT)
    count = answered(run)
    assert run.requests is not None
    assert run.requests.http_status == {"200" if path == "/" else "404": count}
    assert run.client_failures == 0
    assert run.requests.renewed == run.funnel.attempted - 4 > 0
    assert run.funnel.completed == run.funnel.attempted
    assert count == len((tmp_path / "access.log").read_text().splitlines())


def test_node_which_answers_in_chunks() -> None:
    with started("node", "-e", NODE) as target:
        bench = estab.bench(target, http="/", connections=4, duration_s=SHORT)
        churn = estab.churn(target, http="/busy", connections=4, attempts=20, first_close="server")
        asked = re.search(r"\r\n\r\n(?:\w+\r\n)?(\d+)", said(target, b"GET /asked HTTP/1.0\r\n\r\n"))
    assert_healthy(bench, 4)
    assert churn.requests is not None
    assert churn.requests.http_status == {"503": 20}
    assert churn.funnel.completed == 20
    assert asked is not None
    assert int(asked[1]) == answered(bench) + 20


def test_redis(tmp_path: Path) -> None:
    with redis(tmp_path, 511) as target:
        run = estab.bench(target, request=b"PING\r\n", until=b"PONG\r\n", connections=4, duration_s=SHORT, depth=3)
        stats = said(target, b"INFO commandstats\r\nQUIT\r\n")
    assert_healthy(run, 4)
    assert f"cmdstat_ping:calls={answered(run)}," in stats


def test_memcached() -> None:
    with started("memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", "PORT") as target:
        run = estab.bench(target, request=b"get x\r\n", until=b"END\r\n", connections=4, duration_s=SHORT)
        version = estab.churn(target, request=b"version\r\n", until=b"\r\n", connections=2, attempts=10)
        stats = said(target, b"stats\r\nquit\r\n")
    assert_healthy(run, 4)
    assert_healthy(version, 10)
    assert f"STAT cmd_get {answered(run)}\r\n" in stats
