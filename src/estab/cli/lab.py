"""`estab lab list`, `estab lab run`, `estab lab twin`."""

from __future__ import annotations

import sys

from cyclopts import App

from estab.cli.options import DEFAULT_OUTPUT, OutputFlags
from estab.cli.show import OK, JsonFile, console

lab = App(
    name="lab",
    help_epilogue="`estab lab run all` runs every scenario. Needs no root; changes nothing on the host, and leaves "
    "nothing behind.",
)
lab.command("estab.cli.lab:list_", name="list", sort_key=0)
lab.command("estab.cli.lab_run:run", name="run", sort_key=1)
lab.command("estab.cli.lab_twin:twin", name="twin", sort_key=2)


def list_(*name: str, output: OutputFlags = DEFAULT_OUTPUT) -> int:
    """List the scenarios, or the settings of some.

    Example: estab lab list cookie_reset

    Parameters
    ----------
    name
        Scenarios whose settings to explain. Default: list all scenarios.
    output.json
        Write the result as JSON (estab.lab-list/1) to this file; `-` is standard output, which then gets nothing
        else.
    """
    from estab.lab.run.listing import listed
    from estab.report.lab_list import render_list

    json_file = JsonFile(output.json)
    scenarios = listed(name)
    json_file.write(scenarios)
    if output.shows_report:
        render_list(scenarios, console(), settings=bool(name))
        sys.stdout.flush()
    return OK
