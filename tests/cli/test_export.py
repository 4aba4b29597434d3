"""`estab export` as a user and Prometheus meet it: HTTP, signals, errors, an ordinary user, a missing extra."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.cli.terminal import ESTAB, assert_one_clear_line, estab, started
from tests.forked import forked_without
from tests.namespaces import until
from tests.ordinary_user import CAN_GIVE_UP

from estab.extras import install_command


@contextlib.contextmanager
def exporter(*options: str, listen: str = "127.0.0.1:0") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A running exporter, and its port."""
    with started("export", "--listen", listen, *options) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            match = re.fullmatch(r"answering at http://(.+):(\d+)/metrics\n", said)
            assert match is not None, said or process.communicate()
            yield process, int(match[2])
        finally:
            process.kill()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with exporter() as (_, number):
        yield number


def ask(port: int, method: str = "GET", path: str = "/metrics", host: str = "127.0.0.1") -> tuple[int, str, str]:
    with contextlib.closing(http.client.HTTPConnection(host, port, timeout=20)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read().decode()


def raw(port: int, data: bytes) -> bytes:
    """All that is answered until the other end closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(data)
        return b"".join(iter(lambda: client.recv(65536), b""))


def value(text: str, name: str, **labels: str) -> float:
    found = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert len(found) == 1, (name, labels, found)
    return found[0]


# HTTP ---------------------------------------------------------------------------------------------------------------


def test_metrics_are_what_prometheus_reads(port: int) -> None:
    status, kind, text = ask(port)
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert value(text, "estab_observation_success", namespace="own") == 1
    assert value(text, "estab_listener_queue_limit", port=str(port)) > 0
    assert value(text, "estab_cause", cause="accept_queue_overflow") in (0, 1)
    if shutil.which("promtool") is None:
        pytest.skip("no promtool: apt-get install prometheus")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_exporter_names_itself_as_the_owner_of_its_listener(port: int) -> None:
    text = ask(port)[2]
    own = [line for line in text.splitlines() if line.startswith("estab_listener_sockets{") and f'"{port}"' in line]
    assert len(own) == 1
    assert 'address="127.0.0.1"' in own[0]
    assert 'process="estab"' in own[0]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("HEAD", "/metrics", 200),
        ("GET", "/metrics?name[]=x", 200),
        ("GET", "/metrics/", 404),
        ("GET", "/etc/passwd", 404),
        ("GET", "/../../etc/passwd", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/", 405),
        ("OPTIONS", "/metrics", 405),
    ],
)
def test_what_is_answered(port: int, method: str, path: str, status: int) -> None:
    found, _, text = ask(port, method, path)
    assert found == status
    assert (text == "") == (method == "HEAD")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"garbage\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/9.9\r\n\r\n", b"505"),
        (b"GET /metrics HTTP/x\r\n\r\n", b"400"),
        (b"\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"a: " + b"b" * 16_300 + b"\r\n" + b"c: " + b"d" * 1_000 + b"\r\n", b"431"),
        (b"GET / HTTP/1.0\n\n", b"200"),
    ],
)
def test_garbage_is_answered_and_the_next_is_served(port: int, data: bytes, status: bytes) -> None:
    assert raw(port, data).split()[1] == status
    assert ask(port, path="/")[0] == 200


def test_a_line_that_does_not_end_is_cut_off(port: int) -> None:
    refused = pytest.raises((ConnectionResetError, BrokenPipeError))
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client, refused:
        client.sendall(b"a" * (64 << 20))
    assert ask(port, path="/")[0] == 200


def test_one_connection_carries_several_questions_and_a_body_ends_it(port: int) -> None:
    one, last = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n"
    assert raw(port, one + one + last).count(b"HTTP/1.1 200 OK") == 3
    assert raw(port, b"GET / HTTP/1.0\r\n\r\n").count(b"HTTP/1.1 200 OK") == 1
    body = b"GET / HTTP/1.1\r\nContent-Length: 28\r\n\r\n"
    assert raw(port, body + one).count(b"HTTP/1.1 ") == 1, "a body is not taken for the next question"


def test_slow_and_silent_clients_keep_nobody_waiting(port: int) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(300):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            client.sendall(b"GET /metrics HTTP/1.1\r\nX: "[: number % 20])
        assert ask(port)[0] == 200


def test_a_client_that_takes_nothing_keeps_nobody_waiting(port: int) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            client.connect(("127.0.0.1", port))
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 50)
        assert ask(port)[0] == 200


def test_many_scrapers_at_once_cost_one_look() -> None:
    with exporter() as (_, port):
        before = value(ask(port)[2], "estab_observations_total", part="snapshot")
        threads = [threading.Thread(target=ask, args=(port,)) for _ in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        looks = value(ask(port)[2], "estab_observations_total", part="snapshot") - before
    assert looks <= 15, (
        "30 scrapes: a look is good for a quarter of a second, and thirty answers may take a few of them"
    )


def test_ipv6() -> None:
    with exporter(listen="[::1]:0") as (_, port):
        assert ask(port, host="::1")[0] == 200


# Its end, and what goes wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_well(number: signal.Signals) -> None:
    with exporter() as (process, port), socket.create_connection(("127.0.0.1", port)) as silent:
        ask(port)
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out) == (0, "")
        assert "Traceback" not in err
        assert all(line.startswith("not seen: own: ") for line in err.splitlines())
        assert silent.recv(1) == b"", "who is still connected is not left waiting"


def test_a_signal_while_it_looks_once() -> None:
    with started("export", "--once", "--window", "60s") as process:
        until(lambda: _has_socket(process.pid), within_s=20, why="it looks")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (130, "", "")


def _has_socket(pid: int) -> bool:
    found = False
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            found |= os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
    return found


def test_quiet_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        number = probe.getsockname()[1]
    with started("export", "--listen", f"127.0.0.1:{number}", "--quiet") as process:
        until(lambda: _answers(number), within_s=20)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")


def _answers(port: int) -> bool:
    try:
        return ask(port, path="/")[0] == 200
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--listen", "127.0.0.1"), 2, ("127.0.0.1", "no port")),
        (("--listen", "127.0.0.1:70000"), 2, ("70000",)),
        (("--listen", "no.such.host.invalid:9816"), 2, ("no.such.host.invalid",)),
        (("--listen", "192.0.2.1:9816"), 3, ("192.0.2.1:9816", "ip addr")),
        (("--window", "0"), 2, ("--window is 0,", "0.1 to 3,600 seconds")),
        (("--window", "soon"), 2, ("soon",)),
        (("--listeners", "0"), 2, ("--listeners is 0,", "1 to")),
        (("--targets", "1000000"), 2, ("--targets", "1 to")),
        (("--netns", "no-such"), 2, ("no-such", "ip netns")),
        (("--netns", "../x", "--once"), 2, ("../x",)),
        (("--once", "--listen", "127.0.0.1:0"), 2, ("--once", "--listen")),
    ],
)
def test_what_cannot_be(options: tuple[str, ...], code: int, words: tuple[str, ...]) -> None:
    assert_one_clear_line(estab("export", *options), code, *words)


def test_a_port_that_is_taken(port: int) -> None:
    done = estab("export", "--listen", f"127.0.0.1:{port}")
    assert_one_clear_line(done, 3, f"127.0.0.1:{port}", "Address already in use", "--listen")


def test_a_missing_extra_is_one_line_with_the_command() -> None:
    command = forked_without(["prometheus_client"], "estab.api.exporter", "export")
    done = subprocess.run(**command, capture_output=True, text=True, check=False, timeout=30)
    assert_one_clear_line(done, 3, install_command("export"))


# Once, and as an ordinary user --------------------------------------------------------------------------------------


def test_once_prints_the_same_metrics(port: int) -> None:
    done = estab("export", "--once", "--window", "200ms")
    assert (done.returncode, done.stderr) == (0, "")
    families = [{one.name for one in text_string_to_metric_families(text)} for text in (done.stdout, ask(port)[2])]
    assert families[0] == families[1]
    assert value(done.stdout, "estab_observations_total", part="sample") >= 1


def test_once_into_a_closed_pipe() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"{ESTAB} export --once --window 100ms 2>&1 >&- | head -c 300"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stdout


@pytest.mark.skipif(not CAN_GIVE_UP, reason="only root can become somebody else")
def test_an_ordinary_user_sees_less_and_is_told_what(ordinary_python: tuple[str, ...]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [*ordinary_python, "-P", "-m", "estab", "export"]
        done = subprocess.run(
            [*command, "--once", "--window", "100ms"], capture_output=True, text=True, check=False, cwd="/"
        )
        assert (done.returncode, done.stderr) == (0, "")
        number = str(server.getsockname()[1])
        assert value(done.stdout, "estab_listener_queue_limit", port=number, process="") > 0
    assert 'estab_unobserved{field="listeners.owners"' in done.stdout
    denied = subprocess.run(
        [*command, "--listen", "127.0.0.1:80"], capture_output=True, text=True, check=False, cwd="/"
    )
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        assert int(file.read()) > 80, "else anybody may listen on port 80"
    assert_one_clear_line(denied, 3, "127.0.0.1:80", "root")
