"""The same kinds on daemons of other families: mail, DNS, proxies, inetd's kind, preforked ones, Go."""

from __future__ import annotations

import signal

from tests.field import daemons, programs
from tests.field.answers import (
    DESCRIPTORS,
    LONGER_QUEUE,
    PATH_LOSS,
    ROUTED,
    STOPPED,
    WIRE,
    filtered,
    program_limit,
    stopped,
)
from tests.field.proof import accepted_some, calm, counted, logged, queue_flat, queue_full, ruled, sockets, waiting
from tests.field.situation import Later, Program, Situation, Truth, World, due, healthy, open_to

_ALL = healthy()
_ECHO_BEHIND = programs.small("loop", "--port 9000", name="backend")
_SYN = "tcp flags & (syn|ack) == syn"
_ENDED_BY_THE_PROGRAM = Truth(possible=frozenset({"server_ends_connections"}), quiet=True, exits=frozenset({1}))


def _router(match: str, verdict: str = "drop") -> World:
    return World(shape="routed", nft={"router": filtered(match, verdict)})


def _once(name: str, argv: str, where: str) -> Program:
    return Program(name=name, argv=argv, where=where, ready="at once")  # type: ignore[arg-type]


_HEALTHY = (
    Situation(
        name="tornado_churned",
        story="Tornado, connects that close at once.",
        server=daemons.tornado(),
        command="churn {target} -c 25 --rate 70 -d 2",
        truth=_ALL,
        proofs=(counted("TcpPassiveOpens", 100), *calm()),
    ),
    Situation(
        name="twisted_echoes",
        story="Twisted echoes to 12 clients of bench from another host.",
        world=WIRE,
        both_ends=True,
        server=daemons.twisted(),
        command="bench {target} -c 12 -d 2",
        truth=_ALL,
        proofs=(accepted_some(12), *calm()),
    ),
    Situation(
        name="aiohttp_holds_80",
        story="aiohttp keeps 80 silent clients.",
        server=daemons.aiohttp(),
        command="hold {target} -n 80 -d 2",
        truth=_ALL,
        proofs=(sockets("ESTAB", 80), *calm()),
    ),
    Situation(
        name="caddy_holds_120",
        story="Caddy (Go) keeps 120 silent clients, seen by the client alone.",
        world=ROUTED,
        server=daemons.caddy(),
        command="hold {target} -n 120 -d 2",
        truth=_ALL,
        proofs=(sockets("ESTAB", 120), *calm()),
    ),
    Situation(
        name="unicorn_churned",
        story="unicorn with three workers, connects that close at once.",
        server=daemons.unicorn(3),
        command="churn {target} -c 6 --rate 40 -d 2",
        truth=_ALL,
        proofs=(counted("TcpPassiveOpens", 60), *calm()),
    ),
    Situation(
        name="privoxy_holds_30",
        story="privoxy has a thread for each of 30 silent clients.",
        server=daemons.privoxy(),
        command="hold {target} -n 30 -d 2",
        truth=_ALL,
        proofs=(sockets("ESTAB", 30), *calm()),
    ),
    Situation(
        name="slapd_holds_50",
        story="slapd keeps 50 clients that never bind.",
        world=WIRE,
        both_ends=True,
        server=daemons.slapd(),
        command="hold {target} -n 50 -d 2",
        truth=_ALL,
        proofs=(sockets("ESTAB", 50), *calm()),
    ),
    Situation(
        name="gearmand_churned",
        story="gearmand, connects that close at once.",
        server=daemons.gearmand(),
        command="churn {target} -c 20 --rate 60 -d 2",
        truth=_ALL,
        proofs=(counted("TcpPassiveOpens", 80), *calm()),
    ),
    Situation(
        name="squid_holds_70",
        story="squid keeps 70 silent clients, seen by the client alone.",
        world=ROUTED,
        server=daemons.squid(),
        command="hold {target} -n 70 -d 2",
        truth=_ALL,
        proofs=(sockets("ESTAB", 70), *calm()),
    ),
    Situation(
        name="hitch_defers_its_accepts",
        story="hitch asks for TCP_DEFER_ACCEPT: 40 silent clients are kept back in the kernel.",
        server=daemons.hitch(),
        before=(_ECHO_BEHIND,),
        command="hold {target} -n 40 -d 2",
        truth=open_to("defer_accept_drops", quiet=True, exits=frozenset({0})),
        proofs=(counted("TcpExtTCPTimeouts", 1), counted("TcpExtListenOverflows", 0, 0)),
    ),
    Situation(
        name="h2o_churned",
        story="h2o, connects from another host that close at once.",
        world=WIRE,
        both_ends=True,
        server=daemons.h2o(),
        command="churn {target} -c 30 --rate 120 -d 2",
        truth=_ALL,
        proofs=(counted("TcpPassiveOpens", 180), *calm()),
    ),
    Situation(
        name="etcd_holds_60",
        story="etcd keeps 60 silent clients.",
        server=daemons.etcd(),
        command="hold {target} -n 60 -d 2",
        truth=_ALL,
        proofs=(sockets("ESTAB", 60),),
    ),
    Situation(
        name="php_builtin_holds_40",
        story="PHP's own server, one process, looks at 40 silent clients at once.",
        server=daemons.php_builtin(),
        command="hold {target} -n 40 -d 2",
        truth=_ALL,
        proofs=(sockets("ESTAB", 40), *calm()),
    ),
    Situation(
        name="bind9_holds_30",
        story="BIND keeps 30 clients that ask nothing.",
        server=daemons.bind9("tcp-listen-queue 128;"),
        command="hold {target} -n 30 -d 2",
        truth=_ALL,
        proofs=(sockets("ESTAB", 30), *calm()),
    ),
    Situation(
        name="tcpserver_echoes",
        story="tcpserver starts a cat for each of 5 clients.",
        server=daemons.tcpserver("-c 40"),
        command="bench {target} -c 5 -d 2",
        truth=_ALL,
        proofs=(logged("^tcpserver: ok", 5), *calm()),
    ),
    Situation(
        name="diagnose_caddy_beside_clients",
        story="Caddy serves clients of others that come and go, 30 a second.",
        server=daemons.caddy(),
        before=(programs.clients("--churn 30 --keep 0.2"),),
        settle_s=1.0,
        at="server",
        command="diagnose --interval 2s",
        truth=_ALL,
        proofs=(counted("TcpPassiveOpens", 40), *calm()),
    ),
)

