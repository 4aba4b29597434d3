from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from inline_snapshot import snapshot
from rich.cells import cell_len
from rich.console import Console
from tests.diagnose import runs
from tests.diagnose.anything import of

from estab.diagnose import judge, judge_snapshots
from estab.records import (
    Diagnosis,
    Failure,
    Funnel,
    HostFacts,
    Program,
    ProgramAccepts,
    ProgramTarget,
    RunResult,
    ServerSide,
    Suspect,
)
from estab.report.text import render, render_diagnosis


class Utf8(io.StringIO):
    encoding = "utf-8"


class Ascii(io.StringIO):
    encoding = "ascii"


def text(run: RunResult, width: int = 80, file: io.StringIO | None = None) -> str:
    """The report as it goes into a pipe: judged, without colours."""
    judged = run if run.diagnosis else run.replace(diagnosis=judge(run))
    out = file or Utf8()
    render(judged, Console(file=out, width=width))
    return out.getvalue()


@functools.cache
def shown(shape: str, width: int = 80) -> str:
    """What several tests ask of the same report."""
    return text(SHAPES[shape](), width)


def without_numbers(said: str) -> str:
    """The report whatever the number of causes: one more changes nothing else, and the judge's tests count them."""
    return re.sub(r"\d+ of \d+(\s+causes can't)", r"N of M\1", said)


SEEN = ProgramTarget(address="10.0.0.5", port=80, attempted=1200, connected=1000, resets_received=3, resets_sent=1)
REFUSED = Failure(phase="connect", errno="ECONNREFUSED", count=200)
FULL = Failure(phase="accept", errno="EMFILE", count=7)


def test_what_a_traced_program_did() -> None:
    accepts = [ProgramAccepts(listener="0.0.0.0:8080", accepted=5000, failures=[FULL]), ProgramAccepts(listener=None)]
    beyond = ProgramTarget(address="::", port=0, attempted=9, connected=9)
    program = Program(
        name="wrk", seen="traced", targets=[SEEN.replace(failures=[REFUSED]), beyond], accepts=accepts, unix_connects=2
    )
    lines = text(runs.run(program=program)).splitlines()
    shown = [" ".join(line.split()) for line in lines[lines.index("Targets") : lines.index("UNIX sockets") + 2]]
    assert [line for line in shown if line] == [
        "Targets",
        "target attempted connected resets sent again failed",
        "10.0.0.5:80 1,200 1,000 4 - 200 ECONNREFUSED",
        "all beyond 9 9 - -",
        "Accepted",
        "0.0.0.0:8080 5,000, 7 EMFILE",
        "a listener that was closed soon 0",
        "UNIX sockets",
        "connects 2",
    ]


def test_what_looks_at_a_program_showed() -> None:
    target = ProgramTarget(address="10.0.0.5", port=80, most_open=40, seen=90)
    shown = text(runs.run(program=Program(name="wrk", seen="sampled", targets=[target])))
    assert "10.0.0.5:80 40 90" in " ".join(shown.split())


SHAPES: dict[str, Callable[[], RunResult]] = {
    "healthy_bench": runs.healthy_bench,
    "healthy_churn": runs.healthy_churn,
    **runs.MET,
}
SHOWN = (
    "client_open_files",
    "conntrack_full_local",
    "server_open_files",
    "server_not_accepting",
    "accept_queue_overflow",
)


def few(run: RunResult) -> RunResult:
    """The run judged, of its ledger a few that stand for all."""
    diagnosis = judge(run)
    suspects = [suspect for suspect in diagnosis.suspects if suspect.cause in SHOWN]
    return run.replace(diagnosis=diagnosis.replace(suspects=suspects))


