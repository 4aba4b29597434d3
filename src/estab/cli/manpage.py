"""estab(1) in roff, from the commands' own docstrings and options: the same version gives the same bytes.

roff: groff_man(7), man-pages(7).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cyclopts import App
from cyclopts.argument import Argument

from estab import __version__
from estab.cli.usage import label, options_of, shown, usage

_CODES = (
    ("0", "Nothing went wrong."),
    ("1", "Connections failed, a limit was met, or a term of --fail-on fired."),
    ("2", "An argument that cannot be, or a file that cannot be read."),
    ("3", "This machine can't do it; the message says what is missing."),
    ("130", "Interrupted; the result until then is shown and written."),
)


def page() -> str:
    """The whole page."""
    from estab.cli.app import app
    from estab.cli.commands import COMMANDS

    lines = [f'.TH ESTAB 1 "" "estab {__version__}" "User Commands"']
    lines += [".SH NAME", "estab \\- why TCP connections fail, and how many there can be"]
    lines += [".SH SYNOPSIS", ".B estab", ".I COMMAND", ".RI [ OPTIONS ]"]
    lines += [".SH DESCRIPTION", escaped(DESCRIPTION), ".SH COMMANDS"]
    for name in COMMANDS:
        lines += _command(name, app[name])
    lines += [".SH EXIT STATUS"]
    for code, meaning in _CODES:
        lines += [".TP", f".B {code}", escaped(meaning)]
    lines += [".SH SEE ALSO", ".BR ss (8),", ".BR nstat (8),", ".BR tcp (7),", ".BR listen (2)"]
    return "\n".join(lines) + "\n"


DESCRIPTION = (
    "estab loads a TCP server, watches the Linux kernel meanwhile, and says why connections fail and how many there "
    "can be. It names at most one limit, with the evidence for it and against every other suspect, what to do, and "
    "what would do nothing. TARGET is HOST:PORT, [IPv6]:PORT, :PORT, a URL, unix:/path, or the name of a program "
    "that listens on this host; without it, a server of its own on loopback is loaded. "
    "Nothing of the host is changed."
)


def _command(name: str, command: App) -> Iterator[str]:
    """A command, and its sub-commands where it has some."""
    yield f".SS estab {escaped(name)}"
    if command.default_command is None:
        for paragraph in (command.help, command.help_epilogue):
            yield from (".PP", escaped(_plain(paragraph or "")))
        for sub in command:
            if not sub.startswith("-"):
                yield from _command(f"{name} {sub}", command[sub])
        return
    arguments = shown(command)
    yield f".B estab {escaped(name)}"
    yield f".I {escaped(usage(command))}"
    yield from _help(command)
    for argument in sorted(arguments, key=lambda argument: bool(options_of(argument))):
        yield ".TP"
        yield f".B {escaped(_named(argument))}"
        yield escaped(_told(argument))


def _named(argument: Argument) -> str:
    """The option's names with what follows them."""
    if not options_of(argument):
        return label(argument)
    names = sorted(options_of(argument), key=lambda name: name.startswith("--"))
    value = "" if argument.is_flag() else f" {argument.parameter.metavar or '|'.join(argument.get_choices() or ())}"
    return ", ".join(names) + value


def _told(argument: Argument) -> str:
    text = _plain(argument.parameter.help or "")
    choices = argument.get_choices() or ()
    if choices:
        text += f" Choices: {', '.join(choices)}."
    default = argument.field_info.default
    if "Default" not in text and isinstance(default, int | float | str) and not isinstance(default, bool) and default:
        text += f" Default: {default:g}." if isinstance(default, float) else f" Default: {default}."
    return text.strip() or "-"


def _help(command: App) -> Iterator[str]:
    """The help's paragraphs, without what lists the parameters; an example stands by itself."""
    text = command.default_command.__doc__ or "" if command.default_command else ""
    for paragraph in re.split(r"\n\s*\n", text.partition("Parameters\n")[0].strip()):
        said = _plain(paragraph)
        yield ".PP"
        if said.startswith("Example:"):
            yield "Example:"
            yield from (".EX", escaped(said.removeprefix("Example:").strip()), ".EE")
        else:
            yield escaped(said)


def _plain(text: str) -> str:
    """One line without the help's own markup."""
    return " ".join(text.replace("`", "").split())


def escaped(text: str) -> str:
    """Text in which nothing is a request or an escape of roff; a hyphen stays one that can be pasted."""
    safe = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...").replace("'", "\\(aq").replace("`", "\\(ga")
    safe = safe.replace("^", "\\(ha").replace("~", "\\(ti").replace('"', "\\(dq")
    return f"\\&{safe}" if safe.startswith(".") else safe
