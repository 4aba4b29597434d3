"""estab: why do my TCP connections fail, and how many can I have?

The public names. They are loaded when they are first asked for, so that `import estab` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from estab.api.bench import bench
    from estab.api.churn import churn
    from estab.api.files import diagnose, load_run, save_run
    from estab.api.hold import hold
    from estab.api.limits import limits
    from estab.api.run import Progress
    from estab.api.serve import ServeProgress, serve
    from estab.errors import EstabError, MachineError, ParseError, ReadError, UsageError
    from estab.load.conductor import Stop
    from estab.load.serving import Service
    from estab.records import Diagnosis, Limits, RunResult, Snapshot

_WHERE = {
    "bench": "estab.api.bench",
    "churn": "estab.api.churn",
    "diagnose": "estab.api.files",
    "hold": "estab.api.hold",
    "limits": "estab.api.limits",
    "load_run": "estab.api.files",
    "save_run": "estab.api.files",
    "serve": "estab.api.serve",
    "Diagnosis": "estab.records",
    "EstabError": "estab.errors",
    "Limits": "estab.records",
    "MachineError": "estab.errors",
    "ParseError": "estab.errors",
    "Progress": "estab.api.run",
    "ReadError": "estab.errors",
    "RunResult": "estab.records",
    "ServeProgress": "estab.api.serve",
    "Service": "estab.load.serving",
    "Snapshot": "estab.records",
    "Stop": "estab.load.conductor",
    "UsageError": "estab.errors",
}

__all__ = [
    "Diagnosis",
    "EstabError",
    "Limits",
    "MachineError",
    "ParseError",
    "Progress",
    "ReadError",
    "RunResult",
    "ServeProgress",
    "Service",
    "Snapshot",
    "Stop",
    "UsageError",
    "__version__",
    "bench",
    "churn",
    "diagnose",
    "hold",
    "limits",
    "load_run",
    "save_run",
    "serve",
]


def __getattr__(name: str) -> object:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'estab' has no attribute {name!r}")
