"""Why did she (not) get it? The ledger's answer, and its totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.channels.domain import reasons
from services.channels.domain.ledger import WORDS, Ledger, Standing, new_ledger
from services.channels.use_cases.controlling import control_of
from services.channels.use_cases.room import Room
from services.kit.errors import Invalid
from services.kit.scope import Scope
from services.kit.store.port import Document
from services.kit.store.rule import And, Equals, Range


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a member of a run stands, and why, in the reader's language."""

    state: str
    reason: str = ""
    message: str = ""
    at: int = 0
    message_id: str = ""
    attempts: int = 0
    reply: str = ""
    revision: int = 0
    shared_with: tuple[str, ...] = ()


def explain_delivery(room: Room, scope: Scope, run: str, member: str, locale: str) -> Explanation:
    """Raises UnknownRun outside the scope."""
    document = room.run(scope, run)
    found = _ledger_of(room, scope, run, member)
    if found is None:
        return Explanation("absent", message=reasons.message_for("absent", locale))
    ledger, place = found
    standing = ledger.standing(place)
    reason = standing.reason
    if standing.state in ("planned", "waiting"):
        reason = control_of(room, scope, run).obstacle or reason
        retried = standing.attempts and standing.reason not in reasons.DEFERRING
        if standing.state == "waiting" and retried and reason == standing.reason:
            reason = reasons.RETRY
    sent = standing.state in ("handed_off", "accepted", "refused", "unknown")
    return Explanation(
        state=standing.state,
        reason=reason,
        message=reasons.message_for(reason or standing.state, locale),
        at=standing.at,
        message_id=_message_id(room, scope, document, ledger, standing) if sent else "",
        attempts=standing.attempts,
        reply=standing.reply,
        revision=standing.revision,
        shared_with=tuple(ledger.sharing(place)) if sent else (),
    )


def _ledger_of(room: Room, scope: Scope, run: str, member: str) -> tuple[Ledger, int] | None:
    around = And((Equals("run", run), Range("first_member", lte=member), Range("last_member", gte=member)))
    after = None
    while True:
        page = room.batches.find(scope, around, limit=50, after=after)
        for batch in page.documents:
            if member in batch["members"]:
                kept = room.ledgers.get(scope, [batch["_id"]]).get(batch["_id"])  # written right after its batch
                return Ledger(kept or new_ledger(batch, room.clock.now()), batch), batch["members"].index(member)
        after = page.next
        if after is None:
            return None


def _message_id(room: Room, scope: Scope, run: Document, ledger: Ledger, standing: Standing) -> str:
    account = room.accounts.get(scope, [run["account"]]).get(run["account"])
    domain = account["sender_address"].rpartition("@")[2] if account else ""
    batch = ledger.document["_id"].rpartition("_")[2]
    return f"<{batch}.{standing.message}@{domain}>" if domain else ""


@dataclass(frozen=True, slots=True)
class RunTotals:
    totals: Mapping[str, Any]
    batches: int
    state: str


def get_totals(room: Room, scope: Scope, run: str) -> RunTotals:
    """Members of the run by where they stand, counted over its ledgers. Raises UnknownRun outside the scope."""
    document = room.run(scope, run)
    sums: dict[str, Any] = {}
    skipped: dict[str, int] = {}
    batches = 0
    for ledger in _ledgers(room, scope, run):
        batches += 1
        for name, value in ledger.totals().items():
            if name != "skipped":
                sums[name] = sums.get(name, 0) + value
            else:
                for reason, count in value.items():
                    skipped[reason] = skipped.get(reason, 0) + count
    return RunTotals({**sums, "skipped": skipped}, batches, document["state"])


def _ledgers(room: Room, scope: Scope, run: str) -> Any:
    """Every ledger of a run with its batch, a page at a time."""
    for page in room.ledgers.stream(scope, Equals("run", run), page=100):
        batches = room.batches.get(scope, [ledger["_id"] for ledger in page])
        for document in page:
            yield Ledger(document, batches[document["_id"]])


@dataclass(frozen=True, slots=True)
class Delivery:
    member: str
    state: str
    reason: str
    at: int
    reply: str


def list_deliveries(
    room: Room, scope: Scope, run: str, state: str, *, limit: int, after: str
) -> tuple[list[Delivery], str]:
    """Members of a run who stand somewhere, in the order they were planned; and where the next page begins.

    As in the figures, ``waiting`` is whoever is neither handed off nor skipped yet, their first turn included.
    Raises UnknownRun outside the scope, Invalid for a state that is none, or a cursor that is not ours.
    """
    room.run(scope, run)
    if state not in WORDS.values():
        raise Invalid(f"A state is one of {', '.join(WORDS.values())}.", field="state")
    wanted = ("planned", "waiting") if state == "waiting" else (state,)
    sequence, place = _cursor(after)
    found: list[Delivery] = []
    mine = Equals("run", run)
    for document in sorted(
        (ledger for page in room.ledgers.stream(scope, mine, fields=("sequence",)) for ledger in page),
        key=lambda ledger: int(ledger["sequence"]),
    ):
        if document["sequence"] < sequence:
            continue
        batch_id = document["_id"]
        batch = room.batches.get(scope, [batch_id])[batch_id]
        ledger = Ledger(room.ledgers.get(scope, [batch_id])[batch_id], batch)
        begin = place if document["sequence"] == sequence else 0
        for at in range(begin, len(ledger.members)):
            standing = ledger.standing(at)
            if standing.state not in wanted:
                continue
            if len(found) == limit:
                return found, f"{document['sequence']}.{at}"
            found.append(Delivery(ledger.members[at], standing.state, standing.reason, standing.at, standing.reply))
    return found, ""


def _cursor(after: str) -> tuple[int, int]:
    if not after:
        return -1, 0
    sequence, _, place = after.partition(".")
    if not (sequence.isdigit() and place.isdigit()):
        raise Invalid("This is not a cursor of the list: begin again without it.", field="after")
    return int(sequence), int(place)
