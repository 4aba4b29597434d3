"""`estab lab twin`."""

from __future__ import annotations

from functools import partial

from estab.cli import input_file
from estab.cli.input_file import InputFile
from estab.cli.live_block import status_line
from estab.cli.options import DEFAULT_REPORT, ReportFlags
from estab.cli.show import FAILED, INTERRUPTED, OK, JsonFile, show, stoppable
from estab.cli.values import Number, Seconds, Whole


def twin(
    file: InputFile,
    /,
    *,
    scale: Number = 1.0,
    connections: Whole | None = None,
    rtt: Seconds | None = None,
    output: ReportFlags = DEFAULT_REPORT,
) -> int:
    """Rebuild a recorded failure in network namespaces, say how close it came, and try each remedy of its verdict.

    Exit code 1 if the twin did not show the recorded cause.

    Example: estab hold -n 60 -d 200ms --backlog 8 --accept-delay 50ms --json run.json; estab lab twin run.json

    Parameters
    ----------
    file
        A recorded run (--json FILE) or snapshots (estab observe); `-` is standard input.
    scale
        Scale the connections and every limit (backlog, descriptors, ports) by this factor (0.1).
    connections
        How many clients, instead of what the record says (snapshots only imply it).
    rtt
        The round-trip time between the hosts, instead of what the record says (20ms).
    output.json
        Write the result as JSON (estab.twin/1) to this file; `-` is standard output, which then gets nothing else.
    """
    from estab.api.files import read_record
    from estab.lab.twin.session import twin as rebuild
    from estab.report.answer.twin import answer_twin, brief_twin
    from estab.report.twin import render_twin

    input_file.check((file,))
    json_file = JsonFile(output.json)
    record = read_record(file)  # a pipe may never come to its end: Ctrl-C must still end all at once
    with stoppable() as stop, status_line(output) as say:
        result = rebuild(
            file, scale=scale, connections=connections, rtt_s=rtt, record=record, stop=stop,
            told=lambda stage: say(f"twin  ·  {stage}"),
        )  # fmt: skip
    json_file.write(result)
    show(output, partial(brief_twin, result), partial(answer_twin, result), partial(render_twin, result))
    if result.interrupted:
        return INTERRUPTED
    return OK if result.same_cause else FAILED
