"""Connections that rest and ask again: who ends them, who forgets them, and who does neither."""

from __future__ import annotations

import signal

from tests.field import programs
from tests.field.answers import ONE, ROUTED, WIRE, filtered
from tests.field.proof import accepted_some, counted, ruled, sockets
from tests.field.situation import PORT, Figure, Later, Situation, Truth, World, due, healthy, open_to

_ECHO = programs.small("loop")
_FOUND = frozenset({0})  # of a search: that it is sure
_NO_CAUSE = Truth(quiet=True, exits=frozenset({1}))
_PING = r"--request 'PING\r\n' --until 'PONG\r\n'"


def _forgets(after_s: int, verdict: str = "drop") -> World:
    """A router that forgets a connection after so long, and does `verdict` with what then comes of it."""
    return World(
        shape="routed",
        nft={"router": filtered("ct state invalid", verdict)},
        sysctls={
            "router": {
                "net.netfilter.nf_conntrack_tcp_timeout_established": after_s,
                "net.netfilter.nf_conntrack_tcp_loose": 0,
            }
        },
    )


def _between(low: float, high: float) -> tuple[Figure, ...]:
    return (Figure(path="idle_s", at_least=low, at_most=high),)


_NGINX_7 = programs.nginx(server="keepalive_timeout 7s; return 200 hello;")
_NODE = programs.server(f"node {{servers}}/http.js {PORT}", ready="says")

