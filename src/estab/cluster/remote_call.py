"""The one function that is sent to workers as code, so that who lacks estab can say so. It may use nothing around it.

Neither the scheduler nor a worker needs estab to read it: `cloudpickle` sends it by value. What it calls is estab's own
on that host, by name, with bytes in and bytes out.
"""

from __future__ import annotations


def call(module: str, name: str, payload: bytes) -> bytes:
    """What `module.name(payload)` returns there. Raises ModuleNotFoundError where there is no such module."""
    import importlib

    answer: bytes = getattr(importlib.import_module(module), name)(payload)
    return answer
