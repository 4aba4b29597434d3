"""Who has a port on which nothing listens, for messages to who wants a listener there."""

from __future__ import annotations

import errno

from estab.diagnose import port_holders
from estab.errors import MachineError
from estab.load.target import MOST_PORT
from estab.observe import snapshot


def nobody_listens(where: str, port: int) -> str:
    """That nothing listens on `where`, and who has the port in its place, or what shows who does listen."""
    told = port_holders.told(snapshot.take(port=port), port) if 0 < port <= MOST_PORT else None
    instead = f", and {told}" if told is not None else "; `ss -ltnp` shows what does"
    return f"nothing listens on {where} in this network namespace{instead}"


def explained(error: MachineError, port: int) -> MachineError:
    """Why a server of ours can't listen on a port: who has it, where that is no listener; else the error as it is."""
    reason = error.__cause__
    if not isinstance(reason, OSError) or reason.errno != errno.EADDRINUSE or not port:
        return error
    told = port_holders.told(snapshot.take(port=port), port)
    if told is None:
        return error
    return MachineError(f"can't listen on port {port}: {reason.strerror}. Nothing listens there, and {told}")