_LIMITS = (
    Situation(
        name="git_daemon_max_connections",
        story="git's daemon has 8 children, and turns away what comes beyond.",
        server=daemons.git_daemon(8),
        command="hold {target} -n 30 --ramp 60 -d 3",
        truth=program_limit(),
        proofs=(sockets("ESTAB", 8, 12), counted("TcpPassiveOpens", 30)),
    ),
    Situation(
        name="xinetd_instances",
        story="xinetd has 10 instances of a service; the eleventh is accepted and closed.",
        world=WIRE,
        both_ends=True,
        server=daemons.xinetd(" instances = 10\n cps = 1000 1"),
        command="hold {target} -n 45 -d 2",
        truth=program_limit(),
        proofs=(sockets("ESTAB", 10, 12),),
    ),
    Situation(
        name="xinetd_per_source",
        story="xinetd has 7 instances for one address.",
        server=daemons.xinetd(" per_source = 7\n cps = 1000 1"),
        command="hold {target} -n 25 -d 2",
        truth=program_limit(),
        proofs=(sockets("ESTAB", 7, 20),),
    ),
    Situation(
        name="xinetd_connects_a_second",
        story="Above 12 connects a second xinetd closes the service's listener for 3 s.",
        server=daemons.xinetd(" cps = 12 3"),
        command="churn {target} -c 10 --rate 40 -d 3 --timeout 1s",
        truth=open_to("server_died", "nobody_listening", "server_connection_limit", exits=frozenset({1})),
        proofs=(counted("TcpOutRsts", 20),),
    ),
    Situation(
        name="icecast_clients",
        story="Icecast has 20 clients at most; 60 come in a second, and its queue of 5 overflows too.",
        world=WIRE,
        both_ends=True,
        server=daemons.icecast(20),
        # Five fit its queue: what overflows comes later, and how old it is then is not seen.
        command="hold {target} -n 60 --ramp 60 -d 2",
        truth=open_to("server_connection_limit", "accept_queue_overflow", exits=frozenset({1})),
        proofs=(sockets("ESTAB", 20, 59),),
    ),
    Situation(
        name="exim_smtp_accept_max",
        story="Exim takes 10 at once and tells each other one 421.",
        server=daemons.exim("smtp_accept_max = 10"),
        command="hold {target} -n 35 -d 2",
        truth=program_limit(),
        proofs=(sockets("ESTAB", 10, 34),),
    ),
    Situation(
        name="tcpsvd_per_host",
        story="tcpsvd has 14 cats at most for one address, tells the others so and closes them.",
        world=WIRE,
        both_ends=True,
        server=daemons.tcpsvd("-c 100 -C 14:busy"),
        command="hold {target} -n 50 -d 2",
        truth=program_limit(),
        proofs=(sockets("ESTAB", 14, 49),),
    ),
    Situation(
        name="squid_client_ip_max_connections",
        story="squid takes 9 of one address and closes the others.",
        server=daemons.squid("client_ip_max_connections 9"),
        command="hold {target} -n 40 -d 2",
        truth=program_limit(),
        proofs=(sockets("ESTAB", 8, 39),),
    ),
    Situation(
        name="nginx_stream_limit_conn",
        story="nginx's stream module lets 15 of one address through.",
        world=WIRE,
        both_ends=True,
        server=daemons.nginx_stream(
            "limit_conn_zone $binary_remote_addr zone=one:1m; server { listen 8080; limit_conn one 15; "
            "proxy_pass 127.0.0.1:9000; }"
        ),
        before=(_ECHO_BEHIND,),
        command="hold {target} -n 60 -d 2",
        truth=program_limit(),
        proofs=(logged("limiting connections", 45), sockets("ESTAB", 15, 30)),
    ),
    Situation(
        name="haproxy_rejects_over_14",
        story="haproxy rejects what one address has beyond 14.",
        server=programs.haproxy(
            "127.0.0.1:9000",
            front="\n stick-table type ip size 1k store conn_cur\n tcp-request connection track-sc0 src\n"
            " tcp-request connection reject if { sc0_conn_cur gt 14 }",
        ),
        before=(_ECHO_BEHIND,),
        command="hold {target} -n 55 -d 2",
        truth=program_limit(),
        proofs=(sockets("ESTAB", 14, 40),),
    ),
    Situation(
        name="twisted_closes_each_fifth",
        story="Twisted closes each fifth connection at once, however many there are.",
        server=daemons.twisted(
            "n = getattr(factory, 'n', 0) + 1; factory.n = n; n % 5 == 0 and self.transport.loseConnection()"
        ),
        command="hold {target} -n 60 -d 2",
        truth=_ENDED_BY_THE_PROGRAM,
        proofs=(accepted_some(60), sockets("ESTAB", 48)),
    ),
)

