"""What the engine as it is built here needs of the machine on which it is to run."""

from __future__ import annotations

import re
from pathlib import Path

from estab import _engine

DEBIAN_11 = (2, 31)


def test_it_needs_no_newer_c_library_than_debian_11_has() -> None:
    """A function that came with a newer one, or moved there, is called by its number or done without."""
    named = re.findall(rb"GLIBC_(\d+)\.(\d+)", Path(_engine.__file__).read_bytes())
    assert named
    assert max((int(major), int(minor)) for major, minor in named) <= DEBIAN_11
