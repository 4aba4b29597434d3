"""Links, addresses, neighbours and routes that the lab makes are those that `ip` shows; what is refused is one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests import namespaces as ns

from estab.errors import MachineError
from estab.lab.process import links
from estab.lab.process.namespace import LabNamespace, veth
from estab.lab.stage.hosts import CLIENT, MAC, SERVER
from estab.lab.stage.stage import join_hosts

pytestmark = pytest.mark.namespace


def shown(*arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ns.run("ip", "-json", *arguments) or "[]")
    return found


def test_the_hosts_of_a_wire() -> None:
    def work() -> tuple[Any, ...]:
        client, middle, server = (LabNamespace(name) for name in ("client", "wire", "server"))
        join_hosts(client, middle, server)
        with client.entered():
            link = next(one for one in shown("link") if one["ifname"] == "eth0")
            addresses = [
                (of["local"], of["prefixlen"])
                for one in shown("-4", "address")
                for of in one["addr_info"]
                if one["ifname"] == "eth0"
            ]
            return link, addresses, shown("neighbour"), shown("route"), [one["ifname"] for one in shown("link")]

    link, addresses, neighbours, routes, names = ns.in_namespace(work)
    assert link["address"] == MAC["client"]
    assert {"UP", "LOWER_UP"} <= set(link["flags"])
    assert addresses == [(CLIENT, 24)]
    assert [(one["dst"], one["lladdr"], one["state"]) for one in neighbours] == [(SERVER, MAC["server"], ["PERMANENT"])]
    assert [(one["dst"], one.get("gateway")) for one in routes] == [("default", SERVER), ("10.77.0.0/24", None)]
    assert names == ["lo", "eth0"]


def test_what_else_a_setup_changes() -> None:
    def work() -> tuple[Any, ...]:
        here, there = LabNamespace("here"), LabNamespace("there")
        veth(here, "eth0", there, "eth0")
        with here.entered():
            links.add_address(CLIENT, 24, "eth0")
            links.add_neighbour(SERVER, MAC["server"], "eth0")
            links.delete_neighbour(SERVER, "eth0")
            links.set_mtu("eth0", 1300)
            links.silence_arp("eth0")
            links.add_route(links.Route(gateway=SERVER))
            links.delete_route(links.Route())
            links.add_route(links.Route("198.51.100.0", 24, link="eth0", source=CLIENT))
            links.add_route(links.Route("192.0.2.7", 32, prohibited=True))
            return next(one for one in shown("link") if one["ifname"] == "eth0"), shown("neighbour"), shown("route")

    link, neighbours, routes = ns.in_namespace(work)
    assert link["mtu"] == 1300
    assert "NOARP" in link["flags"]
    assert neighbours == []
    assert {(one.get("type"), one["dst"], one.get("dev"), one.get("prefsrc")) for one in routes} == {
        (None, "10.77.0.0/24", "eth0", CLIENT),
        (None, "198.51.100.0/24", "eth0", CLIENT),
        ("prohibit", "192.0.2.7", None, None),
    }


def test_what_is_refused_says_what_and_why() -> None:
    def work() -> list[str]:
        said = []
        asked = (
            lambda: links.set_up("eth7"),
            lambda: links.add_route(links.Route(gateway=SERVER)),
            lambda: links.add_veth("lo", "eth0", 1 << 20),
        )
        for ask in asked:
            with pytest.raises(MachineError) as refused:
                ask()
            said.append(str(refused.value))
        return said

    no_link, no_way, no_pair = ns.in_namespace(work)
    assert no_link == "there is no link eth7 in this network namespace"
    assert no_way == f"the lab could not add route 0.0.0.0/0 via {SERVER}: Network is unreachable"
    assert no_pair.startswith("the lab could not make a veth pair of lo and eth0: ")
