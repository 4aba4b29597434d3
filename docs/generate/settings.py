"""The settings of programs that remedies name, as a page: made of the data that they are made of."""

from __future__ import annotations

from estab.diagnose.advice import programs
from estab.diagnose.advice.programs import Setting

INTRODUCTION = """\
What remedies say for the programs that are known by the name of a process or of its systemd unit. N is a number of
connections. Each links to where the program's makers say so; a distribution's own configuration may differ."""
KINDS = {
    "backlog": ("Backlog", "What a program hands to listen(). The kernel cuts it to `net.core.somaxconn`."),
    "connections": ("Connections at once", "How many it keeps, or serves. No counter of the kernel knows of it."),
    "idle": ("Idle time", "How long it keeps a connection that is silent."),
    "workers": ("Workers", "How many of its processes or threads accept, each as fast as one can."),
}


def pages() -> dict[str, str]:
    """`reference/settings.md`."""
    return {
        "reference/settings.md": "\n\n".join(["# Settings of programs", INTRODUCTION, *map(_section, KINDS)]) + "\n"
    }


def _section(kind: str) -> str:
    title, text = KINDS[kind]
    known = [(program.name, getattr(program, kind)) for program in programs.known()]
    rows = [_row(name, setting) for name, setting in known if setting is not None]
    return "\n".join(
        [f"## {title}\n\n{text}\n", "| program | setting | where | otherwise |", "|---|---|---|---|", *rows]
    )


def _row(name: str, setting: Setting) -> str:
    typed, where = setting.named()
    return f"| [{name}]({setting.source}) | `{typed}` | {where} | {setting.default} |"
