"""The stage: a client's host and a server's host, a wire between them, and what runs in each.

```
 client  10.77.0.1 ─── veth ─── the wire (a namespace of its own) ─── veth ─── 10.77.0.2  server
```
Everything of it ends with the `with` block, and with the process that holds it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from types import MappingProxyType, TracebackType
from typing import Any, Self, TypeVar

from estab.api.recorder import Progress
from estab.errors import EstabError, MachineError
from estab.kernel.formats.inet_diag import InetSocket
from estab.lab.process.child import Child, say
from estab.lab.process.isolation import descendants
from estab.lab.process.namespace import Namespace, ip_batch, veth
from estab.lab.stage.arrival import SILENT_S, Silence, arrival
from estab.lab.stage.join import joined
from estab.lab.stage.server import Foreign, Seen, What, attend
from estab.lab.wire.relay import carry
from estab.lab.wire.spec import WireReport, WireSpec
from estab.load.serving import Service
from estab.observe.sock_diag import SockDiag
from estab.records import RunResult

T = TypeVar("T")
Sysctls = Mapping[str, int | str]
AS_THEY_ARE: Sysctls = MappingProxyType({})
CLIENT, SERVER, PORT = "10.77.0.1", "10.77.0.2", 5000
TARGET = f"{SERVER}:{PORT}"
_MAC = {"client": "02:00:00:00:00:01", "server": "02:00:00:00:00:02"}
_SETTLED = "settled"
_LOOKED_WITHIN_S = 10.0


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
        self.spaces: list[Namespace] = []
        self._stay = stay
        self._rtt_s = 0.0 if wire is None else wire.rtt_s
        self.command = command
        self.host = CLIENT if wire is None else SERVER
        try:
            self.client = self._space("client", client)
            self.server = self.client if wire is None else self._space("server", server)
            if wire is None:
                self.client.configure(server)
                self.host = "127.0.0.1"
                with self.client.entered():
                    ip_batch(["link set lo up"])
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
        """Where the server listens, as HOST:PORT."""
        return f"{self.host}:{PORT}"

    def _space(self, name: str, sysctls: Sysctls) -> Namespace:
        space = Namespace(name)
        self._stack.callback(space.close)
        self.spaces.append(space)
        space.configure(sysctls)
        return space

    def _wire(self, spec: WireSpec) -> Wire:
        middle = self._space("wire", {})
        for host, other, name in ((self.client, "server", "client"), (self.server, "client", "server")):
            veth(middle, name, host, "eth0")
            own, far = (CLIENT, SERVER) if name == "client" else (SERVER, CLIENT)
            with host.entered():
                ip_batch(
                    [
                        "link set lo up",
                        f"link set eth0 address {_MAC[name]}",
                        f"address add {own}/24 dev eth0",
                        # Permanent: no ARP passes beside the packets that are counted, timed, or lost.
                        f"neighbour add {far} lladdr {_MAC[other]} dev eth0 nud permanent",
                        f"route add default via {far}",
                    ]
                )
        child: Child[None] = Child(lambda connection: carry(spec, ("client", "server"), connection), middle)
        self._stack.callback(child.kill)
        return Wire(child, self)

    # -- servers and loads --------------------------------------------------------------------------------------------

    def serve(self, what: What | None = None, *, nofile: int | None = None, **service: Any) -> Server:
        """A server in the server's host, once it listens; by default the engine's echo, `service` its settings.

        A foreign command, where the stage has one, takes the place of the engine's.
        """
        if what is None:
            settings: dict[str, Any] = {"kind": "echo", "host": self.host, "port": PORT}
            what = Service(**settings | service)
        if self.command is not None and isinstance(what, Service):
            command = self.command.replace("{port}", str(PORT)).replace("{host}", self.host)
            what = Foreign(command, self.host, PORT)
        child: Child[Seen] = Child(lambda connection: attend(what, nofile, connection), self.server)
        self._stack.callback(child.kill)
        return Server(child, what)

    def load(self, work: Callable[[Callable[[Progress], None]], RunResult], *, nofile: int | None = None) -> Load:
        """A load in the client's host. `work` is given a `progress` to pass on, and returns the run."""
        child: Child[Loaded] = Child(lambda connection: _carry_out(work, connection, self.host, nofile), self.client)
        self._stack.callback(child.kill)
        return Load(child)

    def run(
        self,
        server: Server,
        work: Callable[[Callable[[Progress], None]], RunResult],
        *,
        nofile: int | None = None,
    ) -> RunResult:
        """A load from its start to its end, joined with what the server's end showed, and judged."""
        return self.finish(server, self.load(work, nofile=nofile))

    def settle(self, server: Server, load: Load) -> None:
        """Waits until every connect is settled, and has the server's end looked at then: nothing is closed before."""
        if not load.looked and load.settled():
            arrival(self.client, self.server, (self.host, PORT), self._carried, self._rtt_s)
            server.tell(_SETTLED)
            load.go_on()
        load.looked = True

    def finish(self, server: Server, load: Load) -> RunResult:
        """Waits for the end of a load; the run, joined and judged."""
        self.settle(server, load)
        if self._stay is not None:
            load.freeze()
            self._stay(self)
        run, began_s, established = load.child.result(180)
        return joined(run, began_s, established, server.what, server.finish())

    def client_states(self) -> dict[str, int]:
        """The client's sockets by state, as `ss` names the states."""
        with self.client.entered(), SockDiag() as diag:
            return diag.states()

    def server_states(self) -> dict[str, int]:
        """The server's connections by state; `queued` are those that nobody accepted yet."""
        with self.server.entered(), SockDiag() as diag:
            found = diag.server_sockets(PORT)
        return {**found.states, "queued": found.queued, "accepted": found.accepted}

    def server_connections(self) -> list[InetSocket]:
        """Each connection that the server's host has as ESTABLISHED, accepted or not: for few."""
        with self.server.entered(), SockDiag() as diag:
            return diag.connections(local_port=PORT)

    def wire_report(self) -> WireReport:
        """What the wire has carried so far."""
        assert self.wire is not None, "a stage of one host has no wire"
        return self.wire.report()

    def quiet(self, for_s: float = SILENT_S, within_s: float = 20) -> None:
        """Returns once the wire has carried nothing for so long: what was under way has come to its end.

        A packet is under way for half a round trip without being seen: so long is waited at the least.
        """
        silence = Silence(self._carried, for_s + self._rtt_s / 2)
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if silence.fallen():
                return
            time.sleep(0.005)
        raise MachineError(f"the wire did not fall silent within {within_s:g} s")

    def _carried(self) -> int:
        """How many packets the wire has carried; one loopback has no wire, which is silent."""
        return 0 if self.wire is None else self.wire.carried()

    def work(self, space: Namespace, do: Callable[[], T]) -> T:
        """What `do()` returns in a child inside `space`."""
        child: Child[T] = Child(lambda _connection: do(), space)
        self._stack.callback(child.kill)
        return child.result()


