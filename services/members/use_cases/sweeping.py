"""What time alone changes: ended relations, quiet members, old points, and whom nothing justifies keeping."""

from __future__ import annotations

import structlog

from services.kit.scope import everywhere, stored_scope
from services.kit.store.port import Document, Patch
from services.members.domain.community import Community
from services.members.domain.engagement import forget_old_points
from services.members.domain.member import Cause, Member
from services.members.domain.retention import kept_until, must_be_remembered
from services.members.domain.segment import LISTED
from services.members.use_cases.erasing import erase_member
from services.members.use_cases.room import Room

_ACTOR = "service:members"
_PAGE = 500

log = structlog.get_logger(__name__)


def sweep(room: Room, day: int) -> int:
    """Sweep every community that was not swept on that day (a number that grows); how many members changed."""
    changed = 0
    for page in room.communities.stream(everywhere(_ACTOR), page=50):
        for document in page:
            if (document.get("swept_on") or 0) < day:
                changed += sweep_community(room, room.compiled(document))
                scope = stored_scope(document["agency"], document["_id"], _ACTOR)
                room.communities.patch(scope, [Patch(document["_id"], set={"swept_on": day})])
    return changed


def sweep_community(room: Room, community: Community) -> int:
    """Derive every member anew, let old points fall away, and erase whom nothing justifies keeping."""
    scope = stored_scope(community.agency, community.id, _ACTOR)
    cause = Cause(room.clock.now(), _ACTOR, "time")
    changed = 0
    for page in room.members.stream(scope, LISTED, page=_PAGE):
        stale = [record for record in page if _derived(room, community, record, cause)]
        changed += len(room.members.replace(scope, stale)) if stale else 0
        faded = [record for record in page if record["engagement"] and forget_old_points(record, cause.at)]
        if faded:
            room.members.patch(scope, [_faded(record) for record in faded])
        for record in page:
            until = kept_until(record, community)
            if until is not None and until < cause.at:
                erase_member(room, scope, record["_id"], remembered=must_be_remembered(record))
                log.info("kept_long_enough", member=record["_id"], community=community.id)
    room.nudge()
    return changed


def _derived(room: Room, community: Community, record: Document, cause: Cause) -> bool:
    was = (record["standing"], record["lifecycle"], record["permission"])
    member = Member(record, community, cause)
    events = member.settle("time")
    room.tell(record, events, cause.at)
    return bool(was != (record["standing"], record["lifecycle"], record["permission"]))


def _faded(record: Document) -> Patch:
    engagement = record["engagement"]
    return Patch(
        record["_id"], set={"engagement.months": engagement["months"], "engagement.score": engagement["score"]}
    )
