"""Network namespaces that a mount keeps, as docker, CRI-O and `ip netns` bind them."""

from __future__ import annotations

import pytest

from estab.errors import ParseError
from estab.kernel.formats.mountinfo import network_namespaces

BOUND = b"""\
22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
511 23 0:4 net:[4026532281] /run/docker/netns/default rw shared:223 - nsfs nsfs rw
512 23 0:4 net:[4026532390] /run/docker/netns/1f\\0402e rw shared:224 - nsfs nsfs rw
513 23 0:4 mnt:[4026532391] /run/snapd/ns/lxd.mnt rw - nsfs nsfs rw
514 23 0:4 net:[4026532500] /run/netns/blue rw master:7 - nsfs nsfs rw
515 23 0:5 /net:[1] /tmp/net:[1] rw - tmpfs tmpfs rw
"""


def test_those_of_the_network_alone() -> None:
    assert network_namespaces(BOUND) == [
        (4026532281, "/run/docker/netns/default"),
        (4026532390, "/run/docker/netns/1f 2e"),
        (4026532500, "/run/netns/blue"),
    ]


def test_what_is_no_mountinfo() -> None:
    with pytest.raises(ParseError, match="not a line of mountinfo"):
        network_namespaces(b"22 1 0:20 /\n")
