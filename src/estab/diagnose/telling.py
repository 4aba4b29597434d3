"""Which probe would tell whether a possible cause is the one, and the command that makes it. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from estab.diagnose import data_path, facts
from estab.diagnose.cause import Probe
from estab.diagnose.suspects import CAUSES
from estab.records import RunResult, Suspect

_TOLD_BY = {cause.id: cause.told_by for cause in CAUSES}
_LOADS = ("hold", "bench", "churn")
_ASKED = (("size_bytes", "--size"), ("http", "--http"), ("request", "--request"), ("until", "--until"),
          ("reply_bytes", "--reply-bytes"))  # fmt: skip


def wanted(run: RunResult) -> frozenset[Probe]:
    """The probes that would tell more of a run that failed, where no cause is confirmed."""
    diagnosis = run.diagnosis
    kinds = {Probe.SIZES} if data_path.asks_for_probe(run) else set[Probe]()
    if diagnosis is not None and diagnosis.cause is None:
        kinds |= _open(diagnosis.suspects)
        kinds |= {Probe.OTHER_PORT} if facts.connect_timeouts(run) else set()
    return frozenset(kinds | {Probe.OTHER_PORT} if Probe.HELD in kinds else kinds)


def hint(run: RunResult, suspects: Sequence[Suspect]) -> str | None:
    """What would tell which of the possible causes it is, as a sentence. None: no probe would, or they were made."""
    target = run.config.get("target")
    if run.probes is not None or not isinstance(target, str) or facts.unix_target(run) is not None:
        return None
    if run.config.get("embedded") is True or not (kinds := _open(suspects)):
        return None
    if Probe.HELD in kinds and run.command in _LOADS:
        return "The same command with --probe would tell."
    words = ["estab", "probe", target, *(_asked(run) if Probe.SIZES in kinds else ())]
    return f"`{shlex.join(words)}` would tell."


def _open(suspects: Sequence[Suspect]) -> frozenset[Probe]:
    """What would tell of those that are possible."""
    possible = (suspect.cause for suspect in suspects if suspect.verdict == "possible")
    return frozenset().union(*(_TOLD_BY.get(cause, ()) for cause in possible))


def _asked(run: RunResult) -> Iterator[str]:
    """What the run asked, as options."""
    for key, option in _ASKED:
        if (value := run.config.get(key)) is not None:
            yield from (option, str(value))
