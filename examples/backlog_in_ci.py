"""Does the backlog hold? For CI: a burst of clients, and a failed build if the server turned one packet away.

    python examples/backlog_in_ci.py [HOST:PORT] [CLIENTS]

Run it on the server's host: only there can the accept queue be seen.
"""

from __future__ import annotations

import sys

import estab


def main() -> int:
    """A burst of connects. 0 where all were taken in, 1 where not, 2 where the answer could not be had."""
    target = sys.argv[1] if len(sys.argv) > 1 else None
    clients = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    try:
        run = estab.hold(target, connections=clients, in_flight=clients, duration_s=0.5)
    except estab.EstabError as error:
        print(f"no answer: {error}", file=sys.stderr)
        return 2
    listener = run.server.listener
    if listener is None:
        why = run.server.why or "nothing listens there"
        print(f"no answer: the listener was not observed ({why})", file=sys.stderr)
        return 2

    late = sum(count for retransmits, count in run.syn_retransmits.items() if retransmits != "0")
    print(f"queue at worst {listener.worst_depth} of {listener.limit}, {listener.drops} packets dropped")
    print(f"{run.funnel.connected} of {clients} connected, {late} of them late")
    return 0 if run.funnel.connected == clients and not late and not listener.drops else 1


if __name__ == "__main__":
    sys.exit(main())
