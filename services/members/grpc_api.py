"""The contract's rpcs, each one line to its use case."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from fanfare.access.v1 import page_pb2
from fanfare.members.v1 import community_service_pb2 as communities
from fanfare.members.v1 import member_pb2
from fanfare.members.v1 import member_service_pb2 as members
from fanfare.members.v1 import segment_service_pb2 as segments
from services.kit.errors import Invalid
from services.kit.rpc.server import Caller
from services.kit.scope import Scope
from services.kit.store.port import PAGE_LIMIT, Document
from services.members.domain.community import Community
from services.members.domain.member import PERSON, VOLUNTARY, Profile, relation
from services.members.domain.member import reason as made_reason
from services.members.domain.permission import Evidence, minor_at
from services.members.domain.values import EMAIL, PHONE, address_on, iso_date, locale_tag, tags_of, tidy, time_zone
from services.members.precedence import SendingFirst
from services.members.saying import (
    heard_attribute,
    heard_attribute_kind,
    heard_reason_kind,
    heard_relation_kind,
    heard_standing_rule,
    said_change,
    said_community,
    said_entry,
    said_interaction,
    said_member,
    said_pack,
    said_recipients,
    said_segment,
    said_verdict,
)
from services.members.use_cases import changing, founding, permitting, reaching, reading, reporting, segmenting
from services.members.use_cases.registering import owners_of, register_member
from services.members.use_cases.room import Room

T = TypeVar("T")
_RESOLVED_AT_ONCE = 2  # a page of members is a megabyte; more at once would take longer, each and together


class CommunityApi:
    """`CommunityService`."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def CreateCommunity(
        self, request: communities.CreateCommunityRequest, caller: Caller
    ) -> communities.CreateCommunityResponse:
        asked = founding.Founding(
            name=request.name,
            master_name=request.master_name,
            master_kind=request.master_kind,
            pack=request.pack,
            country=request.country,
            locale=request.locale,
            zone=request.zone,
        )
        found = founding.create_community(self._room, caller.scope, asked)
        return communities.CreateCommunityResponse(community=said_community(found))

    def GetCommunities(
        self, request: communities.GetCommunitiesRequest, caller: Caller
    ) -> communities.GetCommunitiesResponse:
        found = founding.get_communities(self._room, caller.scope, bounded(request.ids))
        return communities.GetCommunitiesResponse(communities=map(said_community, found))

    def ListCommunities(
        self, request: communities.ListCommunitiesRequest, caller: Caller
    ) -> communities.ListCommunitiesResponse:
        page = founding.list_communities(self._room, caller.scope, *page_of(request.page))
        return communities.ListCommunitiesResponse(
            communities=map(said_community, page.documents), next=page.next or ""
        )

    def ChangeCommunity(
        self, request: communities.ChangeCommunityRequest, caller: Caller
    ) -> communities.ChangeCommunityResponse:
        changed = founding.change_community(self._room, caller.scope, request.community, request.name)
        return communities.ChangeCommunityResponse(community=said_community(changed))

    def DeclareRelation(
        self, request: communities.DeclareRelationRequest, caller: Caller
    ) -> communities.DeclareRelationResponse:
        kind = heard_relation_kind(request.relation)
        changed = founding.declare_relation(self._room, caller.scope, request.community, kind)
        return communities.DeclareRelationResponse(community=said_community(changed))

    def DeclareReason(
        self, request: communities.DeclareReasonRequest, caller: Caller
    ) -> communities.DeclareReasonResponse:
        kind = heard_reason_kind(request.reason)
        changed = founding.declare_reason(self._room, caller.scope, request.community, kind)
        return communities.DeclareReasonResponse(community=said_community(changed))

    def DeclareAttribute(
        self, request: communities.DeclareAttributeRequest, caller: Caller
    ) -> communities.DeclareAttributeResponse:
        kind = heard_attribute_kind(request.attribute)
        changed = founding.declare_attribute(self._room, caller.scope, request.community, kind)
        return communities.DeclareAttributeResponse(community=said_community(changed))

    def ChangeStandingRule(
        self, request: communities.ChangeStandingRuleRequest, caller: Caller
    ) -> communities.ChangeStandingRuleResponse:
        rule = heard_standing_rule(request.rule)
        changed = founding.change_standing_rule(self._room, caller.scope, request.community, rule)
        return communities.ChangeStandingRuleResponse(community=said_community(changed))

    def ListStarterPacks(
        self, _request: communities.ListStarterPacksRequest, _caller: Caller
    ) -> communities.ListStarterPacksResponse:
        return communities.ListStarterPacksResponse(packs=map(said_pack, self._room.packs.values()))


