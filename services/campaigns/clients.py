"""What campaigns asks of members and channels, in the words of the contract."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from fanfare.campaigns.v1 import run_pb2
from fanfare.channels.v1 import account_service_pb2 as accounts
from fanfare.channels.v1 import delivery_service_pb2 as deliveries
from fanfare.channels.v1.account_service_pb2_grpc import AccountServiceStub
from fanfare.channels.v1.delivery_service_pb2_grpc import DeliveryServiceStub
from fanfare.members.v1 import audience_pb2
from fanfare.members.v1 import community_service_pb2 as communities
from fanfare.members.v1 import member_service_pb2 as members
from fanfare.members.v1 import segment_service_pb2 as segments
from fanfare.members.v1.community_pb2 import Community
from fanfare.members.v1.community_service_pb2_grpc import CommunityServiceStub
from fanfare.members.v1.member_service_pb2_grpc import MemberServiceStub
from fanfare.members.v1.segment_service_pb2_grpc import SegmentServiceStub
from services.campaigns.domain.checks import MEMBER_FIELDS, Audience, Catalogue, Sender
from services.campaigns.domain.explanation import Explanation
from services.campaigns.domain.run import BATCH_SIZE, Order, Revision
from services.campaigns.saying import said_revision
from services.campaigns.use_cases.desk import AudiencePage, Rendered, Tested
from services.kit.errors import NotFound
from services.kit.rpc.client import Metadata, Peer
from services.kit.scope import Scope

_SENDING_SECONDS = 60.0


class AskedMembers:
    """The members service."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._communities = peer.stub(CommunityServiceStub)
        self._members = peer.stub(MemberServiceStub)
        self._segments = peer.stub(SegmentServiceStub)

    def stream_audience(self, scope: Scope, order: Order, rule: str, after: str) -> Iterator[AudiencePage]:
        asked = members.StreamAudienceRequest(
            audience=audience_pb2.Audience(
                community=order.community,
                rule=rule,
                channel=order.channel,
                now=order.launched_at,
                id_ceiling=order.id_ceiling,
            ),
            after=after,
            page_size=BATCH_SIZE,
        )
        for page in self._members.StreamAudience(asked, metadata=self._peer.as_service(scope)):
            yield AudiencePage(list(page.members), list(page.sizes), page.last)

    def audience(self, scope: Scope, community: str, rule: str) -> Audience:
        asked = segments.PreviewSegmentRequest(community=community, rule=rule)
        counted = self._segments.PreviewSegment(asked, metadata=self._reading(scope, community))
        return Audience(counted.within, counted.unmeasurable)

    def catalogue(self, scope: Scope, community: str) -> Catalogue:
        found = self._community(scope, community)
        return Catalogue(
            MEMBER_FIELDS | {f"attribute.{each.key}" for each in found.attributes if not each.sensitive},
            frozenset(f"attribute.{each.key}" for each in found.attributes if each.sensitive),
            frozenset(each.key for each in found.reasons),
        )

    def segment_rule(self, scope: Scope, community: str, segment: str) -> str:
        found = self._segments.GetSegments(
            segments.GetSegmentsRequest(ids=[segment]), metadata=self._reading(scope, community)
        ).segments
        if not found:
            raise NotFound("There is no such segment in this community.", field="segment")
        return str(found[0].rule)

    def community_name(self, scope: Scope, community: str) -> str:
        return str(self._community(scope, community).name)

    def membership(self, scope: Scope, community: str, rule: str, member: str, now: int) -> str:
        """`in`, `out`, `unmeasurable`; or `missing`, `merged`, `restricted`."""
        found = self._members.GetMembers(
            members.GetMembersRequest(ids=[member]), metadata=self._reading(scope, community)
        ).members
        if not found or found[0].state == "erased" or found[0].community != community:
            return "missing"
        if found[0].id != member or found[0].state == "merged":
            return "merged"
        if found[0].state == "restricted":
            return "restricted"
        if self._is_within(scope, community, rule, member, now):
            return "in"
        if rule.strip() and self._is_within(scope, community, _opposite(rule), member, now):
            return "out"
        return "unmeasurable" if rule.strip() else "out"

    def _is_within(self, scope: Scope, community: str, rule: str, member: str, now: int) -> bool:
        """Whether the rule is certain of the member: the audience from just before up to it holds it, or nobody."""
        just_before = member[:-1] + chr(ord(member[-1]) - 1) + "~"
        asked = members.StreamAudienceRequest(
            audience=audience_pb2.Audience(community=community, rule=rule, channel="email", now=now, id_ceiling=member),
            after=just_before,
            page_size=1,
        )
        pages = self._members.StreamAudience(asked, metadata=self._peer.as_service(scope))
        return any(page.last == member for page in pages)

    def owns(self, scope: Scope, community: str) -> bool:
        """Whether the community is the agency's in whose scope is asked."""
        return self._found(scope, community) is not None

    def _community(self, scope: Scope, community: str) -> Community:
        found = self._found(scope, community)
        if found is None:
            raise NotFound("There is no such community.", field="community")
        return found

    def _found(self, scope: Scope, community: str) -> Community | None:
        found = self._communities.GetCommunities(
            communities.GetCommunitiesRequest(ids=[community]), metadata=self._reading(scope, community)
        ).communities
        return found[0] if found else None

    def _reading(self, scope: Scope, community: str) -> Metadata:
        return _vouched(self._peer, scope, community, "members.read")


