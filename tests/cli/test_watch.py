"""`estab watch` as a user runs it: the table, a recording, what cannot be, and a real terminal during an overflow."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import os
import pty
import re
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.terminal import ESTAB, assert_one_clear_line, estab, started
from tests.cli.tmux import terminal
from tests.forked import forget, forked, forked_call
from tests.live.stories import START_S, story, written
from tests.namespaces import in_namespace, until
from tests.processes import children, ended

from estab.cli import main
from estab.extras import install_command
from estab.records import RunResult, Snapshot, decode


def snapshots(path: Path) -> list[Snapshot]:
    return [decode(line, Snapshot, "estab.snapshot/1") for line in path.read_bytes().splitlines()]


def test_once_prints_a_table() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=5) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            done = estab("watch", "--once", "--port", str(port), "--interval", "200ms")
    assert done.stderr == ""
    listeners = done.stdout.partition("LOCAL PORTS")[0]
    (row,) = [line for line in listeners.splitlines() if line.startswith(f"127.0.0.1:{port}")]
    assert re.search(r"\b1/5\s+1\s+0\s+0\b", row), row
    assert f" {os.getpid()} " in row
    assert "A second" in done.stdout
    assert "Verdict" in done.stdout
    assert not any(line != line.rstrip() for line in done.stdout.splitlines())


def test_once_of_a_recording_and_its_exit_code(tmp_path: Path) -> None:
    path = written(tmp_path / "story", story())

    def once(**environ: str) -> subprocess.CompletedProcess[str]:
        # readline, which pytest loads, puts COLUMNS into the C environment, where os.environ does not show it.
        known = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | environ
        command = forked("watch", "--replay", str(path), "--once", env=known)
        return subprocess.run(**command, capture_output=True, text=True, check=False, timeout=60)

    done = once()
    assert (done.returncode, done.stderr) == (1, "")
    assert re.search(r"OVERFLOW +full \(17 fit\): 12 packets a second are turned away\n", done.stdout), done.stdout
    assert "Worst      *:8080  full (17 fit): 12 packets a second are turned away" in once(COLUMNS="80").stdout
    assert "accept_queue_overflow" in done.stdout
    assert "run as root" in done.stdout
    quiet = estab("watch", "--replay", str(written(tmp_path / "calm", story()[:1])), "--once", "--process", "nginx")
    assert quiet.returncode == 0
    assert "*:8080" not in quiet.stdout


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--interval", "1ms", "--once"), 2, ("--interval is 0.001", "0.1 to 3,600 seconds")),
        (("--interval", "nan", "--once"), 2, ("nan",)),
        (("--count", "-1"), 2, ("--count -1",)),
        (("--once", "--count", "1"), 2, ("--count 1", "two looks")),
        (("--port", "70000", "--once"), 2, ("--port is 70000", "1 to 65535")),
        (("--speed", "0", "--once"), 2, ("--speed 0",)),
        (("--sort", "colour"), 2, ("colour",)),
        (("--netns", "nope", "--once"), 2, ("/run/netns/nope",)),
        (("--netns", "1", "--all-netns", "--once"), 2, ("exclude each other",)),
        (("--via", "true", "--once"), 3, ("printed no snapshot",)),
        (("--via", "echo garbage", "--once"), 2, ("garbage",)),
        (("--via", "true", "--interval", "1s", "--once"), 2, ("--interval is for the command",)),
        (("--replay", "/nowhere", "--once"), 2, ("/nowhere",)),
        (("--replay", "/nowhere", "--record", "x"), 2, ("--record", "--replay")),
        (("--record", "/nowhere/file", "--once"), 2, ("--record /nowhere/file",)),
        ((), 3, ("needs a terminal", "--once")),
    ],
)
def test_what_cannot_be(options: tuple[str, ...], code: int, words: tuple[str, ...]) -> None:
    done = estab("watch", *options)
    assert done.stdout == ""
    assert_one_clear_line(done, code, *words)


def test_a_run_and_a_damaged_line_are_no_recording(tmp_path: Path) -> None:
    run = tmp_path / "run"
    estab("hold", "-n", "1", "-d", "10ms", "--json", str(run))
    assert decode(run.read_bytes(), RunResult, "estab.run/1")
    assert_one_clear_line(estab("watch", "--replay", str(run), "--once"), 2, str(run), "a run")
    damaged = written(tmp_path / "damaged", story())
    damaged.write_bytes(damaged.read_bytes()[:-100])
    assert_one_clear_line(estab("watch", "--replay", str(damaged), "--once"), 2, "line 10")


def test_without_textual(tmp_path: Path) -> None:
    def without(*options: str) -> subprocess.CompletedProcess[str]:
        def run() -> None:
            forget("textual", "estab.live")
            sys.modules["textual"] = None  # type: ignore[assignment]
            if "--once" not in options:
                for stream in (sys.stdin, sys.stdout, sys.stderr):
                    stream.isatty = lambda: True  # type: ignore[method-assign]
            main.run(["watch", *options])

        command = forked_call(run, "estab", env={**os.environ, "TERM": "xterm"})
        return subprocess.run(**command, capture_output=True, text=True, check=False, timeout=60)

    assert_one_clear_line(without(), 3, install_command("watch"), "--once")
    assert without("--once", "--interval", "100ms").returncode in (0, 1)
    path = tmp_path / "kept"
    done = without("--record", str(path), "--count", "2", "--interval", "100ms")
    assert done.returncode == 0, done.stderr
    assert len(snapshots(path)) == 2


def test_a_dumb_terminal_is_told_what_to_do() -> None:
    done = subprocess.run(
        ["script", "-qec", f"{shlex.quote(ESTAB)} watch", "/dev/null"],
        env={**os.environ, "TERM": "dumb"}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 3
    assert "TERM=dumb" in done.stdout


def test_a_closed_pipe() -> None:
    command = f"{shlex.quote(ESTAB)} watch --once --interval 100ms | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr
    assert done.stdout.strip() in ("0", "1")


def test_recording_without_a_terminal_until_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    with started("watch", "--record", str(path), "--interval", "100ms") as process:
        await_lines(path, 3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", "")
    kept = snapshots(path)
    assert len(kept) >= 3
    assert kept[0].census is not None
    assert kept[-1].census is not None, "the last look is a whole one"
    assert all(one.taken_at_s > START_S for one in kept)


def await_lines(path: Path, count: int) -> None:
    until(lambda: path.exists() and path.read_bytes().count(b"\n") >= count, why=f"{count} snapshots are recorded")


def test_an_overflow_is_recorded_judged_and_replayed(tmp_path: Path) -> None:
    path = tmp_path / "kept"

    def work() -> tuple[int, int]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(socket.create_server(("127.0.0.1", 7000), backlog=2))
            process = stack.enter_context(started("watch", "--record", str(path), "--interval", "100ms"))
            await_lines(path, 2)
            for _ in range(9):
                client = stack.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", 7000))
            await_lines(path, path.read_bytes().count(b"\n") + 3)
            process.send_signal(signal.SIGINT)
            return process.wait(20), 0

    assert in_namespace(work)[0] == 130
    assert snapshots(path)[-1].targets is not None
    judged = estab("diagnose", str(path))
    assert judged.returncode == 1
    assert "127.0.0.1:7000" in judged.stdout
    shown = estab("watch", "--replay", str(path), "--once")
    assert shown.returncode == 1
    assert re.search(r"127\.0\.0\.1:7000 .* 3/2 .*(FULL|OVERFLOW)", shown.stdout), shown.stdout


# -- a real terminal --------------------------------------------------------------------------------------------------


def _bar(screen: str) -> str:
    listeners = screen.partition("LOCAL PORTS")[0]
    (line,) = re.findall(r"^127\.0\.0\.1:7000 .*$", listeners, re.MULTILINE)
    return "".join(re.findall("[█▉▊▋▌▍▎▏░]", line))


def test_in_a_terminal_the_bar_fills_and_the_judgement_appears(tmp_path: Path) -> None:
    path = tmp_path / "kept"

    def connect(stack: contextlib.ExitStack) -> None:
        client = stack.enter_context(socket.socket())
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", 7000))

    def work() -> tuple[list[str], int]:
        with terminal(tmp_path) as term, contextlib.ExitStack() as stack:
            stack.enter_context(socket.create_server(("127.0.0.1", 7000), backlog=11))
            term.start(80, 24, ESTAB, "watch", "--interval", "500ms", "--record", str(path))
            screens = [term.until(r"127\.0\.0\.1:7000 .* 0/11 .* ok")]
            connect(stack)
            term.until(" 1/11 ")
            for _ in range(4):
                connect(stack)
            screens.append(term.until(r"5/11 .* filling.*"))
            for _ in range(9):
                connect(stack)
            screens.append(term.until(r"12/11 .* OVERFLOW"))
            # Nobody accepts: once a second has shown that, it is the cause, and the overflow its consequence.
            term.until("accept_queue_overflow|server_not_accepting")
            term.press("Enter")
            screens.append(
                term.until(
                    r"12 wait, 12 fit \(limit 11\).*Depth.*Drops a second.*(accept_queue_overflow|server_not_accepting)"
                )
            )
            term.resize(160, 50)
            screens.append(term.until("What does nothing"))
            term.press("Escape")
            screens.append(term.until("JUDGEMENT"))
            term.press("q")
            return screens, term.exit_code()

    screens, code = in_namespace(work, timeout_s=120)
    assert code == 0
    empty, filling, full = (_bar(screen) for screen in screens[:3])
    assert set(empty) == {"░"}
    assert 0 < filling.count("█") < len(filling)
    assert set(full) == {"█"}
    assert all(len(line) <= 80 for screen in screens[:4] for line in screen.splitlines())
    assert snapshots(path)[-1].census is not None
    replayed = estab("watch", "--replay", str(path), "--once", "--port", "7000")
    assert "12/11" in replayed.stdout


@pytest.mark.parametrize(("keys", "code"), [("C-c", 130), ("q", 0)])
def test_a_replay_in_a_terminal_and_its_end(tmp_path: Path, keys: str, code: int) -> None:
    path = written(tmp_path / "story", story())
    with terminal(tmp_path) as term:
        term.start(80, 24, ESTAB, "watch", "--replay", str(path), "--speed", "50")
        term.until("10/10 ended")
        term.until(r"\*:8080 .* 17/16 .* OVERFLOW")
        term.press(keys)
        assert term.exit_code() == code
        assert "Traceback" not in term.screen()


# -- its end with its terminal ----------------------------------------------------------------------------------------

GONE_S = 2.0


@contextlib.contextmanager
def on_a_pty(*arguments: str, controlling: bool) -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    """`estab` on a terminal of its own once it has drawn on it: the process and the terminal's two ends.

    `controlling`: it is the leader of a session on that terminal, whose end the kernel tells it by SIGHUP.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def lead() -> None:
        os.setsid()
        if controlling:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        main.run(arguments)

    importlib.import_module("estab.live.screen.run")  # each fork would do so again, for longer than it then lives
    process = subprocess.Popen(**forked_call(lead, "estab", *arguments), stdin=slave, stdout=slave, stderr=slave)
    try:
        drawn = b""
        while b"LISTENER" not in drawn:
            assert select.select([master], [], [], 30)[0], drawn
            drawn += os.read(master, 65536)
        yield process, master, slave
    finally:
        process.kill()
        process.wait()
        for fd in (master, slave):
            with contextlib.suppress(OSError):
                os.close(fd)


