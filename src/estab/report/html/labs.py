"""What `estab lab run` recorded: predicted beside measured, and a sweep drawn where the figures are one. Pure."""

from __future__ import annotations

import re
from typing import Any

from estab.records.lab import LabRemedy, LabResult, LabScenario
from estab.report.html.charts import several
from estab.report.html.plot import Plot
from estab.report.html.table import table
from estab.report.words import clean, seconds
from estab.words import plural

_STATUS = {
    "as_predicted": ("as predicted", "good"),
    "differs": ("differs from the prediction", "bad"),
    "cannot_run": ("cannot run here", "open"),
    "failed": ("failed", "bad"),
}
_SIZED = re.compile(r"(.*?)\s*\b(\d[\d,]*)")


def view(title: str, lab: LabResult) -> dict[str, Any]:
    """The lab's words, and each scenario's with its plots."""
    good = sum(scenario.status == "as_predicted" for scenario in lab.scenarios)
    bad = any(scenario.status in ("differs", "failed") for scenario in lab.scenarios)
    names = " ".join(scenario.name for scenario in lab.scenarios)
    return {
        "tone": "bad" if bad else "good",
        "eyebrow": f"estab lab · {clean(title)} · Linux {clean(lab.kernel)} · {seconds(lab.seconds, 'µs')}",
        "summary": f"{good} of {plural(len(lab.scenarios), 'scenario')} as predicted."
        + (" The run was interrupted." if lab.interrupted else ""),
        "scenarios": [_scenario(scenario) for scenario in lab.scenarios],
        "repeat": clean(f"estab lab run {names if len(lab.scenarios) <= 4 else 'all'}"),
    }


def _scenario(scenario: LabScenario) -> dict[str, Any]:
    status, tone = _STATUS[scenario.status]
    return {
        "name": clean(scenario.name),
        "status": status,
        "tone": tone,
        "symptom": clean(scenario.symptom),
        "why": clean(scenario.why or ""),
        "verdict": clean(f"Verdict: {scenario.cause or 'no cause'}. {scenario.summary}")
        if scenario.summary or scenario.cause
        else "",
        "rows": [(clean(row.what), clean(row.predicted), clean(row.measured), row.agrees) for row in scenario.rows],
        "remedies": [_remedy(remedy) for remedy in scenario.remedies],
        "plots": plots(scenario),
    }


def _remedy(remedy: LabRemedy) -> dict[str, str]:
    mark = {True: "works", False: "does nothing", None: "not tried"}[remedy.works]
    tone = (
        "" if remedy.works is None else "bad" if remedy.works != remedy.claimed else "good" if remedy.works else "open"
    )
    return {"mark": mark, "tone": tone, "command": clean(remedy.command), "text": clean(remedy.text)}


def plots(scenario: LabScenario) -> list[Plot]:
    """The sweep of a scenario: rows that differ in one number of their name, and measure one."""
    families: dict[str, list[tuple[str, int, int, int | None]]] = {}
    for row in scenario.rows:
        named, measured = _SIZED.search(row.what), _whole(row.measured)
        if named is not None and measured is not None:
            stem = row.what[: named.start(2)] + "…" + row.what[named.end(2) :]
            size = int(named[2].replace(",", ""))
            families.setdefault(stem, []).append((row.what, size, measured, _whole(row.predicted)))
    sweeps: list[Plot] = []
    for stem, rows in families.items():
        if len(rows) >= 3 and len({size for _, size, _, _ in rows}) == len(rows):
            sweeps.append(_sweep(stem, rows, len(sweeps)))
    return sweeps


def _sweep(stem: str, rows: list[tuple[str, int, int, int | None]], number: int) -> Plot:
    rows = sorted(rows, key=lambda row: row[1])
    cells = [(clean(what), size, measured, predicted) for what, size, measured, predicted in rows]
    top = max(max(size, measured) for _, size, measured, _ in rows) * 1.08
    name = "sweep" if number == 0 else f"sweep{number + 1}"
    tables = [
        table("sweep", ("what", "size", "reached", "predicted"), cells),
        table("even", ("size", "reached"), [(0, 0), (top, top)], drawn_only=True),
    ]
    title = clean(f"Sweep: {stem.replace('…', 'so many')}")
    caption = "Each dot is one run. On the dashed line what was reached is what was set."
    return Plot(name, title, caption, tables, several.sweep("set", "reached", top))


def _whole(text: str) -> int | None:
    digits = text.replace(",", "").strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None