_DESCRIPTORS = (
    Situation(
        name="tornado_no_descriptor_left",
        story="Tornado may have 45 descriptors.",
        server=daemons.tornado(nofile=45),
        command="hold {target} -n 100 -d 2",
        truth=due("server_open_files", harmful=LONGER_QUEUE),
        proofs=(logged("Too many open files"), waiting(30)),
    ),
    Situation(
        name="caddy_no_descriptor_left",
        story="Caddy (Go) may have 60 descriptors; it waits and tries again.",
        world=WIRE,
        both_ends=True,
        server=daemons.caddy(nofile=60),
        command="hold {target} -n 150 -d 3",
        truth=due("server_open_files", harmful=LONGER_QUEUE),
        proofs=(waiting(50),),
    ),
    Situation(
        name="gearmand_no_descriptor_left",
        story="gearmand may have 64 descriptors.",
        server=daemons.gearmand(nofile=64),
        command="hold {target} -n 120 -d 2",
        truth=due("server_open_files", harmful=LONGER_QUEUE),
        proofs=(counted("TcpPassiveOpens", 30),),
    ),
    Situation(
        name="squid_short_of_descriptors",
        story="squid may have 64 descriptors, keeps some back, and stops accepting.",
        server=daemons.squid("max_filedescriptors 64", nofile=64),
        command="hold {target} -n 100 --ramp 50 -d 2",
        truth=open_to("server_open_files", *STOPPED, exits=frozenset({1})),
        proofs=(waiting(10),),
    ),
)

