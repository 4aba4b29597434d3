"""Why something is not as predicted on a kernel, where that is known: for the page. Pure."""

from __future__ import annotations

from tests.kernels.results import KernelRun, Outcome

# Rules that no kernel here can be asked.
UNMEASURED = {
    30: "it takes a virtual machine of such a cloud",
}

# By what it is, and how the kernel is run.
_BRIDGES = "these kernels are built with nf_tables for bridges alone"
_KNOWN = {
    ("rule 26", "uml"): _BRIDGES,
    ("own_firewall", "uml"): _BRIDGES,
    ("rule 28", "uml"): "these kernels are built without tracefs (CONFIG_FTRACE)",
}


def reason(run: KernelRun, what: str, outcome: Outcome) -> str:
    """In words; what the test or the scenario itself said where nothing is known, for somebody to find out."""
    return _KNOWN.get((what, run.name.partition("-")[0]), outcome.why)
