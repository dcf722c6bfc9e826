"""`IdentityService`: each rpc one line to its use case."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fanfare.members.v1 import identity_service_pb2 as identity
from services.kit.rpc.server import Caller
from services.members.domain.merge import explained
from services.members.domain.permission import Record
from services.members.grpc_api import page_of
from services.members.saying import said_member
from services.members.use_cases import identifying, merging
from services.members.use_cases.room import Room

_MOST_PAIRS = 200


class IdentityApi:
    def __init__(self, room: Room) -> None:
        self._room = room

    def SuggestDuplicates(
        self, request: identity.SuggestDuplicatesRequest, caller: Caller
    ) -> identity.SuggestDuplicatesResponse:
        limit = min(request.limit or 50, _MOST_PAIRS)
        pairs = identifying.suggest_duplicates(self._room, caller.scope, request.community, limit)
        return identity.SuggestDuplicatesResponse(
            pairs=[
                identity.DuplicatePair(
                    first=pair.first, second=pair.second, likeness=pair.likeness, reasons=pair.reasons
                )
                for pair in pairs
            ]
        )

    def DismissDuplicate(
        self, request: identity.DismissDuplicateRequest, caller: Caller
    ) -> identity.DismissDuplicateResponse:
        identifying.dismiss_duplicate(self._room, caller.scope, request.first, request.second)
        return identity.DismissDuplicateResponse()

    def PreviewMerge(self, request: identity.PreviewMergeRequest, caller: Caller) -> identity.PreviewMergeResponse:
        made, record = merging.preview_merge(self._room, caller.scope, request.survivor, request.absorbed)
        community = self._room.community(caller.scope, record["community"])
        return identity.PreviewMergeResponse(
            lines=_lines(made.lines, caller.locale), member=said_member(record, community, self._room.clock.now())
        )

    def MergeMembers(self, request: identity.MergeMembersRequest, caller: Caller) -> identity.MergeMembersResponse:
        saved, record = merging.merge_members(self._room, caller.scope, request.survivor, request.absorbed)
        community = self._room.community(caller.scope, record["community"])
        return identity.MergeMembersResponse(
            merge=_said(saved, caller.locale), member=said_member(record, community, self._room.clock.now())
        )

    def UnmergeMembers(
        self, request: identity.UnmergeMembersRequest, caller: Caller
    ) -> identity.UnmergeMembersResponse:
        saved, records = merging.unmerge_members(self._room, caller.scope, request.merge)
        community = self._room.community(caller.scope, saved["community"])
        now = self._room.clock.now()
        return identity.UnmergeMembersResponse(
            merge=_said(saved, caller.locale), members=[said_member(record, community, now) for record in records]
        )

    def ListMerges(self, request: identity.ListMergesRequest, caller: Caller) -> identity.ListMergesResponse:
        size, after = page_of(request.page)
        page = merging.list_merges(self._room, caller.scope, request.community, request.member, size, after)
        merges = [_said(saved, caller.locale) for saved in page.documents]
        return identity.ListMergesResponse(merges=merges, next=page.next or "")


def _said(saved: Record, locale: str) -> identity.Merge:
    return identity.Merge(
        id=saved["_id"],
        community=saved["community"],
        survivor=saved["survivor"],
        absorbed=saved["absorbed"],
        at=saved["at"],
        by=saved["by"],
        undone_at=saved["undone_at"],
        lines=_lines(saved["lines"], locale),
    )


def _lines(lines: Iterable[Sequence[str]], locale: str) -> list[identity.MergeLine]:
    return [
        identity.MergeLine(field=field, decision=decision, explanation=explained(field, decision, locale))
        for field, decision in lines
    ]
