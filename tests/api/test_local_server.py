"""What a process or a program listens on, where that is a UNIX socket."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.diagnose import runs

import estab
from estab.api import local_server
from estab.api.local_server import find, of_process
from estab.errors import UsageError
from estab.observe import snapshot
from estab.records import Listener, Process

HERE = os.getpid()


def listens(address: str, port: int = 0, pid: int = HERE, name: str = "gunicorn") -> Listener:
    owners = [Process(pid=pid, name=name)]
    return Listener(family=1 if port == 0 else 4, address=address, port=port, depth=0, limit=8, owners=owners)


def test_a_process_without_a_tcp_port_is_its_unix_socket() -> None:
    here = runs.snapshot(listeners=[], unix_listeners=[listens("unix:/run/app.sock")])
    server = of_process(here, HERE)
    assert (server.unix, server.address, server.pid) == ("unix:/run/app.sock",) * 2 + (HERE,)


def test_a_tcp_port_comes_before_it() -> None:
    here = runs.snapshot(listeners=[listens("127.0.0.1", 80)], unix_listeners=[listens("unix:/run/app.sock")])
    server = of_process(here, HERE)
    assert (server.unix, server.address) == (None, "127.0.0.1:80")


def test_of_several_one_has_to_be_given() -> None:
    here = runs.snapshot(listeners=[], unix_listeners=[listens("unix:/b"), listens("unix:/a"), listens("unix:/a")])
    with pytest.raises(UsageError, match="at unix:/a and unix:/b: give one of them"):
        of_process(here, HERE)


def test_who_listens_nowhere_is_told_so() -> None:
    with pytest.raises(UsageError, match="no TCP port and no UNIX socket"):
        of_process(runs.snapshot(listeners=[], unix_listeners=[]), HERE)


def test_a_program_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = [listens("unix:/run/app.sock", pid=pid) for pid in (41, 40)]
    monkeypatch.setattr(snapshot, "take", lambda **_: runs.snapshot(listeners=[], unix_listeners=workers))
    server = find("gunicorn")
    assert (server.unix, server.pid) == ("unix:/run/app.sock", 40)
    assert local_server.address_of("gunicorn") == "unix:/run/app.sock"


_SERVER = "import socket, sys; l = socket.socket(1); l.bind(sys.argv[1]); l.listen(3); print(flush=True); input()"


def test_the_ladder_of_a_process_at_a_unix_socket(tmp_path: Path) -> None:
    path = f"{tmp_path}/s"
    command = [sys.executable, "-S", "-E", "-c", _SERVER, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()  # it listens
        ladder = estab.limits(pid=server.pid)
        server.communicate(b"\n")
    assert ladder.target == f"unix:{path}"
