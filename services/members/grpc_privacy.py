"""`PrivacyService`: each rpc one line to its use case."""

from __future__ import annotations

from collections.abc import Iterator

from fanfare.members.v1 import member_pb2
from fanfare.members.v1 import privacy_service_pb2 as privacy
from services.kit.rpc.server import Caller
from services.kit.store.port import Document
from services.members.grpc_api import page_of
from services.members.saying import said_erasure, said_member
from services.members.use_cases import changing, erasing, exporting
from services.members.use_cases.room import Room


class PrivacyApi:
    def __init__(self, room: Room) -> None:
        self._room = room

    def RestrictMember(self, request: privacy.RestrictMemberRequest, caller: Caller) -> privacy.RestrictMemberResponse:
        changed = changing.restrict_member(self._room, caller.scope, request.member)
        return privacy.RestrictMemberResponse(member=self._said(changed, caller))

    def LiftRestriction(
        self, request: privacy.LiftRestrictionRequest, caller: Caller
    ) -> privacy.LiftRestrictionResponse:
        changed = changing.lift_restriction(self._room, caller.scope, request.member)
        return privacy.LiftRestrictionResponse(member=self._said(changed, caller))

    def AccessMember(self, request: privacy.AccessMemberRequest, caller: Caller) -> privacy.AccessMemberResponse:
        return privacy.AccessMemberResponse(content=exporting.access_member(self._room, caller.scope, request.member))

    def EraseMember(self, request: privacy.EraseMemberRequest, caller: Caller) -> privacy.EraseMemberResponse:
        erasure = erasing.erase_member(self._room, caller.scope, request.member)
        return privacy.EraseMemberResponse(erasure=said_erasure(erasure))

    def ListErasures(self, request: privacy.ListErasuresRequest, caller: Caller) -> privacy.ListErasuresResponse:
        page = erasing.list_erasures(self._room, caller.scope, *page_of(request.page))
        return privacy.ListErasuresResponse(erasures=map(said_erasure, page.documents), next=page.next or "")

    def ExportMembers(
        self, request: privacy.ExportMembersRequest, caller: Caller
    ) -> Iterator[privacy.ExportMembersResponse]:
        pieces = exporting.export_members(
            self._room,
            caller.scope,
            request.community,
            request.rule,
            request.format or exporting.CSV,
            with_sensitive=request.with_sensitive,
        )
        for piece in pieces:
            yield privacy.ExportMembersResponse(content=piece)

    def _said(self, record: Document, caller: Caller) -> member_pb2.Member:
        community = self._room.community(caller.scope, record["community"])
        return said_member(record, community, self._room.clock.now())
