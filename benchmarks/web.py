"""nginx, asked over HTTP by estab and by wrk: one core's worth of client, connections that are kept."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import own, parse
from benchmarks.space import finished, free_ports, server

GRACE_S = 20.0
CONNECTIONS = 50
Figures = dict[str, float]
# Those that estab sends: nginx has as much to read from either.
_HEADERS = ("-H", "User-Agent: estab", "-H", "Accept: */*")
# One process, as one client thread asks it: nothing is left of it when it is killed.
_CONFIG = """
daemon off; master_process off; user root; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; tcp_nopush on; open_file_cache max=10;
    keepalive_requests 1000000000; default_type text/plain;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {folder}/pages; }}
}}
"""


@contextlib.contextmanager
def _nginx(reply_bytes: int) -> Iterator[str]:
    """Its URL, while the block lasts."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "nginx.conf")
        config.write_text(_CONFIG.format(folder=folder, port=port))
        pages = Path(folder, "pages")
        pages.mkdir()
        pages.joinpath("reply.txt").write_bytes(b"x" * reply_bytes)
        with server(["nginx", "-p", folder, "-e", "stderr", "-c", str(config)], [port]):
            yield f"http://127.0.0.1:{port}/reply.txt"


def wrk(seconds: int, reply_bytes: int) -> Figures:
    """Replies a second that wrk read, by one thread."""
    client = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *_HEADERS]
    with _nginx(reply_bytes) as url:
        said = finished([*client, url], seconds + GRACE_S)
    return {"rate": parse.wrk_rate(said)}


def own_http(seconds: int, notes: list[str], reply_bytes: int) -> Figures:
    """Replies a second that `estab bench URL` read, by one process."""
    with _nginx(reply_bytes) as url:
        asked = ["bench", url, "-c", str(CONNECTIONS), "--processes", "1", "-d", str(seconds)]
        return own.rate(own.estab(seconds, notes, *asked))
