"""The lab's scenarios with every setting that `--set` changes."""

from __future__ import annotations

from estab.lab.parts import scenario, settings
from estab.lab.parts.scenario import Scenario
from estab.records.lab import LabSetting


def pages() -> dict[str, str]:
    """`reference/scenarios.md`."""
    return {"reference/scenarios.md": _page()}


def _page() -> str:
    parts = [
        "# Scenarios and their settings",
        "Made from the lab's own files. `estab lab list` says the same, and whether a scenario can run on this "
        "machine. [The lab](../lab.md) says what a scenario is.",
        *(_one(name, scenario.find(name)) for name in scenario.names()),
    ]
    return "\n\n".join(parts) + "\n"


def page_of(name: str, one: type[Scenario]) -> str:
    """The hand-written page of a scenario, below `docs`: its cause's, or its own where it has another name."""
    return f"causes/{name}.md" if name == one.cause else f"scenarios/{name}.md"


def _one(name: str, one: type[Scenario]) -> str:
    named = f"`{one.cause}`" if one.cause else "none"
    rows = "\n".join(_setting(found) for found in settings.parameters(one))
    table = f"| setting | default | what it is |\n|---|---|---|\n{rows}" if rows else "It has no settings."
    return (
        f"## {name}\n\nSymptom: {one.symptom}.\n\n"
        f"Cause: {named}. Side: {one.side}. About {one.seconds:g} s. [More](../{page_of(name, one)})\n\n{table}"
    )


def _setting(one: LabSetting) -> str:
    default = f"{one.default:g}s" if one.kind == "seconds" and isinstance(one.default, int | float) else one.default
    return f"| `{one.key}` | `{str(default).lower() if one.kind == 'bool' else default}` | {one.text} |"
