"""`--set KEY=VALUE`: what each scenario takes, in words and as typed values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from estab.cli.values import seconds
from estab.errors import UsageError
from estab.report.words import setting_value

if TYPE_CHECKING:
    from estab.records.lab import LabSetting

_YES, _NO = ("1", "yes", "true", "on"), ("0", "no", "false", "off")


def help_on(words: Sequence[str]) -> str:
    """For `estab lab run --help`: what `--set` takes in the scenarios that are named."""
    from estab.lab.parts import scenario

    named = [name for name in scenario.names() if name in words]
    if not named:
        return "`estab lab run NAME --help` tells what `--set` takes there, `estab lab list` names the scenarios."
    lines = [f"- `{name}`: {_written(_settings_of(name))}" for name in named]
    return "What `--set` takes, with the defaults:\n\n" + "\n".join(lines)


def _settings_of(name: str) -> list[LabSetting]:
    from estab.lab.parts import scenario, settings

    return settings.parameters(scenario.find(name))


def _written(settings: list[LabSetting]) -> str:
    words = [f"{known.key}={setting_value(known.kind, known.default)} ({known.takes})" for known in settings]
    return ", ".join(words) or "none"


def read(names: tuple[str, ...], changes: list[str]) -> dict[str, dict[str, Any]]:
    """`--set` as typed values by scenario and field. Raises UsageError: each must know each key that is given."""
    if changes and "all" in names:
        raise UsageError("--set goes with one scenario; leave it out for all")
    return {name: dict(_typed(name, _settings_of(name), text) for text in changes) for name in names if changes}


def _typed(name: str, known: list[LabSetting], text: str) -> tuple[str, Any]:
    from estab.lab.parts.settings import allows

    key, equals, word = text.partition("=")
    setting = next((setting for setting in known if setting.key == key), None)
    if not equals or setting is None:
        raise UsageError(f"--set {text!r}: {name} has the settings {_written(known)}")
    wanted = f"--set {text!r}: {key} takes {setting.takes} ({setting.text})"
    try:
        value = _value(setting.kind, word)
    except ValueError as error:
        raise UsageError(f"{wanted}; {error}") from error
    if not allows(setting, value):
        raise UsageError(wanted)
    return setting.field, value


def _value(kind: str, text: str) -> Any:
    if kind == "seconds":
        return seconds(text)
    if kind == "bool":
        if text.lower() not in _YES + _NO:
            raise ValueError(f"{text!r} is neither yes nor no")
        return text.lower() in _YES
    if kind not in ("int", "float"):
        return text
    try:
        return int(text) if kind == "int" else float(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a {'whole ' if kind == 'int' else ''}number") from error
