"""Whom a message reaches: the audience in pages, and what is needed to write to a handful. The hot path of sending."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.kit.errors import Invalid
from services.kit.scope import Scope
from services.kit.store.port import Document
from services.kit.store.rule import And, Equals, Range, Rule, matches
from services.members.domain.community import Community
from services.members.domain.household import claim_id
from services.members.domain.member import ACTIVE, contact_on
from services.members.domain.permission import PURPOSES, TRACKING, verdict
from services.members.domain.segment import reachable, read_rule
from services.members.domain.values import CHANNELS
from services.members.use_cases.room import Room

MISSING = "missing"
PLAIN_FIELDS = ("given_name", "family_name", "display_name", "locale", "external_id", "birth_date")
_ATTRIBUTE = "attribute."
_YES_NO = {"fr": ("oui", "non"), "nl": ("ja", "nee"), "de": ("ja", "nein")}
_AUDIENCE_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom a rule reaches on a channel, frozen at ``now`` (UTC ms); greater ids than the ceiling joined later."""

    community: str
    rule: str
    channel: str
    now: int
    id_ceiling: str


class Recipient(NamedTuple):
    """What a message needs to know of one member at the moment of hand-off."""

    member: str
    state: str
    address: str = ""
    contact_point: str = ""
    contact_state: str = ""
    permitted: bool = False
    permission_reason: str = ""
    may_track: bool = False
    locale: str = ""
    zone: str = ""
    version: int = 0
    values: Sequence[str] = ()
    display_name: str = ""
    registered_at: int = 0
    shared_with: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Members in id order; ``sizes`` says how many stand together, group by group (empty: each alone); the audience
    goes on behind ``last``."""

    members: list[str]
    sizes: list[int]
    last: str


def stream_audience(
    room: Room, scope: Scope, audience: Audience, after: str = "", page_size: int = 0
) -> Iterator[Page]:
    """The audience, page by page. Raises BadRule.

    Members who share an address come together under the lowest id of those whom the rule reaches; theirs are the only
    records that are read, the others' ids are enough.
    """
    community = room.community(scope, audience.community)
    now = audience.now or room.clock.now()
    certain = read_rule(audience.rule, community, now).certain
    rule = reachable(certain)
    ceiling = audience.id_ceiling or "~"
    scope = scope.within(audience.community)
    size = min(page_size or _AUDIENCE_PAGE, _AUDIENCE_PAGE)
    for documents in room.members.stream(scope, rule, page=size, after=after, fields=()):
        within = [document["_id"] for document in documents if document["_id"] <= ceiling]
        if within:
            yield _page(room, scope, audience.channel, rule, ceiling, within)
        if len(within) < len(documents):
            return


def _page(room: Room, scope: Scope, channel: str, rule: Rule, ceiling: str, ids: list[str]) -> Page:
    """One group for each address; alone are those whose address is theirs."""
    sharing = _sharing(room, scope, channel, ids)
    if not sharing:
        return Page(ids, [], ids[-1])
    claims = room.claims.get(scope, sorted(set(sharing.values())))
    owners = {owner for claim in claims.values() for owner in claim["owners"]}
    others = room.members.get(scope, sorted(owners))
    reached: dict[str, str] = {}
    for owner, document in others.items():
        point = contact_on(document, channel)
        if point is not None and owner <= ceiling and matches(rule, document):
            reached[owner] = point["address"]
    groups: list[list[str]] = []
    for member in ids:
        claim = claims.get(sharing.get(member, ""))
        if claim is None:
            groups.append([member])
            continue
        address = claim["_id"].split(":", 2)[2]
        together = sorted({member, *(owner for owner in claim["owners"] if reached.get(owner) == address)})
        if together[0] == member:
            groups.append(together)
    return Page([member for group in groups for member in group], [len(group) for group in groups], ids[-1])


def _sharing(room: Room, scope: Scope, channel: str, ids: Sequence[str]) -> dict[str, str]:
    """Of these members, in id order, those whose address on the channel is a household's, and its claim."""
    households = And((Equals("shares", channel), Range("_id", gte=ids[0], lte=ids[-1])))
    sharing: dict[str, str] = {}
    for page in room.members.stream(scope, households, fields=("contact_points", "community")):
        for document in page:
            point = contact_on(document, channel)
            if point is not None and point["shared"]:
                sharing[document["_id"]] = claim_id(document["community"], channel, point["address"])
    return sharing


