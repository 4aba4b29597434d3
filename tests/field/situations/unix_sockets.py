"""UNIX sockets between a proxy and its backend, and asked directly: their queue full, and not."""

from __future__ import annotations

import signal

from tests.field import programs
from tests.field.packages import WSGI
from tests.field.proof import accepted, counted, logged, unix_queue_full
from tests.field.situation import Later, Program, Situation, due, healthy, open_to

CAUSE = "unix_accept_queue_overflow"
_PATH = "{folder}/app.sock"
_FULL = r"unix:\S+/app\.sock"
_TCP_SETTINGS = (r"tcp_max_syn_backlog", r"ip_local_port_range", r"nofile")
_EAGAIN = r"connect\(\) to unix:\S+ failed \(11: Resource temporarily unavailable\)"


def _nginx(backend: str = f"proxy_pass http://unix:{_PATH};", **more: object) -> Program:
    return programs.nginx(server=f"location / {{ {backend} }}", **more)  # type: ignore[arg-type]


def _gunicorn(options: str, work_s: float = 0.02) -> Program:
    app = WSGI.replace("    start_response", f"    time.sleep({work_s})\n    start_response")
    argv = f"gunicorn --chdir {{folder}} --worker-tmp-dir {{folder}} -b unix:{_PATH} {options} hello:app"
    return Program(name="backend", argv=argv, socket=_PATH, files={"hello.py": f"import time\n{app}"})


def _php_fpm(children: int, backlog: int) -> Program:
    config = (
        "[global]\nerror_log = {folder}/fpm.log\ndaemonize = no\n[www]\nuser = root\ngroup = root\n"
        f"listen = {_PATH}\nlisten.backlog = {backlog}\npm = static\npm.max_children = {children}\n"
    )
    files = {"fpm.conf": config, "hello.php": "<?php usleep(20000); echo 'hello';\n"}
    return Program(name="backend", argv="php-fpm8.2 -F -R -y {folder}/fpm.conf", socket=_PATH, files=files)


def _uwsgi(backlog: int) -> Program:
    app = WSGI.replace("    start_response", "    time.sleep(0.02)\n    start_response")
    argv = (
        f"uwsgi --http-socket {_PATH} --plugin python3 --wsgi-file {{folder}}/hello.py --callable app --master "
        f"--processes 1 --listen {backlog}"
    )
    return Program(name="server", argv=argv, socket=_PATH, files={"hello.py": f"import time\n{app}"})


_FASTCGI = f"fastcgi_pass unix:{_PATH}; fastcgi_param SCRIPT_FILENAME {{folder}}/hello.php; "
_FASTCGI += "fastcgi_param REQUEST_METHOD GET;"
# Looks alone: in a container no connect can be traced, and a full queue then leaves it open.
_LEFT_OPEN = open_to(CAUSE, harmful=_TCP_SETTINGS, exits=frozenset({0}), says=(_FULL,))
_AB = "run -- ab -q -r -s 5 -c 60 -t 2 -n 1000000 http://{target}/"

