"""What was seen of a program beside the target that is judged: each target, what it accepted, its UNIX sockets."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from estab.kernel.formats.endpoint import endpoint
from estab.kernel.rules.accept_queue import room
from estab.records import Failure, Program, ProgramAccepts, ProgramCpu, ProgramTarget
from estab.report.layout import columns, heading, indented, pairs
from estab.report.words import clean, count, seconds
from estab.words import places, plural


def program_seen(program: Program) -> Iterator[RenderableType]:
    """The sections on a program, each with its heading; one with nothing to tell is left out."""
    if program.targets:
        yield heading("Targets")
        yield indented(_targets(program))
    if program.accepts:
        yield heading("Accepted")
        yield indented(pairs([_accepted(each) for each in program.accepts]))
    if unix := list(_unix(program)):
        yield heading("UNIX sockets")
        yield indented(pairs(unix))
    if program.cpu is not None:
        yield heading("CPU")
        yield indented(pairs(list(_cpu(program.cpu))))


def _cpu(cpu: ProgramCpu) -> Iterator[tuple[str, str]]:
    yield plural(cpu.threads, "thread"), f"ran {seconds(cpu.ran_s)}, waited {seconds(cpu.waited_s)} for a core"
    if cpu.threads > 1 and (busiest := cpu.busiest) is not None:
        told = f"ran {seconds(busiest.ran_s)}, waited {seconds(busiest.waited_s)} of {seconds(busiest.seen_s)}"
        yield "the busiest", f"{told} (pid {busiest.pid}, tid {busiest.tid})"


def _unix(program: Program) -> Iterator[tuple[str, str]]:
    if program.unix_connects:
        yield "connects", _with_failures(count(program.unix_connects), program.unix_failures or [])
    for other in program.unix_refused or ():
        yield clean(other.words), f"{other.count:,} EAGAIN"
    for queue in program.unix_queues or ():
        full = f", full in {queue.full_looks:,} of {plural(queue.looks, 'look')}" if queue.full_looks else ""
        owner = f", {clean(queue.owners[0].words)}" if queue.owners else ""
        yield clean(queue.address), f"{places(queue.worst_depth, room(queue.limit))} used at worst{full}{owner}"


def _accepted(listener: ProgramAccepts) -> tuple[str, str]:
    name = listener.listener or "a listener that was closed soon"
    return clean(name), _with_failures(count(listener.accepted), listener.failures)


def _with_failures(text: str, failures: list[Failure]) -> str:
    return ", ".join([text, *(f"{failure.count:,} {clean(failure.kind.reason)}" for failure in failures)])


def _targets(program: Program) -> Table:
    figures = ("most open", "met") if program.sampled else ("attempted", "connected", "resets", "sent again")
    table = columns(header=True)
    table.add_column("target", no_wrap=True)
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("failed", style="red", overflow="fold")
    for target in program.targets:
        numbers = (target.most_open, target.seen) if program.sampled else _traced(target)
        where = endpoint(target.address, target.port) if target.port else "all beyond"
        failed = _with_failures("", target.failures or []).removeprefix(", ")
        table.add_row(Text(clean(where)), *(count(number) for number in numbers), Text(failed))
    return table


def _traced(target: ProgramTarget) -> tuple[int | None, ...]:
    resets = None if target.resets_received is None else target.resets_received + (target.resets_sent or 0)
    return target.attempted, target.connected, resets, target.packets_resent
