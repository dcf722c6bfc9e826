"""The room tidies up by itself, once a day for each community."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services.kit.clock import DAY, ManualClock
from services.kit.scope import Scope
from services.kit.store.machinery import LeaseDocument
from services.kit.store.opening import open_store
from services.kit.store.port import Document, Store
from services.members.sweeper import Sweeper
from services.members.use_cases.changing import relate_member
from services.members.use_cases.room import Room
from services.members.wiring import DOCUMENTS, room_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(tmp_path / "members.sqlite", DOCUMENTS)
    yield store
    store.close()


@pytest.fixture
def room(store: Store, clock: ManualClock) -> Room:
    return room_of(store, clock, b"k" * 32)


def test_a_day_is_swept_once_whatever_restarts(
    store: Store, room: Room, scope: Scope, register: Callable[..., Document], clock: ManualClock
) -> None:
    ada = register("Ada", email="ada@mail.example")
    relate_member(room, scope, ada["_id"], "adherent", "2026-01-01", "2026-11-19", "operator")
    chores: list[int] = []

    def restart_and_tidy() -> str:
        Sweeper(room, store.collection(LeaseDocument), 3, [lambda: chores.append(1)]).tidy()
        return str(room.member(scope, ada["_id"])["lifecycle"])

    assert restart_and_tidy() == "active"
    clock.advance(5 * DAY)
    assert restart_and_tidy() == "former"
    version = room.member(scope, ada["_id"])["version"]
    assert restart_and_tidy() == "former"
    assert room.member(scope, ada["_id"])["version"] == version
    assert chores
