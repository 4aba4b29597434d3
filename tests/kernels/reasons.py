"""Why something is not as predicted on a kernel, where that is known: for the page. Pure."""

from __future__ import annotations

from tests.kernels.results import KernelRun, Outcome

# Rules that no kernel here can be asked.
UNMEASURED = {
    30: "it takes a virtual machine of such a cloud",
}

# By what it is, and how the kernel is run.
_KNOWN = {
    ("rule 15", "uml"): (
        "timing: the server begins to accept 1.2 s after the first SYN, which is too early where a guest is as slow as "
        "this one. In virtual time it is as predicted"
    ),
    ("rule 16", "uml"): (
        "timing: the guest is too slow to send 400 SYNs within one round trip of 0.3 s, which the rule is about. In "
        "virtual time it is as predicted"
    ),
}


def reason(run: KernelRun, what: str, outcome: Outcome) -> str:
    """In words; what the test or the scenario itself said where nothing is known, for somebody to find out."""
    return _KNOWN.get((what, run.name.partition("-")[0]), outcome.why)
