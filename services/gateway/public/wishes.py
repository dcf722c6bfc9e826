"""What people ask of us on the public pages: saved before it is answered, then carried out at once, and told.

The saved document carries the event in its outbox, so that nothing asked is lost when another room is away: members and
channels hear of it again from the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from fanfare.channels.v1 import delivery_service_pb2
from fanfare.members.v1 import community_pb2, community_service_pb2, member_pb2, member_service_pb2
from services.gateway.contract import Rooms
from services.gateway.public.runs import RunFacts
from services.kit.clock import Clock
from services.kit.errors import FanfareError
from services.kit.ids import Ids
from services.kit.outbox import append_event
from services.kit.rpc.client import Metadata
from services.kit.rpc.trust import Signer
from services.kit.scope import stored_scope
from services.kit.store.port import Collection, Document

PROMOTIONAL = ("news", "promotion", "fundraising", "review_request")
TRACKING = "tracking"
DIRECTLY_SECONDS = 2.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Person:
    """A member as the pages greet them; without a name where members was away."""

    member: str
    name: str
    locale: str
    state: str
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """``also``: others of the household for whom it is asked too. ``source``: `page` or `one_click`."""

    member: str
    also: tuple[str, ...]
    purposes: tuple[str, ...]
    source: str
    wording: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The community's own words, by key."""

    relations: Mapping[str, community_pb2.Labels]
    reasons: Mapping[str, community_pb2.Labels]

    def relation(self, key: str, locale: str) -> str:
        return _label(self.relations, key, locale)

    def reason(self, key: str, locale: str) -> str:
        return _label(self.reasons, key, locale)


def _label(labels: Mapping[str, community_pb2.Labels], key: str, locale: str) -> str:
    found = labels.get(key)
    return (getattr(found, locale, "") if found is not None else "") or key.replace("_", " ")


