"""What is asked of which kernel."""

from __future__ import annotations

import sys

import pytest
from tests.kernels import __main__ as command
from tests.kernels.catalogue import Kernel
from tests.kernels.plan import DEAR, USUAL, plan

from estab.lab.parts.scenario import names

UML, CLOUD = Kernel("uml-6.1", "uml"), Kernel("cloud-6.1", "cloud")


def asked(*kernels: Kernel, **options: object) -> dict[str, tuple[int, list[str]]]:
    """By kernel: how many parts ask the rules, and the scenarios."""
    given = {"rules": None, "scenarios": None, "everything": False} | options
    parts = plan(kernels, **given)  # type: ignore[arg-type]
    of = {kernel.name: [part for part in parts if part.kernel == kernel] for kernel in kernels}
    return {
        name: (
            sum(part.rules is not None for part in mine),
            sorted(scenario for part in mine for scenario in part.scenarios),
        )
        for name, mine in of.items()
    }


def test_the_usual_form_asks_all_rules_and_few_scenarios() -> None:
    assert asked(UML, CLOUD) == {"uml-6.1": (1, sorted(USUAL)), "cloud-6.1": (1, sorted(DEAR))}


def test_the_long_form_asks_every_scenario_once() -> None:
    assert asked(UML, everything=True) == {"uml-6.1": (1, sorted(names()))}


def test_what_is_named_is_all_that_is_asked() -> None:
    assert asked(CLOUD, scenarios=["healthy"]) == {"cloud-6.1": (0, ["healthy"])}
    assert asked(CLOUD, rules="rule_9") == {"cloud-6.1": (1, [])}
    assert asked(CLOUD, rules="rule_9", scenarios=["healthy"]) == {"cloud-6.1": (1, ["healthy"])}


@pytest.mark.parametrize(("name", "hint"), [("", ""), ("healty", "; did you mean 'healthy'?"), ("all", "")])
def test_a_scenario_that_there_is_not_is_said_before_anything_is_fetched(
    name: str, hint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["python -m tests.kernels", "--scenario", name])
    with pytest.raises(SystemExit) as ended:
        command._arguments()
    assert ended.value.code == 2
    said = f"python -m tests.kernels: there is no scenario {name!r}{hint} (estab lab list names them)\n"
    assert capsys.readouterr().err == said
