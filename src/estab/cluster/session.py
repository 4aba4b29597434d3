"""The connection to a Dask scheduler: who its workers are, what they are asked, and what they say.

What lives here: everything of `distributed` that the command's side uses, and the lines for what goes wrong with it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import queue
import socket
import threading
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from estab import __version__, shortage
from estab.cluster import clock as clocks
from estab.cluster import remote_call
from estab.cluster.members import Member, read
from estab.cluster.messages import TOPIC, Command, Order, TaskEvent
from estab.cluster.probe import Probed
from estab.errors import MachineError, UsageError
from estab.extras import install_command
from estab.load.target import look_up, split
from estab.records.cluster import Clock

if TYPE_CHECKING:
    from distributed import Future

Client = Any  # distributed's methods have no types

T = TypeVar("T")
CONNECT_WITHIN_S, ANSWERS_WITHIN_S = 5.0, 20.0
EXCHANGES = 8
_SCHEMES = ("tcp", "tls", "ws", "wss")  # inproc is for one process; ucx needs hardware, and a library that is rare
_TALKATIVE = ("distributed", "tornado", "asyncio")
_INSTALL = f"pip install 'estab[cluster]=={__version__}'"


@dataclass(frozen=True)
class TaskEnded:
    """A task has come to its end, whatever that was."""

    who: str
    future: Future[Any]


@dataclass(frozen=True)
class WorkerGone:
    """The scheduler has removed a worker."""

    who: str


Event = TaskEvent | TaskEnded | WorkerGone


def _missing() -> MachineError:
    return MachineError(f"a cluster needs dask.distributed: {install_command('cluster')} adds it")


def need_extra() -> None:
    """Raises MachineError where dask.distributed is missing. Imports nothing of it: that takes a second."""
    if importlib.util.find_spec("distributed") is None:
        raise _missing()


def _distributed() -> ModuleType:
    try:
        import distributed
    except ImportError as error:
        raise _missing() from error
    return distributed


@contextlib.contextmanager
def connected(address: str) -> Iterator[Session]:
    """A session with the scheduler at `address` ("tcp://HOST:8786", or the path of a scheduler file).

    Raises MachineError where dask.distributed is missing or nobody answers, UsageError for what is no address.
    """
    distributed = _distributed()
    with _quiet(), contextlib.ExitStack() as stack:
        client = _connect(distributed, address)
        stack.callback(_close, client)
        yield Session(client, address)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What Dask, and the loop under it, log of a lost scheduler or worker is said in our own words."""
    # Each logger of Dask's has a level and a handler of its own.
    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in _TALKATIVE]
    loggers = [logging.getLogger(name) for name in {*names, *_TALKATIVE}]
    before = [(logger, logger.disabled) for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in before:
            logger.disabled = disabled


def _connect(distributed: ModuleType, address: str) -> Client:
    is_file = os.path.isfile(address)
    if not is_file:
        _check_address(address)
        look_up(*_where(address), f"`address` {address!r}")  # distributed would ask for an unknown host again and again
        _check_certificates(distributed, address)
    # One that fails halfway would close itself when it is collected: ten seconds later, and with a traceback.
    client = type("Client", (distributed.Client,), {"__del__": lambda _self: None})
    given: dict[str, Any] = {"scheduler_file": address} if is_file else {"address": address}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # versions are compared by us, and said in one line
            connected: Client = _within(
                2 * CONNECT_WITHIN_S,
                lambda: client(
                    **given, timeout=CONNECT_WITHIN_S, set_as_default=False, name="estab", direct_to_workers=False
                ),
            )
    except Exception as error:  # what somebody else's bytes come to, when they are taken for Dask's, may be anything
        # MemoryError among it: bytes that are taken for the length of a frame ask for more than there is.
        if not isinstance(error, MemoryError) and (lacking := shortage.explain(error)):
            raise MachineError(lacking) from error
        if is_file and isinstance(error, ValueError | TypeError | KeyError):
            raise UsageError(f"`address` {address!r}: {_first_line(error)}") from error
        why = _why_not(address) or _first_line(error)
        raise MachineError(
            f"no Dask scheduler answers at {address} ({why}); start one with `dask scheduler`, "
            "and on each host `dask worker ADDRESS`"
        ) from error
    return connected


def _within(limit_s: float, do: Callable[[], T]) -> T:
    """What `do()` gives or raises. TimeoutError after `limit_s` seconds, and then nobody waits for it any more.

    Dask's own waits have no end where a peer takes the connection and says nothing, or a scheduler is stopped.
    """
    done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            done.put((do(), None))
        except BaseException as error:  # raised below, where somebody hears of it
            done.put((None, error))

    threading.Thread(target=work, name="estab-asks", daemon=True).start()
    try:
        given, error = done.get(timeout=limit_s)
    except queue.Empty:
        raise TimeoutError(f"no answer within {limit_s:g} s") from None
    if error is not None:
        raise error
    return cast("T", given)


def _check_address(address: str) -> None:
    """Raises UsageError for what no scheduler can be at."""
    from distributed.comm.registry import backends

    scheme, separator, rest = address.rpartition("://")
    port = rest.rpartition(":")[2]
    known = sorted(name for name in backends if name in _SCHEMES)
    if (separator and scheme not in known) or ":" not in rest or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(
            f"`address` {address!r}: give the scheduler's address, as tcp://10.0.0.9:8786 ({', '.join(known)}), "
            "or the file that it wrote (--scheduler-file)"
        )


def _where(address: str) -> tuple[str, int]:
    return split(address.rpartition("://")[2], "`address`")


def _check_certificates(distributed: ModuleType, address: str) -> None:
    """Raises MachineError where TLS is asked for and none is set up: a client of Dask's then ends with a traceback."""
    if not address.startswith(("tls://", "wss://")):
        return
    if distributed.Security().get_connection_args("client").get("ssl_context") is None:
        raise MachineError(
            f"`address` {address!r} needs certificates: name them in Dask's configuration "
            "(distributed.comm.tls: ca-file, client.cert), or use tcp://"
        )


def _why_not(address: str) -> str | None:
    """What a plain connect says of a scheduler that did not answer; None where it does: then it is none of Dask's."""
    if os.path.isfile(address):
        return None
    try:
        socket.create_connection(_where(address), 1.0).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def _close(client: Client) -> None:
    with contextlib.suppress(Exception):  # the scheduler may be gone
        client.close(timeout=2)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class Session:
    """What is asked of a connected cluster. Events of tasks come in `events`."""

    def __init__(self, client: Client, address: str) -> None:
        import cloudpickle  # type: ignore[import-untyped]

        self._client = client
        self.address = address
        self.run = uuid.uuid4().hex[:12]
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        cloudpickle.register_pickle_by_value(remote_call)

    # -- who there is -------------------------------------------------------------------------------------------------

    def members(self) -> list[Member]:
        """Its workers."""
        return read(self._client.scheduler_info(n_workers=-1)["workers"])

    def probe(self, members: Sequence[Member]) -> dict[str, Probed | str]:
        """What each worker is, by address; a text where it can't take part: which, why, and what to do."""
        answers = self._ask("estab.cluster.probe", "probe", members)
        probed_by: dict[str, Probed | str] = {}
        for member in members:
            answer = answers.get(member.address)
            if isinstance(answer, bytes):
                probed = msgspec.json.decode(answer, type=Probed)
                wrong = probed.estab_version != __version__
                probed_by[member.address] = _other_version(member, probed.estab_version) if wrong else probed
            else:
                probed_by[member.address] = _refusal(member, answer)
        return probed_by

    def could(self, members: Sequence[Member]) -> dict[str, bytes]:
        """`probe.Could` of each that answers, by address."""
        answers = self._ask("estab.cluster.probe", "could", members)
        return {address: answer for address, answer in answers.items() if isinstance(answer, bytes)}

    def clock(self, member: Member) -> Clock:
        """Its clock against ours. Raises MachineError where it says nothing."""
        exchanges = []
        for _ in range(EXCHANGES):
            sent = time.time()
            answer = self._ask("estab.cluster.probe", "clock", [member]).get(member.address)
            if not isinstance(answer, bytes):
                raise MachineError(_refusal(member, answer))
            exchanges.append(clocks.ClockExchange(sent, float(answer), time.time()))
        return clocks.best(exchanges)

    def _ask(self, module: str, name: str, members: Sequence[Member], payload: bytes = b"") -> dict[str, Any]:
        """What each worker answers at once, in its event loop; an exception where it can't."""
        addresses = [member.address for member in members]
        try:
            answers: dict[str, Any] = _within(
                ANSWERS_WITHIN_S,
                lambda: self._client.run(remote_call.call, module, name, payload, workers=addresses, on_error="return"),
            )
        except Exception as error:  # a scheduler that went away raises what it likes
            raise MachineError(f"the scheduler at {self.address} was lost ({_first_line(error)})") from error
        return answers

    # -- tasks --------------------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """From now on, what tasks say and which workers are lost comes in `events`."""
        self._client.subscribe_topic(TOPIC, self._task_event)
        self._client.subscribe_topic("all", self._scheduler_event)

    def _task_event(self, event: tuple[float, Any]) -> None:
        with contextlib.suppress(msgspec.ValidationError):  # of another version's run
            task_event = msgspec.convert(event[1], TaskEvent)
            if task_event.run == self.run:
                self.events.put(task_event)

    def _scheduler_event(self, event: tuple[float, Any]) -> None:
        said = event[1]
        if isinstance(said, dict) and said.get("action") == "remove-worker":
            self.events.put(WorkerGone(str(said.get("worker"))))

    def submit(self, name: str, order: Order) -> Future[Any]:
        """Starts `estab.cluster.NAME.NAME` with the order, on its worker and nowhere else, and not twice."""
        future: Future[Any] = self._client.submit(
            remote_call.call,
            f"estab.cluster.{name}",
            name,
            msgspec.json.encode(order),
            key=f"estab-{name}-{order.run}-{order.who}",
            workers=[order.who],
            allow_other_workers=False,
            pure=False,
            retries=0,
            priority=1_000,
        )
        future.add_done_callback(partial(self._ended, order.who))  # type: ignore[no-untyped-call]
        return future

    def _ended(self, who: str, future: Future[Any]) -> None:
        self.events.put(TaskEnded(who, future))

    def send(self, command: Command, members: Sequence[Member]) -> None:
        """Sends a command to these members' tasks and does not wait: one out of reach must not hold up others."""
        addresses = [member.address for member in members]

        def deliver() -> None:
            with contextlib.suppress(Exception):  # who can't be reached is lost, and noted where that is seen
                self._client.run(
                    remote_call.call,
                    "estab.cluster.inbox",
                    "deliver",
                    msgspec.json.encode(command),
                    workers=addresses,
                    on_error="ignore",
                )

        threading.Thread(target=deliver, name="estab-send", daemon=True).start()

    def release(self, futures: Sequence[Future[Any]]) -> None:
        """Nobody wants these any more: what has not begun never will, what runs stops by its watchdog."""
        with contextlib.suppress(Exception):
            self._client.cancel(list(futures))

    @property
    def is_open(self) -> bool:
        """Whether the scheduler is there."""
        return bool(self._client.status == "running")


def _other_version(member: Member, version: str) -> str:
    return (
        f"worker {member.name} ({member.address}) has estab {version}, this is {__version__}; "
        f"install the same everywhere: {_INSTALL}"
    )


def _refusal(member: Member, answer: object) -> str:
    """Why a worker can't take part, from the exception that it answered with."""
    who = f"worker {member.name} ({member.address})"
    if isinstance(answer, ModuleNotFoundError):
        if answer.name == "estab":
            return f"worker {member.name} ({member.address}) has no estab; install it there: {_INSTALL}"
        return f"{who} has an estab without {answer.name}; install the same everywhere: {_INSTALL}"
    if isinstance(answer, BaseException):
        return f"{who} can't take part: {type(answer).__name__}: {_first_line(answer)}"
    return f"{who} did not answer; `estab cluster check` shows who does"
