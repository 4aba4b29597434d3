"""The library's messages in the words of the command line: `in_flight`, a parameter there, is --in-flight here."""

from __future__ import annotations

import re

from cyclopts import App

_PARAMETER = re.compile(r"`([a-z][a-z_]*)`")
_UNIT = re.compile(r"_(?:per_s|s|bytes)$")
# What the library's name does not lead to by itself: what the command line may call it, the first that it has.
_NAMES = {
    "address": ("--cluster", "ADDRESS"),
    "captures": ("--pcap",),
    "command": ("--server",),
    "connections": ("--connections", "-n"),
    "host": ("--listen",),
    "kind": ("--serve", "SERVICE"),
    "max_bytes": ("--max-bytes",),
    "most": ("--connections",),
    "most_s": ("--find-idle",),
    "path": ("--record",),
    "port": ("--port", "--listen"),
    "reply_bytes": ("--reply-bytes",),
    "sources": ("--source",),
}


def in_flags(message: str, command: App) -> str:
    """The message with each parameter, which the library puts in backquotes, as `command` has it.

    What the command does not have stands in words.
    """
    if not _PARAMETER.search(message):
        return message
    known = {name for argument in command.assemble_argument_collection() for name in argument.names}
    return _PARAMETER.sub(lambda match: _named(match[1], known), message)


def _named(parameter: str, known: set[str]) -> str:
    words = _UNIT.sub("", parameter).replace("_", " ")
    names = (*_NAMES.get(parameter, ()), f"--{words.replace(' ', '-')}", parameter.upper())
    return next((name for name in names if name in known), words)
