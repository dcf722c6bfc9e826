"""Members as a file that anything opens: CSV whose cells never start a formula, or JSON, one object a line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from services.members.domain.community import Community
from services.members.domain.permission import Record

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
BYTE_ORDER_MARK = "\ufeff"
_FIXED = (
    "id",
    "kind",
    "given_name",
    "family_name",
    "display_name",
    "emails",
    "phones",
    "birth_date",
    "locale",
    "zone",
    "external_id",
    "standing",
    "lifecycle",
    "presence",
    "source",
    "registered_at",
    "relations",
    "reasons",
    "tags",
    "permission",
)


def headings(community: Community, *, with_sensitive: bool) -> list[str]:
    keys = [key for key, kind in community.attributes.items() if with_sensitive or not kind.sensitive]
    return [*_FIXED, *(f"attribute.{key}" for key in keys)]


def exported(record: Record, *, with_sensitive: bool) -> dict[str, Any]:
    """One member as plain values by heading."""
    points = record["contact_points"]
    attributes = [*record["attributes"], *(record["sensitive"] if with_sensitive else ())]
    return {
        "id": record["_id"],
        **{key: record[key] for key in _FIXED if key in record and key not in ("relations", "reasons")},
        "emails": [point["address"] for point in points if point["channel"] == "email"],
        "phones": [point["address"] for point in points if point["channel"] == "phone"],
        "relations": [f"{tie['kind']} {tie['since'] or ''}…{tie['until'] or ''}" for tie in record["relations"]],
        "reasons": [reason["key"] for reason in record["reasons"]],
        **{f"attribute.{attribute['key']}": attribute["value"] for attribute in attributes},
    }


def csv_lines(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> str:
    """Lines of CSV (RFC 4180), without the heading."""
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([safe_cell(row.get(column)) for column in columns])
    return text.getvalue()


def json_lines(rows: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def safe_cell(value: Any) -> str:
    """The text of a cell; one that a spreadsheet would take for a formula is quoted with an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return str(value)
    text = " | ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text
