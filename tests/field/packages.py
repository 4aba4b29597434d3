"""Further programs of Debian's packages by name, each with the least configuration."""

from __future__ import annotations

from typing import Any

from tests.field.programs import server
from tests.field.situation import PORT, Program

WSGI = (
    "def app(environ, start_response):\n"
    "    start_response('200 OK', [('Content-Length', '6')])\n"
    "    return [b'hello\\n']\n"
)


def varnish(backend: str = "127.0.0.1:9000", options: str = "", **more: Any) -> Program:
    """varnish with one backend; it compiles its configuration, so it needs a C compiler."""
    return server(f"varnishd -F -j none -n {{folder}}/varnish -a 0.0.0.0:{PORT} -b {backend} {options}", **more)


def pgbouncer(most: int, **more: Any) -> Program:
    """pgbouncer, which won't run as root; its database is never asked."""
    config = (
        "[databases]\nx = host=127.0.0.1 port=9\n[pgbouncer]\nlisten_addr = 0.0.0.0\n"
        f"listen_port = {PORT}\nauth_type = any\nunix_socket_dir =\ntcp_defer_accept = 0\nmax_client_conn = {most}\n"
    )
    argv = "setpriv --reuid=65534 --regid=65534 --clear-groups pgbouncer {folder}/pgbouncer.ini"
    return server(argv, files={"pgbouncer.ini": config}, **more)


def mosquitto(most: int = -1, **more: Any) -> Program:
    """mosquitto (MQTT) that anybody may use; `most`: its max_connections, -1 for none."""
    config = f"user root\nlog_dest stderr\nlistener {PORT} 0.0.0.0\nmax_connections {most}\nallow_anonymous true\n"
    return server("mosquitto -v -c {folder}/mosquitto.conf", files={"mosquitto.conf": config}, **more)


def sshd(config: str, **more: Any) -> Program:
    """OpenSSH's sshd with a key of its own."""
    text = f"Port {PORT}\nHostKey {{folder}}/key\nPidFile none\nUsePAM no\n{config}\n"
    argv = (
        "unshare --mount sh -c 'mount -t tmpfs run /run && mkdir /run/sshd && "
        'ssh-keygen -q -t ed25519 -N "" -f {folder}/key && '
        "exec /usr/sbin/sshd -D -e -f {folder}/sshd.conf'"
    )
    return server(argv, files={"sshd.conf": text}, **more)


def dropbear(**more: Any) -> Program:
    """dropbear, which bears five unauthenticated connections of an address."""
    argv = "dropbearkey -t ed25519 -f {folder}/key && exec dropbear -F -E -r {folder}/key -P {folder}/dropbear.pid"
    return server(f"sh -c '{argv} -p 0.0.0.0:{PORT}'", **more)


def tinyproxy(most: int, **more: Any) -> Program:
    """tinyproxy with so many threads at most."""
    config = f"Port {PORT}\nListen 0.0.0.0\nTimeout 600\nMaxClients {most}\n"
    return server("tinyproxy -d -c {folder}/tinyproxy.conf", files={"tinyproxy.conf": config}, **more)


def stunnel(backend: str, **more: Any) -> Program:
    """stunnel in front of a backend; silent clients never finish their TLS handshake."""
    config = (
        f"foreground = yes\npid =\n[front]\naccept = 0.0.0.0:{PORT}\nconnect = {backend}\ncert = {{folder}}/both.pem\n"
    )
    argv = (
        "sh -c 'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=x -days 9 "
        "-keyout {folder}/both.pem -out {folder}/cert.pem && cat {folder}/cert.pem >> {folder}/both.pem && "
        "exec stunnel4 {folder}/stunnel.conf'"
    )
    return server(argv, files={"stunnel.conf": config}, **more)


def socat(listen: str, to: str, **more: Any) -> Program:
    """socat from a listening address with these options to another address."""
    return server(f"socat -d -d TCP-LISTEN:{PORT},reuseaddr,{listen} {to}", **more)


