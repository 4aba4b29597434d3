"""What scenarios predict for kernels that do not run here: each asks for the kernel by a name that is replaced."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.diagnose import runs

from estab.errors import MachineError
from estab.kernel.rules.interval import Interval
from estab.kernel.rules.kernel_version import parse
from estab.lab.parts import bursts, figures, running_kernel, syn_times
from estab.lab.process.namespace import sysctl
from estab.lab.run import runner
from estab.lab.scenarios import abort_on_overflow, bound_ports_poisoned, cookie_reset
from estab.lab.stage.in_time import too_slow
from estab.lab.stage.setup import LoadSpec, Path, Setup
from estab.lab.wire.spec import PassedSyn, WireReport
from estab.records import Diagnosis, Suspect

OLD, FIXED, NEW = parse("5.10.46"), parse("5.10.262"), parse("6.18.44")


@pytest.mark.parametrize(("kernel", "resets"), [(OLD, 99), (FIXED, 100), (NEW, 100)])
def test_who_holds_a_cookie_is_not_reset(monkeypatch: pytest.MonkeyPatch, kernel: object, resets: int) -> None:
    """129 come on a queue of 128 with 29 places: where full is `qlen >= B` the last one gets a cookie (rule 9)."""
    monkeypatch.setattr(abort_on_overflow, "KERNEL", kernel)
    assert abort_on_overflow.AbortOnOverflow().predict() == {"ECONNRESET": resets, "EmbryonicRsts": resets}


def test_of_a_hidden_patch_level_it_says_why_it_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abort_on_overflow, "KERNEL", parse("5.14.0-570.el9"))
    with pytest.raises(MachineError, match="patch level"):
        abort_on_overflow.AbortOnOverflow().predict()


@pytest.mark.parametrize(("linear", "kernel", "least"), [(4, NEW, 400), (0, FIXED, 258), (0, OLD, 384)])
def test_without_cookies_the_clients_patience_counts(
    monkeypatch: pytest.MonkeyPatch, linear: int, kernel: object, least: int
) -> None:
    """SYNs again at 1, 2, 3 and 4 s bring in all within 5 s; at 1 and 3 s not all, and fewer after a longer pause."""
    monkeypatch.setattr(cookie_reset, "LINEAR", linear)
    monkeypatch.setattr(figures, "KERNEL", kernel)
    figured = cookie_reset.CookieReset(cookies=0).predict()
    assert figured["served"] == Interval(low=least, high=400)
    assert figured["reset"] == Interval(low=0, high=0)


def test_the_burst_asks_for_the_kernel_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "KERNEL", OLD)
    monkeypatch.setattr(bursts, "LINEAR", 0)
    assert bursts.Burst(cookies=0).predict()["client ESTABLISHED"] == Interval(low=128, high=128)


@pytest.mark.parametrize(
    ("kernel_has", "asked", "written"),
    [(4, 0, [0]), (4, 4, [4]), (0, 0, []), (0, 4, [4])],  # what it lacks is written all the same: that says why not
)
def test_linear_timeouts_are_not_written_where_there_are_none(
    monkeypatch: pytest.MonkeyPatch, kernel_has: int, asked: int, written: list[int]
) -> None:
    monkeypatch.setattr(running_kernel, "LINEAR", kernel_has)
    assert [value for _, value in running_kernel.linear_timeouts(asked)] == written


def test_a_sysctl_that_the_kernel_lacks_is_named() -> None:
    with pytest.raises(MachineError, match=r"this kernel has no net\.ipv4\.unheard_of"):
        sysctl("net.ipv4.unheard_of")


@pytest.mark.parametrize(("hz", "measured_s"), [(100, 138.0), (250, 135.1)])
def test_times_know_the_timers_ticks(monkeypatch: pytest.MonkeyPatch, hz: int, measured_s: float) -> None:
    """131 s, with the timer wheel's rounding."""
    monkeypatch.setattr(syn_times, "HZ", hz)
    gives_up = syn_times.predicted_times(6, 4)["ETIMEDOUT after (s)"]
    assert isinstance(gives_up, Interval)
    assert measured_s in gives_up
    assert 139.2 not in gives_up


@pytest.mark.parametrize(("kernel", "accepted"), [("6.1.176", True), ("6.7.12", True), ("6.8.0", False)])
def test_what_the_kernel_does_not_show_may_be_possible_only(
    monkeypatch: pytest.MonkeyPatch, kernel: str, accepted: bool
) -> None:
    monkeypatch.setattr(bound_ports_poisoned, "KERNEL", parse(kernel))
    suspect = Suspect(cause="bound_ports_poisoned", side="client", verdict="possible", summary="")
    run = runs.run().replace(diagnosis=Diagnosis(cause=None, summary="", suspects=[suspect]))
    scenario = bound_ports_poisoned.BoundPortsPoisoned()
    assert (runner._only_possible(scenario, run) is not None) is accepted
    accused = runs.run().replace(diagnosis=Diagnosis(cause="healthy", summary="", suspects=[suspect]))
    assert runner._only_possible(scenario, accused) is None


# -- slow machines -----------------------------------------------------------------------------------------------------

BURST = Setup(load=LoadSpec(connections=3, duration_s=1, timeout_s=0.8), path=Path(gather=3), rtt_s=0.1)


def wire(*at_s: float, together: int = 3) -> WireReport:
    syns = [PassedSyn(at_s=time, source_port=port, target_port=5000, arrived=True) for port, time in enumerate(at_s)]
    return WireReport(syns=syns, together=together)


@pytest.mark.parametrize(
    ("setup", "report", "lag_ms", "why"),
    [
        (BURST, wire(5, 5.1, 5.69), 0.0, None),
        (BURST, wire(5, 5.1, 5.3, together=2), 0.0, "of 3 SYNs that are to come together 2 did"),
        (BURST, replace(wire(5, 5.1, 5.3), added_s=[0.001, 0.41]), 0.0, "a burst took 0.8 s"),
        (BURST, wire(5, 5.1, 5.8), 0.0, "a burst took 0.9 s, and must not take 0.8 s"),
        (BURST.with_load(timeout_s=5.0), wire(5, 5.1, 5.89), 0.0, None),
        (BURST.with_load(timeout_s=5.0), wire(5, 5.1, 5.95), 0.0, "must not take 1 s"),  # SYNs are sent again
        (BURST.with_load(connections=2), wire(5, 5.1, together=2), 0.0, None),
        (replace(BURST, waiting=2), wire(1, 2, 5, 5.1, 5.3), 0.0, None),
        (BURST, wire(5, 5.1, 5.3), 799.0, None),
        (BURST, wire(5, 5.1, 5.3), 801.0, "a timeout of 0.8 s got no CPU for 0.8 s"),
        (BURST.with_load(timeout_s=0.0), wire(5, 5.1, 5.3), 1e6, None),
        (replace(BURST, path=Path(), starved_s=2.0), wire(5, 5.1, 5.3, together=0), 2e3, None),  # it is about that
        (replace(BURST, path=Path(), starved_s=2.0), wire(5, 5.1, 5.9, together=0), 2e3, "a burst took"),
        (replace(BURST, path=Path()), wire(5, 9, 20, together=0), 0.0, None),
    ],
)
def test_a_machine_that_is_too_slow_is_no_rule(
    setup: Setup, report: WireReport, lag_ms: float, why: str | None
) -> None:
    run = runs.run(client={"workers": [runs.worker(worst_lag_ms=0.0), runs.worker(worst_lag_ms=lag_ms)]})
    said = too_slow(setup, run, report)
    assert said is None if why is None else why in (said or "")
