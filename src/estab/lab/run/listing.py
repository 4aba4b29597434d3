"""The scenarios that there are, and whether each can run here."""

from __future__ import annotations

from collections.abc import Sequence

from estab import __version__
from estab.lab.parts.scenario import Parameter, find, names, parameters, why_not
from estab.lab.parts.settings import said
from estab.lab.process.isolation import why_no_namespaces
from estab.records.lab import LabEntry, LabList, LabSetting


def listed(wanted: Sequence[str] = ()) -> LabList:
    """Those of these names, or all. Raises UsageError for a name that there is not."""
    chosen = list(dict.fromkeys(names() if not wanted or "all" in wanted else wanted))
    none_here = why_no_namespaces()
    return LabList(scenarios=[_entry(name, none_here) for name in chosen], estab_version=__version__)


def _entry(name: str, none_here: str | None) -> LabEntry:
    found = find(name)
    return LabEntry(
        name=name,
        symptom=found.SYMPTOM,
        cause=found.CAUSE,
        side=found.SIDE,
        seconds=found.SECONDS,
        why_not=why_not(found) or none_here,
        settings=[_setting(one) for one in parameters(found)],
    )


def _setting(one: Parameter) -> LabSetting:
    bounds = one.bounds
    return LabSetting(
        key=one.key, field=one.field, kind=one.kind, default=one.default, takes=said(one.kind, bounds), text=one.text,
        least=bounds.least, most=bounds.most, choices=list(bounds.choices),
    )  # fmt: skip