class MemberApi:
    """`MemberService`."""

    def __init__(self, room: Room, first: SendingFirst) -> None:
        self._room = room
        self._first = first
        self._resolving = threading.Semaphore(_RESOLVED_AT_ONCE)

    def RegisterMember(self, request: members.RegisterMemberRequest, caller: Caller) -> members.RegisterMemberResponse:
        profile = self._profile(request, caller)
        made = register_member(self._room, caller.scope, request.community, profile, "operator")
        return members.RegisterMemberResponse(member=self._said(made, caller.scope))

    def GetMembers(self, request: members.GetMembersRequest, caller: Caller) -> members.GetMembersResponse:
        found = reading.get_members(self._room, caller.scope, bounded(request.ids))
        return members.GetMembersResponse(members=self._all_said(found, caller.scope))

    def ListMembers(self, request: members.ListMembersRequest, caller: Caller) -> members.ListMembersResponse:
        size, after = page_of(request.page)
        page = reading.list_members(
            self._room,
            caller.scope,
            request.community,
            rule=request.rule,
            search=request.search,
            order=request.order,
            size=size,
            after=after,
        )
        return members.ListMembersResponse(members=self._all_said(page.documents, caller.scope), next=page.next or "")

    def ListTimeline(self, request: members.ListTimelineRequest, caller: Caller) -> members.ListTimelineResponse:
        size, after = page_of(request.page)
        page = reading.list_timeline(self._room, caller.scope, request.member, size, after or "")
        return members.ListTimelineResponse(interactions=map(said_interaction, page.interactions), next=page.next or "")

    def RecordConsent(self, request: members.RecordConsentRequest, caller: Caller) -> members.RecordConsentResponse:
        changed = permitting.record_consent(
            self._room,
            caller.scope,
            request.member,
            purposes=request.purposes,
            channels=request.channels,
            basis=request.basis,
            evidence=_evidence(request.evidence),
        )
        return members.RecordConsentResponse(member=self._said(changed, caller.scope))

    def RecordObjection(
        self, request: members.RecordObjectionRequest, caller: Caller
    ) -> members.RecordObjectionResponse:
        changed = permitting.record_objection(
            self._room,
            caller.scope,
            request.member,
            purposes=request.purposes,
            channels=request.channels,
            evidence=_evidence(request.evidence),
        )
        return members.RecordObjectionResponse(member=self._said(changed, caller.scope))

    def ChangeMember(self, request: members.ChangeMemberRequest, caller: Caller) -> members.ChangeMemberResponse:
        changed = changing.change_member(self._room, caller.scope, request.member, _changes(request))
        return members.ChangeMemberResponse(member=self._said(changed, caller.scope))

    def AddContactPoint(
        self, request: members.AddContactPointRequest, caller: Caller
    ) -> members.AddContactPointResponse:
        changed = changing.add_contact_point(
            self._room, caller.scope, request.member, request.channel, request.address, share=request.share_address
        )
        return members.AddContactPointResponse(member=self._said(changed, caller.scope))

    def RemoveContactPoint(
        self, request: members.RemoveContactPointRequest, caller: Caller
    ) -> members.RemoveContactPointResponse:
        changed = changing.remove_contact_point(self._room, caller.scope, request.member, request.contact_point)
        return members.RemoveContactPointResponse(member=self._said(changed, caller.scope))

    def MarkContactPoint(
        self, request: members.MarkContactPointRequest, caller: Caller
    ) -> members.MarkContactPointResponse:
        changed = changing.mark_contact_point(
            self._room, caller.scope, request.member, request.contact_point, request.state
        )
        return members.MarkContactPointResponse(member=self._said(changed, caller.scope))

    def RelateMember(self, request: members.RelateMemberRequest, caller: Caller) -> members.RelateMemberResponse:
        tie = request.relation
        changed = changing.relate_member(
            self._room, caller.scope, request.member, tie.kind, tie.since, tie.until, tie.source
        )
        return members.RelateMemberResponse(member=self._said(changed, caller.scope))

    def EndRelation(self, request: members.EndRelationRequest, caller: Caller) -> members.EndRelationResponse:
        changed = changing.end_relation(self._room, caller.scope, request.member, request.kind, request.on)
        return members.EndRelationResponse(member=self._said(changed, caller.scope))

    def NameGuardian(self, request: members.NameGuardianRequest, caller: Caller) -> members.NameGuardianResponse:
        changed = changing.name_guardian(self._room, caller.scope, request.member, request.guardian)
        return members.NameGuardianResponse(member=self._said(changed, caller.scope))

    def DismissGuardian(
        self, request: members.DismissGuardianRequest, caller: Caller
    ) -> members.DismissGuardianResponse:
        changed = changing.dismiss_guardian(self._room, caller.scope, request.member, request.guardian)
        return members.DismissGuardianResponse(member=self._said(changed, caller.scope))

    def ExplainPermission(
        self, request: members.ExplainPermissionRequest, caller: Caller
    ) -> members.ExplainPermissionResponse:
        record, verdicts = permitting.explain_permission(self._room, caller.scope, request.member)
        community = self._room.community(caller.scope, record["community"])
        return members.ExplainPermissionResponse(
            verdicts=[said_verdict(purpose, channel, found, community) for purpose, channel, found in verdicts],
            ledger=map(said_entry, record["ledger"]),
            minor=minor_at(record, self._room.clock.now(), community.law),
        )

    def GetHistory(self, request: members.GetHistoryRequest, caller: Caller) -> members.GetHistoryResponse:
        record = self._room.member(caller.scope, request.member)
        return members.GetHistoryResponse(changes=map(said_change, reversed(record["history"])))

    def StreamAudience(
        self, request: members.StreamAudienceRequest, caller: Caller
    ) -> Iterator[members.StreamAudienceResponse]:
        asked = request.audience
        audience = reaching.Audience(asked.community, asked.rule, asked.channel, asked.now, asked.id_ceiling)
        for page in reaching.stream_audience(self._room, caller.scope, audience, request.after, request.page_size):
            yield members.StreamAudienceResponse(members=page.members, sizes=page.sizes, last=page.last)

    def ResolveRecipients(
        self, request: members.ResolveRecipientsRequest, caller: Caller
    ) -> members.ResolveRecipientsResponse:
        self._first.asked()
        with self._resolving:
            resolved = reaching.resolve_recipients(
                self._room,
                caller.scope,
                request.community,
                bounded(request.members, 1_000),
                channel=request.channel,
                purpose=request.purpose,
                fields=request.fields,
            )
            return said_recipients(resolved, len(request.fields))

    def RecordInteractions(
        self, request: members.RecordInteractionsRequest, caller: Caller
    ) -> members.RecordInteractionsResponse:
        reports = [_report(one) for one in bounded(request.interactions, 500)]
        results = reporting.record_interactions(self._room, caller.scope, request.community, reports)
        return members.RecordInteractionsResponse(
            results=[
                members.InteractionResult(
                    id=one.id,
                    outcome=one.outcome,
                    member=one.member,
                    reason=one.reason,
                    message=one.message,
                    field=one.field,
                )
                for one in results
            ]
        )

    def _said(self, record: Document, scope: Scope) -> member_pb2.Member:
        return said_member(record, self._room.community(scope, record["community"]), self._room.clock.now())

    def _all_said(self, records: Iterable[Document], scope: Scope) -> list[member_pb2.Member]:
        communities_met: dict[str, Community] = {}
        now = self._room.clock.now()
        said = []
        for record in records:
            community = communities_met.get(record["community"])
            if community is None:
                community = self._room.community(scope, record["community"])
                communities_met[record["community"]] = community
            said.append(said_member(record, community, now))
        return said

    def _profile(self, request: members.RegisterMemberRequest, caller: Caller) -> Profile:
        community = self._room.community(caller.scope, request.community)
        contacts = [
            (channel, address_on(channel, text, community.country))
            for channel, text in ((EMAIL, request.email), (PHONE, request.phone))
            if text.strip()
        ]
        owned = owners_of(self._room, caller.scope, community.id, contacts) if request.share_address else {}
        now = self._room.clock.now()
        return Profile(
            kind=request.kind or PERSON,
            given_name=tidy(request.given_name),
            family_name=tidy(request.family_name),
            locale=locale_tag(request.locale),
            zone=time_zone(request.zone),
            birth_date=iso_date(request.birth_date, "birth_date") if request.birth_date else "",
            external_id=request.external_id.strip(),
            contacts=contacts,
            shared=frozenset(owned),
            relations=[
                relation(community, tie.kind, tie.since, tie.until, tie.source or "operator")
                for tie in request.relations
            ],
            reasons=[made_reason(community, key, now) for key in request.reasons],
            attributes={a.key: heard_attribute(a) for a in request.attributes if a.WhichOneof("value")},
            tags=tags_of(request.tags),
            presence=request.presence or VOLUNTARY,
        )