SITUATIONS = (
    Situation(
        name="gunicorn_behind_a_short_unix_queue",
        story="ab asks nginx, which asks a slow gunicorn over a UNIX socket with a backlog of 8: 502 for EAGAIN.",
        server=_nginx(),
        before=(_gunicorn("--backlog 8"),),
        command=_AB,
        truth=_LEFT_OPEN,
        proofs=(logged(_EAGAIN, 20), unix_queue_full()),
    ),
    Situation(
        name="php_fpm_behind_a_short_unix_queue",
        story="The same with PHP-FPM, two children of it.",
        server=_nginx(_FASTCGI),
        before=(_php_fpm(2, 8),),
        command=_AB,
        truth=_LEFT_OPEN,
        proofs=(logged(_EAGAIN, 20), unix_queue_full()),
    ),
    Situation(
        name="uwsgi_asked_over_its_unix_socket",
        story="30 clients come and go over uWSGI's own UNIX socket, which holds 9 and serves one after the other.",
        server=_uwsgi(8),
        command=f"churn unix:{_PATH} --http / -c 30 -d 2",
        truth=due(CAUSE, harmful=_TCP_SETTINGS, says=(_FULL,)),
        proofs=(unix_queue_full(),),
    ),
    Situation(
        name="gunicorn_asked_over_its_unix_socket",
        story="The same with gunicorn.",
        server=_gunicorn("--backlog 8"),
        command=f"churn unix:{_PATH} --http / -c 30 -d 2",
        truth=due(CAUSE, harmful=_TCP_SETTINGS, says=(_FULL, r"gunicorn --backlog")),
        proofs=(unix_queue_full(),),
    ),
    Situation(
        name="diagnose_a_full_unix_queue",
        story="A server accepts nobody at its UNIX socket, and 9 of others wait: whether more came, nothing tells.",
        server=programs.small("loop"),
        before=(programs.unix_listener(_PATH, backlog=8, clients=9),),
        command="diagnose --interval 1s",
        truth=_LEFT_OPEN,
        proofs=(unix_queue_full(),),
    ),
    Situation(
        name="gunicorn_behind_a_unix_queue_with_room",
        story="ab asks nginx, which asks gunicorn over a UNIX socket with room for all.",
        server=_nginx(),
        before=(_gunicorn("--backlog 2048 --workers 2 --threads 8", 0.002),),
        command="run -- ab -q -c 10 -n 300 http://{target}/",
        truth=healthy(),
        proofs=(logged(_EAGAIN, 0, 0), logged("failed", 0, 0), counted("TcpExtListenOverflows", 0, 0)),
    ),
    Situation(
        name="redis_asked_over_its_unix_socket",
        story="redis answers 20 clients over its UNIX socket.",
        server=programs.redis(f"--unixsocket {_PATH}", socket=_PATH),
        command=f"bench unix:{_PATH} --request 'PING\\r\\n' --until 'PONG\\r\\n' -c 20 -d 1",
        truth=healthy(),
        proofs=(counted("TcpExtListenOverflows", 0, 0),),
    ),
    Situation(
        name="hold_on_nodes_unix_socket",
        story="Node keeps all of 50 that connect over its UNIX socket.",
        server=programs.node_at(_PATH),
        command=f"hold unix:{_PATH} -n 50 -d 1",
        truth=healthy(),
        proofs=(accepted(50),),
    ),
    Situation(
        name="tcp_queue_full_before_a_healthy_unix_backend",
        story="nginx stands still for a second, and its own port has a queue for 5; its UNIX backend has room for all.",
        server=_nginx(listen="backlog=4"),
        before=(_gunicorn("--backlog 2048 --workers 2 --threads 8"),),
        later=(
            Later(after_s=0.5, signal=signal.SIGSTOP, children=True),
            Later(after_s=1.0, signal=signal.SIGCONT, children=True),
        ),
        command="run -- ab -q -r -s 5 -c 60 -t 3 -n 1000000 http://{target}/",
        truth=due(
            "accept_queue_overflow",
            "accept_thread_starved",
            exits=frozenset({0}),
            never_says=(r"unix:\S+ .{0,40}full", r"got EAGAIN"),
        ),
        proofs=(logged(_EAGAIN, 0, 0), counted("TcpExtListenOverflows", 20)),
    ),
    Situation(
        name="nginx_before_a_short_unix_queue_asked_by_bench",
        story="bench asks nginx, which asks a slow gunicorn over a UNIX socket with a backlog of 8, and answers 502.",
        server=_nginx(),
        before=(_gunicorn("--backlog 8"),),
        command="bench http://{target}/ -c 60 -d 2",
        # What nginx's own connects got is not seen from a load.
        truth=open_to(CAUSE, harmful=_TCP_SETTINGS, exits=frozenset({1}), says=(_FULL, r"were 502")),
        proofs=(logged(_EAGAIN, 20), unix_queue_full()),
    ),
    Situation(
        name="nginx_before_a_unix_queue_with_room_asked_by_bench",
        story="The same with a queue that has room for all.",
        server=_nginx(),
        before=(_gunicorn("--backlog 2048", 0.002),),
        command="bench http://{target}/ -c 40 -d 2 --timeout 10s",
        truth=healthy(),
        proofs=(logged(_EAGAIN, 0, 0), counted("TcpExtListenOverflows", 0, 0)),
    ),
    Situation(
        name="limits_of_a_process_at_a_unix_socket",
        story="A server of which only its name is given listens at a UNIX socket alone.",
        server=programs.redis(f"--port 0 --unixsocket {_PATH}", socket=_PATH),
        command="limits redis-server",
        truth=healthy(says=(_FULL,)),
        proofs=(counted("TcpPassiveOpens", 0, 0),),
    ),
)
