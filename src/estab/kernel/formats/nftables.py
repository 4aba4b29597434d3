"""nftables over netlink: whether there is any rule.

What lives here: the NFT_MSG_GETRULE dump (include/uapi/linux/netfilter/nf_tables.h), its first entry only.
"""

from __future__ import annotations

from estab.kernel.formats import netlink

_SUBSYSTEM = 10  # NFNL_SUBSYS_NFTABLES
_NEW_RULE, _GET_RULE = 6, 7
_GENERAL_MESSAGE = bytes(4)  # struct nfgenmsg: every family, version 0


def rules_request(sequence: int = 1) -> bytes:
    """The question for all rules of all tables."""
    flags = netlink.NLM_F_REQUEST | netlink.NLM_F_DUMP
    length = netlink.HEADER.size + len(_GENERAL_MESSAGE)
    return netlink.HEADER.pack(length, _SUBSYSTEM << 8 | _GET_RULE, flags, sequence, 0) + _GENERAL_MESSAGE


def first_answer(data: bytes) -> tuple[bool, int]:
    """Of the first datagram of the answer: whether it holds a rule, and the errno where it is a refusal (else 0).

    Raises ParseError where it is damaged.
    """
    for message in netlink.messages(data):
        if message.kind == _SUBSYSTEM << 8 | _NEW_RULE:
            return True, 0
        if message.kind in (netlink.NLMSG_ERROR, netlink.NLMSG_DONE):
            return False, netlink.error_number(data, message)
    return False, 0