def php_fpm(children: int, backlog: int, **more: Any) -> Program:
    """PHP's FastCGI server with so many processes, each of which serves one connection at a time."""
    config = (
        "[global]\nerror_log = {folder}/fpm.log\ndaemonize = no\n[www]\nuser = root\ngroup = root\n"
        f"listen = 0.0.0.0:{PORT}\nlisten.backlog = {backlog}\npm = static\npm.max_children = {children}\n"
    )
    return server("php-fpm8.2 -F -R -y {folder}/fpm.conf", files={"fpm.conf": config}, **more)


def puma(options: str = "-t 2:2", **more: Any) -> Program:
    """puma with a small Rack application."""
    app = "run lambda { |env| [200, { 'content-length' => '6' }, [\"hello\\n\"]] }\n"
    return server(f"puma -b tcp://0.0.0.0:{PORT} {options} {{folder}}/config.ru", files={"config.ru": app}, **more)


def uwsgi(processes: int, backlog: int = 64, **more: Any) -> Program:
    """uWSGI with so many processes, each of which reads one request at a time."""
    argv = (
        f"uwsgi --http-socket 0.0.0.0:{PORT} --plugin python3 --wsgi-file {{folder}}/hello.py --callable app "
        f"--master --processes {processes} --listen {backlog} --no-defer-accept --socket-timeout 30"
    )
    return server(argv, files={"hello.py": WSGI}, **more)


def mariadb(options: str, **more: Any) -> Program:
    """MariaDB without tables of its own, which asks nobody for a password."""
    argv = (
        "mkdir {folder}/db && exec mariadbd --no-defaults --user=root --datadir={folder}/db --skip-grant-tables "
        f"--port={PORT} --bind-address=0.0.0.0 --socket={{folder}}/socket --pid-file={{folder}}/pid "
        "--innodb-buffer-pool-size=8M --innodb-log-file-size=4M --skip-log-bin --aria-pagecache-buffer-size=1M"
    )
    return server(f"sh -c '{argv} {options}'", **more)


def postgres(options: str, **more: Any) -> Program:
    """PostgreSQL, which won't run as root."""
    argv = (
        'install -d -o 65534 {folder}/db && cd {folder}/db && umask 077 && as="setpriv --reuid=65534 --regid=65534 '
        '--clear-groups" && bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1) && $as $bin/initdb -N -A trust -U x '
        "-D {folder}/db >/dev/null && exec $as $bin/postgres -D {folder}/db "
        f"-p {PORT} -c listen_addresses=0.0.0.0 -c unix_socket_directories= -c shared_buffers=8MB"
    )
    return server(f"sh -c '{argv} {options}'", **more)


def dnsmasq(options: str = "", **more: Any) -> Program:
    """dnsmasq, which has 20 processes at most for queries by TCP, and a backlog of 5."""
    argv = f"dnsmasq -k -p {PORT} -u root --conf-file=/dev/null --no-resolv --no-hosts --pid-file= --log-facility=-"
    return server(f"{argv} {options}", **more)


def vsftpd(options: str, **more: Any) -> Program:
    """vsftpd, with options as a=b."""
    config = "listen=YES\nbackground=NO\nsecure_chroot_dir={folder}\nseccomp_sandbox=NO\nnopriv_user=nobody\n"
    more_lines = "\n".join(options.split())
    files = {"vsftpd.conf": f"{config}listen_port={PORT}\n{more_lines}\n"}
    return server("vsftpd {folder}/vsftpd.conf", files=files, **more)


def beanstalkd(**more: Any) -> Program:
    """beanstalkd, one thread with epoll."""
    return server(f"beanstalkd -l 0.0.0.0 -p {PORT}", **more)