class AskedChannels:
    """The channels service. ``scope`` is that of one community."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._accounts = peer.stub(AccountServiceStub)
        self._deliveries = peer.stub(DeliveryServiceStub)

    def sender(self, scope: Scope, account: str) -> Sender | None:
        found = self._accounts.GetAccounts(
            accounts.GetAccountsRequest(ids=[account]), metadata=_vouched(self._peer, scope, "", "channels.read")
        ).accounts
        if not found:
            return None
        it = found[0]
        return Sender(it.id, it.community, it.channel, it.state, it.sender_verified, it.alarm)

    def control(self, scope: Scope, run: str, state: str, revision: int) -> None:
        asked = deliveries.ControlRunRequest(run=run, state=state, revision=revision)
        self._deliveries.ControlRun(asked, metadata=self._peer.as_service(scope))

    def explain(self, scope: Scope, run: str, member: str, locale: str) -> Explanation:
        answer = self._deliveries.ExplainDelivery(
            deliveries.ExplainDeliveryRequest(run=run, member=member),
            metadata=_vouched(self._peer, scope, "", "campaigns.read", locale=locale),
        )
        return Explanation(
            state=answer.state,
            reason=answer.reason,
            message=answer.message,
            at=answer.at,
            message_id=answer.message_id,
            attempts=answer.attempts,
            reply=answer.reply,
            revision=answer.revision,
            shared_with=tuple(answer.shared_with),
        )

    def preview(self, scope: Scope, order: Order, revision: Revision, member: str) -> Rendered:
        answer = self._deliveries.RenderPreview(
            deliveries.RenderPreviewRequest(
                order=run_pb2.RunOrder(**asdict(order)), revision=said_revision(revision), member=member
            ),
            metadata=_vouched(self._peer, scope, "", "campaigns.read"),
        )
        return Rendered(answer.subject, answer.html, answer.text, answer.locale, answer.source, answer.verdict)

    def send_test(self, scope: Scope, order: Order, revision: Revision, member: str, to: str) -> Tested:
        answer = self._deliveries.SendTest(
            deliveries.SendTestRequest(
                order=run_pb2.RunOrder(**asdict(order)), revision=said_revision(revision), member=member, to=to
            ),
            metadata=_vouched(self._peer, scope, "", "campaigns.write"),
            timeout=_SENDING_SECONDS,
        )
        return Tested(answer.message_id, answer.outcome, answer.reply)


def _vouched(peer: Peer, scope: Scope, community: str, grant: str, *, locale: str = "") -> Metadata:
    """A call for whom this service has found entitled, in the community (or those of the scope) alone."""
    places = [community] if community else sorted(scope.communities or ())
    return peer.on_behalf_of(scope.actor, scope.agency, {place: frozenset((grant,)) for place in places}, locale=locale)


def _opposite(rule: str) -> str:
    return json.dumps({"not": json.loads(rule)})
