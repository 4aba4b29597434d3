"""A page a command, from what `estab COMMAND --help` says and from the docstring that the help is made of."""

from __future__ import annotations

import inspect
import re
from typing import Any

from estab.cli.app import app
from estab.cli.commands import COMMANDS
from estab.cli.usage import usage

# Examples in the help that a test can't run as they stand, and why. Each becomes the marker of its block.
NOT_RUN = {
    "estab cluster": "it needs a Dask scheduler; tests/cluster does it with a real one in namespaces",
    "-n 60000": "opens 60,000 connections for half a minute",
    "ssh ": "needs another host with ssh",
    "man -l": "needs man, and shows a pager",
    "estab watch": "fills a terminal until q is pressed",
    "estab record": "goes on until Ctrl-C",
    "compare before": "needs two sets of runs; the page on CI makes them",
}
# Loads without bounds: on a slow machine a limit may be met, and that is no fault of the line.
EITHER = ("estab bench", "estab churn")
EXAMPLE = re.compile(r"^Example: (estab .+(?:\n(?!\n).+)*)", re.MULTILINE)


def pages() -> dict[str, str]:
    """`commands/index.md` and one page for each entry of COMMANDS."""
    made = {f"commands/{name}.md": _page(name) for name in COMMANDS}
    return {"commands/index.md": _index(), **made}


def _index() -> str:
    rows = "\n".join(f"| [`estab {name}`]({name}.md) | {text} |" for name, text in COMMANDS.items())
    return (
        "# Commands\n\n"
        "Each page here is made from the command's own help: `estab COMMAND --help` says the same.\n\n"
        f"| command | does |\n|---|---|\n{rows}\n\n"
        "TARGET is `HOST:PORT` or `[IPv6]:PORT`; `:PORT` or a port alone, on this host; a URL, of which host and port "
        "count; or the name of a program that listens on this host. Without it most commands bring a server of "
        "their own, on loopback. Counts are typed as `400`, `10k` or `1e6`, times as `500ms`, `10` (seconds) or `2m`, "
        "sizes as `1400` or `64k`.\n\n"
        "## Exit codes\n\n"
        "| code | meaning |\n|---|---|\n"
        "| 0 | nothing went wrong |\n"
        "| 1 | connections failed, or a limit was met; the verdict says which |\n"
        "| 2 | an argument that cannot be, or a file that cannot be read |\n"
        "| 3 | this machine can't do it; the message says what is missing and how to get it |\n"
        "| 130 | interrupted; the result until then is shown and written |\n"
    )


def _page(name: str) -> str:
    command = app[name]
    parts = [f"# estab {name}", COMMANDS[name]]
    if command.default_command is not None:
        parts += _about(command, name, "##")
    else:
        parts.append(command.help_epilogue)
        for sub in (word for word in command if not word.startswith("-")):
            one = command[sub]
            summary = inspect.cleandoc(one.default_command.__doc__ or "").partition("\n")[0]
            parts += [f"## estab {name} {sub}", summary, *_about(one, f"{name} {sub}", "###")]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(command: Any, name: str, heading: str) -> list[str]:
    """What stands below a command's title and its summary."""
    said, example = _docstring(command.default_command.__doc__)
    return [said, _example(example, heading), f"{heading} Usage", _usage(command, name, heading)]


def _docstring(text: str | None) -> tuple[str, str | None]:
    """What a docstring says beyond its first line, and its example."""
    if not text:
        return "", None
    text = inspect.cleandoc(text).partition("\nParameters\n---")[0]
    example = EXAMPLE.search(text)
    rest = EXAMPLE.sub("", text).partition("\n")[2].strip()
    return re.sub(r"\n{3,}", "\n\n", rest), " ".join(example[1].split()) if example else None


def _example(line: str | None, heading: str) -> str:
    if line is None:
        return ""
    why = next((reason for part, reason in NOT_RUN.items() if part in line), None)
    marker = f"<!-- not run: {why} -->\n" if why else ""
    if any(part in line for part in EITHER):
        marker = "<!-- exits 0 or 1, as fast as both ends can: a slow machine may meet a limit -->\n"
    return f"{heading} Example\n\n{marker}```sh\n{line}\n```"


def _usage(command: Any, name: str, heading: str) -> str:
    """The help's own words as markdown, by cyclopts; its title and summary stand above already."""
    text: str = command.generate_docs(usage_name=f"estab {name}", heading_level=2)
    text = re.sub(r"\n {4,}(?=\S)", " ", text)  # a wrapped docstring line is no code block
    end = text.index("```", text.index("```console") + 3) + 3
    shown = f"```text\nestab {name} {usage(command)}\n```"
    rest = text[end:].strip()
    first_group = re.search(r"^(\*\*|#)", rest, re.MULTILINE)
    rest = rest[first_group.start() :] if first_group else ""
    return f"{shown}\n\n{_lists(rest, heading)}".strip()


def _lists(text: str, heading: str) -> str:
    """Headings for the groups of options, so that the page has a table of contents."""
    return re.sub(r"^\*\*([^*]+)\*\*:$", rf"{heading}# \1", text, flags=re.MULTILINE)