SITUATIONS = (
    Situation(
        name="nginx_keepalive_of_7_s_found",
        story="nginx with keepalive_timeout 7 s, both ends seen: the time is found.",
        world=WIRE,
        both_ends=True,
        server=_NGINX_7,
        command="hold http://{target}/ --find-idle 20s",
        truth=due("server_idle_close", exits=_FOUND, figures=_between(6.8, 7.2)),
        proofs=(sockets("ESTAB", 2),),
    ),
    Situation(
        name="nginx_keepalive_of_2_s",
        story="nginx with keepalive_timeout 2 s: only the client is seen, and a FIN is no path's.",
        world=ROUTED,
        server=programs.nginx(server="keepalive_timeout 2s; return 200 hello;"),
        command="hold http://{target}/ --gaps 500ms,1s,5s",
        truth=due("server_idle_close"),
        proofs=(sockets("ESTAB", 6),),
    ),
    Situation(
        name="apache_keepalive_by_default",
        story="Apache closes what rests for 5 s (KeepAliveTimeout).",
        world=WIRE,
        both_ends=True,
        server=programs.apache(),
        command="hold http://{target}/apache.conf --gaps 1s,3s,8s",
        truth=due("server_idle_close"),
        proofs=(sockets("ESTAB", 6),),
    ),
    Situation(
        name="node_keepalive_by_default",
        story="Node closes what rests for 5 s (keepAliveTimeout); only the client is seen.",
        world=WIRE,
        server=_NODE,
        command="hold http://{target}/ --gaps 1s,3s,9s",
        truth=due("server_idle_close"),
        proofs=(accepted_some(6),),
    ),
    Situation(
        name="redis_timeout_of_3_s",
        story="redis closes what rests for 3 s; it counts whole seconds and looks now and then.",
        world=WIRE,
        both_ends=True,
        server=programs.redis("--timeout 3"),
        command=f"hold {{target}} {_PING} --gaps 500ms,1s,8s",
        truth=due("server_idle_close"),
        proofs=(sockets("ESTAB", 6),),
    ),
    Situation(
        name="lighttpd_keepalive_by_default",
        story="lighttpd closes what rests for some 5 s; only the client is seen.",
        world=ONE,
        server=programs.lighttpd(),
        command="hold http://{target}/lighttpd.conf --gaps 1s,3s,9s",
        truth=due("server_idle_close"),
        proofs=(sockets("ESTAB", 6),),
    ),
    Situation(
        name="router_forgets_after_5_s_found",
        story="A router forgets a connection after 5 s and drops what then comes: the client alone finds the time.",
        world=_forgets(5),
        server=_ECHO,
        command="hold {target} --find-idle 20s --timeout 1500ms",
        truth=due("path_idle_timeout", exits=_FOUND, figures=_between(4.5, 5.5)),
        proofs=(ruled("met", 2), accepted_some(10)),
    ),
    Situation(
        name="router_forgets_before_nginx_closes",
        story="The router forgets after 4 s; nginx would close after 7 s, and its FIN is lost there too.",
        world=_forgets(4),
        both_ends=True,
        server=_NGINX_7,
        command="hold http://{target}/ --gaps 1s,3s,6s,10s --timeout 1500ms",
        truth=due("path_idle_timeout"),
        proofs=(ruled("met", 2),),
    ),
    Situation(
        name="nginx_closes_before_the_router_forgets",
        story="nginx closes after 2 s; the router would forget after 5 s.",
        world=_forgets(5),
        both_ends=True,
        server=programs.nginx(server="keepalive_timeout 2s; return 200 hello;"),
        command="hold http://{target}/ --gaps 500ms,1s,7s --timeout 1500ms",
        truth=due("server_idle_close"),
        proofs=(sockets("ESTAB", 6),),
    ),
    Situation(
        name="router_forgets_after_2_s_and_resets",
        story="A router forgets a connection after 2 s and answers by RST; only the client is seen.",
        world=_forgets(2, "reject with tcp reset"),
        server=_ECHO,
        command="hold {target} --gaps 500ms,1s,4s",
        truth=due("path_idle_timeout"),
        proofs=(ruled("met", 2), accepted_some(6)),
    ),
    Situation(
        name="router_forgets_after_2_s_redis_behind",
        story="A router forgets what rests for 2 s before redis, which has no limit; both ends are seen.",
        world=_forgets(2),
        both_ends=True,
        server=programs.redis(),
        command=f"hold {{target}} {_PING} --gaps 500ms,1s,4s --timeout 1500ms",
        truth=due("path_idle_timeout"),
        proofs=(ruled("met", 2), sockets("ESTAB", 6)),
    ),
    Situation(
        name="redis_bears_every_rest",
        story="redis without a timeout: a search up to 8 s finds nothing, and accuses nobody.",
        world=WIRE,
        both_ends=True,
        server=programs.redis(),
        command=f"hold {{target}} {_PING} --find-idle 8s",
        truth=healthy(says=(r"none up to 8\.0 s",)),
        proofs=(sockets("ESTAB", 10),),
    ),
    Situation(
        name="nginx_bears_8_s_behind_a_router",
        story="nginx with its 75 s behind a router with its five days: rests of 8 s are borne.",
        world=ROUTED,
        both_ends=True,
        server=programs.nginx(),
        command="hold http://{target}/ --gaps 1s,4s,8s",
        truth=healthy(),
        proofs=(sockets("ESTAB", 6),),
    ),
    Situation(
        name="server_killed_while_connections_rest",
        story="A server is killed while connections rest: it closes them all at one moment, however long each rests.",
        world=WIRE,
        both_ends=True,
        server=_ECHO,
        later=(Later(rises=6, after_s=1.0, signal=signal.SIGKILL),),
        command="hold {target} --gaps 500ms,4s,8s",
        truth=due("server_died"),
        proofs=(accepted_some(6),),
    ),
    Situation(
        name="server_killed_while_connections_rest_alone",
        story="The same, and only the client is seen: who ended them can't be told, but no rest did.",
        world=ROUTED,
        server=_ECHO,
        later=(Later(rises=6, after_s=1.0, signal=signal.SIGKILL),),
        command="hold {target} --gaps 500ms,4s,8s",
        truth=_NO_CAUSE,
        proofs=(accepted_some(6),),
    ),
    Situation(
        name="server_hangs_while_connections_rest",
        story="A program stops while connections rest: its kernel acknowledges what is asked, so nothing is forgotten.",
        world=ROUTED,
        server=_ECHO,
        later=(Later(rises=6, after_s=1.0, signal=signal.SIGSTOP),),
        command="hold {target} --gaps 500ms,4s,6s --timeout 1500ms",
        truth=_NO_CAUSE,
        proofs=(accepted_some(6),),
    ),
    Situation(
        name="closes_each_connection_after_4_s",
        story="A server closes each connection for its age, after 4 s, whether it rests or not.",
        world=WIRE,
        both_ends=True,
        server=programs.small("loop", "--life 4"),
        command="hold {target} --gaps 500ms,1s,8s",
        truth=_NO_CAUSE,
        proofs=(accepted_some(6),),
    ),
    Situation(
        name="path_lost_while_connections_rest",
        story="In mid-run a firewall begins to drop all data: what rests for half a second is lost as well.",
        world=ROUTED,
        both_ends=True,
        server=_ECHO,
        later=(Later(rises=6, after_s=1.0, nft=filtered(f"tcp dport {PORT} tcp flags & syn == 0")),),
        command="hold {target} --gaps 500ms,4s,6s --timeout 1500ms",
        truth=due("path_data_loss", "peer_vanished"),
        proofs=(ruled("met", 6), counted("TcpRetransSegs", 6, at="client")),
    ),
    Situation(
        name="nat_gives_other_ports_after_a_rest",
        story="A NAT forgets after 2 s and gives what then comes another port: the server's own host answers by RST.",
        world=World(
            shape="routed",
            nft={
                "router": "table ip field { chain leaving { type nat hook postrouting priority srcnat; policy accept;\n"
                "meta l4proto tcp masquerade fully-random\n}\n}"
            },
            sysctls={"router": {"net.netfilter.nf_conntrack_tcp_timeout_established": 2}},
        ),
        both_ends=True,
        server=_ECHO,
        command="hold {target} --gaps 500ms,1s,4s --timeout 1500ms",
        # That its own host resets shows that the connection is not known there by these ports, not why.
        truth=open_to("path_idle_timeout", exits=frozenset({1})),
        proofs=(counted("TcpOutRsts", 2), accepted_some(6)),
    ),
)