def test_a_healthy_bench() -> None:
    assert text(few(runs.healthy_bench())) == snapshot("""\
estab bench  127.0.0.1:5000 · rr · 400 connections · 1,400 bytes · 5 s
             timeout 3 s
C engine · 2 cores · Linux 6.18.44 · box · took 5.10 s

Verdict  no cause
  Nothing failed: 400 of 400 connected, no limit was met.

Funnel
  attempted   400  100%  ████████████████████████████████
  connected   400  100%  ████████████████████████████████
  accepted    400  100%  ████████████████████████████████
  first byte  400  100%  ████████████████████████████████
  completed   400  100%  ████████████████████████████████

Measured
  requests      91,225/s  (456,123 requests in 5.00 s)
  bytes back    127.7 MB/s  (638.6 MB)
  accept queue  0 of 129 places used at worst
  CPU bound     client 99%, server 97% of a core (the busiest worker of each)
  latency      p50      p90      p99    p99.9      max
  connect  61.0 µs   122 µs   244 µs   488 µs  1.22 ms
  request  2.14 ms  4.28 ms  8.56 ms  17.1 ms  42.8 ms

Suspects
  ruled out  client_open_files  The client never ran out of descriptors.
             [connect EMFILE, ENFILE 0 / 0]
             conntrack_full_local  No connect timed out. [connect ETIMEDOUT,
             own_timeout, EPERM 0 / 0]
             server_open_files  410 of 20,000 descriptors were in use. [accept 0
             / 0]
             server_not_accepting  No connection was seen waiting. [worst_depth
             0 / 129]
             accept_queue_overflow  0 of 129 places used, none turned away.
             [worst_depth 0 / 129]
""")


def test_a_queue_that_overflowed() -> None:
    assert without_numbers(text(few(runs.overflowed(interrupted=True)))) == snapshot("""\
Interrupted after 3.10 s: what was seen until then.
estab hold  127.0.0.1:5000 · 400 connections · 3 s · timeout 3 s
C engine · 2 cores · Linux 6.18.44 · box · took 3.10 s

Verdict  accept_queue_overflow  (at the server)
  The accept queue of 127.0.0.1:5000 was full (17 fit) and the kernel turned
  packets away: 327 connections failed. N of M causes can't be seen from here.
    • the queue had 17 of 17 places in use at worst  [sock_diag]
    • full in 12 of 30 samples, ten a second  [sock_diag]
    • ListenOverflows rose by 920 within the run (packets, not clients; whole
      network namespace)  [/proc/net/netstat]
    • the listener's own drops rose by 920 within the run  [sock_diag]
    • 383 connects had to send their SYN again  [tcp_info]
    • 327 connections timed out  [failures]

What to do
  sysctl -w net.core.somaxconn=512
      somaxconn is 128 and cuts every backlog above it, at listen(): raise it,
      then listen() anew.
  listen 5000 backlog=512;   # nginx.conf, then nginx -s reload; restart where
  that number stood before
      The program asked for only 16; the kernel would allow 128. (nginx asks for
      511 by default.)
  call accept() until EAGAIN in a thread of its own, or run several processes
  with SO_REUSEPORT; together with a backlog of 512
      With connections waiting, 20/s were accepted. 400 connects come at once
      and 17 fit: they fill it before any accept(). Faster accepts alone lose
      part of it.

What does nothing
  sysctl -w net.ipv4.tcp_max_syn_backlog=65536
      tcp_syncookies is 1: with cookies on, the kernel never asks
      tcp_max_syn_backlog: the listener's backlog bounds the SYN queue.
  sysctl -w net.core.somaxconn=65535, the server left running
      The limit is fixed at listen(); sockets that listen already keep theirs.
  sysctl -w net.core.somaxconn=65535 on the host, for a server in a container
      Every network namespace has its own, and a new one starts at the default,
      not at the host's value.
  sysctl -w net.ipv4.tcp_abort_on_overflow=1
      It turns the dropped final ACK of a half-open connection into RST; SYNs
      and cookies' ACKs stay as before.

Funnel
  attempted   400  100%  ████████████████████████████████
  connected    73   18%  █████▊
  accepted     60   15%  ████▊
  first byte    -        not measured (hold sends nothing)
  completed    73   18%  █████▊

Failures
  phase    why                    count  first at  example
  connect  timed out (--timeout)    327    3.00 s  127.0.0.1:5000

Measured
  SYN retransmits  none for 17, 1 for 30, 2 for 353 connects
  accept queue     17 of 17 places used at worst, full in 12 of 30 samples
  CPU bound        client 99% of a core (the busiest worker of each)
  latency      p50     p90     p99   p99.9      max
  connect  61.0 µs  122 µs  244 µs  488 µs  1.22 ms

Other suspects
  ruled out     client_open_files  The client never ran out of descriptors.
                [connect EMFILE, ENFILE 0 / 0]
                server_open_files  410 of 1,024 descriptors were in use. [fds
                410 / 1,024]
                server_not_accepting  Connections were accepted until 0.2 s
                before the end. [worst_depth 17 / 17]
  not observed  conntrack_full_local  The connection tracking table was not
                observed. [connect ETIMEDOUT, own_timeout, EPERM 327 / 0]
""")


