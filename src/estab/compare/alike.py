"""Whether two sides can be compared at all: what was asked and where it ran, held against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from estab.compare.ranks import runs_needed
from estab.records import RunResult
from estab.records.comparison import ComparedRuns, Difference

_NOT_SAID = "not set"


def facts(run: RunResult) -> dict[str, str]:
    """What should be alike: the command, each setting, the engine, the host. A port that was picked is left out."""
    config = {key: value for key, value in run.config.items() if value is not None}
    if config.get("embedded"):
        config.pop("target", None)  # a free port, another one each time
    config.pop("embedded", None)
    alike = {"command": run.command, **{key: _text(value) for key, value in sorted(config.items())}}
    if run.config.get("embedded"):
        alike["target"] = "embedded server"
    alike |= {"engine": run.engine, "estab": run.estab_version or "unknown"}
    host = {"kernel": run.host.kernel, "cores": run.host.cores, "host": run.host.hostname}
    return alike | {key: str(value) for key, value in host.items() if value is not None}


def _text(value: object) -> str:
    if isinstance(value, list):
        return f"{len(value)} of them" if len(value) > 3 else ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def differences(a: Sequence[RunResult], b: Sequence[RunResult]) -> list[Difference]:
    """What is not alike on both sides, the command first. Where a side varies within itself, all its values stand."""
    left, right = [facts(run) for run in a], [facts(run) for run in b]
    keys = list(dict.fromkeys(key for run_facts in (*left, *right) for key in run_facts))
    if not {run_facts["command"] for run_facts in left} & {run_facts["command"] for run_facts in right}:
        # Of another command only what both can be asked is worth a line.
        keys = [key for key in keys if all(key in run_facts for run_facts in (*left, *right))]
    values = [(key, _values(left, key), _values(right, key)) for key in keys]
    return [Difference(what=key, a=first, b=second) for key, first, second in values if first != second]


def _values(side: Sequence[dict[str, str]], key: str) -> str:
    return " or ".join(sorted({run_facts.get(key, _NOT_SAID) for run_facts in side}))


def compared_runs(name: str, runs: Sequence[RunResult], files: Sequence[str]) -> ComparedRuns:
    """One side in short. Its command is the first run's."""
    causes = Counter(cause(run) for run in runs)
    return ComparedRuns(
        name=name,
        runs=len(runs),
        command=runs[0].command,
        files=list(files),
        causes=dict(sorted(causes.items(), key=lambda item: (-item[1], item[0]))),
    )


def cause(run: RunResult) -> str:
    """The judge's cause, "" for none, "?" where the run was not judged."""
    return "?" if run.diagnosis is None else run.cause or ""


def notes(a: Sequence[RunResult], b: Sequence[RunResult], alpha: float) -> list[str]:
    """What bounds the answer, in sentences."""
    sentences = [_about_kind(a, b)]
    for name, runs in (("A", a), ("B", b)):
        varied = [key for key in dict.fromkeys(key for run in runs for key in facts(run)) if _varies(runs, key)]
        if varied:
            sentences.append(f"The runs of {name} are not alike: {', '.join(varied)} differ within it.")
        stopped = sum(run.interrupted for run in runs)
        if stopped:
            sentences.append(f"{_of(stopped, runs)} of {name} {'was' if stopped == 1 else 'were'} interrupted.")
        lost = sum(bool(run.lost_workers) for run in runs)
        if lost:
            sentences.append(f"{_of(lost, runs)} of {name} lost a worker process.")
    sentences.append(_about_noise(len(a), len(b), alpha))
    return [sentence for sentence in sentences if sentence]


def _of(some: int, runs: Sequence[RunResult]) -> str:
    return "The only run" if len(runs) == 1 else f"{some} of {len(runs)} runs"


def _varies(runs: Sequence[RunResult], key: str) -> bool:
    return len({facts(run).get(key) for run in runs}) > 1


def _about_kind(a: Sequence[RunResult], b: Sequence[RunResult]) -> str:
    kinds = [{f"{run.command} {run.config.get('mode') or ''}".strip() for run in runs} for runs in (a, b)]
    if kinds[0] == kinds[1]:
        return ""
    left, right = (" and ".join(sorted(kind)) for kind in kinds)
    return f"Not the same kind of run: A is {left}, B is {right}. Differences say little."


def _about_noise(n: int, m: int, alpha: float) -> str:
    enough = runs_needed(alpha)
    if min(n, m) < 2:
        whose = "each side has one run" if max(n, m) < 2 else f"{'A' if n < 2 else 'B'} has one run"
        return (
            f"Noise can't be told apart: {whose}, and only repeats show how much a figure varies by itself. "
            f"Record each side with --repeat {enough + 1}."
        )
    if min(n, m) < enough:
        return (
            f"With {n} and {m} runs no difference can reach p <= {alpha:g}. It counts as one where the runs of A and B "
            f"do not overlap at all; --repeat {enough} settles it."
        )
    return ""
