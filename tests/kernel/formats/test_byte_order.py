"""What the kernel hands out in the machine's own byte order and sizes is read so: on any machine, not only on this one.

A format of `struct` says its order by its first character. "=" is the machine's own with sizes that the ABI fixes, "!"
the network's. Without one it is C's own: right for the arguments of ioctl and setsockopt alone, whose `long` and
pointers have the machine's size. What has an order of its own, whoever reads it, is listed here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import estab

SOURCE = Path(estab.__file__).parent
# A capture says its own order in its head; the pcapng that is written is little-endian; the length before an order is
# read by our own process.
OWN_ORDER = {"kernel/formats/captures.py", "lab/wire/pcapng.py", "load/worker.py", "load/fleet.py"}
# Arguments of system calls.
OWN_SIZES = {"ii", "i", "I", "ll", "II", "16si12x", "16sP16x", "36s"}
_FUNCTIONS = {"Struct", "pack", "pack_into", "unpack", "unpack_from", "iter_unpack", "calcsize"}
_WHOLE_NUMBERS = {"from_bytes", "to_bytes"}


@cache
def calls() -> list[tuple[str, str, list[ast.expr]]]:
    """Each call in the modules that use such a function: its module, the name of the function, and its arguments."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if not any(name in text for name in _FUNCTIONS | _WHOLE_NUMBERS):
            continue  # most modules: to parse them all takes seconds
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                found.append((str(path.relative_to(SOURCE)), name, node.args))
    return found


def formats() -> Iterator[tuple[str, str]]:
    """Each format that stands in the source, with its module."""
    for module, name, arguments in calls():
        first = arguments[0] if arguments else None
        if name in _FUNCTIONS and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield module, first.value


def test_formats_are_of_the_machine_or_of_the_network() -> None:
    found = list(formats())
    assert ("kernel/formats/netlink.py", "=IHHII") in found
    assert [
        (module, text)
        for module, text in found
        if module not in OWN_ORDER and text[0] not in "=!" and text not in OWN_SIZES
    ] == []


def test_fixed_sizes_hold_no_size_of_the_machine() -> None:
    assert [one for one in formats() if one[1][0] in "=!" and set(one[1]) & set("lLnNP")] == []


def test_no_whole_number_is_taken_for_little_endian() -> None:
    found = {
        module
        for module, name, arguments in calls()
        if name in _WHOLE_NUMBERS and any(isinstance(one, ast.Constant) and one.value == "little" for one in arguments)
    }
    assert found <= OWN_ORDER
