"""`estab report`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from estab.cli import input_file
from estab.cli.input_file import InputFile
from estab.cli.live_block import status_line
from estab.cli.options import OUTPUT, OutputFlags
from estab.cli.output_file import OutputFile
from estab.cli.show import OK
from estab.cli.values import Directory, File, Flag, Moment
from estab.errors import UsageError
from estab.words import plural

if TYPE_CHECKING:
    from estab.report.html.subject import Material


_MARKDOWN = (".md", ".markdown")
# What else a name may promise, and what gives it.
_INSTEAD = {
    ".png": "give --png a directory, which gets every plot",
    ".svg": "give --svg a directory, which gets every plot",
    ".pdf": "write .html, which a browser prints",
    ".json": "the record is JSON as it is",
}


def report(
    *file: InputFile,
    page: Annotated[File | None, Parameter(name=("--output", "-o"), allow_leading_hyphen=True, group=OUTPUT)] = None,
    png: Annotated[Directory | None, Parameter(group=OUTPUT)] = None,
    svg: Annotated[Directory | None, Parameter(group=OUTPUT)] = None,
    markdown: Annotated[Flag, Parameter(group=OUTPUT)] = False,
    pcap: Annotated[list[str] | None, Parameter(negative="", metavar="FILE")] = None,
    since: Moment | None = None,
    until: Moment | None = None,
    quiet: Annotated[Flag, Parameter(name=("--quiet", "-q"), group=OUTPUT)] = False,
) -> int:
    """Make one self-contained HTML page of recorded runs: the verdict, its evidence, and the plots.

    Give one run, or several: before and after, or a series of sizes. A recording (`estab record`, `estab observe`,
    `estab watch --record`) becomes plots over time with its episodes. A twin's record (`estab lab twin FILE
    --json twin.json`) beside its run shows each remedy before and after.

    HTML, PNG and SVG need the extra `report`; --markdown does not.

    Example: estab hold 10.0.0.5:5000 -n 400 --json run.json; estab report run.json -o report.html

    Parameters
    ----------
    file
        Recorded runs, snapshots, labs (estab lab run --json) and twins, or the directory of `estab record`; `-` is
        standard input.
    page
        The page to write; Markdown if its name ends in .md; `-` is standard output. Default: report.html, unless
        another output is given.
    png
        Write every plot as PNG into this directory.
    svg
        Write every plot as SVG into this directory.
    markdown
        Print the report as Markdown, for an issue or a chat. To a file: -o FILE.md.
    pcap
        A capture of the run (pcapng or pcap): its SYNs are plotted beside the kernel's rule, and the page includes it.
    since
        Of a recording: only from this moment on (02:13, 02:13:04, 2026-11-26T03:00), in UTC. A time of day is the last
        one before the recording's end. The shorter the time, the finer the plots.
    until
        Of a recording: only to this moment. A time of day is the first one after --since.
    quiet
        Do not print what was written.
    """
    from estab.api.directory import make_directory
    from estab.api.report import html, material, pictures
    from estab.api.report import markdown as as_markdown

    folders: list[tuple[Literal["png", "svg"], Path]] = []
    folders += [("png", make_directory(png, "pictures (--png)"))] if png is not None else []
    folders += [("svg", make_directory(svg, "pictures (--svg)"))] if svg is not None else []
    if page is None and not folders and not markdown:
        page = "report.html"
    if markdown and page == "-":
        raise UsageError("standard output takes one of -o - and --markdown; give the page a file")
    input_file.check([*file, *(pcap or ())])
    target = OutputFile("-o", page)
    suffix = Path(page or "").suffix.lower()
    if suffix in _INSTEAD:
        raise UsageError(f"-o {page}: a report is HTML or Markdown; {_INSTEAD[suffix]}")
    written = []
    with status_line(OutputFlags(quiet=quiet)) as told:
        told(f"reading {plural(len(file), 'file')}")
        given: Material = material(file, captures=pcap or (), since=since, until=until)
        told(f"drawing {plural(len(given.subjects) + len(given.labs), 'record')}")
        if page is not None:
            data = (as_markdown(given) if suffix in _MARKDOWN else html(given)).encode()
            target.write(data)
            written.append((page, len(data)))
        for kind, folder in folders:
            for name, data in pictures(given, kind):
                told(f"drawing {folder / name}")
                OutputFile(f"--{kind}", str(folder / name)).write(data)
                written.append((str(folder / name), len(data)))
    if markdown:
        sys.stdout.buffer.write(as_markdown(given).encode())  # UTF-8, whatever the locale
        sys.stdout.flush()
    if not quiet:
        from estab.report.words import clean

        where = sys.stderr if markdown or page == "-" else sys.stdout
        for path, size in written:
            print(f"wrote {clean(path)}, {size / 1000:,.0f} kB", file=where)
    return OK