def until(holds: Callable[[], object], within_s: float, why: str) -> None:
    """Looks until `holds` is true. Raises MachineError that says `why` it was waited for."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            raise MachineError(f"within {within_s:g} s it was not seen that {why}")
        time.sleep(0.002)


class Wire:
    """The wire's child, from outside."""

    def __init__(self, child: Child[None], stage: Stage) -> None:
        self._child, self._stage = child, stage
        child.receive()

    def report(self) -> WireReport:
        """What passed so far."""
        self._child.send(("report",))
        found: WireReport = self._child.receive()
        return found

    def carried(self) -> int:
        """How many packets came in so far; all that were due when this was asked have left."""
        self._child.send(("carried",))
        found: int = self._child.receive()
        return found

    def gather(self, syns: int) -> None:
        """The next so many SYNs leave together, as `WireSpec.gather_syns` says."""
        self._child.send(("gather", syns))
        self._child.receive()

    def hold(self, yes: bool) -> None:
        """While it holds, it takes packets in and lets none out; then what was kept leaves at once."""
        self._child.send(("hold", yes))
        self._child.receive()

    def inject(self, syns: int) -> None:
        """Hand-made SYNs to the server, each from an address that never answers; returns once all have left."""
        macs = tuple(bytes.fromhex(_MAC[name].replace(":", "")) for name in ("client", "server"))
        before = self.report().injected
        self._child.send(("inject", syns, PORT, SERVER, macs))
        while self.report().injected < before + syns:
            time.sleep(0.005)


