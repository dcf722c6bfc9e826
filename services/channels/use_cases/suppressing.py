"""Whom we do not write to: addresses that bounced, members who unsubscribed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from services.channels.domain.run import RunOrder
from services.channels.use_cases.room import Room, change
from services.kit.scope import Scope
from services.kit.store.port import Document

ALL_PURPOSES = "*"


def address_subject(community: str, channel: str, address_hash: str) -> str:
    return f"sup_{community}:{channel}:a:{address_hash}"


def member_subject(community: str, channel: str, member: str) -> str:
    return f"sup_{community}:{channel}:m:{member}"


def suppress_member(
    room: Room, scope: Scope, community: str, channel: str, member: str, purposes: Sequence[str], cause: str, at: int
) -> None:
    """An unsubscribe: this member is not written to for these purposes (empty: all); others who share the address are.

    Holds from the moment it returns, whoever else is away.
    """
    _suppress(room, scope, community, channel, [member_subject(community, channel, member)], purposes, cause, at)


@dataclass(frozen=True, slots=True)
class Permitted:
    """A member may be written to for a purpose, since ``at`` (UTC ms)."""

    member: str
    channel: str
    purpose: str
    at: int


def permit_again(room: Room, scope: Scope, community: str, permitted: Sequence[Permitted]) -> None:
    """What suppressed these members for these purposes before they permitted them anew holds no longer."""
    within = scope.within(community)
    subjects = {each: member_subject(community, each.channel, each.member) for each in permitted}
    suppressed = room.suppressions.get(within, list(dict.fromkeys(subjects.values())))
    for each, subject in subjects.items():
        if subject in suppressed:
            change(room.suppressions, within, subject, partial(_narrowed, each))


def _narrowed(permitted: Permitted, found: Document) -> Document | None:
    if permitted.purpose not in found["purposes"] or _latest(found) >= permitted.at:
        return None
    return {**found, "purposes": [kept for kept in found["purposes"] if kept != permitted.purpose]}


def suppress_addresses(room: Room, scope: Scope, community: str, channel: str, addresses: Iterable[str]) -> None:
    """Hard bounces: nobody is written to there, for any purpose."""
    subjects = [address_subject(community, channel, room.hash_of(address)) for address in addresses]
    _suppress(room, scope, community, channel, subjects, (), "bounced", room.clock.now())


def _suppress(
    room: Room,
    scope: Scope,
    community: str,
    channel: str,
    subjects: Sequence[str],
    purposes: Sequence[str],
    cause: str,
    at: int,
) -> None:
    within = scope.within(community)
    entry = {"cause": cause, "at": at, "by": scope.actor}
    wanted = list(purposes) or [ALL_PURPOSES]
    documents: list[Document] = [
        {
            "_id": subject,
            "agency": scope.agency,
            "community": community,
            "version": 1,
            "schema_version": 1,
            "channel": channel,
            "purposes": wanted,
            "causes": [entry],
        }
        for subject in dict.fromkeys(subjects)
    ]
    inserted = room.suppressions.insert(within, documents)

    def widen(found: Document) -> Document | None:
        more = [purpose for purpose in wanted if purpose not in found["purposes"]]
        if not more and _latest(found) >= at:
            return None
        return {**found, "purposes": [*found["purposes"], *more], "causes": [*found["causes"], entry]}

    for document in documents:
        if document["_id"] not in inserted:
            change(room.suppressions, within, document["_id"], widen)


def _latest(found: Document) -> int:
    return max(int(cause["at"]) for cause in found["causes"])


class Suppressed:
    """Which of some members and addresses are suppressed for a purpose; looked up together."""

    def __init__(
        self,
        room: Room,
        scope: Scope,
        order: RunOrder,
        members: Sequence[str],
        addresses: Sequence[str],
    ) -> None:
        community, channel, purpose = order.community, order.channel, order.purpose
        self._by_member = {member: member_subject(community, channel, member) for member in members}
        self._by_address = {
            address: address_subject(community, channel, room.hash_of(address)) for address in addresses if address
        }
        found = room.suppressions.get(scope, [*self._by_member.values(), *self._by_address.values()])
        self._subjects = {
            subject
            for subject, document in found.items()
            if purpose in document["purposes"] or ALL_PURPOSES in document["purposes"]
        }

    def holds(self, member: str, address: str) -> bool:
        subjects = self._subjects
        return bool(subjects) and (self._by_member.get(member) in subjects or self._by_address.get(address) in subjects)
