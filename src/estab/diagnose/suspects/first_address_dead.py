"""The target's name has several addresses, and the first does not answer where another does.

`getaddrinfo` orders the addresses of a name (RFC 6724: IPv6 before IPv4 where both could be used). What connects to the
first alone fails, and what tries one after the other (RFC 8305, "Happy Eyeballs", with a short lead) does not: so one
program works and another does not, from the same host at the same time. Usual origins: a server that listens on
127.0.0.1 alone while `localhost` is ::1 first; an AAAA record of a host without IPv6; a record that outlived its host.
"""

from __future__ import annotations

from estab.diagnose import facts, sent
from estab.diagnose.advice import changes
from estab.diagnose.advice.futile import bigger_backlog, longer_timeout
from estab.diagnose.cause import Cause, CauseKind, ConnectionStage, Judgement, NeedsRun, Rebuilt
from estab.diagnose.evidence import measured, unknown
from estab.records import ConnectAfter, Evidence, NameAddress, Remedy, RunResult, Side
from estab.words import plural


def judge_run(run: RunResult) -> Judgement:
    """Confirmed where no connect to the first address got through, nor one after the run, and another answered."""
    addresses, evidence = run.addresses, _evidence(run.addresses)
    if len(addresses) < 2:
        text = "The target has one address."
        return Judgement("ruled_out", text, [unknown("the resolver", "addresses", text)])
    first = addresses[0]
    answering = [each for each in addresses[1:] if each.connect.errno is None]
    if run.funnel.connected or first.connect.errno is None:
        return Judgement("ruled_out", f"The first of {len(addresses)} addresses, {first.address}, answers.", evidence)
    if not answering:
        return Judgement("ruled_out", "None of its addresses answers: it is not the first alone.", evidence)
    name = run.config.get("target_name") or "The target"
    text = (
        f"{name} has {plural(len(addresses), 'address', 'addresses')}, and the first, {first.address}, "
        f"{_what(first.connect)}; {answering[0].address} answers. What tries the first alone fails."
    )
    return Judgement("confirmed", text, evidence, side=_side(first.connect))


def others_dead(run: RunResult) -> str | None:
    """That further addresses of the name do not answer, where the first does, in a sentence. None: it is not so."""
    dead = [each for each in run.addresses[1:] if each.connect.errno is not None]
    if not dead or run.addresses[0].connect.errno is not None:
        return None
    name = run.config.get("target_name") or "the target"
    text = f"{dead[0].address} {_what(dead[0].connect)}" + (f", {len(dead) - 1} more neither" if dead[1:] else "")
    return f"Of the {len(run.addresses)} addresses of {name} the first was asked, and answers; {text}."


def failures(run: RunResult) -> int:
    """Connects that failed, which went to the first address."""
    return facts.connect_failures(run)


def _side(connect: ConnectAfter) -> Side:
    return "server" if connect.errno in sent.REFUSED else "path"


def _what(connect: ConnectAfter) -> str:
    if (said := sent.who_said(connect)) is not None:
        return f"can't be reached ({said})"
    if connect.errno in sent.REFUSED:
        return "refuses"
    return "does not answer" if connect.errno in facts.TIMEOUTS else f"gives {connect.errno}"


def _evidence(addresses: list[NameAddress]) -> list[Evidence]:
    source = "a connect to each address after the run"
    return [
        measured(
            source,
            each.address,
            each.connect.errno or "connected",
            f"{each.address} {'answers' if each.connect.errno is None else _what(each.connect)}",
            None,
        )
        for each in addresses
    ]


def remedies(run: RunResult) -> list[Remedy]:
    """The name, the listener, clients that try the next address; then what does nothing."""
    name = str(run.config.get("target_name") or "NAME")
    port = facts.target_port(run) or "PORT"
    first = run.addresses[0].address if run.addresses else "the first"
    return [
        Remedy(
            command=f"getent ahosts {name}; curl -4 http://{name}:{port}/; curl -6 http://{name}:{port}/",
            works=True,
            changes=[changes.LOOK],
            why="The order in which programs get the addresses, and which family answers.",
        ),
        Remedy(
            command=f"take {first} out of the name: its A or AAAA record, the line in /etc/hosts",
            works=True,
            changes=[changes.mend("an address of the name that nobody has")],
            why="Then the first address is one that answers, for every program.",
        ),
        Remedy(
            command=f"listen there too: `[::]:{port}` takes IPv6 and IPv4 (ss -ltn shows *:{port})",
            works=True,
            changes=[changes.program("the addresses that it listens on", "server")],
            why="A listener on 127.0.0.1 or 0.0.0.0 does not have ::1, though localhost has both.",
        ),
        Remedy(
            command="a client that tries the next address: socket.create_connection(), Dial of Go, curl, Node 20",
            works=True,
            changes=[changes.program("which addresses it tries")],
            why="connect() to the first result of getaddrinfo() alone does not; where that hangs, so does the program.",
        ),
        Remedy(
            command="estab bench NAME:PORT --address-family ipv4   # or ipv6",
            works=True,
            changes=[changes.LOOK],
            why="Loads the first address of that family, to see how the one that answers fares.",
        ),
        longer_timeout("The first address answers no later."),
        bigger_backlog("No connect reached a queue."),
    ]


_FIRST = "they went to the first of the name's addresses, and another answers"
CAUSE = Cause(
    id="first_address_dead",
    side="server",
    stage=ConnectionStage.PATH,
    specificity=7,
    explains={
        CauseKind.LOST_SYN: _FIRST,
        "nobody_listening": _FIRST,
        "neighbour_unresolved": _FIRST,
        "no_route_back": _FIRST,
        "reverse_path_filtered": _FIRST,
    },
    judge_run=judge_run,
    judge_snapshots=NeedsRun("Which of a name's addresses answer shows only when each is asked"),
    failures=failures,
    remedies=remedies,
    twin=Rebuilt("a name with two addresses, on the first of which nobody listens"),
)