class Server:
    """A server's child, from outside."""

    def __init__(self, child: Child[Seen], what: What) -> None:
        self._child, self.what = child, what
        self._finished: Seen | None = None
        child.receive()

    def tell(self, message: object) -> None:
        """Pause, resume, settled, or ("listen", backlog); returns once it is done."""
        self._child.send(message)
        self._child.receive()

    def hiccup(self, times: int, pause_s: float, *, every_s: float) -> None:
        """It runs for `every_s` and does nothing for `pause_s`, so many times."""
        for _ in range(times):
            time.sleep(every_s)
            self.tell("pause")
            time.sleep(pause_s)
            self.tell("resume")

    def finish(self) -> Seen:
        """Ends it; what was seen of it."""
        if self._finished is None:
            self._child.send("finish")
            self._finished = self._child.result()
        return self._finished


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


Loaded = tuple[RunResult, float, frozenset[bytes] | None]


class Load:
    """A load's child, from outside."""

    def __init__(self, child: Child[Loaded]) -> None:
        self.child = child
        self.looked = False
        self._settled: bool | None = None

    def freeze(self) -> None:
        """Stops its processes: what they have open stays as it is."""
        if self.child.pid is not None:
            _signal([self.child.pid, *descendants(self.child.pid)], signal.SIGSTOP)

    @contextlib.contextmanager
    def starved(self) -> Iterator[None]:
        """Within the block its workers get no CPU at all, as under a quota that is used up (SIGSTOP, SIGCONT)."""
        workers = descendants(self.child.pid)
        try:
            _signal(workers, signal.SIGSTOP)
            yield
        finally:
            _signal(workers, signal.SIGCONT)

    def begun(self) -> None:
        """Returns once the first connect was attempted."""
        self.child.wait_for(lambda said: bool(said in ("begun", _SETTLED)))

    def settled(self) -> bool:
        """Waits until every connect is settled; False where the run ended before that was seen."""
        if self._settled is None:
            self._settled = self.child.wait_for(lambda said: bool(said == _SETTLED), 180) is not None
        return self._settled

    def go_on(self) -> None:
        """Lets a load that holds its connections for us to look at them do what it does next."""
        with contextlib.suppress(OSError):  # it has ended meanwhile
            self.child.send("looked")


def _carry_out(
    work: Callable[[Callable[[Progress], None]], RunResult], connection: Connection, host: str, nofile: int | None
) -> Loaded:
    """What a load's child runs."""
    if nofile is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, hard))
    began_s: list[float] = []
    established: list[frozenset[bytes]] = []

    def progress(now: Progress) -> None:
        if not began_s:
            began_s.append(time.monotonic() - now.point.t_s)
            say(connection, "begun")
        if now.stage == "running" and not established:
            with contextlib.suppress(EstabError), SockDiag() as diag:
                established.append(diag.established_toward(host, PORT))
            say(connection, _SETTLED)
            # Connections that are only held stay open meanwhile: the word to close them is what waits here.
            if not now.point.requests and connection.poll(_LOOKED_WITHIN_S):
                connection.recv()

    run = work(progress)
    # A churn's connections are gone before the other end could be asked for them.
    held = established[0] if established and run.command == "hold" else None
    return run, began_s[0] if began_s else time.monotonic(), held
