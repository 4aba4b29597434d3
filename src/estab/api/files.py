"""What was recorded, and this host now: from a file, or from the kernel, to a verdict."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Sequence
from pathlib import Path

from estab.api.local_server import LocalServer
from estab.diagnose import judge
from estab.diagnose.episodes import diagnosis_of, judge_recording
from estab.diagnose.snapshots import judge_snapshots
from estab.errors import EstabError, ReadError, UsageError
from estab.load.conductor import Stop
from estab.load.plan import check_range
from estab.observe import snapshot, system, targets
from estab.observe.gaps import Gaps
from estab.recording.compressed import decompress, is_compressed
from estab.recording.reading import decoded
from estab.records import (
    RUN_SCHEMA,
    SNAPSHOT_SCHEMA,
    Diagnosis,
    RunResult,
    Snapshot,
    decode,
    encode,
    schema_of,
)
from estab.records.cluster import CLUSTER_SCHEMA, ClusterResult

STDIN = "-"
_LEAST_READ = 256_000_000  # what a pipe may give in all, and a file where little memory is left


def read_record(path: str | Path) -> RunResult | list[Snapshot]:
    """A recorded run, or the snapshots (NDJSON, as `estab observe` prints them), that a file holds.

    Of a run on many hosts (estab.cluster/1) it is the total. `-` is standard input.
    Raises ReadError with the path, and for a snapshot the line, for what cannot be read as either.
    """
    return parse_record(read_bytes(path), named(path))


def named(path: str | Path) -> str:
    """What a message or a record calls it: a file its path, `-` standard input.

    A name may hold bytes that are no text, and JSON holds nothing but text: they stand as backslash escapes.
    """
    return "standard input" if str(path) == STDIN else str(path).encode("utf-8", "backslashreplace").decode()


def parse_record(data: bytes, path: str | Path) -> RunResult | list[Snapshot]:
    """What `read_record` gives, of bytes that were read already. `path` is what errors call them."""
    lines = [line for line in data.splitlines() if line.strip()]
    try:
        if not lines or schema_of(lines[0]).split("/")[0] != SNAPSHOT_SCHEMA.split("/", maxsplit=1)[0]:
            return decode_run(data)
    except ReadError as error:
        raise ReadError(f"{path}: {error}") from error
    return list(decoded(lines, str(path)))


def read_bytes(path: str | Path) -> bytes:
    """All of a file, a pipe, what a device gives, or standard input (`-`), decompressed where it is gzip or zstd.

    Raises ReadError, and MachineError where this Python lacks zstd.

    What would not fit the memory that is there, and what never ends, as /dev/zero, is refused: a record takes several
    times its size once it is read.
    """
    try:
        most = max(_LEAST_READ, (Gaps().read("memory", system.read_memory_available) or 0) // 8)
        with open(0, "rb", closefd=False) if str(path) == STDIN else open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                most = _LEAST_READ
            data = file.read(most + 1)
    except OSError as error:
        raise ReadError(f"can't read {named(path) or repr('')}: {error.strerror}") from error
    except MemoryError as error:
        raise ReadError(f"can't read {named(path)}: it does not fit the memory that this process may use") from error
    if len(data) > most:
        raise ReadError(f"can't read {named(path)}: it is more than {most / 1e6:,.0f} MB; split it, or make it shorter")
    try:
        return decompress(data, most) if is_compressed(data) else data
    except EstabError as error:
        raise type(error)(f"{named(path)}: {error}") from error


def decode_run(data: bytes) -> RunResult:
    """The run that JSON holds; of one on many hosts (estab.cluster/1) the total. Raises ReadError."""
    if schema_of(data).split("/")[0] == CLUSTER_SCHEMA.split("/", maxsplit=1)[0]:
        return decode(data, ClusterResult, CLUSTER_SCHEMA).total
    return decode(data, RunResult, RUN_SCHEMA)


def load_run(path: str | Path) -> RunResult:
    """The run recorded in a file. Raises ReadError, with the path and the place, for what cannot be read as one."""
    record = read_record(path)
    if isinstance(record, RunResult):
        return record
    raise ReadError(f"{path}: it holds snapshots, not a run")


def save_run(run: RunResult, path: str | Path) -> None:
    """Writes a run as JSON (estab.run/1) that `load_run` reads. Raises OSError."""
    Path(path).write_bytes(encode(run) + b"\n")


def diagnose(run: RunResult | str | Path) -> RunResult:
    """A run, or the file that holds one, with its diagnosis made anew by this version's judge."""
    if not isinstance(run, RunResult):
        run = load_run(run)
    return run.replace(diagnosis=judge(run))


def diagnose_snapshots(snapshots: Sequence[Snapshot]) -> Diagnosis:
    """The judge's word on one moment, or on the time between the first and the last of several, or on a part of it.

    Raises UsageError where there is none.
    """
    if not snapshots:
        raise UsageError("no snapshot was given; `estab observe --count 2` prints two")
    return diagnosis_of(judge_recording(sorted(snapshots, key=lambda taken: taken.taken_at_s)))


def diagnose_host(
    interval_s: float = 2.0, stop: Stop | None = None, *, server: LocalServer | None = None
) -> Diagnosis | None:
    """The judge's word on this host now, from two snapshots `interval_s` apart; None when `stop` came between.

    `server`: on that server alone, and on no client of this host. Raises UsageError for a time out of range.
    """
    check_range("interval_s", interval_s, 0.01, 3600)
    before = _look(server)
    poll = select.poll()
    if stop is not None:
        poll.register(stop.fileno(), select.POLLIN)
    if poll.poll(interval_s * 1000):
        return None
    return judge_snapshots(before, _look(server))


def _look(server: LocalServer | None) -> Snapshot:
    if server is None:
        return snapshot.take(most_targets=targets.MOST)
    if server.unix is not None:
        return snapshot.take(unix=server.unix)
    if len(server.ports) == 1:
        return snapshot.take(port=server.ports[0])
    taken = snapshot.take()
    return taken.replace(listeners=[listener for listener in taken.listeners or () if listener.port in server.ports])