class Wishes:
    """Reads what a page must show, and carries out what was pressed there."""

    def __init__(
        self,
        rooms: Rooms,
        signer: Signer,
        unsubscribes: Collection,
        ids: Ids,
        clock: Clock,
        nudge: Callable[[], None],
    ) -> None:
        self._rooms = rooms
        self._signer = signer
        self._unsubscribes = unsubscribes
        self._ids = ids
        self._clock = clock
        self._nudge = nudge

    # Reading

    def household(self, facts: RunFacts, member: str) -> list[Person]:
        """The member, then whoever shares the address; the member alone, unknown, where members is away."""
        try:
            first = self._people(facts, [member])[0]
            others = self._people(facts, list(first.shared_with)) if first.shared_with else []
        except FanfareError as error:
            log.warning("household_unknown", reason=error.reason, run=facts.run)
            return [Person(member, "", "", "active")]
        return [first, *(other for other in others if other.state not in ("erased", "missing"))]

    def _people(self, facts: RunFacts, members: Sequence[str]) -> list[Person]:
        answer = self._rooms.call(
            "MemberService.ResolveRecipients",
            member_service_pb2.ResolveRecipientsRequest(
                community=facts.community, members=members, channel=facts.channel, purpose=facts.purpose
            ),
            self._as_service(facts),
            DIRECTLY_SECONDS,
        )
        shared = {each.member: tuple(each.others) for each in answer.shared}
        told = zip(answer.members, answer.display_names, answer.locales, answer.states, strict=True)
        return [Person(member, name, locale, state, shared.get(member, ())) for member, name, locale, state in told]

    def members(self, facts: RunFacts, members: Sequence[str]) -> list[member_pb2.Member]:
        """The members themselves, for their preferences. Raises Unavailable."""
        request = member_service_pb2.GetMembersRequest(ids=members)
        answer = self._rooms.call(
            "MemberService.GetMembers", request, self._as_member(facts, members[0], "members.read")
        )
        return list(answer.members)

    def last_word(self, facts: RunFacts, member: str, purpose: str) -> str:
        """The wording of the member's latest act about a purpose on the run's channel; "" for none."""
        request = member_service_pb2.ExplainPermissionRequest(member=member)
        metadata = self._as_member(facts, member, "members.read")
        ledger = self._rooms.call("MemberService.ExplainPermission", request, metadata).ledger
        about = [
            str(entry.wording)
            for entry in ledger
            if purpose in entry.purposes and (not entry.channels or facts.channel in entry.channels)
        ]
        return about[-1] if about else ""

    def catalogue(self, facts: RunFacts, member: str) -> Catalogue:
        """What the community calls its relations and reasons."""
        request = community_service_pb2.GetCommunitiesRequest(ids=[facts.community])
        metadata = self._as_member(facts, member, "members.read")
        found = self._rooms.call("CommunityService.GetCommunities", request, metadata).communities
        community = found[0] if found else community_pb2.Community()
        return Catalogue(
            {kind.key: kind.labels for kind in community.relations},
            {kind.key: kind.labels for kind in community.reasons},
        )

    # Acting

    def unsubscribe(self, facts: RunFacts, asked: Unsubscribe) -> None:
        """Saved first; then carried out directly, as far as the others answer."""
        now = self._clock.now()
        wish_id = self._ids.new("uns")
        document: Document = {
            "_id": wish_id,
            "agency": facts.agency,
            "community": facts.community,
            "version": 1,
            "schema_version": 1,
            "run": facts.run,
            "campaign": facts.campaign,
            "member": asked.member,
            "channel": facts.channel,
            "purposes": list(asked.purposes),
            "also": list(asked.also),
            "source": asked.source,
            "wording": asked.wording,
            "at": now,
        }
        fields = ("run", "campaign", "member", "channel", "purposes", "also", "source", "wording", "at")
        append_event(
            document, self._ids.new("evt"), "UnsubscribeRequested", now, {name: document[name] for name in fields}
        )
        self._unsubscribes.insert(stored_scope(facts.agency, facts.community, "service:gateway"), [document])
        self._nudge()
        for member in (asked.member, *asked.also):
            self._suppress(facts, member, asked.purposes, now)
        for member in (asked.member, *asked.also):
            self._object(facts, member, replace(asked, member=member), f"{wish_id}.{member}", now)

    def _suppress(self, facts: RunFacts, member: str, purposes: Sequence[str], now: int) -> None:
        request = delivery_service_pb2.SuppressRequest(
            community=facts.community,
            member=member,
            channel=facts.channel,
            purposes=purposes,
            cause="unsubscribed",
            at=now,
        )
        self._directly("DeliveryService.Suppress", request, self._as_service(facts))

    def _object(self, facts: RunFacts, member: str, asked: Unsubscribe, request_id: str, now: int) -> None:
        request = member_service_pb2.RecordObjectionRequest(
            request_id=request_id,
            member=member,
            purposes=asked.purposes,
            channels=[facts.channel],
            evidence=member_service_pb2.Evidence(
                wording=asked.wording, source=asked.source, at=now, actor="member", detail=facts.run
            ),
        )
        self._directly("MemberService.RecordObjection", request, self._as_member(facts, member, "members.write"))

    def choose(self, facts: RunFacts, member: str, purpose: str, allowed: bool, wording: str, acted_by: str) -> None:
        """A topic switched on or off on the preferences page. Raises Unavailable: the page then says so."""
        now = self._clock.now()
        evidence = member_service_pb2.Evidence(
            wording=wording, source="preferences", at=now, actor=acted_by, detail=facts.run
        )
        metadata = self._as_member(facts, member, "members.write")
        request_id = self._ids.new("req")
        if allowed:
            consent = member_service_pb2.RecordConsentRequest(
                request_id=request_id,
                member=member,
                purposes=[purpose],
                channels=[facts.channel],
                basis="consent",
                evidence=evidence,
            )
            self._rooms.call("MemberService.RecordConsent", consent, metadata)
            return
        objection = member_service_pb2.RecordObjectionRequest(
            request_id=request_id, member=member, purposes=[purpose], channels=[facts.channel], evidence=evidence
        )
        self._rooms.call("MemberService.RecordObjection", objection, metadata)
        self._suppress(facts, member, [purpose], now)

    def _directly(self, name: str, request: Any, metadata: Metadata) -> None:
        """At once where the room answers; otherwise the event brings it there."""
        try:
            self._rooms.call(name, request, metadata, DIRECTLY_SECONDS)
        except FanfareError as error:
            log.warning("not_carried_out_directly", rpc=name, reason=error.reason)

    # In whose name

    def _as_service(self, facts: RunFacts) -> Metadata:
        scope = stored_scope(facts.agency, facts.community, "service:gateway")
        return (("authorization", f"Bearer {self._signer.service_token(scope)}"),)

    def _as_member(self, facts: RunFacts, member: str, *grants: str) -> Metadata:
        token = self._signer.token(f"member:{member}", facts.agency, {facts.community: frozenset(grants)})
        return (("authorization", f"Bearer {token}"),)
