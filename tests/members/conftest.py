"""A members room of one's own: real store on disk, a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.kit.clock import ManualClock
from services.kit.scope import Scope
from services.kit.store.opening import open_store
from services.kit.store.port import Document
from services.members.domain.community import Community
from services.members.domain.member import Profile, relation
from services.members.domain.permission import CONSENT, THE_MEMBER, Evidence, grant
from services.members.domain.values import day_of
from services.members.use_cases.founding import Founding, create_community
from services.members.use_cases.registering import register_member
from services.members.use_cases.room import Room
from services.members.wiring import DOCUMENTS, room_of

NOW = 1_795_000_000_000  # 18 November 2026
TODAY = day_of(NOW)
FORM = Evidence("I agree to receive the news.", "form", NOW - 10 * 86_400_000, THE_MEMBER)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def room(tmp_path: Path, clock: ManualClock) -> Iterator[Room]:
    store = open_store(tmp_path / "members.sqlite", DOCUMENTS)
    yield room_of(store, clock, b"k" * 32)
    store.close()


@pytest.fixture
def scope() -> Scope:
    return Scope("agency-1", None, "operator:ada")


@pytest.fixture
def club(room: Room, scope: Scope) -> Document:
    """A Belgian judo club, begun with the starter pack."""
    return create_community(room, scope, Founding("Judo Club", pack="sports_club", country="BE"))


@pytest.fixture
def register(room: Room, scope: Scope, club: Document) -> Callable[..., Document]:
    """``register("Ada", email=…, relations=["adherent"], agreed=["news"])``."""

    def make(name: str, *, agreed: tuple[str, ...] = (), relations: tuple[str, ...] = (), **said: Any) -> Document:
        community: Community = room.community(scope, club["_id"])
        given, _, family = name.partition(" ")
        contacts: list[tuple[str, str]] = [
            (channel, said.pop(channel)) for channel in ("email", "phone") if channel in said
        ]
        ledger = []
        if agreed:
            ledger = [
                grant(
                    room.ids.new("pme"),
                    basis=CONSENT,
                    purposes=agreed,
                    channels=[],
                    evidence=FORM,
                    now=room.clock.now(),
                    recorded_by="operator:ada",
                )
            ]
        profile = Profile(
            given_name=given,
            family_name=family,
            contacts=contacts,
            relations=[relation(community, kind, source="operator") for kind in relations],
            ledger=ledger,
            **said,
        )
        return register_member(room, scope, club["_id"], profile, "operator")

    return make
