"""Programs by the name of their processes, and where each has its own limits: the backlog, and connections at once.

A limit of the program's own is in no counter of the kernel: only its setting raises it. Sources: each program's manual.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from estab.records import Process


@dataclass(frozen=True)
class Setting:
    """A line to paste, with `{size}` and `{port}` in it, and in words what stands there otherwise; empty: nothing."""

    line: str
    otherwise: str = ""

    def at(self, size: int, port: int | str = "PORT") -> str:
        """The line with these numbers in it."""
        return self.line.format(size=size, port=port)


@dataclass(frozen=True)
class Program:
    """A program. `comm`: how the names of its processes begin, in lower case (proc_pid_comm(5), 15 bytes at most).

    `backlog`: what it hands to listen(). `connections`: how many it keeps at once. None: it has no such setting.
    """

    comm: tuple[str, ...]
    backlog: Setting | None = None
    connections: Setting | None = None


_PROGRAMS: tuple[Program, ...] = (
    Program(
        ("nginx",),
        Setting(
            "listen {port} backlog={size};   # nginx.conf, then nginx -s reload; restart where that number "
            "stood before",
            "nginx asks for 511",
        ),
        Setting(
            "worker_connections {size};   # nginx.conf, events {{ }}; then: nginx -s reload",
            "512 for each worker, connections to backends included",
        ),
    ),
    Program(
        ("redis", "valkey", "keydb"),
        Setting("tcp-backlog {size}   # redis.conf, then restart", "Redis asks for 511"),
        Setting(
            "redis-cli -p {port} CONFIG SET maxclients {size}   # to stay: maxclients {size} in redis.conf",
            "10,000, and never more than its descriptors less 32",
        ),
    ),
    Program(
        ("memcached",),
        Setting("memcached -b {size}", "memcached asks for 1,024"),
        Setting("memcached -c {size}", "1,024; it sets its own limit of descriptors from it"),
    ),
    Program(
        ("node", "mainthread"),
        Setting("server.listen({{port: {port}, backlog: {size}}})", "Node asks for 511"),
        Setting("server.maxConnections = {size}", "without it Node has no such limit; cluster: for each worker"),
    ),
    Program(
        ("gunicorn",),
        Setting("gunicorn --backlog {size}", "gunicorn asks for 2,048"),
        Setting(
            "gunicorn --worker-class gthread --threads {size}   # asynchronous workers: --worker-connections {size}",
            "a synchronous worker serves one connection at a time",
        ),
    ),
    Program(
        ("uvicorn",),
        Setting("uvicorn --backlog {size}", "uvicorn asks for 2,048"),
        Setting("uvicorn --limit-concurrency {size}", "none"),
    ),
    Program(
        ("uwsgi",),
        Setting("uwsgi --listen {size}", "uWSGI asks for 100"),
        Setting("uwsgi --processes N --threads N   # {size} in all", "each thread of a process serves one"),
    ),
    Program(
        ("python",),
        Setting(
            "sock.listen({size})   # asyncio.start_server(..., backlog={size}); gunicorn, uvicorn: --backlog {size}",
            "asyncio asks for 100, socketserver for 5",
        ),
    ),
    Program(
        ("java",),
        Setting("new ServerSocket({port}, {size})   # Tomcat acceptCount, Netty SO_BACKLOG", "Java asks for 50"),
        Setting(
            'maxConnections="{size}"   # Tomcat; ZooKeeper: maxClientCnxns={size}; Kafka: max.connections={size}',
            "8,192 in Tomcat; 60 for each address in ZooKeeper",
        ),
    ),
    Program(
        ("apache", "httpd"),
        Setting("ListenBacklog {size}   # then restart", "Apache asks for 511"),
        Setting(
            "MaxRequestWorkers {size}   # and ServerLimit; then restart",
            "256 with prefork, 400 with worker and event",
        ),
    ),
    Program(
        ("haproxy",),
        Setting("backlog {size}   # in the frontend, then restart", "HAProxy asks for its maxconn"),
        Setting("maxconn {size}   # global, and in the frontend; then reload", "what its descriptors allow"),
    ),
    Program(
        ("php-fpm",),
        Setting("listen.backlog = {size}   # of the pool, then restart", "PHP-FPM asks for 511"),
        Setting("pm.max_children = {size}   # of the pool, then reload", "a child serves one connection at a time"),
    ),
    Program(
        ("lighttpd",),
        Setting("server.listen-backlog = {size}   # then restart", "lighttpd asks for 1,024"),
        Setting("server.max-connections = {size}   # then restart", "a part of server.max-fds"),
    ),
    Program(
        ("postgres",),
        None,
        Setting("max_connections = {size}   # postgresql.conf, then restart; or PgBouncer before it", "100"),
    ),
    Program(
        ("mysqld", "mariadbd"),
        Setting("back_log = {size}   # my.cnf, then restart", "it follows max_connections"),
        Setting("SET GLOBAL max_connections = {size};   -- to stay: max_connections = {size} in my.cnf", "151"),
    ),
    Program(("mongod",), None, Setting("net.maxIncomingConnections: {size}   # mongod.conf, then restart", "65,536")),
    Program(("sshd",), None, Setting("MaxStartups {size}   # sshd_config: those that have not logged in", "10:30:100")),
    Program(("vsftpd",), None, Setting("max_clients={size}   # vsftpd.conf", "2,000")),
    Program(
        ("envoy",),
        Setting("tcp_backlog_size: {size}   # of the listener", "Envoy asks for 128"),
        Setting("max_active_downstream_connections: {size}   # resource monitor of the overload manager", "none"),
    ),
)


def of(processes: Iterable[Process]) -> list[Program]:
    """The programs that these processes are, each once, in the table's order."""
    names = {(process.name or "").lower() for process in processes}
    return [program for program in _PROGRAMS if any(name.startswith(program.comm) for name in names)]
