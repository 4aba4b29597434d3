"""Servers for the tests: misbehaving ones in a thread, real ones as processes. Each listens on a free loopback port."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.namespaces import accept_queue, until
from tests.processes import children

Handler = Callable[[socket.socket], None]


def program(name: str) -> str:
    """The path of a program that a test needs. Missing, the test fails and says which: see tests/packages.sh."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin")
    if not found:
        pytest.fail(f"this machine lacks {name}: run `make packages` as root")
    return found


@contextlib.contextmanager
def misbehaving(handle: Handler, host: str = "127.0.0.1") -> Iterator[str]:
    """A server that does `handle` with each connection, in one thread. Gives its HOST:PORT."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family, backlog=512)
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            try:
                sock, _address = listener.accept()
            except OSError:
                return
            with sock, contextlib.suppress(OSError):
                handle(sock)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    try:
        yield f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    finally:
        stopping.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@contextlib.contextmanager
def side_by_side(handle: Handler) -> Iterator[str]:
    """As `misbehaving`, for many connections at once: a thread each."""

    def each(sock: socket.socket) -> None:
        copy = sock.dup()
        threading.Thread(target=lambda: answered(copy), daemon=True).start()

    def answered(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            handle(sock)

    with misbehaving(each) as target:
        yield target


def asked(sock: socket.socket, end: bytes = b"\r\n\r\n") -> Iterator[bytes]:
    """The requests that come, each with its end, until the peer closes."""
    data = b""
    while more := sock.recv(65536):
        *requests, data = (data + more).split(end)  # of a flood many come at once
        for request in requests:
            yield request + end


def reset_at_once(sock: socket.socket) -> None:
    """RST as soon as it is accepted."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset_on_data(sock: socket.socket) -> None:
    """RST once the first bytes are read."""
    sock.recv(1)
    reset_at_once(sock)


def wrong_bytes(sock: socket.socket) -> None:
    """Answers with one bit turned."""
    data = bytearray(sock.recv(65536))
    data[len(data) // 2] ^= 1
    sock.sendall(data)
    sock.recv(1)


def too_many_bytes(sock: socket.socket) -> None:
    """Answers with more than it was sent."""
    data = sock.recv(65536)
    sock.sendall(data + b"x")
    sock.recv(1)


def half_an_answer(sock: socket.socket) -> None:
    """Answers half and closes."""
    data = sock.recv(65536)
    sock.sendall(data[: len(data) // 2])


def closed_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now, out of those that connect() gives to nobody.

    Else a connect to it may be given that very port as its own, and then reaches itself (RFC 9293, 3.5: both ends open
    at once). One of thousands of connects that were all to be refused was, now and then.
    """
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split())
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    free = [*range(10_000, low), *range(high + 1, 65_536)]
    for port in random.sample(free, min(1000, len(free))):
        with contextlib.suppress(OSError), socket.create_server((host, port), family=family):
            return port
    pytest.fail(f"the ports outside of {low} to {high} are taken")


def wait_for_listener(process: subprocess.Popen[bytes], port: int, host: str = "127.0.0.1") -> None:
    """Returns once the port accepts a connection; fails when the process ends before."""
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = process.wait(0.02)
            pytest.fail(f"{process.args!r} ended with {status} before it listened on {port}")


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, from when it listens on `port` until the block ends."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_listener(process, port)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def with_descriptors(nofile: int | None, *command: str) -> list[str]:
    """The command under `ulimit -n`; as it stands where that is None."""
    limited = ["/bin/sh", "-c", f'ulimit -n {nofile}; exec "$@"', "sh"]
    return [*(limited if nofile is not None else []), *command]


@contextlib.contextmanager
def nginx(
    folder: Path, listen: str = "", workers: int = 1, answers: str = "access_log off; return 200 hello;"
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """nginx that answers "hello"; `listen` goes behind the address, as "backlog=37". Gives HOST:PORT and the master."""
    port = closed_port()
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes {workers};\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log {folder}/access.log; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;"
        f" fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f" server {{ listen 127.0.0.1:{port} {listen}; {answers} }} }}\n"
    )
    folder.chmod(0o755)
    with running(
        [program("nginx"), "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")], port
    ) as process:
        yield f"127.0.0.1:{port}", process


@contextlib.contextmanager
def standing_nginx(folder: Path, backlog: int) -> Iterator[str]:
    """nginx whose worker is stopped: it listens and accepts nothing. Gives HOST:PORT."""
    with nginx(folder, f"backlog={backlog}") as (target, master):
        # Who found it listening may still be in the queue: only a worker takes that out, so then there is one.
        until(lambda: accept_queue(int(target.rpartition(":")[2])) == 0, why="a worker has accepted")
        workers = children(master.pid)
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield target
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGCONT)


NODE_ECHO = "require('net').createServer(s => { s.on('error', () => {}); s.pipe(s) }).listen({port}, '127.0.0.1')"
ASYNCIO_ECHO = """
import asyncio, sys
async def echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()
async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", int(sys.argv[1]), backlog=1024)
    await server.serve_forever()
asyncio.run(main())
"""


@contextlib.contextmanager
def node_echo() -> Iterator[str]:
    """A Node echo server."""
    port = closed_port()
    with running([program("node"), "-e", NODE_ECHO.replace("{port}", str(port))], port):
        yield f"127.0.0.1:{port}"


@contextlib.contextmanager
def asyncio_echo(nofile: int | None = None) -> Iterator[str]:
    """A Python asyncio echo server, perhaps under `ulimit -n`."""
    port = closed_port()
    with running(with_descriptors(nofile, sys.executable, "-c", ASYNCIO_ECHO, str(port)), port):
        yield f"127.0.0.1:{port}"
