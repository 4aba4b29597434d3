"""Options that commands share: where results go, and what the embedded server does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Group, Parameter

from estab.cli.values import Command, File, Flag, Seconds, Whole
from estab.errors import UsageError
from estab.load.serving import Service

if TYPE_CHECKING:
    from estab.api.request import LoadOptions

OUTPUT = Group("Output", sort_key=9)
CLIENT = Group("Client", sort_key=4)
SERVER = Group("Embedded server (only without TARGET)", sort_key=5)


@Parameter(name="*", group=OUTPUT)
@dataclass(frozen=True)
class OutputFlags:
    """Where results go."""

    json: Annotated[File | None, Parameter(name="--json", allow_leading_hyphen=True)] = None
    """Write the result as JSON to this file; `-` is standard output, and nothing else is on it then."""

    quiet: Annotated[Flag, Parameter(name=("--quiet", "-q"))] = False
    """Neither progress nor report; the exit code tells."""

    @property
    def shows_report(self) -> bool:
        """Whether there is a report on standard output."""
        return not self.quiet and self.json != "-"


@Parameter(name="*", group=SERVER)
@dataclass(frozen=True)
class EmbeddedFlags:
    """The server that a command brings along when it is given no TARGET."""

    serve: Literal["echo", "sink", "stall"] | None = None
    """What it does: echo, sink (swallow), or stall (listen and never accept). Default: echo."""

    backlog: Whole | None = None
    """The backlog that listen() is asked for. Default: 4096."""

    accept_delay: Seconds | None = None
    """The least time from one accept to the next, as 50ms."""

    pause: Seconds | None = None
    """Answer nobody for so long, each --pause-every: a server that stalls at known times."""

    pause_every: Seconds | None = None
    """From one --pause to the next, as 10s."""

    def service(self, target: str | None) -> Service:
        """The service that was asked for. Raises UsageError where there is a TARGET too."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        if target is not None and given:
            option = "--" + next(iter(given)).replace("_", "-")
            raise UsageError(f"{option} is for the embedded server; leave out TARGET {target!r}, or {option}")
        return Service(
            self.serve or "echo",
            backlog=4096 if self.backlog is None else self.backlog,
            accept_delay_s=self.accept_delay or 0.0,
            pause_s=self.pause or 0.0,
            pause_every_s=self.pause_every or 0.0,
        )


@Parameter(name="*", group=CLIENT)
@dataclass(frozen=True)
class ClientFlags:
    """What every load has: how it waits, where it comes from, and how its server is seen."""

    timeout: Seconds = 3.0
    """Give up a wait after so long; 0 leaves connects to the kernel (about two minutes)."""

    source: Annotated[list[str] | None, Parameter(negative="", metavar="ADDRESS")] = None
    """Local address to connect from; more than one takes them in turn."""

    processes: Whole | None = None
    """Client processes. Default: one a core (half of them for bench beside a server on this host), and more where
    descriptors are too few for one."""

    repeat: Whole = 1
    """Run it so many times. --json then names a directory, which gets a file a run, for `estab compare` to read."""

    server_via: Command | None = None
    """Command that prints snapshots of the server's host, so that its end is judged too: "ssh HOST estab observe --port
    {port}", nsenter, kubectl exec."""

    cluster: Annotated[str | None, Parameter(metavar="ADDRESS")] = None
    """Run on every host of the Dask cluster whose scheduler is at this address, as tcp://10.0.0.9:8786. Counts and
    rates are those of all together. `estab cluster check` says who is there."""


@dataclass(frozen=True)
class LoadFlags:
    """The flags that every load has."""

    client: ClientFlags
    embedded: EmbeddedFlags
    output: OutputFlags

    def options(self, target: str | None) -> LoadOptions:
        """What they say, as the library takes it. Raises UsageError for what cannot be."""
        from estab.api.request import LoadOptions

        return LoadOptions(
            timeout_s=self.client.timeout,
            sources=tuple(self.client.source or ()),
            processes=self.client.processes,
            service=self.embedded.service(target),
            server_via=self.client.server_via,
        )


DEFAULT_OUTPUT = OutputFlags()
DEFAULT_CLIENT = ClientFlags()
DEFAULT_EMBEDDED = EmbeddedFlags()
