"""`estab diagnose` of a recording: its episodes, newest last, on one screen, as JSON, and of a part of the time."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from tests.cli.terminal import assert_one_clear_line, estab
from tests.diagnose.test_episodes import CALM, FULL, other, recording
from tests.diagnose.test_snapshots import listener

from estab.records import EPISODES_SCHEMA, Episodes, decode, encode

OUT_OF_DESCRIPTORS = listener(depth=1, fds=1024)
NIGHT = recording(
    [
        *[CALM] * 20,
        *[FULL] * 3,
        *[CALM] * 20,
        *[OUT_OF_DESCRIPTORS] * 2,
        *[CALM] * 30,
        *[FULL.replace(drops=999)] * 60,
        CALM,
        other(10, inode=8),
        CALM,
    ]
)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("night") / "night.ndjson.gz"
    path.write_bytes(gzip.compress(b"".join(encode(taken) + b"\n" for taken in NIGHT)))
    return str(path)


def judged(*arguments: str) -> Episodes:
    return decode(estab("diagnose", *arguments, "--json", "-").stdout.encode(), Episodes, EPISODES_SCHEMA)


def test_the_episodes_are_a_table_with_the_newest_last(night: str) -> None:
    done = estab("diagnose", night)
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert lines[0] == "✗ 3 episodes: accept_queue_overflow 2 · server_open_files 1"
    assert [line.split()[:4] for line in lines[2:5]] == [
        ["02:00:19-02:00:22", "accept_queue_overflow", ":80", "nginx"],
        ["02:00:42-02:00:44", "server_open_files", ":80", "nginx"],
        ["02:01:14-02:02:14", "accept_queue_overflow", ":80", "nginx"],
    ]
    assert lines[4].endswith("959  restart 02:02:16")
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


def test_everything_of_each_is_said_when_asked(night: str) -> None:
    text = estab("diagnose", night, "-v").stdout
    assert "1970-01-01 02:01:14 to 02:02:14 UTC  127.0.0.1:80 nginx" in text
    assert "then: restarted 1970-01-01 02:02:16 (PID 9, then 10)" in text
    assert "has all 1,024 of its descriptors in use" in text
    assert "What does nothing" in text
    assert text.count("its worst interval, ") == 3


def test_a_single_episode_is_told_like_any_verdict(night: str) -> None:
    done = estab("diagnose", night, "--since", "02:01")
    assert done.returncode == 1
    assert done.stdout.startswith("✗ accept_queue_overflow (server): the accept queue of 127.0.0.1:80 is full now")
    assert "02:01:14-02:02:14 UTC · 127.0.0.1:80 nginx · 959 drops" in done.stdout
    assert "\n  At worst " in done.stdout  # of sixty intervals
    assert "restarted 02:02:16" in estab("diagnose", night, "--brief").stdout


def test_a_part_of_the_time(night: str) -> None:
    part = judged(night, "--since", "02:00:30", "--until", "1970-01-01T02:01")
    assert [(episode.cause, episode.next) for episode in part.episodes] == [("server_open_files", "recovered")]
    assert (part.from_s, part.to_s, part.intervals) == (7230.0, 7260.0, 30)


def test_without_an_episode_there_is_no_cause(night: str) -> None:
    done = estab("diagnose", night, "--until", "02:00:10")
    assert done.returncode == 0
    assert done.stdout.splitlines()[0].startswith("✓ No limit is met.")
    assert judged(night, "--until", "02:00:10").episodes == []


def test_plain_and_compressed_from_a_file_or_from_standard_input_are_the_same(night: str, tmp_path: Path) -> None:
    plain = tmp_path / "night.ndjson"
    plain.write_bytes(gzip.decompress(Path(night).read_bytes()))
    assert judged(str(plain)) == judged(night)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--since", "9"), ("'9' is no moment", "02:13")),
        (("--since", "1971-01-01"), ("no snapshot was taken in that time", "--since")),
        (("--since", "1970-01-01T03:00", "--until", "1970-01-01T02:00"), ("--until", "is before --since")),
    ],
)
def test_what_cannot_be_asked(arguments: tuple[str, ...], says: tuple[str, ...], night: str) -> None:
    assert_one_clear_line(estab("diagnose", night, *arguments), 2, *says)


def test_times_are_for_recordings(tmp_path: Path) -> None:
    assert_one_clear_line(estab("diagnose", "--since", "02:00"), 2, "--since and --until are for a recording")
    assert_one_clear_line(estab("diagnose", str(tmp_path), "--since", "02:00"), 2, str(tmp_path), "no recording")
