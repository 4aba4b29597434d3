"""How a command is called: what it takes by its place, as its help, its page and the manual name it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.argument import Argument


def shown(command: App) -> list[Argument]:
    """All that a command takes and its help lists, with what its docstring says of each."""
    arguments = command.assemble_argument_collection(parse_docstring=True)
    return [argument for argument in arguments if argument.parse and argument.show]


def options_of(argument: Argument) -> list[str]:
    """The names with hyphens; none for what is taken by its place."""
    return [name for name in argument.names if name.startswith("-")]


def label(argument: Argument) -> str:
    """What is taken by its place: TARGET, or FILE... where there may be several."""
    return argument.names[0].upper() + ("..." if argument.is_var_positional() else "")


def usage(command: App) -> str:
    """What follows a command's name, as `[OPTIONS] [TARGET]`: in brackets what may be left out."""
    words = []
    for argument in shown(command):
        if argument.index is not None and not options_of(argument):
            words.append(label(argument) if argument.required else f"[{label(argument)}]")
    return " ".join(["[OPTIONS]", *words])
