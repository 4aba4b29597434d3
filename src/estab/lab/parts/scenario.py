"""What a scenario is: one module in `estab.lab.scenarios`, and the few words that it is written in.

A module offers, beside its docstring (symptom, mechanism, kernel source):

- `CAUSE` the cause that the judge must name, None where nothing may be accused; `SIDE`; `SYMPTOM`; `SECONDS` it takes;
- `Settings`, a frozen dataclass of `setting()`s, which `--set` changes;
- `predict(settings)`: figures by name, from `kernel/rules`, asked before anything runs;
- `play(act, settings)`: sets the stage, runs, and returns what was `Played`;
- `REMEDIES`: what people do about it, each played again with its changes;
- `CONTROL`: the changes that make it healthy; None where there is no such thing;
- optionally `FULL`, the changes that `--full` makes; `mended(played)`; `more(act, settings)` for figures of further
  runs; `sweep(act, settings)` for ceilings over sizes; `ALONE = True` where it needs the machine for itself;
  `OWN_SERVER`, why no server of the user's can take the place of its own; and `why_not()` where it can't run.
"""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

from estab.errors import UsageError
from estab.kernel.rules.interval import Interval
from estab.kernel.rules.kernel_version import KernelVersion, parse
from estab.lab.parts.settings import Range, fault, range_of
from estab.lab.stage.stage import AS_THEY_ARE, Stage, Sysctls
from estab.lab.wire import pcapng
from estab.lab.wire.spec import WireSpec
from estab.records import RunResult

Value = int | float | str | bool | None
Figure = Interval | Value
KERNEL: KernelVersion = parse(platform.release())


def setting(default: Any, text: str) -> Any:
    """A field of `Settings`: its default and what it is."""
    return field(default=default, metadata={"text": text})


@dataclass(frozen=True)
class Remedy:
    """What people do about it: the command, what is changed for it, and whether estab says that it works."""

    command: str
    works: bool
    changes: Mapping[str, Value]


@dataclass(frozen=True)
class Played:
    """What came of one play: the joined, judged run (None where no load ran), figures by name, and remarks."""

    run: RunResult | None
    measured: Mapping[str, Value] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A figure of a further run."""

    what: str
    predicted: Figure
    measured: Value


@dataclass(frozen=True)
class Ceiling:
    """One point of a sweep: the size that was set, and how many connections then were there."""

    what: str
    size: int
    predicted: int
    played: Played

    @property
    def found(self) -> int | None:
        """The connections that were there; None where no load ran."""
        return self.played.run.funnel.connected if self.played.run else None

    def row(self) -> Row:
        """As a figure beside others."""
        return Row(self.what, self.predicted, self.found)


class Act:
    """What a scenario may ask for while it plays: stages, and whether real time was asked for."""

    def __init__(
        self,
        name: str,
        *,
        full: bool = False,
        only_sweep: bool = False,
        captures: Path | None = None,
        command: str | None = None,
        tell: Callable[[str], None] = lambda _text: None,
        stay: Callable[[Stage], None] | None = None,
    ) -> None:
        self.name, self.full, self.command, self.tell = name, full, command, tell
        self.only_sweep = only_sweep
        self._stay = stay
        self._captures = captures
        self._played: dict[Any, Played] = {}
        self.files: list[str] = []

    def again(self, scenario: Scenario, settings: Any) -> Played:
        """What `scenario.play` gives with these settings; played once, and remembered."""
        if settings not in self._played:
            self._played[settings] = scenario.play(self, settings)
        return self._played[settings]

    @contextlib.contextmanager
    def stage(
        self, wire: WireSpec | None = None, *, client: Sysctls = AS_THEY_ARE, server: Sysctls = AS_THEY_ARE
    ) -> Iterator[Stage]:
        """A fresh stage; `wire` None joins the hosts by a wire that only relays. Its capture is written at the end."""
        spec = wire or WireSpec()
        if self._captures is not None:
            spec = _replace(spec, {"capture": True})
        with Stage(spec, client=client, server=server, command=self.command, stay=self._stay) as stage:
            try:
                yield stage
            finally:
                self._look_around(stage)
                self._write_capture(stage)

    @contextlib.contextmanager
    def loopback(self, *, sysctls: Sysctls = AS_THEY_ARE) -> Iterator[Stage]:
        """A stage of one host: both ends on its loopback."""
        with Stage(None, client=sysctls, command=self.command, stay=self._stay) as stage:
            try:
                yield stage
            finally:
                self._look_around(stage)

    def _look_around(self, stage: Stage) -> None:
        """Where a scenario ran no load to its end, or failed, what is still up is what there is to look at."""
        if self._stay is not None:
            self._stay(stage)

    def _write_capture(self, stage: Stage) -> None:
        if self._captures is None or stage.wire is None:
            return
        number = len(self.files) + 1
        path = self._captures / (f"{self.name}.pcapng" if number == 1 else f"{self.name}-{number}.pcapng")
        packets = stage.wire.report().captured
        path.write_bytes(pcapng.encode(packets, ("client", "server"), f"estab lab run {self.name}"))
        self.files.append(str(path))


class Scenario(Protocol):
    """What each module of `estab.lab.scenarios` offers."""

    __name__: str
    CAUSE: str | None
    SIDE: str
    SYMPTOM: str
    SECONDS: float
    Settings: type[Any]
    REMEDIES: tuple[Remedy, ...]
    CONTROL: Mapping[str, Value] | None

    def predict(self, settings: Any) -> Mapping[str, Figure]:
        """Figures by name, before anything runs."""

    def play(self, act: Act, settings: Any) -> Played:
        """Sets the stage and runs."""


def names() -> list[str]:
    """All scenarios, in alphabetical order."""
    from estab.lab import scenarios

    return sorted(found.name for found in pkgutil.iter_modules(scenarios.__path__) if not found.name.startswith("_"))


def this(name: str) -> Scenario:
    """The scenario whose module is called so: for `act.again(this(__name__), settings)` within it."""
    found: Any = importlib.import_module(name)
    scenario: Scenario = found
    return scenario


def compared(act: Act, name: str, said: str, settings: Any, only: Sequence[str] | None = None) -> Iterator[Row]:
    """The figures (`only` those, where given) of the scenario whose module is `name` with other settings."""
    scenario = this(name)
    predicted, measured = scenario.predict(settings), act.again(scenario, settings).measured
    for what in predicted if only is None else only:
        yield Row(f"{said}: {what}", predicted[what], measured.get(what))


def find(name: str) -> Scenario:
    """The scenario of that name. Raises UsageError with the names that there are."""
    if name not in names():
        raise UsageError(f"there is no scenario {name!r}; there are {', '.join(names())}")
    return this(f"estab.lab.scenarios.{name}")


def alone(scenario: Scenario) -> bool:
    """Whether nothing may be played beside it, for its figures are shares of CPU."""
    needs: bool = getattr(scenario, "ALONE", False)
    return needs


def own_server(scenario: Scenario) -> str | None:
    """Why `--server` can't take part in it; None where it can."""
    reason: str | None = getattr(scenario, "OWN_SERVER", None)
    return reason


