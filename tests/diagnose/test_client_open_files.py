from __future__ import annotations

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ([], "ruled_out"),
        ([runs.failure("connect", "EMFILE", 1)], "confirmed"),
        ([runs.failure("connect", "ENFILE", 1)], "confirmed"),
        ([runs.failure("accept", "EMFILE", 1)], "ruled_out"),  # that is the server's
        ([runs.failure("connect", "ENOBUFS", 1)], "ruled_out"),
    ],
)
def test_the_clients_descriptors(failures: list[runs.Failure], expected: str) -> None:
    assert alone("client_open_files", runs.run(failures=failures)).verdict == expected


def test_client_remedies() -> None:
    found = alone("client_open_files", runs.client_without_descriptors()).remedies
    assert found[0].command.startswith("ulimit -n 1024")
    assert not next(r for r in found if "fs.file-max" in r.command).works
    enfile = runs.run(failures=[runs.failure("connect", "ENFILE", 5)])
    assert alone("client_open_files", enfile).remedies[0].command == "sysctl -w fs.file-max=2097152"


def test_a_hard_limit_in_the_way_is_said() -> None:
    run = runs.client_without_descriptors(config={"connections": 60_000})
    assert "hard limit here is 20,000" in alone("client_open_files", run).remedies[0].why


def test_a_healthy_run_does_not_accuse_it() -> None:
    assert alone("client_open_files", runs.run()).verdict == "ruled_out"
