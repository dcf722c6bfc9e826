"""Who shares an address. A claim (community, channel, address) names its owners; a second owner needs an explicit act.

A household is nothing more than the members whose claims overlap: one message goes to one address, naming them all.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection

from services.kit.errors import Conflict, Invalid
from services.members.domain.permission import Record
from services.members.domain.values import ADULT_AT, anniversary, day_of

EXTERNAL = "external"
"""The channel of claims on ids that another system gave: unique within a community, like addresses."""


class AddressTaken(Conflict):
    """Another member has this address; ``member`` tells which."""

    reason = "address-taken"

    def __init__(self, channel: str, member: str) -> None:
        super().__init__(
            "Another member has this address: work with that one, or share the address as a household.",
            field="external_id" if channel == EXTERNAL else channel,
            member=member,
        )


class ErasedBefore(Conflict):
    """The owner of this address asked to be erased: nobody else may bring it back."""

    reason = "erased-before"

    def __init__(self, channel: str) -> None:
        super().__init__(
            "The owner of this address asked to be erased: only they can come back, by signing up themselves.",
            field="external_id" if channel == EXTERNAL else channel,
        )


class CannotAnswer(Invalid):
    """This member cannot be that one's guardian."""

    reason = "cannot-answer"


def may_answer(guardian: Record, ward: Record, now: int) -> None:
    """Raises CannotAnswer."""
    if guardian["_id"] == ward["_id"]:
        raise CannotAnswer("Nobody is their own guardian: name somebody else.", field="guardian")
    if ward["_id"] in guardian["guardians"]:
        raise CannotAnswer("Two members cannot answer for each other: name somebody else.", field="guardian")
    if guardian["birth_date"] and is_under_age(guardian, now):
        raise CannotAnswer("A minor answers for nobody: name an adult.", field="guardian")


def is_under_age(record: Record, now: int) -> bool:
    """Whether the member is no adult; of unknown age is not known to be one."""
    born = record["birth_date"]
    return not born or day_of(now) < anniversary(born, ADULT_AT)


def channels_shared(record: Record) -> list[str]:
    """The channels on which an address of the member is a household's: an audience looks at these members again."""
    return sorted({point["channel"] for point in record["contact_points"] if point["shared"]})


def holds_alone(record: Record, address: tuple[str, ...]) -> bool:
    """Whether the member has this address (channel, address), and nobody else's household knew it."""
    return any(
        (point["channel"], point["address"]) == address and not point["shared"] for point in record["contact_points"]
    )


def mark_shared(record: Record, addresses: Collection[tuple[str, ...]]) -> bool:
    """These addresses (channel, address) are a household's from now on; whether that is new to the member."""
    alone = [address for address in addresses if holds_alone(record, address)]
    for point in record["contact_points"]:
        if (point["channel"], point["address"]) in alone:
            point["shared"] = True
    record["shares"] = channels_shared(record)
    return bool(alone)


def of_one(address: tuple[str, str], name: str) -> tuple[str, str]:
    """What recognises one person at an address that others hold too; ``name`` as names are compared."""
    channel, text = address
    return channel, f"{text}\0{name}"


def claim_id(community: str, channel: str, address: str) -> str:
    """The key of the claim on an address in its one form."""
    return f"{community}:{channel}:{address}"


def channel_of(claim: str) -> str:
    return claim.split(":", 2)[1]


def new_claim(agency: str, community: str, channel: str, address: str, owner: str, now: int) -> Record:
    return {
        "_id": f"{community}:{channel}:{address}",
        "agency": agency,
        "community": community,
        "schema_version": 1,
        "owners": [owner],
        "claimed_at": now,
    }


def claims_of(record: Record, now: int) -> list[Record]:
    """The claims of a member on its addresses and external id."""
    agency, community, owner = record["agency"], record["community"], record["_id"]
    claims = [
        new_claim(agency, community, point["channel"], point["address"], owner, now)
        for point in record["contact_points"]
        if not point["shared"]
    ]
    if record["external_id"]:
        claims.append(new_claim(agency, community, EXTERNAL, record["external_id"], owner, now))
    return claims


def address_hash(key: bytes, community: str, channel: str, address: str) -> str:
    """What survives of an erased address: a keyed hash that recognises it and reveals nothing."""
    return hmac.new(key, f"{community}\0{channel}\0{address}".encode(), hashlib.sha256).hexdigest()