def why_not(scenario: Scenario) -> str | None:
    """Why it cannot run on this machine; None where it can."""
    asked = getattr(scenario, "why_not", None)
    reason: str | None = asked() if asked else None
    return reason


@dataclass(frozen=True)
class Parameter:
    """One setting of a scenario, as `--set KEY=VALUE` takes it. `kind` is int, float, seconds, bool or str."""

    key: str
    field: str
    kind: str
    default: Value
    text: str
    bounds: Range


def parameters(scenario: Scenario) -> list[Parameter]:
    """The settings of a scenario. A field `rtt_s` is set by `rtt=20ms`."""
    found = []
    for one in fields(scenario.Settings):
        default = None if one.default is MISSING else one.default
        kind = "seconds" if one.name.endswith("_s") else type(default).__name__
        key, bounds = one.name.removesuffix("_s"), range_of(one.name, kind)
        found.append(Parameter(key, one.name, kind, default, one.metadata["text"], bounds))
    return found


def settings_of(scenario: Scenario, changes: Mapping[str, Value]) -> Any:
    """The scenario's settings with `changes`. Raises UsageError for a name that it lacks, or a value that can't be."""
    known = {one.field: one for one in parameters(scenario)}
    for name, value in changes.items():
        if name not in known:
            raise UsageError(f"the scenario has no setting {name!r}; it has {', '.join(sorted(known)) or 'none'}")
        one = known[name]
        if (wrong := fault(one.kind, one.bounds, value)) is not None:
            raise UsageError(f"{one.key}={value} can't be ({one.text}): {wrong}")
    return scenario.Settings(**changes)


def sizes(name: str, text: str) -> tuple[int, ...]:
    """The numbers of a setting like "50,100,200". Raises UsageError with what is wrong."""
    found = tuple(int(part) if part.strip().isdecimal() else 0 for part in text.split(","))
    if not all(found):
        raise UsageError(f"{name}={text!r}: give whole numbers above 0 with commas between them, as {name}=50,100,200")
    return found


def _replace(value: Any, changes: Mapping[str, Any]) -> Any:
    from dataclasses import replace

    return replace(value, **changes)


changed = _replace