def test_a_server_that_is_silent_far_away() -> None:
    assert without_numbers(text(few(runs.stalled(server=runs.remote())))) == snapshot("""\
estab hold  127.0.0.1:5000 · 400 connections · 3 s · timeout 3 s
C engine · 2 cores · Linux 6.18.44 · box · took 3.10 s

Verdict  no cause confirmed
  271 failures; no cause is confirmed. Possible: path_flow_table_full,
  server_open_files, server_not_accepting, accept_queue_overflow. The same
  command with --probe would tell. N of M causes can't be seen from here:
  --server-via 'ssh HOST estab observe --port {port}' shows the server's end.

To find out
  ls /proc/PID/fd | wc -l; grep 'open files' /proc/PID/limits   # at the server
      server_open_files: Shows what could not be seen from here: as many as the
      soft limit means that none is left.
  timeout 5 strace -f -e trace=accept,accept4 -p PID
      server_not_accepting: Shows whether any thread calls accept(). If not, the
      accepting one is blocked, starved or gone.
  nstat -az TcpExtListenOverflows; ss -ltn   # at the server, during the load
      accept_queue_overflow: A counter that rises, and Recv-Q over Send-Q in the
      listener's line, mean a full queue.

Funnel
  attempted   400  100%  ████████████████████████████████
  connected   129   32%  ██████████▎
  accepted      0    0%
  first byte    -        not measured (hold sends nothing)
  completed   129   32%  ██████████▎

Failures
  phase    why                    count  first at  example
  connect  timed out (--timeout)    271    3.00 s  127.0.0.1:5000

Measured
  SYN retransmits  none for 129, 2 for 271 connects
  accept queue     not observed: 192.0.2.7 is not an address of this host
  CPU bound        client 99% of a core (the busiest worker of each)
  latency      p50     p90     p99   p99.9      max
  connect  61.0 µs  122 µs  244 µs  488 µs  1.22 ms

Suspects
  possible      server_open_files  A server out of descriptors would look like
                this, but its descriptors were not observed (192.0.2.7 is not an
                address of this host).
                server_not_accepting  A server that accepts nothing would look
                like this, but its queue was not observed (192.0.2.7 is not an
                address of this host). [first_byte 0 / 129]
                accept_queue_overflow  A full accept queue would look like this
                from the client, but the listener was not observed (192.0.2.7 is
                not an address of this host). [syn_retransmits 271 / 0]
  ruled out     client_open_files  The client never ran out of descriptors.
                [connect EMFILE, ENFILE 0 / 0]
  not observed  conntrack_full_local  The connection tracking table was not
                observed. [connect ETIMEDOUT, own_timeout, EPERM 271 / 0]
""")