class SegmentApi:
    """`SegmentService`."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def PreviewSegment(
        self, request: segments.PreviewSegmentRequest, caller: Caller
    ) -> segments.PreviewSegmentResponse:
        counted = segmenting.count_segment(self._room, caller.scope, request.community, request.rule)
        shown = min(request.sample, 50)
        sample = (
            segmenting.sample_segment(self._room, caller.scope, request.community, request.rule, shown) if shown else []
        )
        community = self._room.community(caller.scope, request.community)
        now = self._room.clock.now()
        return segments.PreviewSegmentResponse(
            within=counted.within,
            out=counted.out,
            unmeasurable=counted.unmeasurable,
            sample=[said_member(record, community, now) for record in sample],
        )

    def SaveSegment(self, request: segments.SaveSegmentRequest, caller: Caller) -> segments.SaveSegmentResponse:
        saved = segmenting.save_segment(
            self._room, caller.scope, request.community, request.name, request.rule, request.segment
        )
        return segments.SaveSegmentResponse(segment=said_segment(saved))

    def GetSegments(self, request: segments.GetSegmentsRequest, caller: Caller) -> segments.GetSegmentsResponse:
        found = segmenting.get_segments(self._room, caller.scope, bounded(request.ids))
        return segments.GetSegmentsResponse(segments=map(said_segment, found))

    def ListSegments(self, request: segments.ListSegmentsRequest, caller: Caller) -> segments.ListSegmentsResponse:
        page = segmenting.list_segments(self._room, caller.scope, request.community, *page_of(request.page))
        return segments.ListSegmentsResponse(segments=map(said_segment, page.documents), next=page.next or "")

    def DeleteSegment(self, request: segments.DeleteSegmentRequest, caller: Caller) -> segments.DeleteSegmentResponse:
        segmenting.delete_segment(self._room, caller.scope, request.segment)
        return segments.DeleteSegmentResponse()


def _changes(request: members.ChangeMemberRequest) -> changing.Changes:
    def given(name: str) -> str | None:
        return getattr(request, name) if request.HasField(name) else None  # type: ignore[arg-type] # names of optional fields

    return changing.Changes(
        given_name=given("given_name"),
        family_name=given("family_name"),
        display_name=given("display_name"),
        locale=given("locale"),
        zone=given("zone"),
        birth_date=given("birth_date"),
        external_id=given("external_id"),
        presence=given("presence"),
        tags_added=request.tags_added,
        tags_removed=request.tags_removed,
        attributes={attribute.key: heard_attribute(attribute) for attribute in request.attributes},
        reasons_given=request.reasons_given,
        reasons_withdrawn=request.reasons_withdrawn,
    )


def _evidence(said: members.Evidence) -> Evidence:
    return Evidence(said.wording, said.source, said.at or None, said.actor, said.detail)


def _report(said: members.InteractionReport) -> reporting.Report:
    return reporting.Report(
        id=said.id,
        kind=said.kind,
        at=said.at,
        member=said.member,
        email=said.email,
        phone=said.phone,
        external_id=said.external_id,
        given_name=said.given_name,
        family_name=said.family_name,
        subject=said.subject,
        currency=said.currency,
        amount_units=said.amount_units,
        amount_nanos=said.amount_nanos,
        reverses=said.reverses,
        consent_purposes=list(said.consent_purposes),
        evidence=_evidence(said.evidence),
    )


def page_of(page: page_pb2.PageRequest) -> tuple[int, str | None]:
    """How many, and behind which cursor. Raises Invalid."""
    if not 0 <= page.size <= PAGE_LIMIT:
        raise Invalid(f"A page has at most {PAGE_LIMIT} entries.", field="page.size")
    return page.size or 50, page.after or None


def bounded(several: Sequence[T], most: int = PAGE_LIMIT) -> Sequence[T]:
    if len(several) > most:
        raise Invalid(f"Ask for at most {most} at a time.")
    return several
