"""Daemons of Debian's packages by name, each with the least configuration: mail, proxies, DNS, inetd's kind, Go."""

from __future__ import annotations

from typing import Any

from tests.field.programs import server
from tests.field.situation import PORT, Program


def tornado(handler: str = "self.write('hello')", backlog: int = 128, **more: Any) -> Program:
    """Tornado: one thread; `handler` is the line that answers."""
    code = (
        "import time, tornado.ioloop, tornado.web, tornado.netutil, tornado.httpserver\n"
        "class Hello(tornado.web.RequestHandler):\n"
        f"    def get(self):\n        {handler}\n"
        "server = tornado.httpserver.HTTPServer(tornado.web.Application([('/', Hello)]))\n"
        f"server.add_sockets(tornado.netutil.bind_sockets({PORT}, '0.0.0.0', backlog={backlog}))\n"
        "tornado.ioloop.IOLoop.current().start()\n"
    )
    return server("/usr/bin/python3 {folder}/hello.py", files={"hello.py": code}, **more)


def twisted(made: str = "pass", backlog: int = 50, **more: Any) -> Program:
    """Twisted's reactor, which echoes; `made` is what it does when a connection is made."""
    code = (
        "import time\nfrom twisted.internet import protocol, reactor\n"
        "class Echo(protocol.Protocol):\n"
        f"    def connectionMade(self):\n        print('accepted', flush=True); {made}\n"
        "    def dataReceived(self, data):\n        self.transport.write(data)\n"
        "factory = protocol.Factory.forProtocol(Echo)\n"
        f"reactor.listenTCP({PORT}, factory, backlog={backlog})\nreactor.run()\n"
    )
    return server("/usr/bin/python3 {folder}/echo.py", files={"echo.py": code}, **more)


def aiohttp(**more: Any) -> Program:
    """aiohttp's web server."""
    code = (
        "from aiohttp import web\n"
        "async def hello(request):\n    return web.Response(text='hello')\n"
        "app = web.Application()\napp.router.add_get('/', hello)\n"
        f"web.run_app(app, host='0.0.0.0', port={PORT}, access_log=None)\n"
    )
    return server("/usr/bin/python3 {folder}/hello.py", files={"hello.py": code}, **more)


def caddy(**more: Any) -> Program:
    """Caddy, written in Go."""
    argv = f"caddy respond --listen 0.0.0.0:{PORT} hello"
    return server(f"env HOME={{folder}} XDG_DATA_HOME={{folder}} XDG_CONFIG_HOME={{folder}} {argv}", **more)


def unicorn(workers: int, backlog: int = 64, app: str = "[200, {}, ['hello']]", **more: Any) -> Program:
    """unicorn: processes that share a listener, each with one request at a time."""
    files = {
        "config.ru": f"run lambda {{ |env| {app} }}\n",
        "unicorn.rb": f"listen '0.0.0.0:{PORT}', backlog: {backlog}\nworker_processes {workers}\ntimeout 60\n",
    }
    return server("unicorn -E none -c {folder}/unicorn.rb {folder}/config.ru", files=files, **more)


def starman(workers: int, backlog: int, read_timeout: int = 60, **more: Any) -> Program:
    """Starman, preforked Perl: a worker reads one connection to its end."""
    app = "sub { [200, ['Content-Type', 'text/plain'], ['hello']] };\n"
    argv = f"starman --listen 0.0.0.0:{PORT} --workers {workers} --backlog {backlog} --read-timeout {read_timeout}"
    return server(f"{argv} {{folder}}/app.psgi", files={"app.psgi": app}, **more)


def squid(config: str = "", **more: Any) -> Program:
    """squid as a proxy that keeps nothing."""
    text = (
        f"http_port 0.0.0.0:{PORT}\n{config}\nhttp_access allow all\ncache deny all\npid_filename none\n"
        "cache_log /dev/null\naccess_log none\ncoredump_dir {folder}\nnetdb_filename none\n"
        "cache_effective_user proxy\npinger_enable off\nshutdown_lifetime 0 seconds\n"
    )
    argv = "unshare --mount sh -c 'mount -t tmpfs shm /dev/shm && exec squid -N -f {folder}/squid.conf'"
    return server(argv, files={"squid.conf": text}, **more)