def resolve_recipients(
    room: Room,
    scope: Scope,
    community_id: str,
    members: Sequence[str],
    *,
    channel: str,
    purpose: str,
    fields: Sequence[str],
) -> list[Recipient]:
    """Address, permission, merge fields and version of a handful, as they are now, in the order asked."""
    if purpose not in PURPOSES:
        raise Invalid(f"A purpose is one of {', '.join(PURPOSES)}.", field="purpose")
    if channel not in CHANNELS:
        raise Invalid(f"A channel is one of {', '.join(CHANNELS)}.", field="channel")
    community = room.community(scope, community_id)
    found = room.members.get(scope.within(community_id), members)
    now = room.clock.now()
    read = _values_of(fields, community)
    recipients = [_recipient(found.get(member), member, community, channel, purpose, now, read) for member in members]
    return _with_households(room, scope, community_id, channel, found, recipients)


def _recipient(
    record: Document | None,
    member: str,
    community: Community,
    channel: str,
    purpose: str,
    now: int,
    read: Callable[[Document], Sequence[str]],
) -> Recipient:
    if record is None:
        return Recipient(member, MISSING)
    state = record["state"]
    if state != ACTIVE:
        return Recipient(member, state, version=record["version"])
    point = contact_on(record, channel)
    law, gives = community.law, community.gives
    may = verdict(record, purpose, channel, now, law, gives)
    return Recipient(
        member,
        state,
        point["address"] if point else "",
        point["id"] if point else "",
        point["state"] if point else "",
        may.allowed,
        may.reason,
        bool(record["ledger"]) and verdict(record, TRACKING, channel, now, law, gives).allowed,
        record["locale"] or community.record["locale"],
        record["zone"] or community.record["zone"],
        record["version"],
        read(record),
        record["given_name"] or record["display_name"],
        record["registered_at"],
    )


def _with_households(
    room: Room,
    scope: Scope,
    community: str,
    channel: str,
    found: dict[str, Document],
    recipients: list[Recipient],
) -> list[Recipient]:
    """Add who else owns the address of those who share theirs."""
    claims: dict[str, str] = {}
    for recipient in recipients:
        if recipient.address:
            point = contact_on(found[recipient.member], channel)
            if point is not None and point["shared"]:
                claims[recipient.member] = claim_id(community, channel, recipient.address)
    if not claims:
        return recipients
    held = room.claims.get(scope, sorted(set(claims.values())))
    return [
        recipient._replace(shared_with=[o for o in held[claims[recipient.member]]["owners"] if o != recipient.member])
        if claims.get(recipient.member) in held
        else recipient
        for recipient in recipients
    ]


def _values_of(fields: Sequence[str], community: Community) -> Callable[[Document], Sequence[str]]:
    """Reads the values of merge fields, in order; empty for what a member lacks, and always for sensitive ones."""
    keys = [(field.startswith(_ATTRIBUTE), field.removeprefix(_ATTRIBUTE)) for field in fields]
    of_attributes = any(is_attribute for is_attribute, _ in keys)
    fallback = community.record["locale"]

    def read(record: Document) -> Sequence[str]:
        locale = record["locale"] or fallback
        attributes = {a["key"]: a["value"] for a in record["attributes"]} if of_attributes else {}
        return [
            _said(attributes.get(key), locale) if is_attribute else ((record[key] or "") if key in PLAIN_FIELDS else "")
            for is_attribute, key in keys
        ]

    return read


def _said(value: Any, locale: str) -> str:
    """An attribute's value as a reader expects it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return _YES_NO.get(locale[:2], ("yes", "no"))[0 if value else 1]
    text = f"{value:g}" if value != int(value) else str(int(value))
    return text if locale.startswith("en") else text.replace(".", ",")
