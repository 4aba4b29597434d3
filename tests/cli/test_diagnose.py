"""`estab diagnose` on snapshots and on this host: what two moments tell, and what one cannot."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import msgspec
import pytest
from tests.cli.terminal import assert_one_clear_line, estab
from tests.namespaces import in_namespace

from estab.records import DIAGNOSIS_SCHEMA, Diagnosis, decode


def diagnosed(done: subprocess.CompletedProcess[str]) -> Diagnosis:
    assert done.stdout, done.stderr
    return decode(done.stdout.encode(), Diagnosis, DIAGNOSIS_SCHEMA)


@pytest.fixture(scope="module")
def overflow() -> list[str]:
    """Two snapshots, one a line, of a host whose listener turned clients away between them."""

    def work() -> list[str]:
        with socket.create_server(("127.0.0.1", 7000), backlog=2):
            before = estab("observe").stdout
            clients = []
            for _ in range(8):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", 7000))
                clients.append(client)
            after = estab("observe").stdout
            for client in clients:
                client.close()
        return [before, after]

    return in_namespace(work)


def test_two_snapshots_give_what_changed(overflow: list[str], tmp_path: Path) -> None:
    (tmp_path / "two").write_text("".join(overflow))
    done = estab("diagnose", str(tmp_path / "two"), "--json", "-")
    diagnosis = diagnosed(done)
    assert done.returncode == 1
    assert diagnosis.cause in ("accept_queue_overflow", "server_not_accepting"), diagnosis.summary
    assert diagnosis.side == "server"


def test_in_two_files_and_any_order(overflow: list[str], tmp_path: Path) -> None:
    (tmp_path / "two").write_text("".join(overflow))
    for name, text in zip(("first", "second"), overflow, strict=True):
        (tmp_path / name).write_text(text)
    together = estab("diagnose", str(tmp_path / "two"), "--json", "-").stdout
    assert estab("diagnose", str(tmp_path / "second"), str(tmp_path / "first"), "--json", "-").stdout == together


def test_one_snapshot_knows_no_deltas(overflow: list[str], tmp_path: Path) -> None:
    taken = msgspec.json.decode(overflow[1])
    for listener in taken["listeners"]:
        listener["depth"] = listener["worst_depth"] = 0
    (tmp_path / "one").write_bytes(msgspec.json.encode(taken))
    diagnosis = diagnosed(estab("diagnose", str(tmp_path / "one"), "--json", "-"))
    assert diagnosis.cause is None
    assert "one snapshot" in diagnosis.summary


def test_this_host() -> None:
    done = in_namespace(lambda: estab("diagnose", "--interval", "50ms", "--json", "-"))
    assert done.returncode == 0
    assert diagnosed(done).cause is None


def test_a_damaged_line_is_named(overflow: list[str], tmp_path: Path) -> None:
    path = tmp_path / "damaged"
    path.write_text(overflow[0] + overflow[1][:200])
    assert_one_clear_line(estab("diagnose", str(path)), 2, str(path), "line 2")


def test_one_result_for_one_json(overflow: list[str], tmp_path: Path) -> None:
    (tmp_path / "snapshots").write_text("".join(overflow))
    run = tmp_path / "run"
    estab("hold", "-n", "1", "-d", "10ms", "--json", str(run))
    assert_one_clear_line(estab("diagnose", str(run), str(tmp_path / "snapshots"), "--json", "-"), 2, "--json", "2")
    both = estab("diagnose", str(run), str(tmp_path / "snapshots")).stdout
    assert "1 of 1 connected" in both
    assert "\n✗ " in both
