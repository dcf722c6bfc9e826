"""A channels room of one's own, with members and campaigns played by plain objects behind their ports."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from services.channels.delivery.sender import Sender, Ways
from services.channels.domain.content import Content, Revision
from services.channels.domain.gate import Recipient
from services.channels.domain.ledger import Ledger, Patience
from services.channels.domain.run import RunOrder
from services.channels.settings import ChannelsSettings
from services.channels.use_cases import planning
from services.channels.use_cases.accounts import NewAccount, add_account, confirm_sender, proof_token
from services.channels.use_cases.explaining import Explanation, RunTotals, explain_delivery, get_totals
from services.channels.use_cases.room import Room
from services.channels.wiring import DOCUMENTS, room_of
from services.kit.clock import Clock, SystemClock
from services.kit.errors import Unavailable
from services.kit.ids import Ids
from services.kit.scope import Scope
from services.kit.store.opening import open_store
from services.kit.store.rule import Equals
from tests.channels.smtp_server import wait_until

IDS = Ids(SystemClock())


@dataclass
class Person:
    """What the played members service says of one member."""

    member: str
    address: str = ""
    state: str = "active"
    contact_point: str = "ctp_1"
    contact_state: str = "active"
    permitted: bool = True
    permission_reason: str = "consent"
    may_track: bool = True
    locale: str = "fr"
    zone: str = "Europe/Brussels"
    display_name: str = "Ada"
    registered_at: int = 1
    values: Sequence[str] = ("Ada",)


class PlayedMembers:
    """Answers about its people; counts how often it is asked; can be away."""

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.away = False
        self.asked = 0
        self.before_answering: Callable[[], None] = lambda: None

    def resolve(self, order: RunOrder, members: Sequence[str], fields: Sequence[str]) -> Sequence[Recipient]:
        self.asked += 1
        if self.away:
            raise Unavailable("Members does not answer.")
        self.before_answering()
        return [replace(self.people[member]) for member in members]


class PlayedCampaigns:
    """Knows one content for every run, and further revisions by number."""

    def __init__(self) -> None:
        self.html = "<p>Bonjour {{ given_name }}</p>"

    def revision(self, order: RunOrder, number: int) -> Revision:
        return Revision(order.run, number, (Content("fr", f"Revision {number}", self.html),), ("given_name",))


SHORT = Ways(handful=5, lanes=4, lease=60_000, patience=Patience((300, 300), 300))


@dataclass
class Stage:
    folder: Path
    clock: Clock = field(default_factory=SystemClock)
    agency: str = field(default_factory=lambda: IDS.new("agn"))
    community: str = field(default_factory=lambda: IDS.new("com"))

    def __post_init__(self) -> None:
        self.settings = ChannelsSettings(data=self.folder / "data")
        self.store = open_store(self.settings.store_url("channels"), DOCUMENTS)
        self.members = PlayedMembers()
        self.campaigns = PlayedCampaigns()
        self.room: Room = room_of(self.store, self.clock, self.settings, self.members, self.campaigns)
        self.scope = Scope(self.agency, frozenset((self.community,)), "operator:opr_1")
        self._stop = threading.Event()
        self._senders: list[threading.Thread] = []

    def account(self, port: int, *, proven: bool = True, **changes: Any) -> str:
        given = {
            "community": self.community,
            "channel": "email",
            "name": "Club",
            "sender_address": "news@club.example",
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
        }
        account = add_account(self.room, self.scope, NewAccount(**{**given, **changes}))
        if proven:
            confirm_sender(self.room, proof_token(self.room, account))
        return account.id

    def order(self, account: str, **changes: Any) -> RunOrder:
        given = {
            "run": IDS.new("run"),
            "campaign": IDS.new("cmp"),
            "agency": self.agency,
            "community": self.community,
            "channel": "email",
            "purpose": "news",
            "account": account,
            "from_name": "Club",
            "launched_at": self.clock.now(),
        }
        return RunOrder(**{**given, **changes})

    def people(self, count: int, **changes: Any) -> list[Person]:
        made = [
            Person(member, f"m{member[-6:]}x{number}@example.org", **changes)
            for number, member in enumerate(IDS.many("mbr", count))
        ]
        self.members.people.update({person.member: person for person in made})
        return made

    def launch(self, order: RunOrder, people: Sequence[Person], *, batch: int = 20, groups: Any = None) -> None:
        """Plan and publish the run, as campaigns' events would."""
        planning.record_launch(self.room, order)
        grouped = groups or [[person.member] for person in people]
        pages = [grouped[start : start + batch] for start in range(0, len(grouped), batch)]
        planned = [
            planning.PlannedBatch(
                order.run,
                sequence,
                [member for group in page for member in group],
                [len(group) for group in page] if groups else [],
            )
            for sequence, page in enumerate(pages)
        ]
        planning.add_batches(self.room, self.agency, self.community, planned)
        planning.close_plan(self.room, self.scope, order.run, len(pages))

    def send(self, ways: Ways = SHORT) -> Sender:
        """Start a sender in this process."""
        sender = Sender(self.room, self.room.connectors, ways)
        thread = threading.Thread(target=sender.run, args=(self._stop,), daemon=True)
        thread.start()
        self._senders.append(thread)
        return sender

    def stop(self) -> None:
        self._stop.set()
        for thread in self._senders:
            thread.join(15)
            assert not thread.is_alive(), "the sender did not stop"
        self._senders.clear()
        self._stop = threading.Event()

    def close(self) -> None:
        self.stop()
        self.store.close()

    def totals(self, run: str) -> dict[str, Any]:
        found: RunTotals = get_totals(self.room, self.scope, run)
        return dict(found.totals)

    def explain(self, run: str, person: Person, locale: str = "en") -> Explanation:
        return explain_delivery(self.room, self.scope, run, person.member, locale)

    def ledgers(self, run: str) -> list[Ledger]:
        found = [each for page in self.room.ledgers.stream(self.scope, Equals("run", run)) for each in page]
        batches = self.room.batches.get(self.scope, [each["_id"] for each in found])
        return [Ledger(each, batches[each["_id"]]) for each in found]

    def is_settled(self, run: str) -> bool:
        ledgers = self.ledgers(run)
        return bool(ledgers) and all(ledger.document["settled"] for ledger in ledgers)

    def wait_settled(self, run: str, seconds: float = 20.0) -> dict[str, Any]:
        wait_until(lambda: self.is_settled(run), seconds)
        return self.totals(run)

    def events(self, name: str) -> list[dict[str, Any]]:
        """What waits in outboxes to be published."""
        collections = (self.room.ledgers, self.room.accounts, self.room.erasures)
        return [
            entry["data"]
            for collection in collections
            for page in collection.stream(self.scope)
            for document in page
            for entry in document.get("outbox") or ()
            if entry["type"] == name
        ]
