"""Conversions, and the campaigns they are owed to.

A conversion, its reversal and the click that led to it may arrive in any order; so whatever arrives, all that is
known of the member is settled anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.campaigns.domain.attribution import Click, Conversion, Owed, settle
from services.campaigns.domain.money import of_nanos
from services.campaigns.use_cases.desk import Desk
from services.kit.scope import Scope
from services.kit.store.port import Collection, Document, Patch
from services.kit.store.rule import And, In, Range, Rule

KINDS = frozenset({"purchased", "signed_up", "attended"})
_AT_ONCE = 200
_BILLION = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Interaction:
    """What members recorded; ``id`` is the reporter's, unique in the community, ``reverses`` likewise."""

    id: str
    member: str
    kind: str
    at: int
    subject: str = ""
    currency: str = ""
    units: int = 0
    nanos: int = 0
    reverses: str = ""


def take_interactions(desk: Desk, scope: Scope, community: str, interactions: Iterable[Interaction]) -> None:
    """Keep conversions and reversals, and settle their members' anew. ``scope`` is the community's."""
    documents = [
        _document(scope.agency, community, interaction) for interaction in interactions if interaction.kind in KINDS
    ]
    if not documents:
        return
    desk.conversions.insert(scope, documents)
    reversed_ones = desk.conversions.get(scope, [each["reverses"] for each in documents if each["reverses"]])
    members = {each["member"] for each in (*documents, *reversed_ones.values())}
    attribute(desk, scope, community, sorted(members))
    desk.recount(scope.agency, community)


def attribute_clickers(desk: Desk, scope: Scope, members: Sequence[str]) -> None:
    """Settle anew what clicks that have just arrived may change: most often nothing has been converted yet."""
    touched: dict[str, set[str]] = {}
    everyone = sorted(_persons(desk, scope, members))
    for document in members_documents(desk.conversions, scope, everyone, fields=("community", "member")):
        touched.setdefault(document["community"], set()).add(document["member"])
    for community, converted in touched.items():
        attribute(desk, scope, community, sorted(converted))


def take_merges(desk: Desk, scope: Scope, community: str, merges: Sequence[tuple[str, str]]) -> None:
    """(member, into): what the one did counts as the other's from now on."""
    latest = dict(merges)
    aliases = [
        {
            "_id": member,
            "agency": scope.agency,
            "community": community,
            "version": 1,
            "schema_version": 1,
            "into": into,
        }
        for member, into in latest.items()
    ]
    desk.aliases.insert(scope, aliases)
    desk.aliases.patch(scope, [Patch(member, set={"into": into}) for member, into in latest.items()])
    attribute(desk, scope, community, sorted({*latest, *latest.values()}))
    desk.recount(scope.agency, community)


def take_unmerges(desk: Desk, scope: Scope, community: str, unmerges: Sequence[tuple[str, str]]) -> None:
    """(member, parted from): they are two again."""
    desk.aliases.delete(scope, [member for member, _ in unmerges])
    attribute(desk, scope, community, sorted({each for pair in unmerges for each in pair}))
    desk.recount(scope.agency, community)


def attribute(desk: Desk, scope: Scope, community: str, members: Sequence[str]) -> None:
    """Settle every conversion of the persons behind the members."""
    window = desk.settings.of(scope, community).window
    persons = _persons(desk, scope, members)
    ids = sorted(persons)
    known = [document for document in _of(desk.conversions, scope, "member", ids) if not document.get("reverses")]
    reversals: dict[str, list[int]] = {}
    for document in _of(desk.conversions, scope, "reverses", [each["_id"] for each in known]):
        reversals.setdefault(document["reverses"], []).append(_nanos(document))
    reactions = list(_of(desk.reactions, scope, "member", ids, Range("clicked_at", gt=0)))
    clicks = _clicks(reactions, persons)
    patches: list[Patch] = []
    converted: dict[str, int] = {}
    for document in known:
        owed = settle(
            Conversion(document["_id"], document["at"], _nanos(document)),
            clicks.get(persons[document["member"]], ()),
            reversals.get(document["_id"], ()),
            window,
        )
        if owed.stands and owed.click:
            key = f"{owed.click.run}:{owed.click.member}"
            converted[key] = max(converted.get(key, 0), document["at"])
        patches += _changed(document, owed)
    desk.conversions.patch(scope, patches)
    desk.reactions.patch(
        scope,
        [
            Patch(reaction["_id"], set={"converted_at": converted.get(reaction["_id"])})
            for reaction in reactions
            if reaction.get("converted_at") != converted.get(reaction["_id"])
        ],
    )


