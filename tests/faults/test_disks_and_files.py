"""A full disk, a locked file, a list that is not one: clear words, retries that end, nothing lost."""

from __future__ import annotations

import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo import queries
from demo.doors import Doors, Refused, wait_until
from tests.faults.jobs import CampaignJob, ImportJob, found_community
from tests.faults.killing import members_of
from tests.faults.relay import Mood, Relay
from tests.faults.services import SENDERS, Services

pytestmark = pytest.mark.slow


@contextmanager
def full_disk(services: Services, *processes: str) -> Iterator[None]:
    """No file of theirs may grow any more: what a full disk does to them."""
    before = {name: resource.prlimit(services.pid_of(name), resource.RLIMIT_FSIZE) for name in processes}
    for name, (_, hard) in before.items():
        resource.prlimit(services.pid_of(name), resource.RLIMIT_FSIZE, (4_096, hard))
    try:
        yield
    finally:
        for name, limits in before.items():
            if services.alive(name):
                resource.prlimit(services.pid_of(name), resource.RLIMIT_FSIZE, limits)


@contextmanager
def locked_file(file: Path) -> Iterator[None]:
    """Another program holds the store's write lock."""
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


def test_an_import_waits_for_a_full_disk_and_then_goes_on(services: Services, doors: Doors, folder: Path) -> None:
    community = found_community(doors, "Full disk")
    job = ImportJob(doors, community, 12_000, folder)
    wait_until(lambda: job.flight().done > 0, "the first rows", 30, 0.02)
    with full_disk(services, "members"):
        time.sleep(3)
        assert services.alive("members")
        assert job.flight().in_flight
    job.wait(90)
    job.assert_nothing_lost_or_doubled()


def test_a_campaign_waits_for_a_full_disk_and_doubles_nobody(
    services: Services, doors: Doors, relay: Relay, folder: Path
) -> None:
    job = CampaignJob(doors, members_of(services, doors, folder, 400), relay, "LIST")
    relay.mood = Mood(pace=0.06)
    job.launch()
    wait_until(lambda: relay.count > 20, "some messages", 30, 0.02)
    with full_disk(services, *SENDERS):
        time.sleep(4)
        stopped = relay.count
        assert stopped < 400, "nothing was in flight when the disk was full"
        time.sleep(2)
        assert relay.count == stopped, "messages left without a mark in the ledger"
    relay.mood = Mood()
    job.wait(120)
    job.account_for().assert_settled("LIST")


def test_a_campaign_waits_for_a_locked_file_and_loses_nobody(
    services: Services, doors: Doors, relay: Relay, folder: Path
) -> None:
    job = CampaignJob(doors, members_of(services, doors, folder, 300), relay, "LIST")
    relay.mood = Mood(pace=0.06)
    job.launch()
    wait_until(lambda: relay.count > 20, "some messages", 30, 0.02)
    with locked_file(services.data / "channels.sqlite"):
        time.sleep(8)
        assert services.alive("channels")
    relay.mood = Mood()
    job.wait(120)
    job.account_for().assert_settled("LIST")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nothing.csv", b"", "file is empty"),
        ("a-picture.csv", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 64, "NUL byte"),
        (
            "an-open-quote.csv",
            b'Email,Name\n"ada@members.example,Ada\n' + b"bob@members.example,Bob\n" * 500,
            "row 2 is never closed",
        ),
        ("headings-only.csv", b"Email,Name\n", "'rowsTotal': 0"),
        ("one-long-line.csv", b"Email,Name\n" + b"x" * 3_000_000, "a cell is longer than"),
    ],
)
def test_a_corrupt_list_is_refused_in_words_and_changes_nothing(
    services: Services, doors: Doors, folder: Path, name: str, content: bytes, words: str
) -> None:
    community = found_community(doors, f"Corrupt {name}")
    (folder / name).write_bytes(content)
    said = ""
    try:
        file = doors.upload(folder / name, community)
        started = doors.do(queries.START_IMPORT, input={"community": community, "file": file, "fileName": name})
    except Refused as refusal:
        said = str(refusal)
    else:
        over: dict[str, object] = {}

        def ended() -> bool:
            over.update(doors.ask(queries.IMPORT, **{"import": started["import"]["id"]})["import"])
            return str(over["state"]).lower() in ("finished", "failed")

        wait_until(ended, "the end of the import", 30)
        said = str(over["problem"] or over["progress"])
    assert words in said and "Traceback" not in said
    assert services.alive("members")
    within = doors.ask("query ($c: ID!) { previewSegment(community: $c) { within } }", c=community)
    assert within["previewSegment"]["within"] == 0
