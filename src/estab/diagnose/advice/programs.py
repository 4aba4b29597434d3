"""Programs by the name of their processes, and where each has its own limits: backlog, connections, idle time.

A limit of the program's own is in no counter of the kernel: only its setting raises it. They are data, each with its
source: `programs.toml` beside this, read when a remedy first asks.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import cache

import msgspec

from estab.kernel.formats.endpoint import UNIX, is_unix
from estab.records import Process


class Setting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One setting of a program, as it is typed: with `{size}`, `{port}`, `{seconds}` and `{ms}` in it.

    `file`: where it stands; empty: it is an option of the command or a line of the program's own code. `then`: what
    makes it count. `at_once`: the command that sets it in the running program, where there is one. `comment`: what
    begins a comment there. `default`: what holds otherwise, in words. `source`: where the program's makers say so.
    `short`: how it is called where many programs are listed; empty: it is not among these. `unix`: the setting for a
    UNIX socket, with `{path}` in it, where that is another one.
    """

    setting: str
    default: str
    source: str
    file: str = ""
    then: str = ""
    at_once: str = ""
    comment: str = "#"
    short: str = ""
    unix: str = ""

    def at(self, size: int, port: int | str = "PORT") -> str:
        """The line to paste, for so many connections. `port` may be a UNIX socket, as `unix:/path`."""
        if self.unix and is_unix(str(port)):
            return _filled(self.unix, size=size, path=str(port).removeprefix(UNIX))
        return self._line(size=size, port=port)

    def lasting(self, seconds: int, port: int | str = "PORT") -> str:
        """The line to paste, for so long a time."""
        return self._line(seconds=seconds, ms=seconds * 1000, port=port)

    def shortly(self, size: int | str = "N", port: int | str = "PORT") -> str:
        """What it is called among others."""
        return _filled(self.short, size=size, port=port)

    def named(self) -> tuple[str, str]:
        """What is typed, with N for a number of connections, and where, with what makes it count."""
        names = {"size": "N", "port": "PORT", "seconds": "SECONDS", "ms": "MILLISECONDS"}
        return _filled(self.at_once or self.setting, **names), _filled(self._where, **names)

    @property
    def _where(self) -> str:
        told = f"{self.file}, then {self.then}" if self.then else self.file
        return f"to stay: {self.setting} in {told}" if self.at_once else told

    def _line(self, **values: int | str) -> str:
        line, where = self.at_once or self.setting, self._where
        return _filled(f"{line}   {self.comment} {where}" if where else line, **values)


class KnownProgram(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program, known by patterns of the shell, in lower case.

    `comm`: for the names of its processes (proc_pid_comm(5): 15 bytes at most). `unit`: for its systemd unit, without
    `.service`; it decides where a name is that of an interpreter. `backlog`: what it hands to listen(). `connections`:
    how many it keeps at once. `idle`: how long it keeps one that is silent. `workers`: how many of
    its processes or threads accept. None: it has no such setting.
    """

    name: str
    comm: list[str]
    unit: list[str] = []
    backlog: Setting | None = None
    connections: Setting | None = None
    idle: Setting | None = None
    workers: Setting | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    program: list[KnownProgram]


@cache
def known() -> list[KnownProgram]:
    """Every program, in the file's order."""
    data = pkgutil.get_data(__package__, "programs.toml")
    assert data is not None
    return msgspec.toml.decode(data, type=_File).program


def of(processes: Iterable[Process]) -> list[KnownProgram]:
    """The programs that these processes are, each once, in the file's order."""
    seen = {program.name for process in processes for program in _of_process(process)}
    return [program for program in known() if program.name in seen]


def usual(setting_of: Callable[[KnownProgram], Setting | None]) -> list[tuple[str, Setting]]:
    """The programs that many have, by name, each with that setting of its own."""
    settings = ((program.name, setting_of(program)) for program in known())
    return [(name, setting) for name, setting in settings if setting is not None and setting.short]


def _of_process(process: Process) -> list[KnownProgram]:
    """By its unit, which somebody named; else by its own name, which may be that of an interpreter."""
    unit = (process.service.unit or "" if process.service is not None else "").removesuffix(".service").lower()
    name = (process.name or "").lower()
    named = [program for program in known() if _matches(unit, program.unit)]
    return named or [program for program in known() if _matches(name, program.comm)]


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _filled(text: str, **values: int | str) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
