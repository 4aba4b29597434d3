"""The stage and the wire: what they refuse and what they write."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from estab.errors import UsageError
from estab.kernel.formats.checksum import checksum
from estab.lab.process.namespace import check_sysctl, sysctl
from estab.lab.run.session import lab
from estab.lab.wire import packets, pcapng
from estab.lab.wire.spec import Captured


@pytest.mark.parametrize("name", ["net.ipv4.tcp_mem", "net.ipv4.tcp_max_orphans", "net.netfilter.nf_conntrack_max"])
def test_a_sysctl_that_is_not_per_namespace_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(UsageError, match=r"not per network namespace \(.+\)"):
        check_sysctl(name)


@pytest.mark.parametrize("name", ["vm.swappiness", "kernel.panic", "net.ipv4/../../kernel.panic", "net..x", ""])
def test_what_is_no_sysctl_of_a_namespace_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_sysctl(name)


def test_nothing_is_written_outside_of_the_labs_namespaces() -> None:
    before = Path("/proc/sys/net/core/somaxconn").read_text(encoding="ascii")
    with pytest.raises(UsageError, match="only inside namespaces that it made"):
        sysctl("net.core.somaxconn", 7)
    assert Path("/proc/sys/net/core/somaxconn").read_text(encoding="ascii") == before


def test_checksums_of_hand_made_packets_are_right() -> None:
    frame = packets.orphan_syn(77, b"\x02" * 6, b"\x04" * 6, bytes([10, 77, 0, 2]), 5000)
    assert checksum(frame[14:34]) == 0
    pseudo = frame[26:34] + bytes([0, 6]) + (len(frame) - 34).to_bytes(2, "big")
    assert checksum(pseudo + frame[34:]) == 0
    assert packets.tcp_flags(frame) == packets.SYN
    back = packets.refusal(frame, "reset")
    assert packets.ports(back) == packets.ports(frame)[::-1]
    assert packets.flow(back) == packets.flow(frame)
    assert packets.never_answers(back)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_what_pcapng_writes(tmp_path: Path) -> None:
    frame = packets.orphan_syn(1, b"\x02" * 6, b"\x04" * 6, bytes([10, 77, 0, 2]), 5000)
    at_ns = 1_700_000_000_123_456_789
    sizes = range(len(frame), len(frame) + 5)  # every padding
    made = [
        Captured(at_ns=at_ns + n, end=n % 2, frame=frame + b"\0" * n, size=size, comment="lost é" * n)
        for n, size in enumerate(sizes)
    ]
    path = tmp_path / "made.pcapng"
    path.write_bytes(pcapng.encode(made, ("client", "server"), "a section"))
    fields = ["-e", "frame.time_epoch", "-e", "frame.interface_name", "-e", "frame.comment", "-e", "tcp.flags.syn"]
    read = subprocess.run(
        ["tshark", "-r", path, "-T", "fields", *fields], capture_output=True, text=True, check=True, timeout=30
    ).stdout.splitlines()
    assert len(read) == 5
    assert read[0].startswith("1700000000.123456789\tclient\t\t")
    assert "\tserver\tlost é\t" in read[1]


@pytest.mark.namespace
@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_a_capture_shows_the_syn_that_was_lost(tmp_path: Path) -> None:
    done = lab(["path_syn_loss"], settings={"path_syn_loss": {"connections": 10}}, captures=tmp_path, gauge=False)
    path = tmp_path / "path_syn_loss.pcapng"
    assert str(path) in done.scenarios[0].captures
    shown = subprocess.run(
        ["tshark", "-r", path, "-Y", "frame.comment", "-T", "fields", "-e", "frame.interface_name",
         "-e", "frame.comment"],
        capture_output=True, text=True, check=True, timeout=30,
    ).stdout  # fmt: skip
    assert "client\tlost: SYN number 5, as asked" in shown
    assert "client\tSYN number 2 of this connection" in shown
    assert "server\tSYN number 2 of this connection" in shown


# -- as an ordinary user -----------------------------------------------------------------------------------------------


@pytest.mark.namespace
@pytest.mark.parametrize("name", ["accept_queue_overflow", "ephemeral_port_exhaustion"])
def test_without_root(name: str, ordinary_python: tuple[str, ...]) -> None:
    command = [*ordinary_python, "-P", "-m", "estab", "lab", "run", name, "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"status":"as_predicted"' in done.stdout
    assert '"euid":65534' in done.stdout
