"""The stage: a client's host and a server's host, a wire between them, and what runs in each.

```
 client  10.77.0.1 ─── veth ─── the wire (a namespace of its own) ─── veth ─── 10.77.0.2  server
```
Everything of it ends with the `with` block, and with the process that holds it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Self

from estab.errors import MachineError
from estab.kernel.formats.endpoint import endpoint
from estab.kernel.formats.inet_diag import InetSocket
from estab.lab.process import links
from estab.lab.process.child import Child
from estab.lab.process.namespace import LabNamespace, veth
from estab.lab.stage.arrival import SILENT_S, SilentWire, arrival
from estab.lab.stage.hosts import ADDRESSES, CLIENT, LOOPBACK, MAC, PORT, SERVER, UNIX_SOCKET
from estab.lab.stage.join import joined
from estab.lab.stage.load import SETTLED, Loaded, RunningLoad, Work, carry_out
from estab.lab.stage.server import Foreign, RunningServer, ServerRun, ServerSpec, attend
from estab.lab.stage.wire import RunningWire
from estab.lab.wire.relay import carry
from estab.lab.wire.spec import WireReport, WireSpec
from estab.load.serving import Service
from estab.observe.sock_diag import SockDiag
from estab.records import RunResult

Sysctls = Mapping[str, int | str]
AS_THEY_ARE: Sysctls = MappingProxyType({})


class Stage:
    """Two hosts and a wire, or one host with `wire=None` (both ends on its loopback). A context manager.

    `client` and `server` are sysctls of each; `command` is a foreign server that takes the place of every own one.
    `stay` is called when every connect of a load is settled, with the load stopped: for somebody to look around.
    """

    def __init__(
        self,
        wire: WireSpec | None = WireSpec(),  # noqa: B008 - frozen
        *,
        client: Sysctls = AS_THEY_ARE,
        server: Sysctls = AS_THEY_ARE,
        command: str | None = None,
        stay: Callable[[Stage], None] | None = None,
    ) -> None:
        self._stack = contextlib.ExitStack()
        self.namespaces: list[LabNamespace] = []
        self._stay = stay
        self._rtt_s = 0.0 if wire is None else wire.rtt_s
        self.command = command
        self.host, self.port = CLIENT if wire is None else SERVER, PORT
        try:
            self.client = self._namespace("client", client)
            self.server = self.client if wire is None else self._namespace("server", server)
            if wire is None:
                self.client.configure(server)
                self.host = LOOPBACK
                with self.client.entered():
                    links.set_up("lo")
            self.wire = None if wire is None else self._wire(wire)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    @property
    def target(self) -> str:
        """Where the server listens, as HOST:PORT, or as `unix:@name`."""
        return endpoint(self.host, self.port)

    def meet_at_unix_socket(self) -> None:
        """From now on both ends meet at a UNIX socket of their one host."""
        self.host, self.port = UNIX_SOCKET, 0

    def _namespace(self, name: str, sysctls: Sysctls) -> LabNamespace:
        made = LabNamespace(name)
        self._stack.callback(made.close)
        self.namespaces.append(made)
        made.configure(sysctls)
        return made

    def _wire(self, spec: WireSpec) -> RunningWire:
        middle = self._namespace("wire", {})
        join_hosts(self.client, middle, self.server)
        child: Child[None] = Child(lambda connection: carry(spec, ("client", "server"), connection), middle)
        self._stack.callback(child.kill)
        return RunningWire(child)

    # -- servers and loads --------------------------------------------------------------------------------------------

    def serve(self, what: ServerSpec | None = None, *, nofile: int | None = None, **service: Any) -> RunningServer:
        """A server in the server's host, once it listens; by default the engine's echo, `service` its settings.

        A foreign command, where the stage has one, takes the place of the engine's.
        """
        if what is None:
            settings: dict[str, Any] = {"kind": "echo", "host": self.host, "port": self.port}
            what = Service(**settings | service)
        if self.command is not None and isinstance(what, Service):
            command = self.command.replace("{port}", str(PORT)).replace("{host}", self.host)
            what = Foreign(command, self.host, PORT)
        child: Child[ServerRun] = Child(lambda connection: attend(what, nofile, connection), self.server)
        self._stack.callback(child.kill)
        return RunningServer(child, what)

    def load(self, work: Work, *, nofile: int | None = None) -> RunningLoad:
        """A load in the client's host. `work` is given a `progress` to pass on, and returns the run."""
        child: Child[Loaded] = Child(
            lambda connection: carry_out(work, connection, (self.host, self.port), nofile), self.client
        )
        self._stack.callback(child.kill)
        return RunningLoad(child)

    def run(self, server: RunningServer, work: Work, *, nofile: int | None = None) -> RunResult:
        """A load from its start to its end, joined with what the server's end showed, and judged."""
        return self.finish(server, self.load(work, nofile=nofile))

    def settle(self, server: RunningServer, load: RunningLoad) -> None:
        """Waits until every connect is settled, and has the server's end looked at then: nothing is closed before."""
        if not load.looked and load.settled():
            arrival(self.client, self.server, (self.host, self.port), self._carried, self._rtt_s)
            server.tell(SETTLED)
            self._stay_with(load)
            load.go_on()
        load.looked = True

    def finish(self, server: RunningServer, load: RunningLoad) -> RunResult:
        """Waits for the end of a load; the run, joined and judged."""
        self.settle(server, load)
        self._stay_with(load)
        run, began_s, established = load.child.result(180)
        return joined(run, began_s, established, server.what, server.finish())

    def _stay_with(self, load: RunningLoad) -> None:
        """For somebody to look around: before the load is told to go on, and may close what there is to see."""
        if self._stay is not None:
            load.freeze()
            self._stay(self)

    def client_states(self) -> dict[str, int]:
        """The client's sockets by state, as `ss` names the states."""
        with self.client.entered(), SockDiag() as diag:
            return diag.states()

    def server_states(self) -> dict[str, int]:
        """The server's connections by state; `queued` are those that nobody accepted yet."""
        with self.server.entered(), SockDiag() as diag:
            sockets = diag.server_sockets(PORT)
        return {**sockets.states, "queued": sockets.queued, "accepted": sockets.accepted}

    def server_connections(self) -> list[InetSocket]:
        """Each connection that the server's host has as ESTABLISHED, accepted or not: for few."""
        with self.server.entered(), SockDiag() as diag:
            return diag.connections(local_port=PORT)

    def wire_report(self) -> WireReport:
        """What the wire has carried so far."""
        assert self.wire is not None, "a stage of one host has no wire"
        return self.wire.report()

    def syns(self) -> int:
        """How many SYNs the client has sent so far by the wire; 0 where there is none."""
        return 0 if self.wire is None else self.wire.counts().syns

    def quiet(self, for_s: float = SILENT_S, within_s: float = 20) -> None:
        """Returns once the wire has carried nothing for so long: what was under way has come to its end.

        A packet is under way for half a round trip without being seen: so long is waited at the least.
        """
        if not self.falls_silent(for_s, within_s):
            raise MachineError(f"the wire did not fall silent within {within_s:g} s")

    def falls_silent(self, for_s: float = SILENT_S, within_s: float = 20) -> bool:
        """The same; False where it carried something all the time."""
        silence = SilentWire(self._carried, for_s + self._rtt_s / 2)
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if silence.fallen():
                return True
            time.sleep(0.005)
        return False

    def _carried(self) -> int:
        """What moves while the wire carries anything; one loopback has no wire, which is silent."""
        return 0 if self.wire is None else self.wire.counts().carried


def join_hosts(client: LabNamespace, middle: LabNamespace, server: LabNamespace) -> None:
    """The hosts' eth0, each with its other end in the middle, where the wire is to be."""
    for host, name, other in ((client, "client", "server"), (server, "server", "client")):
        veth(middle, name, host, "eth0")
        with host.entered():
            links.set_up("lo")
            links.set_mac("eth0", MAC[name])
            links.add_address(ADDRESSES[name], 24, "eth0")
            # For good: no ARP passes beside the packets that are counted, timed, or lost.
            links.add_neighbour(ADDRESSES[other], MAC[other], "eth0")
            # Hand-made packets come from addresses elsewhere: their answers need a way.
            links.add_route(links.Route(gateway=ADDRESSES[other]))


def until(holds: Callable[[], object], within_s: float, why: str) -> None:
    """Looks until `holds` is true. Raises MachineError that says `why` it was waited for."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise MachineError(f"within {within_s:g} s it was not seen that {why}")
        time.sleep(0.002)
