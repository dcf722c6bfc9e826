"""What campaigns hears from the others: which event leads to which use case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from fanfare.channels.v1 import delivery_events_pb2 as channels
from fanfare.gateway.v1 import public_events_pb2 as gateway
from fanfare.members.v1 import import_events_pb2 as imports
from fanfare.members.v1 import member_events_pb2 as members
from services.campaigns.domain.figures import COUNTS
from services.campaigns.use_cases.converting import Interaction, take_interactions, take_merges, take_unmerges
from services.campaigns.use_cases.desk import Desk
from services.campaigns.use_cases.erasing import erase_members
from services.campaigns.use_cases.pursuing import CONVERTED, JOINED, Gain, take_gains
from services.campaigns.use_cases.reacting import Unsubscribed, Visit, take_unsubscribes, take_visits
from services.campaigns.use_cases.settling import BatchReport, take_reports
from services.kit.consume import Handler
from services.kit.log.port import Event
from services.kit.scope import Scope, stored_scope

TOPICS = ("channels", "gateway", "members")
_CLIENT, _PROSPECT = "client", "prospect"

T = TypeVar("T")


def handlers(desk: Desk) -> Mapping[str, Handler]:
    """Full names of messages, and what handles them."""
    return {
        "fanfare.channels.v1.BatchProgressed": _per_community(
            _reports, lambda scope, _, reports: take_reports(desk, scope, reports)
        ),
        "fanfare.gateway.v1.LinksFollowed": _per_community(
            _visits, lambda scope, _, visits: take_visits(desk, scope, visits)
        ),
        "fanfare.gateway.v1.UnsubscribeRequested": _per_community(
            _unsubscribed, lambda scope, _, asked: take_unsubscribes(desk, scope, asked)
        ),
        "fanfare.members.v1.InteractionRecorded": _per_community(
            _interactions, lambda scope, community, told: take_interactions(desk, scope, community, told)
        ),
        "fanfare.members.v1.MemberRegistered": _per_community(
            _registered, lambda scope, community, gains: take_gains(desk, scope, community, gains)
        ),
        "fanfare.members.v1.MembersImported": _per_community(
            _imported, lambda scope, community, gains: take_gains(desk, scope, community, gains)
        ),
        "fanfare.members.v1.ImportUndone": _per_community(
            _undone, lambda scope, community, gains: take_gains(desk, scope, community, gains)
        ),
        "fanfare.members.v1.StandingsChanged": _per_community(
            _standings, lambda scope, community, gains: take_gains(desk, scope, community, gains)
        ),
        "fanfare.members.v1.MemberMerged": _per_community(
            _merged, lambda scope, community, pairs: take_merges(desk, scope, community, pairs)
        ),
        "fanfare.members.v1.MemberUnmerged": _per_community(
            _unmerged, lambda scope, community, pairs: take_unmerges(desk, scope, community, pairs)
        ),
        "fanfare.members.v1.MemberErased": _per_community(
            _erased, lambda scope, community, erased: erase_members(desk, scope, community, erased)
        ),
    }


def _per_community(heard: Callable[[Event], Iterable[T]], take: Callable[[Scope, str, list[T]], None]) -> Handler:
    """What the events of one community say, gathered and taken together."""

    def handle(events: list[Event]) -> None:
        gathered: dict[tuple[str, str], list[T]] = {}
        for event in events:
            gathered.setdefault((event.agency, event.community), []).extend(heard(event))
        for (agency, community), together in gathered.items():
            take(stored_scope(agency, community, "service:campaigns"), community, together)

    return handle


def _reports(event: Event) -> Iterable[BatchReport]:
    said = channels.BatchProgressed.FromString(event.data)
    totals = {name: getattr(said.totals, name) for name in COUNTS}
    totals["skipped"] = dict(said.totals.skipped)
    yield BatchReport(said.run, said.sequence, said.version, totals, said.settled)


def _visits(event: Event) -> Iterable[Visit]:
    for said in gateway.LinksFollowed.FromString(event.data).visits:
        yield Visit(said.run, said.member, said.at, said.link, said.machine)


def _unsubscribed(event: Event) -> Iterable[Unsubscribed]:
    said = gateway.UnsubscribeRequested.FromString(event.data)
    yield Unsubscribed(said.run, (said.member, *said.also), said.at)


def _interactions(event: Event) -> Iterable[Interaction]:
    said = members.InteractionRecorded.FromString(event.data)
    yield Interaction(
        id=said.id,
        member=said.member,
        kind=said.kind,
        at=said.at,
        subject=said.subject,
        currency=said.currency,
        units=said.amount_units,
        nanos=said.amount_nanos,
        reverses=said.reverses,
    )


def _registered(event: Event) -> Iterable[Gain]:
    said = members.MemberRegistered.FromString(event.data)
    yield Gain(JOINED, said.member, event.at)
    for standing in said.standing:
        yield Gain(standing, said.member, event.at)


def _imported(event: Event) -> Iterable[Gain]:
    said = members.MembersImported.FromString(event.data)
    counts = {JOINED: len(said.created)}
    for change in said.standing_changes:
        for what in _gained(change):
            counts[what] = counts.get(what, 0) + 1
    key = f"{getattr(said, 'import')}:{said.chunk}"  # a word of Python's
    return [Gain(what, key, event.at, count) for what, count in counts.items() if count]


def _undone(event: Event) -> Iterable[Gain]:
    said = imports.ImportUndone.FromString(event.data)
    counts = {JOINED: len(said.removed)}
    for change in said.standing_changes:
        for what in _lost(change):
            counts[what] = counts.get(what, 0) + 1
    key = f"{getattr(said, 'import')}:{said.chunk}"
    return [Gain(what, f"{key}:undone", event.at, -count, key) for what, count in counts.items() if count]


def _standings(event: Event) -> Iterable[Gain]:
    for change in members.StandingsChanged.FromString(event.data).changes:
        for what in _gained(change):
            yield Gain(what, change.member, change.at or event.at)


def _gained(change: members.StandingChange) -> Iterable[str]:
    yield from change.gained
    if _CLIENT in change.gained and _PROSPECT in change.lost:
        yield CONVERTED


def _lost(change: members.StandingChange) -> Iterable[str]:
    yield from change.lost
    if _CLIENT in change.lost and _PROSPECT in change.gained:
        yield CONVERTED


def _merged(event: Event) -> Iterable[tuple[str, str]]:
    said = members.MemberMerged.FromString(event.data)
    yield said.member, said.into


def _unmerged(event: Event) -> Iterable[tuple[str, str]]:
    said = members.MemberUnmerged.FromString(event.data)
    yield said.member, getattr(said, "from")  # a word of Python's


def _erased(event: Event) -> Iterable[tuple[str, str]]:
    said = members.MemberErased.FromString(event.data)
    yield said.member, said.erasure
