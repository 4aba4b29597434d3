"""Which kernels there are, from what apt prints."""

from __future__ import annotations

import pytest
from tests.kernels import catalogue
from tests.kernels.apt import Apt, CannotHave, Package, parse_madison, version_key

MADISON = """\
user-mode-linux |     7.2um1 | http://deb.debian.org/debian sid/main amd64 Packages
user-mode-linux | 6.1um4+b13 | http://deb.debian.org/debian bookworm/main amd64 Packages
      linux | 6.1.190-1 | http://deb.debian.org/debian-security bookworm-security/main Sources
"""


class FromList(Apt):
    """An apt that knows these packages."""

    def __init__(self, *packages: Package) -> None:
        self._packages = packages

    def names(self, pattern: str) -> list[str]:
        return [package.name for package in self._packages if package.name.startswith("linux-image")]

    def versions(self, names: object) -> list[Package]:
        wanted = list(names)  # type: ignore[call-overload]
        there = [package for package in self._packages if package.name in wanted]
        return sorted(there, key=lambda package: version_key(package.version), reverse=True)


def cloud(version: str, suite: str = "sid") -> Package:
    return Package(f"linux-image-{version}-cloud-amd64", f"{version}-1", suite)


UML = [Package("user-mode-linux", version, suite) for version, suite in (("6.1um4+b13", "bookworm"), ("7.2um1", "sid"))]
APT = FromList(*UML, *map(cloud, ("5.10.218", "5.10.262", "6.1.99", "6.1.192", "6.12.7", "6.12.43", "7.3.4")))


def test_madison_without_the_sources_of_packages() -> None:
    assert parse_madison(MADISON) == UML[::-1]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("6.9.1-1", "6.10.1-1"),
        ("6.12.9-1", "6.12.43-1"),
        ("7.3~rc7-1", "7.3-1"),
        ("6.12.95-1~bpo12+1", "6.12.95-1"),
        ("6.1um4", "6.1um4+b13"),
        ("6.1.192-1", "6.1.192-2"),
    ],
)
def test_versions_sort_as_dpkg_sorts_them(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)


def test_the_newest_of_each_series_the_oldest_first() -> None:
    there = [(kernel.name, kernel.packages[0].version) for kernel in catalogue.available(APT)]
    assert there == [
        ("uml-6.1", "6.1um4+b13"),
        ("uml-7.2", "7.2um1"),
        ("cloud-5.10", "5.10.262-1"),
        ("cloud-6.1", "6.1.192-1"),
        ("cloud-6.12", "6.12.43-1"),
        ("cloud-7.3", "7.3.4-1"),
    ]


def test_the_usual_ones_are_each_user_mode_linux_and_debians_oldest_and_newest() -> None:
    names = [kernel.name for kernel in catalogue.usual(catalogue.available(APT))]
    assert names == ["uml-6.1", "uml-7.2", "cloud-5.10", "cloud-7.3"]


@pytest.mark.parametrize(
    ("name", "version"),
    [("cloud-6.1", "6.1.192-1"), ("cloud-5.10.218", "5.10.218-1"), ("cloud-6.12.4", None), ("uml-6.1", "6.1um4+b13")],
)
def test_a_kernel_by_its_name(name: str, version: str | None) -> None:
    if version is None:
        with pytest.raises(CannotHave, match=r"no such kernel; of 'cloud' there are 5\.10\.218, 5\.10\.262, 6\.1\.99"):
            catalogue.one(APT, name)
    else:
        assert catalogue.one(APT, name).packages[0].version == version


@pytest.mark.parametrize("name", ["kvm-6.1", "cloud", "", "uml-"])
def test_no_kernel_of_that_name(name: str) -> None:
    with pytest.raises(CannotHave, match="no such kernel"):
        catalogue.one(APT, name)


def test_what_runs_here_needs_no_package() -> None:
    assert catalogue.one(APT, "host").packages == ()
