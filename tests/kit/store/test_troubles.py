"""A full disk, a locked, damaged or missing file: said clearly, and over when the cause is."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from services.kit.errors import Invalid, Unavailable
from services.kit.store.opening import open_store
from services.kit.store.port import Patch
from services.kit.store.rule import Equals
from tests.contract.store_documents import CLASSES, Fan, Key, fan
from tests.contract.store_engines import IN_CLUB
from tests.kit.waiting import until


def test_a_full_disk_refuses_and_loses_nothing_and_the_store_goes_on_when_there_is_room(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    command = [sys.executable, "-m", "tests.kit.store.filling_process", str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    *refusals, kept = ran.stdout.splitlines()
    assert len(refusals) == 3
    assert all("store.db" in each and "space" in each for each in refusals)
    store = open_store(path, CLASSES)
    fans = store.collection(Fan)
    assert fans.count(IN_CLUB) == fans.count(IN_CLUB, Equals("tags", "a")) == int(kept)
    store.close()


def test_a_file_locked_for_too_long_refuses_writes_and_still_answers_reads(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = open_store(path, CLASSES, busy_seconds=0.2)
    fans = store.collection(Fan)
    fans.insert(IN_CLUB, [fan("fan_1")])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refused: list[str] = []

    def write(at: int) -> None:
        try:
            fans.insert(IN_CLUB, [fan(f"fan_new_{at}")])
        except Unavailable as error:
            refused.append(error.message)

    writers = [threading.Thread(target=write, args=(at,)) for at in range(3)]
    for each in writers:
        each.start()
    for each in writers:
        each.join(timeout=30)
    assert len(refused) == 3
    assert all("locked" in each for each in refused)
    assert set(fans.get(IN_CLUB, ["fan_1", "fan_new_0"])) == {"fan_1"}
    other.execute("COMMIT")
    assert fans.insert(IN_CLUB, [fan("fan_2")]) == {"fan_2"}
    store.close()
    other.close()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = open_store(path, CLASSES)
    store.collection(Fan).insert(IN_CLUB, [fan(f"fan_{at}", nickname="x" * 500, tags=["a"]) for at in range(500)])
    store.close()
    with path.open("r+b") as file:
        file.seek(4096 * 2)
        file.write(b"\xff" * 4096 * 60)
    with pytest.raises(Unavailable, match=r"store\.db is damaged.*backup"):
        damaged = open_store(path, CLASSES)
        try:
            for page in damaged.collection(Fan).stream(IN_CLUB):
                assert page
        finally:
            damaged.close()


def test_a_file_that_is_no_store_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("a shopping list\n" * 1_000)
    with pytest.raises(Unavailable, match="is not a store"):
        open_store(path, CLASSES)
    assert path.read_text().startswith("a shopping list")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="folder"):
        open_store(tmp_path / "file" / "store.db", CLASSES)


def test_an_address_without_an_engine_names_the_setting() -> None:
    for address in ("postgres://localhost/fanfare", "sqlite://", "sqlite:///", ""):
        with pytest.raises(Invalid) as refused:
            open_store(address, CLASSES)
        assert refused.value.field == "FANFARE_STORE"
        assert "FANFARE_STORE" in refused.value.message


def test_an_address_is_a_path_or_a_url(tmp_path: Path) -> None:
    for address in (tmp_path / "a.db", str(tmp_path / "b.db"), f"sqlite:///{tmp_path}/c.db"):
        open_store(address, CLASSES).close()
    assert {each.name for each in tmp_path.glob("*.db")} == {"a.db", "b.db", "c.db"}


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.db", [Fan])
    fans = store.collection(Fan)
    with pytest.raises(Invalid) as refused:
        store.collection(Key)
    assert refused.value.field == "document_class"
    fans.insert(IN_CLUB, [fan("fan_1")])
    store.close()
    store.close()
    for call in (
        lambda: fans.get(IN_CLUB, ["fan_1"]),
        lambda: fans.patch(IN_CLUB, [Patch("fan_1", set={"name": "a"})]),
    ):
        with pytest.raises(Unavailable, match="closed"):
            call()


def test_deleted_documents_leave_neither_text_nor_pages_behind(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = open_store(path, CLASSES)
    fans = store.collection(Fan)
    ids = [f"fan_{at:05}" for at in range(6_000)]
    fans.insert(IN_CLUB, [fan(an_id, nickname="confidential " * 100) for an_id in ids])
    other = sqlite3.connect(path)
    pages = other.execute("PRAGMA page_count").fetchone()[0]
    assert fans.delete(IN_CLUB, ids) == set(ids)
    until(lambda: other.execute("PRAGMA page_count").fetchone()[0] < pages - 500)
    other.close()
    store.close()
    assert b"confidential" not in path.read_bytes()
