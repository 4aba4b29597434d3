"""Records in, something a person reads out. `rich` is imported here and nowhere else."""

from estab.report.text import render, render_diagnosis

__all__ = ["render", "render_diagnosis"]
