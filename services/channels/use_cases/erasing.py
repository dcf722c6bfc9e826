"""A member was erased: nothing of theirs is left here but the keyed hashes of addresses that bounced."""

from __future__ import annotations

from services.channels.use_cases.room import ACTOR, Room
from services.channels.use_cases.suppressing import member_subject
from services.kit.outbox import append_event
from services.kit.scope import stored_scope
from services.kit.store.port import Document


def erase_member(room: Room, agency: str, community: str, member: str, erasure: str) -> None:
    """Forget the member's own suppressions, and acknowledge.

    Ledgers name members by id alone, and messages on their way are stopped by the gate.
    """
    scope = stored_scope(agency, community, ACTOR)
    room.suppressions.delete(scope, [member_subject(community, channel, member) for channel in room.connectors])
    now = room.clock.now()
    document: Document = {
        "_id": f"era_{erasure}",
        "agency": agency,
        "community": community,
        "version": 1,
        "schema_version": 1,
        "member": member,
        "at": now,
    }
    append_event(document, room.ids.new("evt"), "ErasureAcknowledged", now, {"member": member, "erasure": erasure})
    room.erasures.insert(scope, [document])
    room.nudge()
