"""A campaigns room of one's own: real store and log on disk, a clock that is moved by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from services.campaigns.domain.campaign import Campaign
from services.campaigns.domain.checks import Sender
from services.campaigns.domain.content import Message
from services.campaigns.domain.draft import Draft
from services.campaigns.events_in import handlers
from services.campaigns.events_out import EVENTS_OUT
from services.campaigns.use_cases.desk import Desk
from services.campaigns.use_cases.drafting import create_campaign
from services.campaigns.use_cases.launching import launch_campaign
from services.campaigns.wiring import DOCUMENTS, WITH_OUTBOX, desk_over
from services.kit.clock import ManualClock
from services.kit.consume import Consumer
from services.kit.log import Log, open_log
from services.kit.log.port import Event
from services.kit.outbox import Relay
from services.kit.scope import Scope, stored_scope
from services.kit.store.machinery import DeadLetterDocument, LeaseDocument
from services.kit.store.opening import open_store
from services.kit.store.port import Store
from tests.campaigns.neighbours import ChannelsNextDoor, MembersNextDoor

NOW = 1_795_000_000_000  # 18 November 2026
AGENCY, CLUB = "agy_1", "com_judo"
ACCOUNT = "acc_1"
LETTER = (
    '<p>Bonjour {{ given_name | fallback("ami") }}, <a href="https://judo.example/stage">le stage</a> ouvre lundi.</p>'
    '<p><a href="https://judo.example/tarifs" data-offer="off_stage">Tarifs</a> · '
    '<a href="{{ unsubscribe_url }}">Se désabonner</a></p>'
)
MESSAGE = Message("fr", "Le stage de Noël", LETTER)
DRAFT = Draft("Stage", "news", account=ACCOUNT, from_name="Judo Club", messages=(MESSAGE,))


@dataclass
class House:
    """The room with its engines and neighbours."""

    desk: Desk
    members: MembersNextDoor
    channels: ChannelsNextDoor
    clock: ManualClock
    store: Store
    log: Log
    relay: Relay
    scope: Scope
    recounts: list[tuple[str, str]]

    def create(self, draft: Draft = DRAFT, **changed: Any) -> Campaign:
        return create_campaign(self.desk, self.scope, CLUB, replace(draft, **changed))

    def launch(self, draft: Draft = DRAFT, **changed: Any) -> Campaign:
        return launch_campaign(self.desk, self.scope, self.create(draft, **changed).id)

    def campaign(self, an_id: str) -> Campaign:
        return self.desk.campaigns.one(self.scope, an_id)

    def relayed(self) -> None:
        while self.relay.relay_pending():
            pass

    def hear(self, *events: Event) -> None:
        """Handle the events as the consumer would, without the log."""
        table = handlers(self.desk)
        for event in events:
            table[event.type]([event])

    def consume(self) -> None:
        """Publish what waits, and handle what the log holds."""
        self.relayed()
        consumer = Consumer(
            self.log,
            self.store.collection(DeadLetterDocument),
            group="campaigns",
            topics=("channels", "gateway", "members"),
            handlers=handlers(self.desk),
            clock=self.clock,
        )
        reader = self.log.reader(("channels", "gateway", "members"), "campaigns")
        try:
            while consumer.step(reader, threading.Event()):
                pass
        finally:
            reader.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def house(tmp_path: Path, clock: ManualClock) -> Iterator[House]:
    members, channels = MembersNextDoor(), ChannelsNextDoor()
    members.holds(3)
    channels.senders[ACCOUNT] = Sender(ACCOUNT, CLUB, "email", "active", True)
    with house_at(tmp_path, clock, members, channels) as house:
        yield house


class house_at:  # noqa: N801 # reads as a verb
    """A house over a folder; opened a second time it finds what the first one left."""

    def __init__(self, folder: Path, clock: ManualClock, members: MembersNextDoor, channels: ChannelsNextDoor) -> None:
        self._made = (folder, clock, members, channels)

    def __enter__(self) -> House:
        folder, clock, members, channels = self._made
        self._store = open_store(folder / "campaigns.sqlite", DOCUMENTS)
        self._log = open_log(f"sqlite:///{folder / 'log.sqlite'}", clock=clock)
        recounts: list[tuple[str, str]] = []
        desk = desk_over(self._store, members, channels, clock, recount=lambda *which: recounts.append(which))
        leases = self._store.collection(LeaseDocument)
        relay = Relay(
            "campaigns", self._log, [self._store.collection(each) for each in WITH_OUTBOX], leases, EVENTS_OUT, clock
        )
        scope = Scope(AGENCY, None, "operator:ada")
        return House(desk, members, channels, clock, self._store, self._log, relay, scope, recounts)

    def __exit__(self, *_: object) -> None:
        self._log.close()
        self._store.close()


@pytest.fixture
def event(clock: ManualClock) -> Callable[..., Event]:
    """``event(BatchProgressed(…))``: an event as another service publishes it."""
    numbers = iter(range(1_000_000))

    def make(message: Any, *, at: int = 0, community: str = CLUB, agency: str = AGENCY, an_id: str = "") -> Event:
        number = next(numbers)
        name = message.DESCRIPTOR.full_name
        return Event(
            id=an_id or f"evt_{number}",
            type=name,
            source=name.split(".")[1],
            subject=f"subject_{number}",
            sequence=1,
            at=at or clock.now(),
            agency=agency,
            community=community,
            data=message.SerializeToString(),
        )

    return make


WORKER = stored_scope(AGENCY, CLUB, "service:campaigns")
