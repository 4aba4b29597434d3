"""What is kept of the runs, and the list in the package."""

from __future__ import annotations

import pytest
from tests.kernels import results

from estab.kernel import measured


def test_the_packages_list_is_that_of_the_kernels_whose_runs_are_kept() -> None:
    versions = (run.version.split(".") for run in results.read() if run.version)
    assert sorted({(int(version[0]), int(version[1])) for version in versions}) == list(measured.SERIES)


@pytest.mark.parametrize("release", [f"{major}.{minor}.7-x" for major, minor in measured.SERIES])
def test_rules_on_a_measured_series_need_no_word(release: str) -> None:
    assert measured.extrapolated(release) is None


@pytest.mark.parametrize("release", ["6.5.3", "4.4.0-210-generic", "99.1"])
def test_rules_on_another_series_are_extrapolated(release: str) -> None:
    said = measured.extrapolated(release)
    assert said is not None
    assert said.startswith(f"Linux {'.'.join(release.split('.')[:2])} was not measured")


def test_a_release_that_is_none_says_nothing() -> None:
    assert measured.extrapolated("") is None
