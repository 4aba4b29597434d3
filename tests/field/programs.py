"""Programs by name: the small ones of `servers/`, and those of Debian's packages with the least configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.field.situation import PORT, Program


def server(argv: str, *, name: str = "server", **more: Any) -> Program:
    """The server of a situation, by its command line."""
    return Program(name=name, argv=argv, **more)


def small(style: str, options: str = "", *, name: str = "server", **more: Any) -> Program:
    """A program of `servers/`, as blocking, loop, pool, forking, group, aio or proxy."""
    return Program(name=name, argv=f"{{python}} -S -E {{servers}}/{style}.py {options}", **{"ready": "says", **more})


def debian_python(style: str, options: str = "", **more: Any) -> Program:
    """A program of `servers/` by Debian's Python, from the situation's folder: for who may not read this one's."""
    code = (Path(__file__).parent / "servers" / f"{style}.py").read_text(encoding="utf-8")
    argv = f"/usr/bin/python3 -S -E {{folder}}/{style}.py {options}"
    return server(argv, files={f"{style}.py": code}, **{"ready": "says", **more})


def clients(options: str, *, target: str = "{target}", name: str = "clients", **more: Any) -> Program:
    """Other clients than estab's (`servers/clients.py`)."""
    more = {"where": "client", "ready": "says", **more}
    return Program(name=name, argv=f"{{python}} -S -E {{servers}}/clients.py {target} {options}", **more)


def burner(number: int = 0, **more: Any) -> Program:
    """A process that burns one core."""
    return Program(name=f"burner{number}", argv="{python} -S {servers}/burn.py", ready="at once", **more)


def burners(count: int = 2, **more: Any) -> tuple[Program, ...]:
    """So many of them."""
    return tuple(burner(number, **more) for number in range(count))


def compiled(backlog: int, accept: int, **more: Any) -> Program:
    """The server in C: after `accept` connections it never accepts again."""
    build = "cc -O1 -o {folder}/small {servers}/small.c"
    run = f"exec {{folder}}/small {PORT} {backlog} {accept}"
    return Program(name="server", argv=f"sh -c '{build} && {run}'", ready="says", **more)


def node(backlog: int = 511, most: int = 0, work_ms: float = 0, **more: Any) -> Program:
    """Node's net server, which echoes. `most`: its maxConnections, 0 for none."""
    return Program(
        name="server", argv=f"node {{servers}}/echo.js {PORT} {backlog} {most} {work_ms}", ready="says", **more
    )


def node_at(path: str, backlog: int = 511) -> Program:
    """Node that keeps whoever connects to its UNIX socket."""
    code = (
        "require('net').createServer((socket) => { console.log('accepted'); socket.resume(); })"
        f".listen({{path: '{path}', backlog: {backlog}}})"
    )
    return Program(name="server", argv="node {folder}/keeps.js", socket=path, files={"keeps.js": code})


def unix_listener(path: str, backlog: int, clients: int = 0) -> Program:
    """A UNIX socket from which nobody accepts, and so many that wait there."""
    code = (
        "import socket, time\n"
        "listener = socket.socket(socket.AF_UNIX)\n"
        f"listener.bind('{path}')\nlistener.listen({backlog})\n"
        f"waiting = [socket.socket(socket.AF_UNIX) for _ in range({clients})]\n"
        f"for each in waiting:\n    each.connect('{path}')\n"
        "print('ready', flush=True)\ntime.sleep(100)\n"
    )
    files = {"listener.py": code}
    return Program(name="listener", argv="{python} -S {folder}/listener.py", ready="says", socket=path, files=files)


def nginx(
    listen: str = "",
    top: str = "",
    server: str = "return 200 hello;",
    connections: int = 4096,
    workers: int = 1,
    **more: Any,
) -> Program:
    """nginx that answers "hello". `listen` stands behind the port, `top` in the main context."""
    folders = " ".join(
        f"{kind}_temp_path {{folder}}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = (
        f"user root; daemon off; worker_processes {workers}; {top}\n"
        "pid {folder}/nginx.pid; error_log {folder}/server.log warn;\n"
        f"events {{ worker_connections {connections}; }}\n"
        f"http {{ access_log off; {folders} server {{ listen {PORT} {listen}; {server} }} }}\n"
    )
    return Program(
        name="server",
        argv="nginx -p {folder} -c {folder}/nginx.conf -e {folder}/server.log",
        files={"nginx.conf": config},
        **more,
    )


def haproxy(backend: str, top: str = "", front: str = "", name: str = "server", **more: Any) -> Program:
    """haproxy in TCP mode."""
    config = (
        f"global\n log stdout format raw local0\n {top}\n"
        "defaults\n log global\n mode tcp\n timeout connect 1s\n timeout client 30s\n timeout server 30s\n retries 0\n"
        f"frontend in\n bind :{PORT} {front}\n default_backend out\n"
        f"backend out\n server one {backend}\n"
    )
    return Program(name=name, argv="haproxy -db -f {folder}/haproxy.cfg", files={"haproxy.cfg": config}, **more)


def redis(options: str = "", **more: Any) -> Program:
    """redis with nothing on disk."""
    base = f"redis-server --port {PORT} --bind 0.0.0.0 --protected-mode no --save '' --appendonly no --dir {{folder}}"
    return Program(name="server", argv=f"{base} {options}", **more)


def memcached(options: str = "", **more: Any) -> Program:
    """memcached, which tells each refusal where it is asked to speak (-v)."""
    return Program(name="server", argv=f"memcached -v -u root -l 0.0.0.0 -p {PORT} -U 0 {options}", **more)


def gunicorn(options: str, work_s: float = 0, **more: Any) -> Program:
    """gunicorn with a small WSGI application, which takes its time."""
    app = (
        "import time\n"
        "def app(environ, start_response):\n"
        f"    time.sleep({work_s})\n"
        "    start_response('200 OK', [('Content-Length', '6')])\n"
        "    return [b'hello\\n']\n"
    )
    argv = f"gunicorn --chdir {{folder}} --worker-tmp-dir {{folder}} -b 0.0.0.0:{PORT} {options} hello:app"
    return Program(name="server", argv=argv, files={"hello.py": app}, **more)


def apache(workers: int = 50, more_config: str = "", **more: Any) -> Program:
    """Apache with one thread for each connection (mpm_worker), so that MaxRequestWorkers is its limit."""
    config = (
        "ServerName here\nServerRoot {folder}\nPidFile {folder}/apache.pid\nErrorLog {folder}/server.log\n"
        f"Listen 0.0.0.0:{PORT}\nDocumentRoot {{folder}}\nMutex pthread\n"
        "LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so\n"
        "LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n"
        f"StartServers {min(workers, 5)}\nMinSpareServers 1\nMaxSpareServers {workers}\nServerLimit {workers}\n"
        f"MaxRequestWorkers {workers}\n{more_config}\n"
    )
    return Program(
        name="server", argv="apache2 -f {folder}/apache.conf -D FOREGROUND", files={"apache.conf": config}, **more
    )


def lighttpd(config: str = "", **more: Any) -> Program:
    """lighttpd that serves its own folder."""
    text = (
        f'server.document-root = "{{folder}}"\nserver.port = {PORT}\n'
        f'server.errorlog = "{{folder}}/server.log"\n{config}\n'
    )
    return Program(name="server", argv="lighttpd -D -f {folder}/lighttpd.conf", files={"lighttpd.conf": text}, **more)


ECHO_BEHIND = small("loop", "--port 9000", name="backend")