def ngircd(limits: str, **more: Any) -> Program:
    """ngIRCd with these limits."""
    config = (
        "[Global]\nName = irc.example.net\nInfo = x\nServerUID = root\nServerGID = root\nListen = 0.0.0.0\n"
        f"Ports = {PORT}\n[Limits]\n{limits}\n[Options]\nIdent = no\nDNS = no\nPAM = no\n"
    )
    return server("ngircd -n -f {folder}/ngircd.conf", files={"ngircd.conf": config}, **more)


def microsocks(**more: Any) -> Program:
    """microsocks, a thread for each connection."""
    return server(f"microsocks -i 0.0.0.0 -p {PORT}", **more)


def mini_httpd(**more: Any) -> Program:
    """mini_httpd, a process for each connection."""
    return server(f"mini_httpd -D -p {PORT} -d {{folder}} -i {{folder}}/pid -u root", **more)


def ncat(options: str, **more: Any) -> Program:
    """ncat that goes on listening and echoes."""
    return server(f"ncat -l -k {options} -e /bin/cat 0.0.0.0 {PORT}", **more)


def nats(config: str = "", **more: Any) -> Program:
    """NATS, which speaks first."""
    text = f"host: 0.0.0.0\nport: {PORT}\n{config}\n"
    return server("nats-server -c {folder}/nats.conf", files={"nats.conf": text}, **more)


def waitress(options: str = "", **more: Any) -> Program:
    """waitress with a small WSGI application."""
    argv = f"waitress-serve --listen=0.0.0.0:{PORT} {options} hello:app"
    return server(argv, files={"hello.py": WSGI}, **more)


def uvicorn(options: str = "", **more: Any) -> Program:
    """uvicorn with a small ASGI application."""
    app = (
        "async def app(scope, receive, send):\n"
        "    if scope['type'] != 'http':\n        return\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'6')]})\n"
        "    await send({'type': 'http.response.body', 'body': b'hello\\n'})\n"
    )
    argv = f"uvicorn --host 0.0.0.0 --port {PORT} --app-dir {{folder}} --lifespan off {options} asgi:app"
    return server(argv, files={"asgi.py": app}, **more)


def ruby(**more: Any) -> Program:
    """One thread of Ruby that echoes one connection to its end, then takes the next."""
    code = (
        "require 'socket'\n"
        f"server = TCPServer.new('0.0.0.0', {PORT})\n"
        "loop do\n  connection = server.accept\n"
        "  while (data = connection.readpartial(65536) rescue nil)\n    connection.write(data)\n  end\n"
        "  connection.close\nend\n"
    )
    return server("ruby {folder}/echo.rb", files={"echo.rb": code}, **more)


def perl_preforked(children: int, **more: Any) -> Program:
    """Perl: so many processes accept from one socket, and each echoes one connection to its end."""
    code = (
        "use IO::Socket::INET;\n"
        f"my $l = IO::Socket::INET->new(LocalPort => {PORT}, Listen => 32, ReuseAddr => 1) or die;\n"
        f"for (1..{children}) {{ next if fork; while (my $c = $l->accept) {{\n"
        "  while (sysread($c, my $data, 65536)) { syswrite($c, $data) } close $c } exit }\n"
        "wait;\n"
    )
    return server("perl {folder}/echo.pl", files={"echo.pl": code}, **more)


def prefork(processes: int, most: int, how: str, backlog: int = 128, **more: Any) -> Program:
    """Processes in C that share a listener (`servers/prefork.c`)."""
    build = "cc -O1 -o {folder}/prefork {servers}/prefork.c"
    run = f"exec {{folder}}/prefork {PORT} {backlog} {processes} {most} {how}"
    return server(f"sh -c '{build} && {run}'", ready="says", **more)


def node_cluster(workers: int = 2, **more: Any) -> Program:
    """Node's cluster module (`servers/cluster.js`)."""
    return server(f"node {{servers}}/cluster.js {PORT} {workers}", ready="says", **more)