_IDLE = (
    Situation(
        name="nginx_client_header_timeout",
        story="nginx closes who sends no header within a second.",
        server=programs.nginx(top="", server="client_header_timeout 1s; return 200 hello;"),
        command="hold {target} -n 30 -d 3",
        truth=open_to("server_idle_close", exits=frozenset({1})),
        proofs=(sockets("ESTAB", 30),),
    ),
    Situation(
        name="redis_timeout",
        story="redis closes who is silent for 2 s.",
        world=WIRE,
        both_ends=True,
        server=programs.redis("--timeout 2"),
        command="hold {target} -n 25 -d 5",
        truth=open_to("server_idle_close", exits=frozenset({1})),
        proofs=(sockets("ESTAB", 25),),
    ),
    Situation(
        name="apache_reqtimeout",
        story="Apache closes who sends no header within 2 s, seen by the client alone.",
        world=ROUTED,
        server=daemons.apache_event("RequestReadTimeout header=2"),
        command="hold {target} -n 20 -d 4",
        truth=open_to("server_idle_close", exits=frozenset({1})),
        proofs=(sockets("ESTAB", 20),),
    ),
    Situation(
        name="exim_receive_timeout",
        story="Exim tells who says nothing for a second so, and closes.",
        server=daemons.exim("smtp_receive_timeout = 1s"),
        command="hold {target} -n 15 -d 3",
        truth=open_to("server_idle_close", exits=frozenset({1})),
        proofs=(sockets("ESTAB", 15),),
    ),
)

