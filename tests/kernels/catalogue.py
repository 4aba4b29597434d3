"""Which kernels there are: all that Debian has, by series, the newest of each. Nothing is pinned.

A kernel is called by how it runs and by its series: "uml-6.1" is user-mode Linux, "cloud-6.1" Debian's kernel for
virtual machines, "host" what runs here. "cloud-6.12.43" is one version of a series.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.kernels.apt import Apt, CannotHave, Package, version_key

UML, CLOUD, HOST = "uml", "cloud", "host"
OF_THE_TESTS = "bookworm"  # Debian's release whose user-mode Linux `make test-long` boots
_UML_PACKAGE = "user-mode-linux"
_CLOUD_PACKAGE = r"linux-image-(\d.*-cloud-amd64)(-unsigned)?"
_SERIES = re.compile(r"\d+\.\d+")
_TRIED = 4  # packages of one series, before it is said that none can be had
_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")


@dataclass(frozen=True)
class Kernel:
    """One kernel to be had. `packages` hold it, the newest first: a mirror may lack one. Of the host there is none."""

    name: str
    kind: str
    packages: tuple[Package, ...] = ()


def available(apt: Apt) -> list[Kernel]:
    """The newest of each series, the oldest first: user-mode Linux, then Debian's. Raises CannotHave."""
    return [*_newest(UML, _uml(apt)), *_newest(CLOUD, _cloud(apt))]


def one(apt: Apt, name: str) -> Kernel:
    """The kernel of that name: of a series, or of one version. Raises CannotHave."""
    if name == HOST:
        return Kernel(HOST, HOST)
    kind, _, version = name.partition("-")
    packages = {UML: _uml, CLOUD: _cloud}.get(kind, lambda _apt: [])(apt)
    fitting = [package for package in packages if re.match(rf"{re.escape(version)}(?!\d)", package.version)]
    if not version or not fitting:
        there = ", ".join(_named(packages)) or "none; there are uml-SERIES and cloud-SERIES"
        raise CannotHave(f"{name}: Debian has no such kernel; of {kind!r} there are {there}")
    return Kernel(name, kind, tuple(fitting[:_TRIED]))


def of_the_tests(apt: Apt) -> Kernel:
    """The one that `make test-long` boots: user-mode Linux of `OF_THE_TESTS`. Raises CannotHave."""
    return next(kernel for kernel in available(apt) if kernel.kind == UML)


def usual(kernels: Sequence[Kernel]) -> list[Kernel]:
    """What `make test-kernels` runs: each user-mode Linux, and Debian's oldest and newest."""
    cloud = [kernel for kernel in kernels if kernel.kind == CLOUD]
    return [*(kernel for kernel in kernels if kernel.kind == UML), *cloud[:1], *cloud[1:][-1:]]


def _uml(apt: Apt) -> list[Package]:
    return apt.versions([_UML_PACKAGE])


def _cloud(apt: Apt) -> list[Package]:
    return apt.versions(apt.names(_CLOUD_PACKAGE))


def _newest(kind: str, packages: Iterable[Package]) -> list[Kernel]:
    """By series; `packages` have the newest first."""
    by_series: dict[str, list[Package]] = defaultdict(list)
    for package in packages:
        if found := _SERIES.match(package.version):
            by_series[found[0]].append(package)
    return [
        Kernel(f"{kind}-{series}", kind, tuple(by_series[series][:_TRIED]))
        for series in sorted(by_series, key=version_key)
    ]


def _named(packages: Iterable[Package]) -> list[str]:
    found = {match[0] for package in packages if (match := _VERSION.match(package.version))}
    return sorted(found, key=version_key)
