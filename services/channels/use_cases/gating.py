"""Members through the gate: everything that must be known of them, asked together, and a verdict for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.channels.domain.gate import SEND, Decision, Gate, Recipient, Verdict
from services.channels.domain.ledger import Ledger
from services.channels.domain.run import SERVICE_PURPOSES, RunOrder
from services.channels.use_cases.room import Room
from services.channels.use_cases.suppressing import Suppressed
from services.kit.clock import DAY, HOUR, SECOND
from services.kit.scope import Scope
from services.kit.store.rule import And, Equals, In, Not, Range

FRESH = 5 * SECOND


@dataclass(slots=True)
class Letter:
    """One message: the places it is written to, and what members said of the first and of the others."""

    places: list[int]
    recipient: Recipient
    others: list[Recipient]
    tracked: bool


@dataclass(slots=True)
class Gated:
    """Members judged at ``at`` (UTC ms) for a revision: letters to hand off, and verdicts that do not send."""

    at: int
    revision: int
    letters: list[Letter] = field(default_factory=list)
    verdicts: list[tuple[int, Verdict]] = field(default_factory=list)

    @property
    def fresh_until(self) -> int:
        return self.at + FRESH

    def is_stale(self, now: int) -> bool:
        return now > self.fresh_until


def gate_members(
    room: Room, scope: Scope, order: RunOrder, revision: int, groups: Sequence[Sequence[int]], members: Sequence[str]
) -> Gated:
    """Judge the members at these places. Raises Unavailable while members is away: sending waits."""
    content = room.campaigns.revision(order, revision)
    places = [place for group in groups for place in group]
    asked = [members[place] for place in places]
    at = room.clock.now()  # before asking: what is answered is at least as new
    recipients = room.members.resolve(order, asked, content.fields)
    addresses = [recipient.address for recipient in recipients]
    suppressed = Suppressed(room, scope, order, asked, addresses)
    received = received_lately(room, scope, order, asked, at)
    gate = Gate(order, at)
    gated = Gated(at, revision)
    by_place = dict(zip(places, recipients, strict=True))
    for group in groups:
        if len(group) == 1:
            place = group[0]
            recipient = by_place[place]
            verdict = gate.judge(
                recipient,
                suppressed=suppressed.holds(recipient.member, recipient.address),
                received=received.get(recipient.member, 0),
            )
            if verdict is SEND:
                gated.letters.append(Letter([place], recipient, [], recipient.may_track))
            else:
                gated.verdicts.append((place, verdict))
            continue
        _gate_household(gated, gate, group, by_place, suppressed, received)
    return gated


def _gate_household(
    gated: Gated,
    gate: Gate,
    group: Sequence[int],
    by_place: dict[int, Recipient],
    suppressed: Suppressed,
    received: dict[str, int],
) -> None:
    """Members who shared an address when the run was planned: one letter for each address they have now.

    Who may not be written to is left out of it; it is tracked only where all it is written to may be.
    """
    by_address: dict[str, list[int]] = {}
    for place in group:
        recipient = by_place[place]
        verdict = gate.judge(
            recipient,
            suppressed=suppressed.holds(recipient.member, recipient.address),
            received=received.get(recipient.member, 0),
        )
        if verdict.decision is Decision.SEND:
            by_address.setdefault(recipient.address, []).append(place)
        else:
            gated.verdicts.append((place, verdict))
    for places in by_address.values():
        first, *others = [by_place[place] for place in places]
        tracked = all(recipient.may_track for recipient in (first, *others))
        gated.letters.append(Letter(places, first, others, tracked))


def received_lately(room: Room, scope: Scope, order: RunOrder, members: Sequence[str], now: int) -> dict[str, int]:
    """How many messages under the cap each member got within its window: the ledgers are the send history."""
    return {member: len(runs) for member, runs in _runs_that_wrote(room, scope, order, members, now).items()}


def over_cap(room: Room, scope: Scope, order: RunOrder, letters: Sequence[Letter], now: int) -> dict[int, int]:
    """Of letters marked as handed off, those that exceed the cap: their first places, and when to ask again (UTC ms).

    Every run marks before it looks. Of runs that mark the same member, the one that marks last sees all the others,
    so that never all of them write. Where each sees the others all give way, and each waits longer than an earlier run.
    """
    members = [recipient.member for letter in letters for recipient in (letter.recipient, *letter.others)]
    wrote = _runs_that_wrote(room, scope, order, members, now)
    over: dict[int, int] = {}
    for letter in letters:
        for recipient in (letter.recipient, *letter.others):
            runs = wrote.get(recipient.member, ())
            if runs and len(runs) >= order.cap_count:
                earlier = sum(run < order.run for run in runs)
                over[letter.places[0]] = now + (1 + earlier) * SECOND
    return over


def _runs_that_wrote(
    room: Room, scope: Scope, order: RunOrder, members: Sequence[str], now: int
) -> dict[str, list[str]]:
    """The other runs that wrote to each member within the cap's window; nothing where there is no cap."""
    if not order.cap_count or order.is_service or not members:
        return {}
    since = now - order.cap_window_days * DAY
    wrote: dict[str, list[str]] = {}
    lowest, highest = min(members), max(members)
    for run in _promotional_runs(room, scope, order, since):
        overlapping = And((Equals("run", run), Range("first_member", lte=highest), Range("last_member", gte=lowest)))
        after = None
        while True:
            page = room.batches.find(scope, overlapping, limit=200, after=after)
            ledgers = room.ledgers.get(scope, [batch["_id"] for batch in page.documents])
            for batch in page.documents:
                if batch["_id"] in ledgers:
                    for member in Ledger(ledgers[batch["_id"]], batch).received_by(since, members):
                        wrote.setdefault(member, []).append(run)
            after = page.next
            if after is None:
                break
    return wrote


def _promotional_runs(room: Room, scope: Scope, order: RunOrder, since: int) -> list[str]:
    """The other runs under caps whose time to send reaches into the window."""
    rule = And(
        (
            Not(Range("order.send_until", gt=0, lt=since - HOUR)),  # what passed the gate in time may go a little later
            Not(In("purpose", tuple(sorted(SERVICE_PURPOSES)))),
            Not(Equals("_id", order.run)),
        )
    )
    return [run["_id"] for page in room.runs.stream(scope, rule, fields=()) for run in page]