def test_next_to_nothing_is_known() -> None:
    run = RunResult(
        command="hold",
        config={},
        host=HostFacts(),
        started_at_s=0.0,
        elapsed_s=0.0,
        engine="python",
        funnel=Funnel(),
        failures=[Failure(phase="connect", errno="ETIMEDOUT", count=1)],
        server=ServerSide(observed=False),
        diagnosis=Diagnosis(summary="Nothing was judged."),
    )
    assert text(run) == snapshot("""\
estab hold
Python engine · took 0.00 µs

Verdict  no known cause
  Nothing was judged.

Funnel
  attempted   0
  connected   0
  accepted    -    not observed
  first byte  -    not measured (hold sends nothing)
  completed   0

Failures
  phase    why        count  first at  example
  connect  ETIMEDOUT      1         -

Measured
  accept queue  not observed: the server's end is not on this host
""")


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("shape", SHAPES)
def test_fits_its_console_and_a_pipe(shape: str, width: int) -> None:
    said = shown(shape, width)
    for line in said.splitlines():
        assert cell_len(line) <= width
        assert line == line.rstrip()
    assert "\x1b" not in said
    assert "None" not in said


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_ascii_console_gets_ascii(shape: Callable[[], RunResult]) -> None:
    assert text(shape(), file=Ascii()).isascii()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_suspect_and_every_remedy_of_the_cause_stands_there(shape: str) -> None:
    diagnosis = judge(SHAPES[shape]())
    said = " ".join(shown(shape).split())
    for suspect in diagnosis.suspects:
        assert suspect.cause in said
    for remedy in next((s.remedies for s in diagnosis.suspects if s.cause == diagnosis.cause), []):
        assert " ".join(remedy.command.split()) in said
        assert remedy.why in said


@pytest.mark.parametrize(
    ("run", "title"),
    [
        (runs.run(), "Verdict  no cause\n"),
        (runs.run(failures=[runs.failure("read", "wrong_bytes", 3)]), "Verdict  no known cause\n"),
        (runs.stalled(server=runs.remote()), "Verdict  no cause confirmed\n"),
        (runs.stalled(), "Verdict  server_not_accepting  (at the server)\n"),
    ],
)
def test_the_verdict_in_its_title(run: RunResult, title: str) -> None:
    assert title in text(run)


def test_colours_only_on_a_terminal() -> None:
    out = Utf8()
    run = runs.stalled()
    render(
        run.replace(diagnosis=judge(run)),
        Console(file=out, width=80, force_terminal=True, color_system="standard", _environ={}),
    )
    assert "\x1b[1;31mserver_not_accepting" in out.getvalue()


@pytest.mark.parametrize(
    ("asked_s", "took_s", "said"),
    [
        (6.0, 10.3, "connects 50/s (300 connects in 6.00 s, then 4.30 s of drain)"),
        (6.0, 6.01, "connects 50/s (300 connects in 6.00 s)"),
        (6.0, 3.0, "connects 100/s (300 connects in 3.00 s)"),
        (None, 5.0, "connects 60/s (300 connects in 5.00 s)"),
    ],
    ids=["drained", "hardly", "interrupted", "by count"],
)
def test_a_rate_is_that_of_the_load_and_not_of_the_drain(asked_s: float | None, took_s: float, said: str) -> None:
    run = runs.run("churn", funnel=runs.funnel(300, 300), elapsed_s=took_s, config={"duration_s": asked_s})
    assert said in " ".join(text(run).split())


def test_an_interrupted_run_says_so_first() -> None:
    assert text(runs.healthy_bench().replace(interrupted=True)).startswith("Interrupted after 5.10 s")


def test_a_run_that_was_not_judged_says_how_to() -> None:
    out = Utf8()
    render(runs.run(), Console(file=out, width=80))
    assert "estab diagnose" in out.getvalue()


def test_a_record_from_elsewhere_moves_no_cursor_and_is_no_markup() -> None:
    evil = "\x1b[2J[bold]x[/bold]\r\n\x07"
    run = runs.run(
        config={"target": evil, evil: evil},
        failures=[Failure(phase=evil, errno=evil, count=1, example=evil)],
        server=ServerSide(observed=False, why=evil),
        engine=evil,
        diagnosis=Diagnosis(
            cause="x", summary=evil, suspects=[Suspect(cause=evil, side="client", verdict="possible", summary=evil)]
        ),
    )
    shown = text(run)
    assert not set(shown) & {"\x1b", "\r", "\x07"}
    assert "[bold]x[/bold]" in shown


