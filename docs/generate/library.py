"""The reference of the library: the public names of `estab`, and the records with all their fields."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any

import msgspec

import estab
from estab import records

INTRODUCTION = """\
Made from the docstrings. `import estab` gives these names and nothing else; they are typed, and a type checker sees
them. [The library](../library.md) shows how to use them. `estab.__version__` is the version, as text."""
ERRORS = """\
A connection that failed is no error: it stands in the result. These are raised for what cannot be asked and for what
this machine can't do."""
RECORDS = """\
What flows, and what stands in JSON: the same names. Units stand in the names. What was not observed is `None`, in JSON
`null`, never 0. A field may be added at any time; one that changes its meaning or goes away needs a new number in
`schema`."""
WIDTH = 88
RULE = re.compile(r"docs/kernel\.md\s+rule\s+(\d+)")


def pages() -> dict[str, str]:
    """`reference/python.md` and `reference/records.md`."""
    return {"reference/python.md": _public(), "reference/records.md": _records()}


def _public() -> str:
    named = {name: getattr(estab, name) for name in estab.__all__ if name != "__version__"}
    functions = [_function(name, one) for name, one in sorted(named.items()) if inspect.isfunction(one)]
    errors = [_error(name, one) for name, one in sorted(named.items()) if _is_error(one)]
    classes = [
        _class(name, one)
        for name, one in sorted(named.items())
        if inspect.isclass(one) and not _is_error(one) and not _is_record(one)
    ]
    kept = [f"- [`estab.{name}`](records.md#{name.lower()})" for name, one in sorted(named.items()) if _is_record(one)]
    return (
        "\n\n".join(
            [
                "# Python reference",
                INTRODUCTION,
                "## Functions",
                *functions,
                "## Records",
                "What the functions return. Every field stands on the page [Records](records.md).",
                "\n".join(kept),
                "## Other classes",
                *classes,
                "## Errors",
                ERRORS,
                *errors,
            ]
        )
        + "\n"
    )


def _records() -> str:
    parts = [_fields(name, one) for name, one in sorted(all_records().items())]
    return (
        "\n\n".join(
            [
                "# Records",
                RECORDS,
                *parts,
            ]
        )
        + "\n"
    )


def all_records() -> dict[str, Any]:
    """Every record by its name: the public ones, and those that stand beside them."""
    public = [one for name in estab.__all__ if _is_record(one := getattr(estab, name))]
    shared = [one for name in records.__all__ if _is_record(one := getattr(records, name))]
    modules = {one.__module__ for one in (*public, *shared)}
    return {
        name: one
        for module in modules
        for name, one in vars(import_module(module)).items()
        if _is_record(one) and one.__module__ == module and not name.startswith("_")
    }


def _is_record(one: object) -> bool:
    return inspect.isclass(one) and issubclass(one, msgspec.Struct)


def _is_error(one: object) -> bool:
    return inspect.isclass(one) and issubclass(one, Exception)


def _text(one: object) -> str:
    """The docstring, its references to the kernel's rules made links."""
    said = (inspect.getdoc(one) or "").strip()
    return RULE.sub(r"[rule \1](../kernel.md#rule-\1)", said)


def _function(name: str, function: Any) -> str:
    return f"### {name}\n\n```python\n{_signature(f'estab.{name}', function)}\n```\n\n{_text(function)}"


def _signature(name: str, function: Any) -> str:
    signature = inspect.signature(function)
    shown: list[str] = []
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        if one.name != "self":
            shown.append(_parameter(one))
    gives = f") -> {signature.return_annotation}"
    line = f"{name}({', '.join(shown)}{gives}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {one},\n" for one in shown) + gives


def _parameter(one: inspect.Parameter) -> str:
    star = "*" if one.kind is one.VAR_POSITIONAL else "**" if one.kind is one.VAR_KEYWORD else ""
    default = "" if one.default is one.empty else f" = {_shown(one.default)}"
    return f"{star}{one.name}: {one.annotation}{default}"


def _shown(default: object) -> str:
    """A default as it would be written; an object that shows its address in memory by its class alone."""
    shown = repr(default)
    return f"{type(default).__name__}()" if " at 0x" in shown else shown


def _error(name: str, error: Any) -> str:
    said = _text(error)
    code = "" if "Exit code" in said else f" On the command line it ends with exit code {error.exit_code}."
    return f"### {name}\n\n{said}{code}"


def _class(name: str, one: Any) -> str:
    parts = [f"### {name}", _text(one)]
    if getattr(one, "__dataclass_fields__", None):
        parts.append(_table((field.name, str(field.type)) for field in one.__dataclass_fields__.values()))
    for method, function in vars(one).items():
        if not method.startswith("_") and inspect.isfunction(function):
            parts.append(f"`{_signature(f'{name}.{method}', function)}`: {_text(function)}")
    return "\n\n".join(part for part in parts if part)


def _fields(name: str, record: Any) -> str:
    # With the fields of the records that it extends.
    kinds = {
        field: kind
        for base in reversed(record.__mro__)
        for field, kind in vars(base).get("__annotations__", {}).items()
    }
    shown = [(field.name, str(kinds[field.name])) for field in msgspec.structs.fields(record)]
    schema = next((field.default for field in msgspec.structs.fields(record) if field.name == "schema"), None)
    said = f'\n\n`"schema": "{schema}"`' if isinstance(schema, str) else ""
    return f"## {name}{said}\n\n{_text(record)}\n\n{_table(shown)}"


def _table(rows: Any) -> str:
    lines = "\n".join(f"| `{name}` | `{kind.replace('|', chr(92) + '|')}` |" for name, kind in rows)
    return f"| field | type |\n|---|---|\n{lines}"