def members_documents(
    collection: Collection, scope: Scope, members: Sequence[str], fields: Sequence[str] | None = None
) -> Iterator[Document]:
    """The members' reactions, or conversions."""
    return _of(collection, scope, "member", members, fields=fields)


def conversion_id(community: str, reported: str) -> str:
    return "cnv_" + hashlib.blake2b(f"{community}\0{reported}".encode(), digest_size=16).hexdigest()


def _persons(desk: Desk, scope: Scope, members: Sequence[str]) -> dict[str, str]:
    """Every id of the persons behind the members, merged ones included, each with the id that goes on."""
    into: dict[str, str] = {}
    ids = set(members)
    rising = ids
    while rising:
        found = desk.aliases.get(scope, sorted(rising))
        into.update((an_id, alias["into"]) for an_id, alias in found.items())
        rising = {alias["into"] for alias in found.values()} - ids
        ids |= rising
    falling = ids
    while falling:
        found_below = list(_of(desk.aliases, scope, "into", sorted(falling)))
        into.update((alias["_id"], alias["into"]) for alias in found_below)
        falling = {alias["_id"] for alias in found_below} - ids
        ids |= falling
    return {an_id: _end(an_id, into) for an_id in ids}


def _end(an_id: str, into: Mapping[str, str]) -> str:
    seen = {an_id}
    while (further := into.get(an_id)) is not None and further not in seen:
        an_id = further
        seen.add(an_id)
    return an_id


def _clicks(reactions: Iterable[Document], persons: Mapping[str, str]) -> dict[str, list[Click]]:
    clicks: dict[str, list[Click]] = {}
    for reaction in reactions:
        clicks.setdefault(persons[reaction["member"]], []).extend(
            Click(at, reaction["run"], reaction["campaign"], reaction["member"])
            for at in (reaction.get("clicks") or {}).values()
        )
    return clicks


def _changed(document: Document, owed: Owed) -> list[Patch]:
    left = of_nanos(document["currency"], owed.nanos) if document.get("currency") else None
    wanted = {
        "run": owed.click.run if owed.click else None,
        "campaign": owed.click.campaign if owed.click else None,
        "stands": owed.stands,
        "left_units": left.units if left else 0,
        "left_nanos": left.nanos if left else 0,
    }
    changed = {name: value for name, value in wanted.items() if document.get(name) != value}
    return [Patch(document["_id"], set=changed)] if changed else []


def _document(agency: str, community: str, interaction: Interaction) -> Document:
    return {
        "_id": conversion_id(community, interaction.id),
        "agency": agency,
        "community": community,
        "version": 1,
        "schema_version": 1,
        "member": interaction.member,
        "kind": interaction.kind,
        "at": interaction.at,
        "subject": interaction.subject,
        "currency": interaction.currency,
        "units": interaction.units,
        "nanos": interaction.nanos,
        "reverses": conversion_id(community, interaction.reverses) if interaction.reverses else None,
    }


def _nanos(document: Document) -> int:
    return int(document["units"] * _BILLION + document["nanos"])


def _of(
    collection: Collection,
    scope: Scope,
    path: str,
    values: Sequence[str],
    besides: Rule | None = None,
    fields: Sequence[str] | None = None,
) -> Iterator[Document]:
    """The documents with one of the values at the path."""
    for start in range(0, len(values), _AT_ONCE):
        rule: Rule = In(path, tuple(values[start : start + _AT_ONCE]))
        if besides is not None:
            rule = And((rule, besides))
        for page in collection.stream(scope, rule, fields=fields):
            yield from page
