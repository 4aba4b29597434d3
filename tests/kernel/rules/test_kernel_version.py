import pytest
from hypothesis import given
from hypothesis import strategies as st

from estab.errors import UsageError
from estab.kernel.rules import RuleInputError
from estab.kernel.rules.kernel_version import KernelVersion, of, parse
from estab.records import HostFacts


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("6.18.44-fc-v769", (6, 18, 44, "-fc-v769")),
        ("5.15.0-91-generic", (5, 15, None, "-91-generic")),
        ("6.1.0-18-amd64", (6, 1, None, "-18-amd64")),
        ("4.18.0-553.16.1.el8_10.x86_64", (4, 18, None, "-553.16.1.el8_10.x86_64")),
        ("5.10.235-227.919.amzn2.x86_64", (5, 10, 235, "-227.919.amzn2.x86_64")),
        ("6.12.8-amd64", (6, 12, 8, "-amd64")),
        ("7.2", (7, 2, 0, "")),
        ("6.12.0", (6, 12, 0, "")),
        ("6.12.0-rc3", (6, 12, 0, "-rc3")),
        ("6.12-rc3", (6, 12, 0, "-rc3")),
        ("6.8.4+", (6, 8, 4, "+")),
        ("5.15.167.4-microsoft-standard-WSL2", (5, 15, 167, ".4-microsoft-standard-WSL2")),
        ("6.6.10\n", (6, 6, 10, "")),
    ],
)
def test_parses_what_uname_prints(release: str, expected: tuple[int, int, int | None, str]) -> None:
    major, minor, patch, suffix = expected
    assert parse(release) == KernelVersion(major=major, minor=minor, patch=patch, suffix=suffix)


@pytest.mark.parametrize(
    ("release", "build", "patch"),
    [
        ("6.1.0-56-cloud-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-02)", 192),
        ("5.10.0-32-amd64", "#1 SMP Debian 5.10.223-1 (2024-08-10)", 223),
        ("6.1.0-0.deb11.21-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.90-1~bpo11+1 (2024-05-06)", 90),
        ("6.8.0-45-generic", "#45-Ubuntu SMP PREEMPT_DYNAMIC Fri Aug 30 Ubuntu 6.8.0-45.45-generic 6.8.12", 12),
        ("5.15.0-91-generic", "#101-Ubuntu SMP Tue Nov 14 Ubuntu 5.15.0-91.101-generic 5.15.131\n", 131),
        ("4.18.0-553.16.1.el8_10.x86_64", "#1 SMP Thu Aug 8 07:11:46 EDT 2024", None),
        ("6.1.0-56-cloud-amd64", "#1 SMP Debian 6.12.43-1 (2025-08-27)", None),  # of another kernel
        ("6.1.0-56-cloud-amd64", "", None),
        ("6.12.8-amd64", "#1 SMP Debian 6.12.43-1", 8),  # what the release says counts
    ],
)
def test_the_patch_level_that_the_release_hides(release: str, build: str, patch: int | None) -> None:
    assert parse(release, build).patch == patch
    assert of(HostFacts(kernel=release, kernel_build=build)) == parse(release, build)


@pytest.mark.parametrize("release", ["", "linux", "6", "6.", "v6.1", ".5.4", "-1.2", "9999.1"])
def test_refuses_what_is_no_release_and_shows_it(release: str) -> None:
    with pytest.raises(RuleInputError, match=r"uname -r") as caught:
        parse(release)
    assert repr(release) in str(caught.value)
    assert isinstance(caught.value, UsageError)
    assert isinstance(caught.value, ValueError)


@given(st.text(max_size=30), st.text(max_size=60))
def test_any_text_gives_a_version_or_that_error(text: str, build: str) -> None:
    try:
        parse(text, build)
    except RuleInputError:
        return


@given(st.integers(0, 99), st.integers(0, 999), st.integers(1, 999), st.sampled_from(["", "-generic", "-fc-v7"]))
def test_round_trips(major: int, minor: int, patch: int, suffix: str) -> None:
    version = KernelVersion(major=major, minor=minor, patch=patch, suffix=suffix)
    assert parse(str(version)) == version


@pytest.mark.parametrize(
    ("release", "expected"), [("6.4.99", False), ("6.5.0", True), ("7.0.1", True), ("5.99", False)]
)
def test_at_least_is_about_the_series(release: str, expected: bool) -> None:
    assert parse(release).at_least(6, 5) is expected


@pytest.mark.parametrize(
    ("release", "expected"),
    [("6.1.124", False), ("6.1.125", True), ("6.2.16", False), ("6.13.0", True), ("6.1.0-18-amd64", None)],
)
def test_a_fix_may_have_come_back_to_a_stable_series(release: str, expected: bool | None) -> None:
    assert parse(release).has_fix((6, 13), {(6, 1): 125}) is expected
