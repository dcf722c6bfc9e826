"""What channels asks of members and campaigns."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from fanfare.campaigns.v1 import run_service_pb2, run_service_pb2_grpc
from fanfare.members.v1 import (
    community_service_pb2,
    community_service_pb2_grpc,
    member_service_pb2,
    member_service_pb2_grpc,
)
from services.channels.domain.content import Revision
from services.channels.domain.gate import Recipient
from services.channels.domain.run import RunOrder
from services.channels.saying import revision_of
from services.channels.use_cases.room import ACTOR
from services.kit.errors import Unavailable
from services.kit.rpc.client import Peer
from services.kit.scope import Scope, stored_scope

_REVISIONS = 64


class MembersClient:
    """Asks members about a handful, as it is now; and whose a community is."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._stub = peer.stub(member_service_pb2_grpc.MemberServiceStub)
        self._communities = peer.stub(community_service_pb2_grpc.CommunityServiceStub)

    def resolve(self, order: RunOrder, members: Sequence[str], fields: Sequence[str]) -> Sequence[Recipient]:
        request = member_service_pb2.ResolveRecipientsRequest(
            community=order.community,
            members=members,
            channel=order.channel,
            purpose=order.purpose,
            fields=fields,
        )
        scope = stored_scope(order.agency, order.community, ACTOR)
        answer = self._stub.ResolveRecipients(request, metadata=self._peer.as_service(scope))
        if answer.members != list(members):
            raise Unavailable("Members answered for other members than asked: sending waits.")
        values, width = list(answer.values), len(fields)
        columns = (
            answer.members,
            answer.states,
            answer.addresses,
            answer.contact_points,
            answer.contact_states,
            answer.permitted,
            answer.permission_reasons,
            answer.may_track,
            answer.locales,
            answer.zones,
            answer.display_names,
            answer.registered_at,
            [values[place * width : (place + 1) * width] for place in range(len(members))],
        )
        return list(map(Recipient._make, zip(*columns, strict=True)))

    def owns(self, scope: Scope, community: str) -> bool:
        """Whether the community is the agency's in whose scope is asked."""
        request = community_service_pb2.GetCommunitiesRequest(ids=[community])
        reading = {community: frozenset(("members.read",))}
        metadata = self._peer.on_behalf_of(scope.actor, scope.agency, reading)
        return bool(self._communities.GetCommunities(request, metadata=metadata).communities)


class CampaignsClient:
    """Asks campaigns for the content of a run; a revision never changes, and is kept."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._stub = peer.stub(run_service_pb2_grpc.RunServiceStub)
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], Revision] = {}

    def revision(self, order: RunOrder, number: int) -> Revision:
        key = (order.run, number)
        known = self._known.get(key)
        if known is None:
            with self._lock:  # lanes that begin together ask once
                known = self._known.get(key)
                if known is None:
                    known = self._ask(order, number)
                    while len(self._known) >= _REVISIONS:
                        self._known.pop(next(iter(self._known)))
                    self._known[key] = known
        return known

    def _ask(self, order: RunOrder, number: int) -> Revision:
        request = run_service_pb2.GetRevisionRequest(run=order.run, number=number)
        scope = stored_scope(order.agency, order.community, ACTOR)
        return revision_of(self._stub.GetRevision(request, metadata=self._peer.as_service(scope)).revision)
