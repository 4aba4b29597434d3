"""The messages that the pages quote, provoked: a client in Python and one in Node say what stands there."""

from __future__ import annotations

import re
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.docs.pages import DOCS

PYTHON = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); s.send(b'x'); s.recv(1)"
NODE = """
require('net').connect(+process.argv[1], '127.0.0.1', function () { this.write('x') })
  .on('error', e => console.error(e.message)).resume()
"""


@pytest.fixture
def refusing() -> Iterator[int]:
    """A port that is taken, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def quoted(page: str, program: str) -> str:
    """The row of a program on a page, its example's address taken out."""
    text = (DOCS / "causes" / f"{page}.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| {program}\b[^|]*\| (.+) \|$", text, re.MULTILINE)
    assert row
    return row[1].replace("192.0.2.7:5000", "ADDRESS")


@contextmanager
def client(program: str, port: int) -> Iterator[subprocess.Popen[str]]:
    """A client that connects, writes a byte, and reads."""
    if program == "Node" and not shutil.which("node"):
        pytest.skip("node is missing: apt-get install nodejs")
    command = [sys.executable, "-c", PYTHON] if program == "Python" else ["node", "-e", NODE]
    with subprocess.Popen([*command, str(port)], stderr=subprocess.PIPE, text=True) as process:
        yield process


def said_by(process: subprocess.Popen[str], port: int) -> str:
    """The last line that the client says on its end, the address taken out."""
    said = process.communicate(timeout=20)[1].strip().splitlines()
    return said[-1].replace(f"127.0.0.1:{port}", "ADDRESS") if said else ""


@pytest.mark.parametrize("program", ["Python", "Node"])
def test_refused(refusing: int, program: str) -> None:
    with client(program, refusing) as process:
        said = said_by(process, refusing)
    assert said
    assert f"`{said}`" in quoted("nobody_listening", program)


@pytest.mark.parametrize("program", ["Python", "Node"])
def test_reset_while_it_reads(program: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with client(program, port) as process:
            taken, _ = listener.accept()
            with taken:
                assert taken.recv(1) == b"x"
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            said = said_by(process, port)
    assert said
    assert f"`{said}`" in quoted("cookie_reset", program)