_STOPPED = (
    Situation(
        name="unbound_ten_tcp_clients",
        story="Unbound takes 10 clients by TCP; the others wait in its queue.",
        server=daemons.unbound("  incoming-num-tcp: 10"),
        command="hold {target} -n 60 -d 2",
        truth=open_to(*STOPPED, "server_idle_close", harmful=LONGER_QUEUE, exits=frozenset({1})),
        proofs=(waiting(20),),
    ),
    Situation(
        name="bind9_ten_tcp_clients",
        story="BIND takes 10 clients by TCP; the others wait in its queue of 10.",
        server=daemons.bind9("tcp-clients 10;"),
        command="hold {target} -n 40 -d 2",
        truth=open_to(*STOPPED, "server_idle_close", harmful=LONGER_QUEUE, exits=frozenset({1})),
        proofs=(waiting(8),),
    ),
    Situation(
        name="tcpserver_twelve_children",
        story="tcpserver starts 12 cats and then accepts no more; 20 wait.",
        world=WIRE,
        both_ends=True,
        server=daemons.tcpserver("-c 12 -b 20"),
        command="hold {target} -n 60 -d 2 --timeout 1500ms",
        truth=stopped(13),
        proofs=(queue_full(), queue_flat()),
    ),
    Situation(
        name="starman_gives_up_reading",
        story="Starman's three workers each wait a second for a silent client, close it, and take the next.",
        server=daemons.starman(3, 256, read_timeout=1),
        command="hold {target} -n 40 -d 5",
        truth=open_to(*STOPPED, "server_idle_close", harmful=LONGER_QUEUE, exits=frozenset({1})),
        proofs=(waiting(25), counted("TcpPassiveOpens", 40)),
    ),
    Situation(
        name="apache_prefork_gives_up_reading",
        story="Apache's four processes each wait a second for a silent client's header, and 50 came.",
        world=WIRE,
        both_ends=True,
        server=daemons.apache_event(
            "StartServers 1\nServerLimit 1\nThreadsPerChild 4\nMaxRequestWorkers 4\nMinSpareThreads 1\n"
            "MaxSpareThreads 4\nRequestReadTimeout header=1"
        ),
        command="hold {target} -n 50 -d 5",
        truth=open_to(*STOPPED, "server_idle_close", harmful=LONGER_QUEUE, exits=frozenset({1})),
        proofs=(waiting(25),),
    ),
    Situation(
        name="starman_five_workers",
        story="Each of Starman's five workers waits for what a silent client asks.",
        server=daemons.starman(5, 256),
        command="hold {target} -n 50 -d 2",
        truth=stopped(6),
        proofs=(waiting(40), queue_flat()),
    ),
    Situation(
        name="distccd_prefork",
        story="distccd has three processes, and each waits for what a silent client wants.",
        server=daemons.distccd(3),
        # It asks for TCP_DEFER_ACCEPT too: what asks nothing does not reach its queue.
        command="hold {target} -n 12 --trickle 5 -d 4 --timeout 1500ms",
        truth=open_to(*STOPPED, "server_idle_close", "defer_accept_drops", quiet=True, exits=frozenset({1})),
        proofs=(counted("TcpPassiveOpens", 3),),
    ),
    Situation(
        name="netcat_serves_one",
        story="netcat serves one connection; its queue is of one.",
        server=daemons.netcat(),
        command="hold {target} -n 20 -d 2 --timeout 1500ms",
        truth=stopped(1),
        proofs=(queue_full(), queue_flat()),
    ),
    Situation(
        name="apache_event_threads",
        story="Apache's event module has 6 threads of which each reads one silent client; it takes some more.",
        server=daemons.apache_event(
            "StartServers 1\nServerLimit 1\nThreadsPerChild 6\nMaxRequestWorkers 6\nMinSpareThreads 1\n"
            "MaxSpareThreads 6\nRequestReadTimeout header=0"
        ),
        command="hold {target} -n 80 -d 2",
        truth=open_to(*STOPPED, harmful=LONGER_QUEUE, exits=frozenset({1})),
        proofs=(waiting(20), queue_flat()),
    ),
    Situation(
        name="caddy_stopped_in_mid_churn",
        story="Caddy is stopped (SIGSTOP) in a churn.",
        server=daemons.caddy(),
        later=(Later(rises=70, signal=signal.SIGSTOP),),
        command="churn {target} -c 20 --rate 70 -d 4 --timeout 1500ms",
        truth=due(*STOPPED, harmful=LONGER_QUEUE),
        proofs=(counted("TcpPassiveOpens", 70), waiting(60)),
    ),
    Situation(
        name="unicorn_all_busy",
        story="Both workers of unicorn work for others for 20 s; who comes waits.",
        server=daemons.unicorn(2, app="(sleep 20; [200, {}, ['late']])"),
        before=(programs.clients("--open 2 --ask 'GET / HTTP/1.0\r\n\r\n'"),),
        settle_s=0.5,
        command="hold {target} -n 30 -d 2",
        truth=stopped(0),
        proofs=(waiting(25), queue_flat()),
    ),
    Situation(
        name="watch_starman_held",
        story="Clients of others hold Starman's four workers, and 18 wait.",
        server=daemons.starman(4, 64),
        before=(programs.clients("--open 22"),),
        settle_s=1.0,
        at="server",
        command="watch --once --interval 2s",
        truth=due(*STOPPED, harmful=LONGER_QUEUE),
        proofs=(waiting(15), queue_flat()),
    ),
    Situation(
        name="export_tcpserver_held",
        story="Clients of others hold tcpserver's 9 children, and 12 wait.",
        server=daemons.tcpserver("-c 9 -b 40"),
        before=(programs.clients("--open 21"),),
        settle_s=1.0,
        at="server",
        command="export --once --window 2s",
        truth=due(*STOPPED, exits=frozenset({0})),
        proofs=(waiting(10), queue_flat()),
    ),
)

