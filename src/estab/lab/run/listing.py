"""The scenarios that there are, and whether each can run here."""

from __future__ import annotations

from collections.abc import Sequence

from estab import __version__
from estab.lab.parts.scenario import find, names
from estab.lab.parts.settings import parameters
from estab.lab.process.isolation import why_no_namespaces
from estab.records.lab import LabEntry, LabList


def listed(wanted: Sequence[str] = ()) -> LabList:
    """Those of these names, or all. Raises UsageError for a name that there is not."""
    chosen = list(dict.fromkeys(names() if not wanted or "all" in wanted else wanted))
    none_here = why_no_namespaces()
    return LabList(scenarios=[_entry(name, none_here) for name in chosen], estab_version=__version__)


def _entry(name: str, none_here: str | None) -> LabEntry:
    scenario = find(name)
    return LabEntry(
        name=name,
        symptom=scenario.symptom,
        cause=scenario.cause,
        side=scenario.side,
        seconds=scenario.seconds,
        why_not=scenario.why_not() or none_here,
        settings=parameters(scenario),
    )
