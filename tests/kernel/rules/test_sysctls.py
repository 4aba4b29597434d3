import pytest

from estab.kernel.rules.sysctls import why_missing


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("net.ipv4.tcp_syn_linear_timeouts", "it came with Linux 6.5"),
        ("net.ipv4.tcp_tw_reuse_delay", "it came with Linux 6.14"),
        ("net.ipv4.tcp_rto_max_ms", "it came with Linux 6.15"),
        ("net.ipv4.tcp_syncookies", "it is built without CONFIG_SYN_COOKIES"),
        ("net.netfilter.nf_conntrack_max", "nf_conntrack is not built in, or its module is not loaded"),
        ("net.ipv6.conf.all.disable_ipv6", "ipv6 is not built in, or its module is not loaded"),
    ],
)
def test_says_which_sysctl_and_why(name: str, reason: str) -> None:
    assert why_missing(name) == f"this kernel has no {name}: {reason}"


def test_of_the_machine_s_it_says_where_they_are_shown() -> None:
    said = why_missing("net.ipv4.tcp_mem")
    assert said == "net.ipv4.tcp_mem is the machine's, and shown in its initial network namespace alone"


def test_of_another_it_says_no_more_than_is_known() -> None:
    assert why_missing("net.core.unheard_of") == "this kernel has no net.core.unheard_of"
