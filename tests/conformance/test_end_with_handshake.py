"""A server that closes before the client has looked at its own connect: one event tells of both."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from tests.forked import forked
from tests.namespaces import until
from tests.processes import children

from estab.records import RUN_SCHEMA, RunResult, decode

SYN_SENT, FIN_WAIT_2 = "02", "05"  # include/net/tcp_states.h


@pytest.mark.parametrize("greeting", [b"", b"no room for you\n"])
def test_a_held_connection_that_ends_with_its_handshake_has_failed(greeting: bytes, tmp_path: Path) -> None:
    """Its first SYN finds a full queue; the second is answered, accepted and closed while the client stands still."""
    record = tmp_path / "run.json"
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as first:
        address = listener.getsockname()
        first.connect(address)
        command = forked("hold", f"127.0.0.1:{address[1]}", "-n", "1", "-d", "1s", "--json", str(record))
        process = subprocess.Popen(**command, stdout=subprocess.DEVNULL)
        _wait_for(SYN_SENT, process, address[1])
        (worker,) = children(process.pid)
        os.kill(worker, signal.SIGSTOP)
        try:
            listener.accept()[0].close()  # what was first leaves room
            listener.settimeout(10)
            second, _ = listener.accept()
            second.sendall(greeting)
            second.close()
            _wait_for(FIN_WAIT_2, process, address[1])  # the client's kernel has the end
        finally:
            os.kill(worker, signal.SIGCONT)
        assert process.wait(30) == 1
    run = decode(record.read_bytes(), RunResult, RUN_SCHEMA)
    assert [(failure.phase, failure.errno, failure.count) for failure in run.failures] == [("read", "eof", 1)]
    assert run.funnel.connected == 1
    assert run.funnel.completed == 0


def _wait_for(state: str, process: subprocess.Popen[bytes], port: int) -> None:
    """Until a socket with this port at either end is in this state (proc_pid_net(5): ports in hexadecimal)."""
    connection = re.compile(rf":{port:04X}( \S+)? {state} ")

    def has_come() -> bool:
        assert process.poll() is None, "estab ended"
        return bool(connection.search(Path("/proc/net/tcp").read_text("ascii")))

    until(has_come, why=f"a connection is in state {state}")
