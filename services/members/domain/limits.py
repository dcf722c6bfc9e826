"""How long the free text about members may be, in characters: one table for operators, lists and partners alike."""

from __future__ import annotations

from collections.abc import Mapping

from services.kit.errors import Invalid

LONGEST: Mapping[str, int] = {
    "name": 200,  # given, family, shown, of an organisation
    "external_id": 200,
    "tag": 60,
    "attribute": 500,
    "label": 120,  # of what a community or an operator names: catalogues, segments, mappings
    "source": 200,  # where something comes from
    "wording": 2_000,  # what somebody agreed to
    "detail": 1_000,  # what shows it
    "actor": 100,
    "event_id": 200,
    "subject": 200,
    "rule": 20_000,
}


class TextTooLong(Invalid):
    """A text is longer than its kind may be."""

    reason = "text-too-long"


def within(text: str, kind: str, field: str) -> str:
    """The text, which is of a kind of the table. Raises TextTooLong, naming the field."""
    longest = LONGEST[kind]
    if len(text) > longest:
        raise TextTooLong(
            f"It has {len(text)} characters: shorten it to at most {longest}.", field=field, limit=str(longest)
        )
    return text
