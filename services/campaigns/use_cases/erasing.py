"""A member is erased: what they did here is emptied down to what the figures count, and that is acknowledged."""

from __future__ import annotations

from collections.abc import Sequence

from services.campaigns.domain.events import ErasureAcknowledged
from services.campaigns.use_cases.converting import members_documents
from services.campaigns.use_cases.desk import Desk
from services.kit.outbox import append_event
from services.kit.scope import Scope
from services.kit.store.port import Document, Patch

ERASED = "erased"


def erase_members(desk: Desk, scope: Scope, community: str, erased: Sequence[tuple[str, str]]) -> None:
    """``erased`` are (member, erasure). ``scope`` is the community's. Done twice, it changes nothing."""
    members = [member for member, _ in erased]
    emptied: dict[str, object] = {"causes": {}, "links": {}, "machine_links": {}, "clicks": {}}
    desk.reactions.patch(
        scope,
        [
            Patch(each["_id"], set={**emptied, "member": ERASED})
            for each in members_documents(desk.reactions, scope, members)
        ],
    )
    desk.conversions.patch(
        scope,
        [Patch(each["_id"], set={"member": ERASED}) for each in members_documents(desk.conversions, scope, members)],
    )
    desk.erasures.insert(scope, [_acknowledged(desk, scope, community, *each) for each in erased])
    desk.nudge()


def _acknowledged(desk: Desk, scope: Scope, community: str, member: str, erasure: str) -> Document:
    now = desk.clock.now()
    document: Document = {
        "_id": f"{erasure}:{member}",
        "agency": scope.agency,
        "community": community,
        "version": 1,
        "schema_version": 1,
        "member": member,
        "erased_at": now,
    }
    told = {"member": member, "erasure": erasure}
    append_event(document, desk.ids.new("evt"), ErasureAcknowledged.__name__, now, told)
    return document
