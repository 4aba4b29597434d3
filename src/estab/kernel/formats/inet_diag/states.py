"""The states of a TCP socket, as numbers, as masks and as `ss` prints them (`include/net/tcp_states.h`)."""

from __future__ import annotations

# Names as `ss` prints them; numbers from include/net/tcp_states.h. The kernel shows a half-open connection
# (TCP_NEW_SYN_RECV, 12) as TCP_SYN_RECV. 13 is a socket with bind() and neither listen() nor connect() (since 6.8).
STATE_NAMES = {
    1: "ESTAB",
    2: "SYN-SENT",
    3: "SYN-RECV",
    4: "FIN-WAIT-1",
    5: "FIN-WAIT-2",
    6: "TIME-WAIT",
    7: "UNCONN",
    8: "CLOSE-WAIT",
    9: "LAST-ACK",
    10: "LISTEN",
    11: "CLOSING",
    12: "NEW-SYN-RECV",
    13: "BOUND-INACTIVE",
}
ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT_1, FIN_WAIT_2, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING = (
    range(1, 12)
)
BOUND_INACTIVE = 13


def state_name(state: int) -> str:
    """The name of a state number as `ss` prints it; a number that this estab does not know is `STATE-n`."""
    return STATE_NAMES.get(state, f"STATE-{state}")


def states(*wanted: int) -> int:
    """The mask `idiag_states` that asks for these states."""
    return sum(1 << state for state in set(wanted))


ALL_STATES = states(*STATE_NAMES)
MASKABLE_STATES = 32  # bits in a mask of states
ANY_STATE = (1 << MASKABLE_STATES) - 1
