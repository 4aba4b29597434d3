"""More descriptors: for a process that runs, for a service, for the whole host.

Source: `alloc_fd` (fs/file.c) asks RLIMIT_NOFILE anew each time, so a raised limit counts at once: EMFILE.
`alloc_empty_file` (fs/file_table.c) asks fs.file-max: ENFILE. accept() takes the descriptor before the connection
(`__sys_accept4_file`, net/socket.c): on EMFILE the connection stays in the queue.
"""

from __future__ import annotations

from estab.diagnose import facts
from estab.diagnose.advice import changes
from estab.records import Remedy, RunResult, ServiceName, Side

SPARE = 64  # Standard streams, epoll, logs, libraries: what a process holds besides its connections.
_FILE_MAX = changes.elsewhere("the table of open files of the whole machine")


def wanted_descriptors(run: RunResult) -> int:
    """A soft limit with room for every connection that was asked for: a power of two, 1,024 at least."""
    together = facts.asked_connections(run) or run.funnel.attempted
    return max(1024, 1 << max(0, together + SPARE - 1).bit_length())


def lasting_limit(size: int, service: ServiceName | None) -> str:
    """Where RLIMIT_NOFILE is set for good: by what the process belongs to, as far as its cgroup tells.

    A pod has no field of its own for it: its runtime hands down what its own unit has.
    """
    if service and (service.pod or service.pod_uid):
        return f"LimitNOFILE={size}   # [Service] of the container runtime of its node; then restart that and the pod"
    if service and (service.container or service.container_id):
        return f"docker run --ulimit nofile={size}:{size} ...   # {service.words}, made anew; podman: the same option"
    unit = service.unit if service and service.unit else "its unit"
    return f"LimitNOFILE={size}   # [Service] of {unit}; then systemctl daemon-reload and restart"


def file_max_remedies(side: Side) -> list[Remedy]:
    """ENFILE: the host's table of open files is full."""
    return [
        Remedy(
            command="sysctl -w fs.file-max=2097152",
            works=True,
            changes=[_FILE_MAX],
            why="ENFILE is the whole host's limit; cat /proc/sys/fs/file-nr shows how much of it is used.",
        ),
        Remedy(
            command="ulimit -n 1048576",
            works=False,
            changes=[changes.nofile(1048576, side)],
            why="ENFILE is not the process's limit: RLIMIT_NOFILE gives EMFILE.",
        ),
    ]


def file_max_does_nothing() -> Remedy:
    """For EMFILE, the other way round."""
    why = "EMFILE is the process's own limit (RLIMIT_NOFILE); the host's table was not full (that is ENFILE)."
    return Remedy(command="sysctl -w fs.file-max=2097152", works=False, changes=[_FILE_MAX], why=why)
