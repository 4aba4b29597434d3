"""What differs between two JSON values, and the second from the first and that. Pure.

A snapshot is 10 kB and more, of which a second changes a few numbers: a recording holds these. A change is `[value]`,
what stands there now; or `{"+": {key: change}, "-": [key]}` of an object, and of a list whose length stays the same,
by its indices as text. Numbers are equal where Python calls them so.
"""

from __future__ import annotations

from typing import Any

from estab.errors import ReadError

Json = Any


def change(before: Json, after: Json) -> Json:
    """What differs, None where nothing does."""
    if before == after and type(before) is type(after):
        return None
    if isinstance(before, dict) and isinstance(after, dict):
        changed = {key: _of(before, key, value) for key, value in after.items()}
        gone = [key for key in before if key not in after]
        return _told({key: each for key, each in changed.items() if each is not None}, gone)
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        items = {str(i): change(*pair) for i, pair in enumerate(zip(before, after, strict=True))}
        return _told({index: each for index, each in items.items() if each is not None}, [])
    return [after]


def changed(before: Json, change: Json) -> Json:
    """The value after `change`. Raises ReadError where the change is none of `before`."""
    if change is None:
        return before
    if isinstance(change, list) and len(change) == 1:
        return change[0]
    try:
        if isinstance(before, dict):
            kept = {key: value for key, value in before.items() if key not in change.get("-", ())}
            return kept | {key: changed(kept.get(key), each) for key, each in change["+"].items()}
        items = list(before)
        for index, each in change["+"].items():
            items[int(index)] = changed(items[int(index)], each)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ReadError("it holds a change of something else than what stands before it") from error
    return items


def _of(before: dict[str, Json], key: str, value: Json) -> Json:
    return change(before[key], value) if key in before else [value]


def _told(changes: dict[str, Json], gone: list[str]) -> Json:
    return {"+": changes, "-": gone} if gone else {"+": changes}
