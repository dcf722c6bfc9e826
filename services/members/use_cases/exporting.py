"""Taking members along: a file of a rule's members, and all that is known of one (GDPR, art. 15 and 20)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from services.kit.errors import Invalid
from services.kit.scope import Scope
from services.kit.store.rule import And, In
from services.members.domain.export import BYTE_ORDER_MARK, csv_lines, exported, headings, json_lines
from services.members.domain.segment import LISTED, read_rule
from services.members.use_cases.permitting import explain_permission
from services.members.use_cases.reading import list_timeline
from services.members.use_cases.room import Room

CSV = "csv"
JSON = "json"
_KEPT_BACK = (
    "_id",
    "agency",
    "version",
    "schema_version",
    "outbox",
    "pending",
    "event_sequence",
    "search",
    "sort_name",
    "told",
)


def export_members(
    room: Room, scope: Scope, community_id: str, rule: str, form: str, *, with_sensitive: bool
) -> Iterator[bytes]:
    """Pieces of a file of the members whom the rule reaches, in id order. Raises BadRule, Invalid."""
    if form not in (CSV, JSON):
        raise Invalid("Export as csv or json.", field="format")
    community = room.community(scope, community_id)
    columns = headings(community, with_sensitive=with_sensitive)
    certain = read_rule(rule, community, room.clock.now()).certain
    if form == CSV:
        yield (BYTE_ORDER_MARK + csv_lines([dict(zip(columns, columns, strict=True))], columns)).encode()
    for page in room.members.stream(scope.within(community_id), And((LISTED, certain)), page=500):
        rows = [exported(record, with_sensitive=with_sensitive) for record in page]
        yield (csv_lines(rows, columns) if form == CSV else json_lines(rows)).encode()


def access_member(room: Room, scope: Scope, member: str) -> bytes:
    """Everything known of a member, as JSON with the reasons for writing to them. Raises UnknownMember."""
    record, verdicts = explain_permission(room, scope, member)
    timeline = []
    after = ""
    while True:
        page = list_timeline(room, scope, record["_id"], 200, after)
        timeline += page.interactions
        if page.next is None:
            break
        after = page.next
    merges = room.merges.find(
        scope.within(record["community"]), In("survivor", (record["_id"],)), limit=200, fields=("absorbed", "at")
    )
    told = {
        "member": record["_id"],
        "record": {key: value for key, value in record.items() if key not in _KEPT_BACK},
        "permission": [
            {"purpose": purpose, "channel": channel, "allowed": found.allowed, "reason": found.reason}
            for purpose, channel, found in verdicts
        ],
        "timeline": [
            {key: value for key, value in entry.items() if key not in _KEPT_BACK and value is not None}
            for entry in timeline
        ],
        "merged": [merge["absorbed"] for merge in merges.documents],
    }
    return json.dumps(told, ensure_ascii=False, indent=2).encode()
