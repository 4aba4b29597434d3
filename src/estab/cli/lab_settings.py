"""`--set KEY=VALUE`: what each scenario takes, in words and as typed values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from estab.cli.values import seconds
from estab.errors import UsageError

if TYPE_CHECKING:
    from estab.lab.parts.scenario import Parameter

_YES, _NO = ("1", "yes", "true", "on"), ("0", "no", "false", "off")


def help_on(words: list[str]) -> str:
    """For `--help`: what `--set` takes in the scenarios that are named, or in all."""
    from estab.lab.parts import scenario

    named = [name for name in scenario.names() if name in words] or scenario.names()
    lines = [f"- `{name}`: {_settings_of(scenario.parameters(scenario.find(name)))}" for name in named]
    return "What `--set` takes, with the defaults:\n\n" + "\n".join(lines)


def _settings_of(known: list[Parameter]) -> str:
    from estab.lab.parts.settings import said, shown

    words = [f"{one.key}={shown(one.kind, one.default)} ({said(one.kind, one.bounds)})" for one in known]
    return ", ".join(words) or "none"


def read(names: tuple[str, ...], changes: list[str]) -> dict[str, dict[str, Any]]:
    """`--set` as typed values by scenario and field. Raises UsageError: each must know each key that is given."""
    if not changes:
        return {}
    from estab.lab.parts import scenario

    if "all" in names:
        raise UsageError("--set goes with one scenario; leave it out for all")
    return {
        name: dict(_typed(name, scenario.parameters(scenario.find(name)), text) for text in changes) for name in names
    }


def _typed(name: str, known: list[Parameter], text: str) -> tuple[str, Any]:
    from estab.lab.parts.settings import fault, said

    key, equals, word = text.partition("=")
    one = next((one for one in known if one.key == key), None)
    if not equals or one is None:
        raise UsageError(f"--set {text!r}: {name} has the settings {_settings_of(known)}")
    try:
        value = _value(one.kind, word)
    except ValueError as error:
        raise UsageError(f"--set {text!r}: {key} takes {said(one.kind, one.bounds)} ({one.text}); {error}") from error
    if fault(one.kind, one.bounds, value) is not None:
        raise UsageError(f"--set {text!r}: {key} takes {said(one.kind, one.bounds)} ({one.text})")
    return one.field, value


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
        raise ValueError(f"{text!r} is no {'whole ' if kind == 'int' else ''}number") from error