def test_workers_that_were_lost_are_told() -> None:
    shown = text(runs.run(client={"workers": [runs.worker(exit=-9, lost="died of signal 9")]}))
    assert "client 42: died of signal 9; its numbers until then are kept" in " ".join(shown.split())


@pytest.mark.parametrize(("cpu", "said"), [(0.9, True), (0.89, False), (None, False)])
def test_cpu_bound_is_told_from_ninety_percent(cpu: float | None, said: bool) -> None:
    shown = text(runs.run(client={"workers": [runs.worker(cpu_fraction=cpu)]}))
    assert ("CPU bound" in shown) is said


def test_the_ledger_shows_each_suspects_test_and_value() -> None:
    said = " ".join(text(runs.overflowed()).split())
    assert "[connect EADDRNOTAVAIL 0 / 0]" in said
    assert "[fds 410 / 1,024]" in said
    assert "[TCPReqQFullDrop 0 / 0]" in said


def snapshots_text(diagnosis: Diagnosis, title: str = "this host", width: int = 80) -> str:
    out = Utf8()
    render_diagnosis(diagnosis, title, Console(file=out, width=width))
    return out.getvalue()


def test_a_diagnosis_of_snapshots_alone() -> None:
    full = runs.snapshot(conntrack=runs.Conntrack(count=1000, maximum=1000))
    shown = snapshots_text(judge_snapshots(None, full), "snapshot.json")
    assert shown.startswith("snapshot.json\n\nVerdict  conntrack_full_local  (at the client)\n")
    assert "From one snapshot" in shown
    assert "What to do" in shown
    assert all(cell_len(line) <= 80 and line == line.rstrip() for line in shown.splitlines())
    for suspect in judge_snapshots(None, full).suspects:
        assert suspect.cause in shown


def test_a_quiet_host_and_a_title_that_moves_no_cursor() -> None:
    shown = snapshots_text(judge_snapshots(None, runs.snapshot()), "a\x1b[2Jb\n")
    assert "Verdict  no cause\n" in shown
    assert "\x1b" not in shown


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(run=of(RunResult))
def test_whatever_a_record_holds_it_renders(run: RunResult) -> None:
    assert text(run)


def test_who_answers_is_told_where_no_reply_was_an_echo() -> None:
    wrong = Failure(phase="read", errno="wrong_bytes", count=20, first_s=0.1, first_bytes=r"SSH-2.0-x\r\n")
    healthy = runs.healthy_bench()
    assert healthy.requests is not None
    run = healthy.replace(failures=[wrong], stopped="no_echo", requests=healthy.requests.replace(count=0))
    said = " ".join(text(run).split())
    assert said.startswith("Stopped after ")
    assert r'is no echo server; it seems to speak SSH: its reply began "SSH-2.0-x\r\n"' in said
    some = run.replace(stopped=None, requests=healthy.requests.replace(count=7))
    assert "echo server" not in text(some)


def test_replies_of_http_are_told_by_status() -> None:
    busy = Failure(
        phase="status", errno="503", count=4_312, first_s=0.1, first_bytes="HTTP/1.1 503 Busy", example="a -> b"
    )
    healthy = runs.healthy_bench()
    assert healthy.requests is not None
    counted = healthy.requests.replace(count=10_000, http_status={"200": 5_688, "503": 4_312}, renewed=12)
    said = " ".join(text(healthy.replace(failures=[busy], requests=counted)).split())
    assert "replies 200: 5,688, 503: 4,312 made anew 12 connections" in said
    assert 'status 503 4,312 100 ms a -> b, began "HTTP/1.1 503 Busy"' in said


def test_who_answers_is_told_where_no_reply_was_http() -> None:
    wrong = Failure(phase="reply", errno="malformed", count=20, first_s=0.1, first_bytes=r"SSH-2.0-x\r\n")
    healthy = runs.healthy_bench()
    assert healthy.requests is not None
    run = healthy.replace(failures=[wrong], stopped="no_http", requests=healthy.requests.replace(count=0))
    said = " ".join(text(run).split())
    assert "none of the replies was HTTP." in said
    assert "The target does not speak HTTP; it seems to speak SSH" in said