_OVERFLOW = (
    Situation(
        name="twisted_slow_to_accept",
        story="Twisted works 40 ms for each new connection; 60 come at once and 4 fit its queue.",
        world=WIRE,
        both_ends=True,
        server=daemons.twisted("time.sleep(0.04)", backlog=4),
        command="hold {target} -n 60 -d 2 --timeout 2s",
        truth=due("accept_queue_overflow"),
        proofs=(counted("TcpExtListenOverflows", 10), queue_full()),
    ),
    Situation(
        name="tornado_blocked_by_others",
        story="Tornado works 300 ms for each request of others and accepts between them; its queue is of 3.",
        server=daemons.tornado("time.sleep(0.3); self.write('late')", backlog=3),
        before=(
            programs.clients("--open 4 --ask 'GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n'"),
        ),
        settle_s=0.05,
        command="churn {target} -c 40 --rate 60 -d 2 --timeout 1s",
        truth=due("accept_queue_overflow", *STOPPED, "accept_thread_starved", "backlog_clamped"),
        proofs=(counted("TcpExtListenOverflows", 3), queue_full()),
    ),
    Situation(
        name="starman_short_queue_burst",
        story="100 connects come at once to Starman's six workers and a queue of 8.",
        server=daemons.starman(6, 8),
        command="churn {target} -c 100 -n 100 -d 3 --timeout 2s",
        truth=open_to("accept_queue_overflow", *STOPPED, exits=frozenset({0, 1})),
        proofs=(counted("TcpExtListenOverflows", 5),),
    ),
)

_ENDS = (
    Situation(
        name="gearmand_killed_in_mid_hold",
        story="gearmand is killed while 40 are held.",
        server=daemons.gearmand(),
        later=(Later(rises=40, after_s=0.5, signal=signal.SIGKILL),),
        command="hold {target} -n 40 -d 3",
        truth=due("server_died", harmful=(*LONGER_QUEUE, *DESCRIPTORS)),
        proofs=(sockets("ESTAB", 40),),
    ),
    Situation(
        name="caddy_ended_in_mid_churn",
        story="Caddy is told to end (SIGTERM) in a churn; what follows is refused.",
        world=WIRE,
        both_ends=True,
        server=daemons.caddy(),
        later=(Later(rises=60, signal=signal.SIGTERM),),
        command="churn {target} -c 10 --rate 50 -d 4 --timeout 1s",
        truth=due("server_died", "nobody_listening", harmful=(*LONGER_QUEUE, *DESCRIPTORS)),
        proofs=(counted("TcpOutRsts", 20),),
    ),
    Situation(
        name="nginx_quits_gracefully",
        story="nginx is told to quit (SIGQUIT) in a churn: it closes its listener and serves what it has.",
        server=programs.nginx(),
        later=(Later(rises=50, signal=signal.SIGQUIT),),
        command="churn {target} -c 10 --rate 50 -d 4 --timeout 1s",
        truth=due("server_died", "nobody_listening", harmful=(*LONGER_QUEUE, *DESCRIPTORS)),
        proofs=(counted("TcpOutRsts", 20),),
    ),
    Situation(
        name="nginx_stream_without_backend",
        story="nginx's stream module in front of a backend that does not listen.",
        world=WIRE,
        both_ends=True,
        server=daemons.nginx_stream("server { listen 8080; proxy_pass 127.0.0.1:9000; }"),
        command="hold {target} -n 30 -d 1",
        truth=due("proxy_backend_unreachable", harmful=(*LONGER_QUEUE, *DESCRIPTORS)),
        proofs=(counted("TcpAttemptFails", 30),),
    ),
)

