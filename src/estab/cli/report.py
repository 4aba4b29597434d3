"""`estab report`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from estab.cli.options import OUTPUT
from estab.cli.show import OK
from estab.errors import UsageError

if TYPE_CHECKING:
    from estab.report.html.subject import Material


def report(
    *files: str,
    page: Annotated[str | None, Parameter(name=("--output", "-o"), group=OUTPUT)] = None,
    png: Annotated[str | None, Parameter(group=OUTPUT)] = None,
    svg: Annotated[str | None, Parameter(group=OUTPUT)] = None,
    markdown: Annotated[bool, Parameter(negative="", group=OUTPUT)] = False,
    pcap: Annotated[list[str] | None, Parameter(negative="")] = None,
    quiet: Annotated[bool, Parameter(name=("--quiet", "-q"), negative="", group=OUTPUT)] = False,
) -> int:
    """Make one self-contained HTML page of recorded runs: the verdict, its evidence, and every plot behind it.

    One run, or several: before and after, or a sweep over sizes. Snapshots (`estab observe`) become plots over time. A
    twin's record (`estab lab twin FILE --json twin.json`) given beside its run shows each remedy before and after.

    HTML, PNG and SVG need the extra estab[report]; --markdown does not.

    Example: estab hold 10.0.0.5:5000 -n 400 --json run.json; estab report run.json -o report.html

    Parameters
    ----------
    files
        Recorded runs, snapshots, labs (estab lab run --json) and twins.
    page
        The page to write. Default: report.html, unless something else is asked for.
    png
        A directory for every plot as PNG.
    svg
        A directory for every plot as SVG.
    markdown
        Print the report as Markdown, for an issue or a chat.
    pcap
        A capture of the run (pcapng or pcap): its SYNs are drawn beside the rule's, and the page carries it.
    quiet
        Say nothing of what was written.
    """
    from estab.api.report import html, material, pictures
    from estab.api.report import markdown as as_markdown

    folders: list[tuple[Literal["png", "svg"], Path]] = []
    folders += [("png", _folder("--png", png))] if png is not None else []
    folders += [("svg", _folder("--svg", svg))] if svg is not None else []
    target = _target(page, needed=not folders and not markdown)
    given: Material = material(files, captures=pcap or ())
    written = []
    if target is not None:
        written.append(_write(target, html(given).encode()))
    for kind, folder in folders:
        written += [_write(folder / name, data) for name, data in pictures(given, kind)]
    if markdown:
        sys.stdout.write(as_markdown(given))
        sys.stdout.flush()
    if not quiet:
        for path, size in written:
            print(f"wrote {path}, {size / 1000:,.0f} kB", file=sys.stderr if markdown else sys.stdout)
    return OK


def _target(page: str | None, *, needed: bool) -> Path | None:
    """Where the page goes, checked before anything is made. None: no page is asked for."""
    if page is None and not needed:
        return None
    path = Path(page if page is not None else "report.html")
    if path.is_dir():
        raise UsageError(f"can't write -o {path}: it is a directory")
    if not path.parent.is_dir():
        raise UsageError(f"can't write -o {path}: there is no directory {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"can't write -o {path}: permission denied")
    return path


def _folder(option: str, name: str) -> Path:
    path = Path(name)
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"can't write to {option} {name}: {error.strerror}; make its parent directory first"
        ) from error
    if not os.access(path, os.W_OK):
        raise UsageError(f"can't write to {option} {name}: permission denied")
    return path


def _write(path: Path, data: bytes) -> tuple[Path, int]:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise UsageError(f"can't write {path}: {error.strerror}") from error
    return path, len(data)
