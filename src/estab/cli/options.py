"""Options that commands share: where results go, and what the embedded server does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from estab.cli.values import Bytes, Command, File, Flag, Port, Seconds, Whole
from estab.errors import UsageError
from estab.load.exchange import MOST_REQUEST, unescape

if TYPE_CHECKING:
    from estab.api.request import LoadOptions
    from estab.load.serving import Service

OUTPUT = Group("Output", sort_key=9)
ASKED = Group("What is asked", sort_key=3)
CLIENT = Group("Client", sort_key=4)
SERVER = Group("Embedded server (only without TARGET)", sort_key=5)


@Parameter(name="*", group=OUTPUT)
@dataclass(frozen=True)
class OutputFlags:
    """Where results go."""

    json: Annotated[File | None, Parameter(name="--json", allow_leading_hyphen=True)] = None
    """Write the result as JSON to this file; `-` is standard output, which then gets nothing else."""

    quiet: Annotated[Flag, Parameter(name=("--quiet", "-q"))] = False
    """Print nothing; only set the exit code."""

    @property
    def shows_report(self) -> bool:
        """Whether there is a report on standard output."""
        return not self.quiet and self.json != "-"


@Parameter(name="*", group=OUTPUT)
@dataclass(frozen=True)
class ReportFlags(OutputFlags):
    """Where results go, and how much of them is said."""

    verbose: Annotated[Flag, Parameter(name=("--verbose", "-v"))] = False
    """Print everything: all evidence, every remedy with its reason, all other suspects."""

    brief: Flag = False
    """Print one line, for a chat or a pager."""

    def __post_init__(self) -> None:
        if self.verbose and self.brief:
            raise UsageError("--verbose prints everything and --brief one line: give one of them")


@Parameter(name="*", group=SERVER)
@dataclass(frozen=True)
class EmbeddedFlags:
    """The server that a command brings along when it is given no TARGET."""

    serve: Literal["echo", "sink", "stall"] | None = None
    """What it does: echo, sink (read and discard), or stall (listen but never accept). Default: echo."""

    backlog: Whole | None = None
    """The backlog passed to listen(). Default: 4096."""

    accept_delay: Seconds | None = None
    """Wait at least this long between accepts (50ms)."""

    pause: Seconds | None = None
    """Stall: answer nobody for this long, once every --pause-every."""

    pause_every: Seconds | None = None
    """Time from the start of one --pause to the next (10s)."""

    def service(self, target: str | None) -> Service:
        """The service that was asked for. Raises UsageError where there is a TARGET too."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        if target is not None and given:
            option = "--" + next(iter(given)).replace("_", "-")
            raise UsageError(f"{option} is for the embedded server; leave out TARGET {target!r}, or {option}")
        from estab.load.serving import Service

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
    """Give up waiting after this long; 0 leaves connects to the kernel (about two minutes)."""

    source: Annotated[list[str] | None, Parameter(negative="", metavar="ADDRESS")] = None
    """Local address to connect from; several are used in turn."""

    processes: Whole | None = None
    """Client processes. Default: one per core (for bench against a server on this host, half as many); more if one
    would run out of descriptors."""

    repeat: Whole = 1
    """Run this many times. --json then names a directory that gets one file per run, for `estab compare`."""

    server_via: Command | None = None
    """Command that prints snapshots of the server's host, so that its end is seen too: "ssh HOST estab observe --port
    {port}". Also nsenter, kubectl exec."""

    address_family: Literal["any", "ipv4", "ipv6"] = "any"
    """Which of the addresses of a name to load: the first of any family, or the first of this one."""
    probe: Flag = False
    """Where no cause is sure afterwards, make a few connects more that would tell: 99 at most, in 30 s. One to another
    port and a ping come before the load. `estab probe` makes them without a load."""

    port_beside: Port | None = None
    """The other port of the server's host that --probe asks. Default: the next one."""

    cluster: Annotated[str | None, Parameter(metavar="ADDRESS")] = None
    """Run on every host of the Dask cluster whose scheduler has this address (tcp://10.0.0.9:8786). Counts and rates
    are totals. `estab cluster check` lists the hosts."""


@Parameter(name="*", group=ASKED)
@dataclass(frozen=True)
class AskedFlags:
    """What is asked of a server that is no echo server."""

    http: Annotated[str | None, Parameter(metavar="PATH")] = None
    """Ask a server of HTTP for this path by GET, again and again on the same connection where it lets us. Replies are
    counted by status; one of 400 or above is a failure. A TARGET that is a URL (http://host/path) says the same."""

    request: Annotated[str | None, Parameter(metavar="BYTES", allow_leading_hyphen=True)] = None
    r"""Send this: bytes as printf writes them ("PING\r\n"), or those of @FILE (@- is standard input). The end of its
    reply is given by --until, --reply-bytes or --until-close; a request of HTTP/1.1 needs none of them."""

    until: Annotated[str | None, Parameter(metavar="BYTES", allow_leading_hyphen=True)] = None
    r"""The bytes that end a reply ("PONG\r\n")."""

    reply_bytes: Bytes | None = None
    """How many bytes a reply has."""

    until_close: Flag = False
    """A reply ends as the server closes; a new connection asks for the next."""

    def parameters(self) -> dict[str, Any]:
        """As the library takes them, bytes as such. Raises UsageError for an escape that is none."""
        return {
            "http": self.http,
            "request": None if self.request is None else _request(self.request),
            "until": None if self.until is None else _bytes("--until", self.until),
            "reply_bytes": self.reply_bytes,
            "until_close": self.until_close,
        }


def _request(text: str) -> bytes:
    if not text.startswith("@"):
        return _bytes("--request", text)
    name = text[1:]
    try:
        with open(0, "rb", closefd=False) if name == "-" else open(name, "rb") as file:
            return file.read(MOST_REQUEST + 1)
    except OSError as error:
        raise UsageError(f"--request: can't read {name!r}: {error.strerror}") from error


def _bytes(option: str, text: str) -> bytes:
    try:
        return unescape(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


@dataclass(frozen=True)
class LoadFlags:
    """The flags that every load has."""

    client: ClientFlags
    embedded: EmbeddedFlags
    output: ReportFlags

    def options(self, target: str | None) -> LoadOptions:
        """What they say, as the library takes it. Raises UsageError for what cannot be."""
        from estab.api.request import LoadOptions

        return LoadOptions(
            timeout_s=self.client.timeout,
            sources=tuple(self.client.source or ()),
            processes=self.client.processes,
            service=self.embedded.service(target),
            server_via=self.client.server_via,
            address_family=self.client.address_family,
            probe=self.client.probe,
            port_beside=self.client.port_beside,
        )


DEFAULT_OUTPUT = OutputFlags()
DEFAULT_REPORT = ReportFlags()
DEFAULT_ASKED = AskedFlags()
DEFAULT_CLIENT = ClientFlags()
DEFAULT_EMBEDDED = EmbeddedFlags()
