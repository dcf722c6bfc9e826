"""Communities: founded with a starter pack, read, and their catalogue and rules changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.kit.errors import Forbidden, Invalid
from services.kit.scope import Scope
from services.kit.store.port import Document, Page
from services.members.domain.community import (
    declared_attribute,
    declared_reason,
    declared_relation,
    found_community,
)
from services.members.domain.events import community_created
from services.members.domain.limits import within
from services.members.domain.packs import pack_named
from services.members.domain.permission import Record
from services.members.domain.standing import standing_rule
from services.members.domain.values import tidy
from services.members.use_cases.room import Room, in_order, persistently


@dataclass(frozen=True, slots=True)
class Founding:
    """What an operator says of a new community; empty text takes what the pack or the master suggests."""

    name: str
    master_name: str = ""
    master_kind: str = ""
    pack: str = ""
    country: str = ""
    locale: str = ""
    zone: str = ""


def create_community(room: Room, scope: Scope, founding: Founding) -> Document:
    """Found a community. Raises Invalid, UnknownPack."""
    if scope.communities is not None:
        raise Forbidden("Only who acts for the whole agency may found a community.")
    pack = pack_named(room.packs, founding.pack)
    now = room.clock.now()
    record = found_community(
        community_id=room.ids.new("cmt"),
        agency=scope.agency,
        name=founding.name,
        master_name=founding.master_name,
        master_kind=founding.master_kind,
        country=founding.country,
        locale=founding.locale,
        zone=founding.zone,
        pack={"key": pack.key, **pack.table} if pack else None,
        now=now,
    )
    room.compiled({**record, "version": 0})  # refuses a rule that its catalogue cannot carry
    room.tell(record, [community_created(record["_id"])], now)
    room.communities.insert(scope, [record])
    room.nudge()
    return record


def get_communities(room: Room, scope: Scope, ids: Sequence[str]) -> list[Document]:
    return in_order(ids, room.communities.get(scope, ids))


def list_communities(room: Room, scope: Scope, size: int, after: str | None) -> Page:
    return room.communities.find(scope, limit=size, after=after)


def declare_relation(room: Room, scope: Scope, community: str, table: Mapping[str, Any]) -> Document:
    """Add a relation kind to the catalogue, or change the one of that key."""
    made = declared_relation(table)
    return _change(room, scope, community, lambda record: _put(record, "relations", made))


def declare_reason(room: Room, scope: Scope, community: str, table: Mapping[str, Any]) -> Document:
    made = declared_reason(table)
    return _change(room, scope, community, lambda record: _put(record, "reasons", made))


def declare_attribute(room: Room, scope: Scope, community: str, table: Mapping[str, Any]) -> Document:
    """Add an attribute to the catalogue, or change its labels and choices; type and sensitivity stay."""
    made = declared_attribute(table)

    def declare(record: Record) -> None:
        known = next((a for a in record["attributes"] if a["key"] == made["key"]), made)
        if (known["type"], known["sensitive"]) != (made["type"], made["sensitive"]):
            raise Invalid("Members have values of it already: declare another key instead.", field="attributes.type")
        _put(record, "attributes", made)

    return _change(room, scope, community, declare)


def change_standing_rule(room: Room, scope: Scope, community: str, table: Mapping[str, Any]) -> Document:
    """Who is a client, a fan, a prospect from now on; the daily sweep derives every member anew."""

    def change(record: Record) -> None:
        kinds = frozenset(relation["key"] for relation in record["relations"])
        record["standing_rule"] = standing_rule(table, kinds).to_record()

    return _change(room, scope, community, change)


def change_community(room: Room, scope: Scope, community: str, name: str) -> Document:
    """Rename it; empty leaves it as it is."""

    def change(record: Record) -> None:
        record["name"] = within(tidy(name), "name", "name") or record["name"]

    return _change(room, scope, community, change)


def _change(room: Room, scope: Scope, community: str, change: Any) -> Document:
    def attempt() -> Document | None:
        record = room.community(scope, community).record
        record = {**record, **{key: list(record[key]) for key in ("relations", "reasons", "attributes")}}
        change(record)
        return record if room.communities.replace(scope, [record]) else None

    return persistently(attempt, "community")


def _put(record: Record, place: str, made: Record) -> None:
    values: list[Record] = record[place]
    for number, known in enumerate(values):
        if known["key"] == made["key"]:
            values[number] = made
            return
    values.append(made)
