"""Claims: a batch is taken, marked and given back by compare-and-set, so that two senders never send the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from services.channels.domain import reasons
from services.channels.domain.gate import Decision, Verdict
from services.channels.domain.handing_off import Answer
from services.channels.domain.ledger import Ledger, Patience
from services.channels.domain.run import RunOrder, RunState
from services.channels.use_cases.gating import Gated, Letter, over_cap
from services.channels.use_cases.room import Room, order_of, scope_of
from services.channels.use_cases.suppressing import suppress_addresses
from services.kit.clock import SECOND
from services.kit.outbox import append_event
from services.kit.owners import is_gone
from services.kit.scope import Scope, everywhere
from services.kit.store.port import Document, Order
from services.kit.store.rule import And, Equals, Exists, Range

PAGE = 200
TELL_EVERY = SECOND


@dataclass(slots=True)
class Claim:
    """A batch that is ours until its lease ends."""

    scope: Scope
    order: RunOrder
    ledger: Ledger
    until: int
    lost: int = 0  # members found handed off by a sender that is gone
    told_at: int = 0  # when others were last told how it stands


@dataclass(frozen=True, slots=True)
class Terms:
    """How claims are held: whose they are, for how long (ms), and how patiently refusals are taken."""

    owner: str
    lease: int
    patience: Patience = field(default_factory=Patience)


class ClaimLost(Exception):
    """Somebody else has it: what we know of it is void."""


def active_runs(room: Room) -> list[Document]:
    """Every run that may have work, oldest first."""
    runs: list[Document] = []
    after = None
    while True:
        page = room.runs.find(everywhere("service:channels"), Equals("active", 1), limit=PAGE, after=after)
        runs += page.documents
        after = page.next
        if after is None:
            return runs


def due_ledgers(room: Room, run: Document, limit: int) -> list[Document]:
    """Ledgers of a run that somebody may take now, the longest waiting first."""
    due = And((Equals("run", run["_id"]), Range("next_at", lte=room.clock.now())))
    return room.ledgers.find(scope_of(run), due, order=Order("next_at"), limit=limit).documents


def orphaned_ledgers(room: Room) -> list[Document]:
    """Ledgers whose sender is certainly gone: they need not wait for their lease."""
    found: list[Document] = []
    after = None
    while True:
        page = room.ledgers.find(everywhere("service:channels"), Exists("owner"), limit=PAGE, after=after)
        found += [ledger for ledger in page.documents if is_gone(ledger["owner"])]
        after = page.next
        if after is None:
            return found


def claim(room: Room, run: Document, ledgers: Sequence[Document], terms: Terms) -> list[Claim]:
    """Take these ledgers; those that somebody was quicker with are left out.

    What a sender that is gone had handed off becomes unknown, and is settled by the run's policy.
    """
    scope, order, now = scope_of(run), order_of(run), room.clock.now()
    batches = room.batches.get(scope, [ledger["_id"] for ledger in ledgers])
    until = now + terms.lease
    claims: list[Claim] = []
    for document in ledgers:
        ledger = Ledger(document, batches[document["_id"]])
        lost = ledger.settle_lost(again=order.sends_again, now=now, patience=terms.patience)
        ledger.claim(terms.owner, until)
        claims.append(Claim(scope, order, ledger, until, lost, told_at=now))
    taken = room.ledgers.replace(scope, [each.ledger.document for each in claims])
    return [each for each in claims if each.ledger.document["_id"] in taken]


# What follows changes the ledger in hand; nothing of it stands before ``write``.


def keep(room: Room, claim: Claim, terms: Terms) -> None:
    """Hold it for another lease; once a second, tell how it stands."""
    now = room.clock.now()
    claim.until = now + terms.lease
    claim.ledger.claim(terms.owner, claim.until)
    if now >= claim.told_at + TELL_EVERY:
        _tell_progress(room, claim)


def give_back(room: Room, claim: Claim, not_before: int = 0) -> None:
    """Tell how it stands, and let others have what is left."""
    ledger, order = claim.ledger, claim.order
    ledger.release(not_before)
    _tell_progress(room, claim)
    if ledger.document["settled"]:
        outcome = {**_told_of(claim), "channel": order.channel, "purpose": order.purpose, **ledger.by_outcome()}
        append_event(ledger.document, room.ids.new("evt"), "BatchSettled", room.clock.now(), outcome)


def _tell_progress(room: Room, claim: Claim) -> None:
    """Where everybody stands, if it changed. The totals are cumulative: what was told before is not told again."""
    document = claim.ledger.document
    claim.told_at = room.clock.now()
    if document["told"] == document["states"] and not document["settled"]:
        return
    document["told"] = document["states"]
    document["outbox"] = [entry for entry in document.get("outbox") or () if entry["type"] != "BatchProgressed"]
    progress = {**_told_of(claim), "totals": claim.ledger.totals(), "settled": document["settled"]}
    append_event(document, room.ids.new("evt"), "BatchProgressed", claim.told_at, progress)


def _told_of(claim: Claim) -> dict[str, Any]:
    """The batch, at the version that the next write gives it."""
    document, order = claim.ledger.document, claim.order
    return {
        "run": order.run,
        "campaign": order.campaign,
        "sequence": document["sequence"],
        "version": document["version"] + 1,
    }


def write(room: Room, claim: Claim) -> None:
    """One durable write of all that was changed. Raises ClaimLost, Unavailable."""
    if not room.ledgers.replace(claim.scope, [claim.ledger.document]):
        raise ClaimLost


def keep_verdicts(room: Room, claim: Claim, gated: Gated) -> None:
    """What the gate said of those it does not let through."""
    now = room.clock.now()
    for place, verdict in gated.verdicts:
        claim.ledger.judged(place, verdict, now)


def hand_off(room: Room, claim: Claim, letters: Sequence[Letter], revision: int) -> None:
    """The letters are handed off; from the next write on, a crash leaves them unknown."""
    claim.ledger.hand_off([letter.places for letter in letters], revision, room.clock.now())


def give_way(room: Room, claim: Claim, letters: Sequence[Letter]) -> list[Letter]:
    """Of letters whose hand-off stands, those that the cap still allows; the others wait, and are asked about again."""
    now = room.clock.now()
    over = over_cap(room, claim.scope, claim.order, letters, now)
    for letter in letters:
        if until := over.get(letter.places[0]):
            claim.ledger.give_way(letter.places, Verdict(Decision.DEFER, reasons.CAP_TURN, until), now)
    return [letter for letter in letters if letter.places[0] not in over]


def apply_answers(
    room: Room, claim: Claim, letters: Sequence[Letter], answers: Sequence[Answer], terms: Terms
) -> list[str]:
    """What became of the letters; returns the addresses that do not exist, which are told of."""
    now, order, ledger = room.clock.now(), claim.order, claim.ledger
    bounced: list[str] = []
    for letter, answer in zip(letters, answers, strict=True):
        bounces = ledger.answered(letter.places, answer, again=order.sends_again, now=now, patience=terms.patience)
        for bounce, recipient in zip(bounces, (letter.recipient, *letter.others), strict=False):
            bounced.append(recipient.address)
            told = {
                "member": recipient.member,
                "contact_point": recipient.contact_point,
                "channel": order.channel,
                "status": bounce.status,
                "run": order.run,
            }
            append_event(ledger.document, room.ids.new("evt"), "ContactPointBounced", now, told)
    return bounced


def suppress_bounced(room: Room, claim: Claim, addresses: Sequence[str]) -> None:
    """Before the ledger says that they bounced: nobody writes there in between."""
    if addresses:
        suppress_addresses(room, claim.scope, claim.order.community, claim.order.channel, addresses)


def close_ended(room: Room, claim: Claim, reason: str) -> None:
    """The run was cancelled, or its time is over: nothing that is left is sent."""
    claim.ledger.close_open(reason, room.clock.now())
    give_back(room, claim)


def retire_if_done(room: Room, run: Document) -> bool:
    """Stop looking at a run whose batches are all settled, and which gets no more unless somebody adds one."""
    planned = 0 if run["state"] == RunState.CANCELLED.value else run.get("batches")
    if planned is None:
        return False
    scope = scope_of(run)
    mine = Equals("run", run["_id"])
    if room.ledgers.count(scope, mine) < planned or room.ledgers.count(scope, And((mine, Exists("next_at")))):
        return False
    room.runs.replace(scope, [{**run, "active": None}])
    return True
