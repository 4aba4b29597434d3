"""What can't be, in one clear line each: addresses, options, workers without estab or with another one."""

from __future__ import annotations

import contextlib
import gc
import importlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import servers
from tests.cli import terminal
from tests.cli.terminal import assert_one_clear_line, called
from tests.cluster.hosts import dask_command, load_dask
from tests.forked import forget, forked_without
from tests.namespaces import until

from estab.cluster import session
from estab.cluster.check import check
from estab.errors import MachineError
from estab.extras import install_command

TARGET = "127.0.0.1:9"


def older() -> None:
    forget("estab")
    importlib.import_module("estab").__version__ = "0.0.9"  # type: ignore[attr-defined]


def missing() -> None:
    """As if it were not installed."""
    forget("estab")
    sys.meta_path.insert(0, _NoEstab)  # type: ignore[arg-type]


class _NoEstab:
    @staticmethod
    def find_spec(name: str, *_more: object) -> None:
        if name.partition(".")[0] == "estab":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def without_cluster() -> None:
    forget("estab.cluster")
    sys.modules["estab.cluster"] = None  # type: ignore[assignment]


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A scheduler on loopback, without workers; its address."""
    load_dask()
    folder = tmp_path_factory.mktemp("scheduler")
    command = dask_command(
        *("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"),
        *("--scheduler-file", str(folder / "scheduler.json")),
    )
    with started(command, folder / "log", "Scheduler at:") as log:
        yield log.read_text().partition("Scheduler at:")[2].split()[0]


@contextlib.contextmanager
def started(command: dict[str, Any], log: Path, word: str) -> Iterator[Path]:
    """A program that has printed `word` and ends with the block."""
    with open(log, "wb") as file:
        process = subprocess.Popen(**command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=log.parent)
    try:
        until(lambda: word in log.read_text(), within_s=60, why=f"{word!r} in {log}")
        yield log
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def worker(scheduler: str, folder: Path, before: Callable[[], object]) -> Iterator[None]:
    """A worker whose process runs `before` first."""
    options = ["--host", "127.0.0.5", "--name", "odd", "--no-nanny", "--no-dashboard"]
    with started(dask_command("worker", scheduler, *options, before=before), folder / "log", "Registered to:"):
        yield


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("hold", TARGET, "--cluster", "nonsense"), 2, ("--cluster 'nonsense'", "tcp://10.0.0.9:8786")),
        (("hold", TARGET, "--cluster", ""), 2, ("--cluster ''",)),
        (("hold", TARGET, "--cluster", "gopher://x:1"), 2, ("gopher",)),
        (("cluster", "check", "tcp://no.such.host.invalid:1"), 2, ("unknown host", "no.such.host.invalid")),
        (("hold", TARGET, "--cluster", "no.such.host.invalid:1"), 2, ("unknown host", "no.such.host.invalid")),
        (("cluster", "check", "tls://127.0.0.1:1"), 3, ("tls://127.0.0.1:1", "certificates", "tcp://")),
        (("hold", "--cluster", "tcp://127.0.0.1:1"), 2, ("TARGET", "embedded")),
        (("hold", "127.0.0.1", "--cluster", "tcp://127.0.0.1:1"), 2, ("no port",)),
        (("hold", TARGET, "-n", "0", "--cluster", "tcp://127.0.0.1:1"), 2, ("connections", "0")),
        (("hold", TARGET, "--source", "127.0.0.2", "--cluster", "tcp://127.0.0.1:1"), 2, ("--source",)),
        (("hold", TARGET, "--server-via", "true", "--cluster", "tcp://127.0.0.1:1"), 2, ("--server-via",)),
        (("bench", TARGET, "--repeat", "2", "--cluster", "tcp://127.0.0.1:1"), 2, ("--repeat",)),
        (("bench", TARGET, "--backlog", "2", "--cluster", "tcp://127.0.0.1:1"), 2, ("--backlog", "TARGET")),
        (("cluster", "chekc", "tcp://127.0.0.1:1"), 2, ("chekc", "check")),
        (("cluster", "check", "tcp://127.0.0.1:1", "--json", "/no/such/folder/x"), 2, ("/no/such/folder",)),
    ],
)
def test_usage(arguments: tuple[str, ...], code: int, words: tuple[str, ...]) -> None:
    assert_one_clear_line(called(*arguments), code, *words)


def test_nobody_answers() -> None:
    address = f"tcp://127.0.0.1:{servers.closed_port()}"
    done = terminal.estab("churn", TARGET, "--cluster", address)
    assert_one_clear_line(done, 3, "no Dask scheduler answers", address, "Connection refused", "dask scheduler")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9])
def test_somebody_else_answers(said: bytes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A port that is open, and nobody of Dask's behind it: silent, or in another language. It comes to an end."""
    monkeypatch.setattr(session, "CONNECT_WITHIN_S", 0.3)

    def handler(sock: socket.socket) -> None:
        sock.sendall(said)
        sock.recv(1 << 16)
        gone.wait()

    gone = threading.Event()
    with servers.misbehaving(handler) as target:
        with pytest.raises(MachineError, match="no Dask scheduler answers"):
            check(target)
        gone.set()
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_a_cluster_without_workers(scheduler: str) -> None:
    assert_one_clear_line(terminal.estab("cluster", "check", scheduler), 3, "no workers", f"dask worker {scheduler}")


def test_bad_numbers_are_refused_before_anybody_is_asked() -> None:
    done = terminal.estab("bench", TARGET, "-d", "0", "--cluster", "tcp://127.0.0.1:1")
    assert_one_clear_line(done, 2, "--duration is 0", "604,800 seconds")


def test_what_the_host_refuses_comes_in_one_line(scheduler: str, tmp_path: Path) -> None:
    with worker(scheduler, tmp_path, lambda: None):
        done = terminal.estab("hold", "no.such.host.invalid:80", "--cluster", scheduler)
        assert_one_clear_line(done, 2, "worker odd", "unknown host")


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (older, ("has estab 0.0.9, this is", "install the same everywhere")),
        (missing, ("has no estab", "pip install 'estab[cluster]")),
        (without_cluster, ("has an estab without estab.cluster",)),
    ],
)
def test_a_worker_that_cannot_take_part(
    scheduler: str, tmp_path: Path, before: Callable[[], object], words: tuple[str, ...]
) -> None:
    with worker(scheduler, tmp_path, before):
        assert_one_clear_line(terminal.estab("hold", TARGET, "--cluster", scheduler), 3, "worker odd", *words)
        done = terminal.estab("cluster", "check", scheduler)
    assert done.returncode == 3
    assert done.stderr == ""
    assert all(word in " ".join(done.stdout.split()) for word in words)
    assert "Not ready" in done.stdout


def _without_dask(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = forked_without(["distributed"], "estab.cluster", *arguments)
    return subprocess.run(**command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize(
    "arguments",
    [
        ("cluster", "check", "tcp://x:1"),
        ("hold", TARGET, "--cluster", "tcp://x:1"),
        ("hold", "--cluster", "tcp://x:1"),  # what else is wrong would be mended for nothing
    ],
)
def test_without_dask(arguments: tuple[str, ...]) -> None:
    assert_one_clear_line(_without_dask(*arguments), 3, install_command("cluster"))


@pytest.mark.parametrize("arguments", [["--help"], ["cluster", "--help"], ["hold", "-n", "1", "-d", "0.01", "-q"]])
def test_dask_is_loaded_for_a_cluster_alone(arguments: list[str]) -> None:
    code = f"import sys; from estab.cli.app import call; call({arguments}); sys.exit('dask' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
