"""Paths drawn by a seed, one trouble or none on each: how many are named right, from both ends, by the client alone.

Run by hand, for it takes minutes: `python -m tests.lab.random_paths --seed 7 --count 100`. Each path is a wire of the
lab with a load of its own on it; the same record is judged twice, once without what the server's end showed. What is
set is the truth, never what estab says.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection

from estab.diagnose import judge
from estab.lab.process.isolation import isolate
from estab.lab.process.parallel import Piece, in_parallel
from estab.lab.stage import running
from estab.lab.stage.setup import LoadSpec, Path, Setup
from estab.records import Diagnosis, RunResult, ServerSide

_HEADERS = 60  # bytes of a packet into which no data fits
_UNSEEN = ServerSide(observed=False, why="only the client is looked at")


@dataclass(frozen=True)
class Drawn:
    """A path with its load. `truth`: causes that are right from both ends; `alone`: from the client; none: healthy.

    `quiet`: nothing may fail at all, and then to say nothing is right.
    """

    what: str
    setup: Setup
    truth: frozenset[str] = frozenset()
    alone: frozenset[str] = frozenset()
    quiet: bool = False


_Draw = Callable[[random.Random], Drawn]
_LOST_SYNS = frozenset({"path_filtered", "path_flow_table_full", "path_connection_limit", "path_syn_loss"})


def _load(chance: random.Random) -> LoadSpec:
    """Any load that is short."""
    many, size = chance.randint(5, 60), chance.choice((16, 64, 400, 2000, 9000))
    kinds = (
        LoadSpec(command="hold", connections=many, duration_s=0.4),
        LoadSpec(command="bench", connections=many, duration_s=chance.uniform(0.5, 1.5), size_bytes=size),
        LoadSpec(
            command="churn", connections=many, duration_s=1.5, rate_per_s=chance.uniform(20, 120), size_bytes=size
        ),
    )
    return chance.choice(kinds)


def _on(chance: random.Random, path: Path, load: LoadSpec) -> Setup:
    return Setup(load=load, path=path, rtt_s=chance.choice((0.0, 0.002, 0.01, 0.04)))


def _open(chance: random.Random) -> Drawn:
    return Drawn("nothing", _on(chance, Path(), _load(chance)))


def _jitter(chance: random.Random) -> Drawn:
    spread_s = chance.uniform(0.01, 0.15)
    return Drawn(f"SYNs up to {spread_s * 1e3:.0f} ms late", _on(chance, Path(syn_spread_s=spread_s), _load(chance)))


def _wide(chance: random.Random) -> Drawn:
    load = replace(_load(chance), command="bench", duration_s=1.0, rate_per_s=None, size_bytes=chance.randint(1, 400))
    largest = chance.randint(700, 1400)
    return Drawn(f"{largest} bytes pass, small requests", _on(chance, Path(largest=largest), load))


def _narrow(chance: random.Random) -> Drawn:
    largest = chance.randint(600, 1400)
    load = LoadSpec(
        command="bench", connections=chance.randint(2, 30), duration_s=1.0, timeout_s=1.2,
        size_bytes=chance.randint(2000, 20000),
    )  # fmt: skip
    cause = frozenset({"path_mtu_blackhole"})
    return Drawn(f"{largest} bytes pass", _on(chance, Path(largest=largest), load), cause, cause)


def _no_data(chance: random.Random) -> Drawn:
    load = LoadSpec(
        command="bench",
        connections=chance.randint(2, 40),
        duration_s=0.6,
        timeout_s=1.2,
        size_bytes=chance.choice((64, 400)),
    )
    cause = frozenset({"path_data_loss"})
    return Drawn("no data passes", _on(chance, Path(largest=_HEADERS), load), cause, cause)


def _lossy_syns(chance: random.Random) -> Drawn:
    share = chance.uniform(0.08, 0.35)
    load = LoadSpec(command="hold", connections=chance.randint(60, 150), duration_s=0.3, timeout_s=4.0)
    cause = frozenset({"path_syn_loss"})
    return Drawn(f"{share:.0%} of SYNs lost", _on(chance, Path(lost_share=share), load), cause, cause)


def _lossy(chance: random.Random) -> Drawn:
    loss = chance.uniform(0.02, 0.08)
    load = LoadSpec(command="hold", connections=chance.randint(60, 120), duration_s=0.3, timeout_s=6.0)
    cause = frozenset({"path_syn_loss"})
    return Drawn(f"{loss:.0%} of packets lost", _on(chance, Path(loss=loss), load), cause, cause, quiet=True)


def _rate(chance: random.Random) -> Drawn:
    per_s, burst = chance.uniform(10, 30), chance.randint(3, 15)
    load = LoadSpec(
        command="churn", connections=400, duration_s=5.0, timeout_s=0.8, rate_per_s=per_s * 3, size_bytes=16
    )
    cause = frozenset({"path_rate_limited"})
    path = Path(syns_per_s=per_s, syn_burst=burst)
    return Drawn(f"{per_s:.0f} SYNs a second", _on(chance, path, load), cause, cause)


def _nat(chance: random.Random) -> Drawn:
    ports = chance.randint(8, 40)
    load = LoadSpec(command="hold", connections=ports + chance.randint(10, 60), duration_s=0.3, timeout_s=1.3)
    cause = frozenset({"nat_ports_exhausted"})
    return Drawn(f"a NAT with {ports} ports", _on(chance, Path(nat_ports=ports), load), cause, cause)


def _filter(chance: random.Random) -> Drawn:
    how = chance.choice(("drop", "reset", "unreachable", "prohibited"))
    load = LoadSpec(command="hold", connections=chance.randint(5, 60), duration_s=0.2, timeout_s=1.3)
    alone = {
        "drop": _LOST_SYNS | {"nobody_listening"},
        "reset": frozenset({"nobody_listening", "path_filtered"}),
    }.get(how, frozenset({"path_filtered"}))
    return Drawn(f"a filter: {how}", _on(chance, Path(closed=how), load), frozenset({"path_filtered"}), alone)


def _flows(chance: random.Random) -> Drawn:
    flows = chance.randint(10, 80)
    load = LoadSpec(command="hold", connections=flows + chance.randint(10, 40), duration_s=0.3, timeout_s=1.3)
    cause = frozenset({"path_flow_table_full"})
    return Drawn(f"a table of {flows} flows", _on(chance, Path(flows=flows), load), cause, cause | _LOST_SYNS)


def _member(chance: random.Random) -> Drawn:
    members = chance.randint(2, 5)
    load = LoadSpec(command="churn", connections=200, duration_s=4.0, timeout_s=2.5, rate_per_s=60.0, size_bytes=16)
    cause = frozenset({"path_member_dead"})
    return Drawn(f"one of {members} ways dead", _on(chance, Path(members=members), load), cause, cause)


def _limit(chance: random.Random) -> Drawn:
    most = chance.randint(5, 60)
    load = LoadSpec(command="hold", connections=most + chance.randint(10, 60), duration_s=2.2)
    cause = frozenset({"path_connection_limit"})
    alone = cause | {"path_filtered", "server_connection_limit"}
    return Drawn(f"{most} connections at once", _on(chance, Path(most=most), load), cause, alone)


def _forgets(chance: random.Random) -> Drawn:
    forgets_s, how = chance.uniform(0.4, 0.9), chance.choice(("drop", "reset"))
    load = LoadSpec(
        command="hold", connections=chance.randint(6, 16), duration_s=1.0, timeout_s=1.2, gaps_s=(0.15, forgets_s + 0.4)
    )
    cause = frozenset({"path_idle_timeout"})
    path = Path(forgets_s=forgets_s, forgotten=how)
    return Drawn(f"forgets after {forgets_s:.1f} s, {how}", _on(chance, path, load), cause, cause)


def _ends(chance: random.Random) -> Drawn:
    ends_s = chance.uniform(0.3, 1.2)
    load = LoadSpec(
        command="bench", connections=chance.randint(3, 50), duration_s=ends_s + 0.8, timeout_s=chance.uniform(0.6, 1.5),
        size_bytes=chance.choice((16, 64, 400, 4000)),
    )  # fmt: skip
    cause = frozenset({"peer_vanished"})
    return Drawn(f"ends after {ends_s:.1f} s", _on(chance, Path(ends_s=ends_s), load), cause, cause)


def _gap(chance: random.Random) -> Drawn:
    gap = chance.choice(("neighbour", "way_back", "other_way"))
    load = LoadSpec(command="hold", connections=chance.randint(5, 40), duration_s=0.2, timeout_s=1.5)
    cause = {"neighbour": "neighbour_unresolved", "way_back": "no_route_back", "other_way": "reverse_path_filtered"}[
        gap
    ]
    alone = frozenset({cause}) if gap == "neighbour" else _LOST_SYNS | {cause}
    return Drawn(f"a gap: {gap}", _on(chance, Path(gap=gap), load), frozenset({cause}), alone)


def _name(chance: random.Random) -> Drawn:
    load = LoadSpec(command=chance.choice(("hold", "bench")), connections=chance.randint(2, 40), duration_s=0.3)
    cause = frozenset({"first_address_dead"})
    return Drawn("a name whose first address is dead", _on(chance, Path(dead_first=True), load), cause, cause)


_TROUBLES: tuple[_Draw, ...] = (
    _narrow, _no_data, _lossy_syns, _lossy, _rate, _nat, _filter, _flows, _member, _limit, _forgets, _ends, _gap, _name,
)  # fmt: skip
_NONE: tuple[_Draw, ...] = (_open, _open, _jitter, _wide)


def drawn(seed: int, count: int) -> list[Drawn]:
    """So many paths; three in ten have nothing that harms."""
    chance = random.Random(seed)
    return [chance.choice(_NONE if chance.random() < 0.3 else _TROUBLES)(chance) for _ in range(count)]


def mark(said: Diagnosis, truth: frozenset[str], *, quiet: bool, both: bool) -> str:
    """right, possible (left open from both ends), silent (nothing was named), wrong (another cause was), false alarm;
    load late: the machine was too busy to keep the load's times, and the judge says so.

    From the client alone much can't be confirmed, so that `possible` is right there.
    """
    if not truth:
        return "right" if said.cause is None else "false alarm"
    if said.cause in truth:
        return "right"
    if said.cause == "generator_saturated":
        return "load late"
    if said.cause is not None:
        return "wrong"
    if any(suspect.cause in truth and suspect.verdict == "possible" for suspect in said.suspects):
        return "possible" if both else "right"
    return "right" if quiet else "silent"


@dataclass(frozen=True)
class Played:
    """What was said of a path: the mark and the summary, from both ends and from the client alone."""

    both: str
    both_said: str
    alone: str
    alone_said: str


def _play(path: Drawn, _connection: Connection) -> Played:
    try:
        run = running.run(path.setup)
    except Exception:  # one that does not come about is a row of the table
        failed = traceback.format_exc().strip().splitlines()[-1][:200]
        return Played("not set up", failed, "not set up", failed)
    both, alone = judge(run), judge(without_server(run))
    return Played(
        mark(both, path.truth, quiet=path.quiet, both=True),
        _told(both, path.truth),
        mark(alone, path.alone, quiet=path.quiet, both=False),
        _told(alone, path.alone),
    )


def _told(said: Diagnosis, truth: frozenset[str]) -> str:
    """The verdict, and what those say of themselves that should have been named."""
    due = [f"{each.cause} {each.verdict}: {each.summary}" for each in said.suspects if each.cause in truth]
    return " | ".join([said.summary, *due])


def without_server(run: RunResult) -> RunResult:
    """As a client alone would have recorded it."""
    return run.replace(server=_UNSEEN, ghosts=None, funnel=run.funnel.replace(accepted=None), diagnosis=None)


def _perform(seed: int, count: int, jobs: int, only: str) -> None:
    isolate()
    paths = [path for path in drawn(seed, count) if only in path.what]
    pieces = [Piece(partial(_play, path)) for path in paths]
    played = {said.place: said.what for said in in_parallel(pieces, jobs) if said.over}
    marks: dict[str, Counter[str]] = {"both": Counter(), "alone": Counter()}
    for place, path in enumerate(paths):
        of = played[place]
        marks["both"][of.both] += 1
        marks["alone"][of.alone] += 1
        print(f"{place:3} {path.what:36} {path.setup.load.command:6} both: {of.both:12} alone: {of.alone}")
        for which, marked, said in (("both", of.both, of.both_said), ("alone", of.alone, of.alone_said)):
            if marked != "right":
                print(f"      {which}: {said[:600]}")
    for which, counted in marks.items():
        print(f"{which:6} " + ", ".join(f"{count} {marked}" for marked, count in counted.most_common()))


def main() -> None:
    """Plays them in a process of its own, whose standard input stays open while it lasts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--only", default="", help="those whose description has this")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        _perform(asked.seed, asked.count, asked.jobs, asked.only)
        return
    command = [sys.executable, "-m", "tests.lab.random_paths", *sys.argv[1:], "--inside"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as inside:
        sys.exit(inside.wait())


if __name__ == "__main__":
    main()