def cpu_s(pid: int) -> float:
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13])) / os.sysconf(
        "SC_CLK_TCK"
    )


def ends_at_once(process: subprocess.Popen[bytes], end: Callable[[], object]) -> None:
    before_s = cpu_s(process.pid)
    handle = os.pidfd_open(process.pid)
    end()
    gone = select.select([handle], [], [], GONE_S)[0]
    used_s = cpu_s(process.pid) - before_s  # a zombie keeps its times
    os.close(handle)
    assert gone, f"still there after {GONE_S} s, with {used_s} s of CPU used"
    assert used_s < GONE_S / 2
    assert process.wait() == 130


@pytest.mark.parametrize("controlling", [True, False], ids=["SIGHUP", "no SIGHUP"])
@pytest.mark.parametrize("replay", [True, False], ids=["replay", "live"])
def test_it_ends_with_its_terminal(tmp_path: Path, replay: bool, controlling: bool) -> None:
    story_path = str(written(tmp_path / "story", story()))
    source = ("--replay", story_path) if replay else ("--record", str(tmp_path / "kept"))
    with on_a_pty("watch", *source, controlling=controlling) as (process, master, slave):
        os.close(slave)
        ends_at_once(process, lambda: os.close(master))
    if not replay:
        assert snapshots(tmp_path / "kept")[-1].census is not None


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_though_its_terminal_takes_nothing(number: signal.Signals) -> None:
    with on_a_pty("watch", controlling=True) as (process, _master, slave):
        termios.tcflow(slave, termios.TCOOFF)  # as Ctrl-S, or a connection that stalls
        ends_at_once(process, lambda: process.send_signal(number))
        assert termios.tcgetattr(slave)[3] & termios.ECHO


def test_it_ends_when_its_tmux_is_killed(tmp_path: Path) -> None:
    with terminal(tmp_path) as term:
        term.start(80, 24, ESTAB, "watch")
        term.until("LISTENER")
        (watching,) = children(term.told("#{pane_pid}"))
        handle = os.pidfd_open(watching)
        os.kill(term.told("#{pid}"), signal.SIGKILL)
        assert ended(handle)
