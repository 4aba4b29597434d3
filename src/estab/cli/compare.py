"""`estab compare`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from estab.cli import input_file
from estab.cli.input_file import InputFile
from estab.cli.options import DEFAULT_OUTPUT, OUTPUT, OutputFlags
from estab.cli.output_file import OutputFile
from estab.cli.show import FAILED, OK, JsonFile, console
from estab.cli.values import File, Flag, Number
from estab.errors import UsageError

if TYPE_CHECKING:
    from estab.records.comparison import Comparison


def compare(
    a: InputFile,
    b: InputFile,
    /,
    *,
    fail_on: Annotated[str, Parameter(metavar="TERMS")] = "",
    strict: Flag = False,
    alpha: Number = 0.05,
    junit: Annotated[File | None, Parameter(group=OUTPUT)] = None,
    github: Annotated[Flag, Parameter(group=OUTPUT)] = False,
    markdown: Annotated[File | None, Parameter(allow_leading_hyphen=True, group=OUTPUT)] = None,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Compare two runs, or two directories of repeated runs: what differs, and is it more than noise?

    With repeats on both sides each difference is tested (Mann-Whitney U). At the default alpha about one unchanged
    figure in twenty looks changed: let a gate ask for a size too. Exit code 1 if a term of --fail-on fires, 0
    otherwise.

    --fail-on takes terms separated by commas. "p99>+10%" compares B with A, "p99>5ms" bounds B itself, "failures>+3" is
    B minus A; with < > <= >=. "cause" fires if B has a cause that A does not. Figures: p50 p90 p99 p999 mean max (of
    the request, else of the connect; or connect.p99), throughput, connects_per_s, bytes_per_s, attempted, connected,
    accepted, first_byte, completed, failures, failures.connect.ETIMEDOUT, late, ghosts, queue_depth, listener_drops,
    listen_overflows. A bound on a count is held against the worst run of B, all others against the median.

    Example: estab compare before after --fail-on "p99>+10%,failures>0,throughput<-5%,cause"

    Parameters
    ----------
    a
        The runs before: a file written by --json, `-` for standard input, or a directory of such files (--repeat 5
        --json before).
    b
        The runs after, in the same way.
    fail_on
        When to exit with 1: "p99>+10%,failures>0,throughput<-5%,cause".
    strict
        Let relative terms fire on differences that are within noise, too.
    alpha
        A difference is called more than noise if chance alone would make it with less than this probability.
    junit
        Write JUnit XML to this file, with a test case for each term.
    github
        Print GitHub annotations: ::error for each term that fired, ::warning for notes.
    markdown
        Write Markdown for a pull request to this file; `-` is standard output.
    output.json
        Write the comparison as JSON (estab.comparison/1) to this file; `-` is standard output, which then gets
        nothing else.
    """
    from estab.api.compare import compare as hold_against

    if "-" in (output.json, markdown) and (github or output.json == markdown):
        raise UsageError("standard output takes one of --json -, --markdown - and --github; give the others a file")
    input_file.check([a, b])
    json_file = JsonFile(output.json)
    files = [OutputFile("--junit", junit), OutputFile("--markdown", markdown)]
    comparison = hold_against(a, b, fail_on=fail_on, strict=strict, alpha=alpha)
    json_file.write(comparison)
    _write(comparison, *files)
    if not output.quiet and "-" not in (output.json, markdown):
        _show(comparison)
    if github:
        from estab.report.annotations import workflow_commands

        print("\n".join(workflow_commands(comparison)))
    sys.stdout.flush()
    return FAILED if any(term.fired for term in comparison.gate) else OK


def _write(comparison: Comparison, junit_file: OutputFile, markdown_file: OutputFile) -> None:
    if junit_file.path is None and markdown_file.path is None:
        return
    from estab.report.compare_markdown import markdown as as_markdown
    from estab.report.junit import junit as as_junit

    text = as_markdown(comparison)
    markdown_file.write(text.encode())
    if junit_file.path is not None:
        junit_file.write(as_junit(comparison, text))


def _show(comparison: Comparison) -> None:
    from estab.report.compare import render_comparison

    render_comparison(comparison, console())