def privoxy(config: str = "", **more: Any) -> Program:
    """privoxy, a thread for each connection."""
    text = f"listen-address 0.0.0.0:{PORT}\nlogdir {{folder}}\nconfdir {{folder}}\ndebug 4096\n{config}\n"
    return server("privoxy --no-daemon {folder}/privoxy.conf", files={"privoxy.conf": text}, **more)


def slapd(config: str = "", **more: Any) -> Program:
    """OpenLDAP's server with an empty tree."""
    text = f"{config}\npidfile {{folder}}/pid\ndatabase config\nrootdn cn=config\nrootpw x\n"
    return server(f"slapd -d 0 -f {{folder}}/slapd.conf -h ldap://0.0.0.0:{PORT}/", files={"slapd.conf": text}, **more)


def gearmand(options: str = "", **more: Any) -> Program:
    """gearmand, which serves jobs by several threads."""
    return server(f"gearmand -L 0.0.0.0 -p {PORT} -l stderr {options}", **more)


def hitch(**more: Any) -> Program:
    """hitch, which ends TLS in front of a backend."""
    text = (
        f'frontend = "[0.0.0.0]:{PORT}"\nbackend = "[127.0.0.1]:9000"\npem-file = "{{folder}}/both.pem"\n'
        'workers = 1\nuser = "nobody"\n'
    )
    argv = (
        "sh -c 'openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 9 "
        "-keyout {folder}/both.pem -out {folder}/cert.pem && cat {folder}/cert.pem >> {folder}/both.pem && "
        "exec hitch --config={folder}/hitch.conf'"
    )
    return server(argv, files={"hitch.conf": text}, **more)


def h2o(**more: Any) -> Program:
    """h2o that serves its folder."""
    text = (
        f"listen:\n  port: {PORT}\nuser: root\nnum-threads: 1\nhosts:\n  default:\n    paths:\n      /:\n"
        "        file.dir: {folder}\n"
    )
    return server("h2o -c {folder}/h2o.conf", files={"h2o.conf": text}, **more)


def etcd(**more: Any) -> Program:
    """etcd, one member."""
    urls = f"--listen-client-urls http://0.0.0.0:{PORT} --advertise-client-urls http://127.0.0.1:{PORT}"
    return server(f"etcd --data-dir {{folder}}/etcd {urls} --log-level error --unsafe-no-fsync", **more)


def php_builtin(**more: Any) -> Program:
    """PHP's own development server: one process, which looks at all its connections."""
    return server(f"php -n -S 0.0.0.0:{PORT} -t {{folder}}", **more)


def bind9(options: str = "", **more: Any) -> Program:
    """BIND as a server of nothing, with queries by TCP."""
    text = (
        'options { directory "{folder}"; pid-file none; session-keyfile none; recursion no; listen-on-v6 { none; };\n'
        f"listen-on port {PORT} {{ any; }}; {options} }};\ncontrols {{ }};\n"
    )
    return server("named -g -n 1 -c {folder}/named.conf", files={"named.conf": text}, **more)


def unbound(options: str = "", **more: Any) -> Program:
    """Unbound with queries by TCP."""
    text = (
        f'server:\n  interface: 0.0.0.0@{PORT}\n  do-daemonize: no\n  username: ""\n  chroot: ""\n  pidfile: ""\n'
        f'  directory: "{{folder}}"\n  num-threads: 1\n  use-syslog: no\n  module-config: iterator\n{options}\n'
    )
    return server("unbound -d -p -c {folder}/unbound.conf", files={"unbound.conf": text}, **more)


def git_daemon(most: int, **more: Any) -> Program:
    """git's daemon, a process for each connection; over `most` it ends the youngest or turns the new one away."""
    argv = f"git daemon --reuseaddr --listen=0.0.0.0 --port={PORT} --max-connections={most} --verbose"
    return server(f"{argv} --export-all --base-path={{folder}}", **more)


def xinetd(service: str, **more: Any) -> Program:
    """xinetd that starts cat for each connection, with these lines about the service."""
    text = (
        "defaults\n{\n log_type = FILE {folder}/server.log\n log_on_failure = HOST\n}\n"
        "service echoing\n{\n type = UNLISTED\n socket_type = stream\n protocol = tcp\n wait = no\n user = root\n"
        f" port = {PORT}\n server = /bin/cat\n{service}\n}}\n"
    )
    return server("xinetd -dontfork -f {folder}/xinetd.conf", files={"xinetd.conf": text}, **more)


