"""estab: why do my TCP connections fail, and how many can I have?

The public names. They are loaded when they are first asked for, so that `import estab` costs nothing.
"""

from __future__ import annotations

import sys

__version__ = "0.1.0"

# Type checkers know it by its name. To import typing takes longer than all that the command line does before it sees to
# Ctrl-C.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from types import ModuleType

    from estab.api.bench import BenchRequest, bench
    from estab.api.ceiling import find_ceiling
    from estab.api.churn import ChurnRequest, churn
    from estab.api.compare import compare
    from estab.api.export import export
    from estab.api.files import diagnose, load_run, save_run
    from estab.api.highest_rate import find_rate
    from estab.api.hold import HoldRequest, hold
    from estab.api.idle import find_idle
    from estab.api.limits import limits
    from estab.api.probe import ProbeRequest, probe
    from estab.api.program import Watching, attach, run, watching
    from estab.api.recorder import Progress
    from estab.api.report import write_report
    from estab.api.request import LoadOptions
    from estab.api.serve import ServeProgress, serve
    from estab.cluster.check import check as cluster_check
    from estab.cluster.run import run as cluster_run
    from estab.errors import CommandError, EstabError, MachineError, ParseError, ReadError, UsageError
    from estab.lab.run.session import lab
    from estab.load.conductor import Stop
    from estab.load.serving import Service
    from estab.records import Diagnosis, Limits, RunResult, Snapshot
    from estab.records.cluster import ClusterCheck, ClusterResult
    from estab.records.comparison import Comparison
    from estab.records.lab import LabResult
else:
    ModuleType = type(sys)

_WHERE = {
    "attach": "estab.api.program",
    "bench": "estab.api.bench",
    "churn": "estab.api.churn",
    "cluster_check": "estab.cluster.check:check",
    "cluster_run": "estab.cluster.run:run",
    "compare": "estab.api.compare",
    "diagnose": "estab.api.files",
    "export": "estab.api.export",
    "find_ceiling": "estab.api.ceiling",
    "find_idle": "estab.api.idle",
    "find_rate": "estab.api.highest_rate",
    "hold": "estab.api.hold",
    "lab": "estab.lab.run.session",
    "limits": "estab.api.limits",
    "load_run": "estab.api.files",
    "probe": "estab.api.probe",
    "run": "estab.api.program",
    "save_run": "estab.api.files",
    "serve": "estab.api.serve",
    "watching": "estab.api.program",
    "write_report": "estab.api.report",
    "BenchRequest": "estab.api.bench",
    "ChurnRequest": "estab.api.churn",
    "ClusterCheck": "estab.records.cluster",
    "ClusterResult": "estab.records.cluster",
    "CommandError": "estab.errors",
    "Comparison": "estab.records.comparison",
    "Diagnosis": "estab.records",
    "EstabError": "estab.errors",
    "HoldRequest": "estab.api.hold",
    "Limits": "estab.records",
    "LoadOptions": "estab.api.request",
    "MachineError": "estab.errors",
    "ParseError": "estab.errors",
    "ProbeRequest": "estab.api.probe",
    "Progress": "estab.api.recorder",
    "ReadError": "estab.errors",
    "LabResult": "estab.records.lab",
    "RunResult": "estab.records",
    "ServeProgress": "estab.api.serve",
    "Service": "estab.load.serving",
    "Snapshot": "estab.records",
    "Stop": "estab.load.conductor",
    "UsageError": "estab.errors",
    "Watching": "estab.api.program",
}

__all__ = [
    "BenchRequest",
    "ChurnRequest",
    "ClusterCheck",
    "ClusterResult",
    "CommandError",
    "Comparison",
    "Diagnosis",
    "EstabError",
    "HoldRequest",
    "LabResult",
    "Limits",
    "LoadOptions",
    "MachineError",
    "ParseError",
    "ProbeRequest",
    "Progress",
    "ReadError",
    "RunResult",
    "ServeProgress",
    "Service",
    "Snapshot",
    "Stop",
    "UsageError",
    "Watching",
    "__version__",
    "attach",
    "bench",
    "churn",
    "cluster_check",
    "cluster_run",
    "compare",
    "diagnose",
    "export",
    "find_ceiling",
    "find_idle",
    "find_rate",
    "hold",
    "lab",
    "limits",
    "load_run",
    "probe",
    "run",
    "save_run",
    "serve",
    "watching",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name in _WHERE:
        module, _, other = _WHERE[name].partition(":")
        from importlib import import_module

        return getattr(import_module(module), other or name)
    raise AttributeError(f"module 'estab' has no attribute {name!r}")


class _Package(ModuleType):
    """Keeps a public name what it is where a package is called so too: `estab.diagnose` stays the function.

    The import of a submodule sets its name in its parent; without this, `estab.diagnose` would be the package as soon
    as anything had imported it. `from estab.diagnose import judge` finds the package as ever.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _WHERE and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
