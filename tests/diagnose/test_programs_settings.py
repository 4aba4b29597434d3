"""The settings of programs: each has a source, is typed as its program takes it, and is what a remedy says."""

from __future__ import annotations

import re

import pytest
from tests.diagnose import runs
from tests.diagnose.alone import alone

from estab.diagnose.advice import programs
from estab.diagnose.advice.programs import KnownProgram, Setting
from estab.records import Process, RunResult, ServiceName

# Those that people name most when they ask.
WANTED = (
    *("nginx", "HAProxy", "Apache", "lighttpd", "Envoy", "Caddy", "Varnish", "Redis", "memcached", "PostgreSQL"),
    *("PgBouncer", "MySQL", "RabbitMQ", "gunicorn", "uvicorn", "uWSGI", "Puma", "PHP-FPM", "Tomcat", "Jetty", "Node"),
    *("Go", "sshd", "systemd", "Docker"),
)


def overflowed() -> RunResult:
    """A queue that was full for a while, so that a longer one helps."""
    full = runs.watch(limit=128, worst_depth=129, drops=9)
    return runs.run(server=runs.local(full, deltas=runs.deltas(ListenOverflows=9)))


KINDS = {
    "backlog": ("accept_queue_overflow", overflowed),
    "connections": ("server_connection_limit", runs.over_its_limit),
    "idle": ("server_idle_close", runs.closed_silent),
    "workers": ("server_accepts_too_slowly", runs.outrun),
}
SETTINGS = [
    (program, kind, setting)
    for program in programs.known()
    for kind in KINDS
    if (setting := getattr(program, kind)) is not None
]


def of(program: KnownProgram) -> Process:
    """A process of it, by its first pattern."""
    return Process(pid=4321, name=program.comm[0].rstrip("*"), fds=60, nofile_soft=4096)


def served_by(run: RunResult, process: Process) -> RunResult:
    return run.replace(server=run.server.replace(processes=[process]))


def test_the_programs_that_people_ask_of_are_there() -> None:
    names = [program.name for program in programs.known()]
    assert set(WANTED) <= set(names)
    assert len(names) == len(set(names))


@pytest.mark.parametrize("program", programs.known(), ids=lambda program: program.name)
def test_a_program_is_known_by_its_name(program: KnownProgram) -> None:
    assert [found.name for found in programs.of([of(program)])] == [program.name]
    assert any((program.backlog, program.connections, program.idle))
    for pattern in (*program.comm, *program.unit):
        assert pattern == pattern.lower()
        assert 2 < len(pattern.rstrip("*")) <= 15  # TASK_COMM_LEN is 16 with its NUL


@pytest.mark.parametrize(("program", "kind", "setting"), SETTINGS, ids=lambda of: getattr(of, "name", None))
def test_a_setting_has_its_source_and_is_a_remedy(program: KnownProgram, kind: str, setting: Setting) -> None:
    assert re.fullmatch(r"https://[\w.-]+\.[a-z]+/\S+", setting.source)
    assert setting.default
    assert bool(setting.file or setting.at_once) or not setting.then
    cause, met = KINDS[kind]
    typed = re.sub(r"\\{(?:size|port|seconds|ms)\\}", r"\\d+", re.escape(setting.at_once or setting.setting))
    said = [remedy for remedy in alone(cause, served_by(met(), of(program))).remedies if setting.default in remedy.why]
    [remedy] = [remedy for remedy in said if re.match(typed, remedy.command)]
    assert not re.search(r"\{(?:size|port|seconds|ms)\}", remedy.command)
    assert remedy.works


def test_a_unit_tells_what_runs_in_an_interpreter() -> None:
    java = Process(pid=1, name="java", service=ServiceName(unit="tomcat10.service"))
    assert [program.name for program in programs.of([java])] == ["Tomcat"]
    assert [program.name for program in programs.of([java.replace(service=ServiceName(unit="app.service"))])] == [
        "Java"
    ]
    several = [java, Process(pid=2, name="nginx"), Process(pid=3, name="nginx"), Process(pid=4, name="unheard-of")]
    assert [program.name for program in programs.of(several)] == ["nginx", "Tomcat"]


@pytest.mark.parametrize("name", ["node_exporter", "systemd-resolve", "", "pythonista2"])
def test_names_that_only_look_alike(name: str) -> None:
    assert not {"Node", "systemd"} & {program.name for program in programs.of([Process(pid=1, name=name)])}


def test_what_stays_is_said_beside_what_counts_at_once() -> None:
    redis = next(program for program in programs.known() if program.name == "Redis")
    assert redis.connections is not None
    assert redis.connections.at(512, 6379) == (
        "redis-cli -p 6379 CONFIG SET maxclients 512   # to stay: maxclients 512 in redis.conf"
    )
    nginx = programs.known()[0]
    assert nginx.idle is not None
    assert nginx.idle.lasting(14) == "keepalive_timeout 14s;   # nginx.conf, then nginx -s reload"


def test_the_idle_time_is_longer_than_the_one_that_was_seen() -> None:
    nginx = Process(pid=4321, name="nginx")
    longer = alone("server_idle_close", served_by(runs.closed_silent(span_s=(7.01, 7.2)), nginx)).remedies[1]
    assert longer.command.startswith("keepalive_timeout 16s;")
    anyone = alone("server_idle_close", served_by(runs.closed_silent(), of(programs.known()[0]).replace(name="x")))
    assert "nginx keepalive_timeout" in anyone.remedies[1].command