def tcpserver(options: str, **more: Any) -> Program:
    """ucspi-tcp's tcpserver, a cat for each connection."""
    return server(f"tcpserver -v -H -R -l0 {options} 0.0.0.0 {PORT} /bin/cat", **more)


def tcpsvd(options: str, **more: Any) -> Program:
    """ipsvd's tcpsvd, a cat for each connection."""
    return server(f"tcpsvd -v -l here {options} 0.0.0.0 {PORT} /bin/cat", **more)


def icecast(clients: int, **more: Any) -> Program:
    """Icecast with so many clients at most."""
    text = (
        f"<icecast><limits><clients>{clients}</clients><sources>2</sources></limits>"
        "<authentication><source-password>x</source-password><admin-user>a</admin-user>"
        "<admin-password>x</admin-password></authentication><hostname>here</hostname>"
        f"<listen-socket><port>{PORT}</port><bind-address>0.0.0.0</bind-address></listen-socket>"
        "<paths><logdir>{folder}</logdir><webroot>{folder}</webroot><adminroot>{folder}</adminroot></paths>"
        "<logging><errorlog>-</errorlog><accesslog>-</accesslog></logging>"
        "<security><chroot>0</chroot><changeowner><user>nobody</user><group>nogroup</group></changeowner></security>"
        "</icecast>\n"
    )
    return server("icecast2 -c {folder}/icecast.xml", files={"icecast.xml": text}, **more)


def exim(config: str, **more: Any) -> Program:
    """Exim as a daemon that takes no mail."""
    text = (
        "primary_hostname = here\nspool_directory = /tmp\nlog_file_path = syslog\n"
        f"local_interfaces = 0.0.0.0\ndaemon_smtp_ports = {PORT}\nhost_lookup =\n"
        "rfc1413_hosts =\nrfc1413_query_timeout = 0s\n"
        f"pid_file_path = {{folder}}/pid\ndisable_ipv6 = true\n{config}\nbegin acl\nbegin routers\nbegin transports\n"
    )
    return server("exim4 -bdf -q99h -C {folder}/exim.conf", files={"exim.conf": text}, **more)


def distccd(jobs: int, **more: Any) -> Program:
    """distccd: preforked processes, each with one connection at a time."""
    argv = f"distccd --no-detach --daemon --log-stderr --allow 0.0.0.0/0 --user nobody --port {PORT} --jobs {jobs}"
    return server(f"env DISTCC_CMDLIST= {argv} --enable-tcp-insecure --log-level info", **more)


def netcat(**more: Any) -> Program:
    """OpenBSD's netcat, which serves one connection after the other."""
    return server(f"nc.openbsd -l -k 0.0.0.0 {PORT}", **more)


def nginx_stream(config: str, **more: Any) -> Program:
    """nginx's stream module in front of a backend."""
    text = (
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\nuser root; daemon off; worker_processes 1;\n"
        "pid {folder}/nginx.pid; error_log {folder}/server.log info;\nevents { worker_connections 500; }\n"
        f"stream {{ {config} }}\n"
    )
    argv = "nginx -p {folder} -c {folder}/nginx.conf -e {folder}/server.log"
    return server(argv, files={"nginx.conf": text}, **more)


def apache_event(config: str, **more: Any) -> Program:
    """Apache with the event module: threads, and one that listens for all."""
    text = (
        "ServerName here\nServerRoot {folder}\nPidFile {folder}/apache.pid\nErrorLog {folder}/server.log\n"
        f"Listen 0.0.0.0:{PORT}\nDocumentRoot {{folder}}\nMutex pthread\nAcceptFilter http none\n"
        "LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\n"
        "LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n"
        "LoadModule reqtimeout_module /usr/lib/apache2/modules/mod_reqtimeout.so\n"
        f"{config}\n"
    )
    argv = "apache2 -f {folder}/apache.conf -D FOREGROUND"
    return server(argv, files={"apache.conf": text}, **more)