_PATH = (
    Situation(
        name="address_gone_in_mid_bench",
        story="The server's address is taken away while bench asks; nobody answers any more.",
        world=ROUTED,
        both_ends=True,
        server=daemons.twisted(),
        later=(Later(rises=8, after_s=1.0, start=_once("removal", "ip addr flush dev right0", "server")),),
        command="bench {target} -c 8 -d 4 --timeout 1500ms",
        truth=open_to("peer_vanished", "path_data_loss", "path_filtered", exits=frozenset({1})),
        proofs=(accepted_some(8), counted("TcpRetransSegs", 4, at="client")),
    ),
    Situation(
        name="route_gone_in_mid_churn",
        story="The router has no way to the server any more, and says so.",
        world=ROUTED,
        both_ends=True,
        server=daemons.gearmand(),
        later=(Later(rises=60, start=_once("removal", "ip route add unreachable 10.2.0.1/32", "router")),),
        command="churn {target} -c 10 --rate 50 -d 4 --timeout 1s",
        truth=open_to("path_filtered", "neighbour_unresolved", "no_route_back", exits=frozenset({1})),
        proofs=(counted("TcpPassiveOpens", 60), counted("IcmpInDestUnreachs", 1, at="client")),
    ),
    Situation(
        name="filter_set_in_mid_churn",
        story="A rule that drops every SYN to the port is set while connects come and go.",
        world=ROUTED,
        both_ends=True,
        server=daemons.slapd(),
        later=(Later(rises=80, nft=filtered(f"tcp dport 8080 {_SYN}")),),
        command="churn {target} -c 12 --rate 40 -d 5 --timeout 1500ms",
        truth=open_to("path_filtered", exits=frozenset({1})),
        proofs=(ruled("met", 20), counted("TcpPassiveOpens", 80)),
    ),
    Situation(
        name="limited_by_drop_while_all_ask",
        story="A rule between lets 30 connections live and drops what comes over it, 25 a second; all ask.",
        world=_router(f"tcp dport 8080 {_SYN} ct count over 30"),
        both_ends=True,
        server=daemons.twisted(),
        command="hold {target} -n 75 --ramp 25 --trickle 5 -d 3 --timeout 2s",
        truth=due("path_connection_limit", "path_flow_table_full"),
        proofs=(ruled("met", 45), sockets("ESTAB", 30, 30)),
    ),
    Situation(
        name="no_route_at_the_router",
        story="The router may not carry anything to the server's network, and says that it is prohibited.",
        world=World(shape="routed", commands={"router": ("ip route add prohibit 10.2.0.1/32",)}),
        server=daemons.gearmand(),
        command="hold {target} -n 15 -d 1",
        truth=open_to("path_filtered", "no_route_back", exits=frozenset({1})),
        proofs=(counted("IcmpInDestUnreachs", 1, at="client"), counted("TcpPassiveOpens", 0, 0)),
    ),
    Situation(
        name="silent_hole_at_the_router",
        story="The router swallows what goes to the server (a blackhole route).",
        world=World(shape="routed", commands={"router": ("ip route add blackhole 10.2.0.1/32",)}),
        both_ends=True,
        server=daemons.gearmand(),
        command="hold {target} -n 15 -d 1",
        truth=due(*PATH_LOSS),
        proofs=(counted("TcpPassiveOpens", 0, 0), counted("TcpExtTCPSynRetrans", 10, at="client")),
    ),
    Situation(
        name="server_limits_its_syns",
        story="The server's own firewall lets 15 SYNs a second in, after a burst of 8; 80 come.",
        world=World(
            shape="wire",
            nft={"server": filtered(f"tcp dport 8080 {_SYN} limit rate over 15/second burst 8 packets", hook="input")},
        ),
        both_ends=True,
        server=daemons.twisted(),
        command="churn {target} -c 200 --rate 80 -d 5 --timeout 1s",
        truth=open_to("path_rate_limited", "own_firewall", *PATH_LOSS, exits=frozenset({1})),
        proofs=(ruled("met", 80, at="server"), accepted_some(40)),
    ),
    Situation(
        name="big_requests_reset_on_the_path",
        story="What carries more than 600 bytes is answered by a reset on the way (a proxy that forbids it).",
        world=_router("ip saddr 10.1.0.1 ip length > 600", "reject with tcp reset"),
        both_ends=True,
        server=daemons.twisted(),
        command="bench {target} -s 2000 -c 6 -d 2 --timeout 1500ms",
        truth=Truth(possible=frozenset({"path_filtered", "conntrack_invalid_reset"}), quiet=True, exits=frozenset({1})),
        proofs=(ruled("met", 5), counted("TcpOutRsts", 0, 0)),
    ),
    Situation(
        name="answers_of_more_than_700_bytes_lost",
        story="Segments of more than 700 bytes from the server vanish, and no ICMP says so; only the client is seen.",
        world=_router("ip saddr 10.2.0.1 ip length > 700"),
        server=daemons.twisted(),
        command="bench {target} -s 3000 -c 4 -d 3 --timeout 1500ms",
        truth=open_to("path_mtu_blackhole", "path_data_loss", "server_not_accepting", exits=frozenset({1})),
        proofs=(ruled("met", 4),),
    ),
    Situation(
        name="caddy_limited_by_drop",
        story="A rule between lets 22 connections live and drops what comes over it; only the client is seen.",
        world=_router(f"tcp dport 8080 {_SYN} ct count over 22"),
        server=daemons.caddy(),
        command="hold {target} -n 70 -d 2",
        truth=open_to("path_connection_limit", "path_flow_table_full", exits=frozenset({1})),
        proofs=(ruled("met", 48), sockets("ESTAB", 22, 22)),
    ),
    Situation(
        name="slapd_a_tenth_of_the_syns_lost",
        story="A tenth of the SYNs to slapd is lost on the way; only the client is seen.",
        world=_router(f"ip saddr 10.1.0.1 {_SYN} numgen random mod 100 < 10"),
        server=daemons.slapd(),
        command="churn {target} -c 60 --rate 80 -d 3",
        truth=open_to("path_syn_loss", "accept_queue_overflow", exits=frozenset({0, 1})),
        proofs=(ruled("met", 8), counted("TcpExtTCPSynRetrans", 8, at="client")),
    ),
)

_CLIENT = (
    Situation(
        name="ports_reserved",
        story="The client's range has 60 ports, of which 40 are reserved; 45 are wanted.",
        world=World(
            shape="wire",
            sysctls={
                "client": {
                    "net.ipv4.ip_local_port_range": "41000 41059",
                    "net.ipv4.ip_local_reserved_ports": "41010-41049",
                }
            },
        ),
        both_ends=True,
        server=daemons.twisted(),
        command="hold {target} -n 45 -d 1",
        truth=due("ephemeral_port_exhaustion"),
        proofs=(sockets("ESTAB", 20, 20),),
    ),
    Situation(
        name="client_descriptors_in_a_churn",
        story="The client may have 40 descriptors and wants 60 at once.",
        server=daemons.slapd(),
        prefix=("prlimit", "--nofile=40:40"),
        command="hold {target} -n 60 -d 1",
        truth=due("client_open_files"),
        proofs=(counted("TcpPassiveOpens", 5, 40),),
    ),
)

SITUATIONS = (
    *_HEALTHY,
    *_LIMITS,
    *_DESCRIPTORS,
    *_IDLE,
    *_STOPPED,
    *_OVERFLOW,
    *_ENDS,
    *_PATH,
    *_CLIENT,
)
