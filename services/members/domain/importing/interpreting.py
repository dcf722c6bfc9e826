"""From a row's cells to a draft of a member, read restrictively: what is unclear proves nothing and is not guessed.

A refused cell never costs the row; a row is refused only where it is a total, is empty, has the wrong number of
cells, or leaves nobody to name.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from services.kit.errors import Invalid
from services.members.domain import values
from services.members.domain.community import AttributeKind, Community
from services.members.domain.importing import cells as read_cell
from services.members.domain.importing.cells import CellRefused, Memo
from services.members.domain.importing.draft import Act, Draft, same_person
from services.members.domain.importing.folding import fold, nfc
from services.members.domain.importing.mapping import Column, PermissionColumns
from services.members.domain.importing.mapping import Mapping as ListMapping
from services.members.domain.limits import LONGEST
from services.members.domain.values import tags_of

TOTALS = frozenset(
    ("total", "totaux", "totaal", "totalen", "totals", "sum", "somme", "som", "subtotal", "sous total", "subtotaal",
     "grand total", "total general", "algemeen totaal", "eindtotaal", "summe", "gesamt")
)  # fmt: skip
_FIGURES = re.compile(r"[\d\s.,€$£%-]*")

Setter = Callable[[Draft, str], None]


class Interpreter:
    """Reads the rows of one list. ``now`` is the instant of the import: what lies behind it is refused."""

    def __init__(self, mapping: ListMapping, community: Community, headings: Sequence[str], now: int) -> None:
        self._width = len(headings)
        self._community = community
        self._now = now
        self._today = datetime.fromtimestamp(now / 1_000, UTC).date()
        self._day = self._today.isoformat()
        self.identity = mapping.identity
        self.households = mapping.households
        self._tags = tuple(tags_of(mapping.tags))
        self._relation = (mapping.relation,) if mapping.relation else ()
        index = {heading: number for number, heading in enumerate(headings)}
        self._setters = self._compile(mapping, index)
        self._permissions = [self._permission(columns, index) for columns in mapping.permissions]
        used = [c for c in mapping.columns if c.heading in index]
        self._address_columns = [index[c.heading] for c in used if c.target == "email" and not c.key]
        self._other_columns = [
            index[c.heading]
            for c in used
            if c.target in ("phone", "given_name", "family_name", "full_name", "birth_date")
        ]
        self._id_columns = [index[c.heading] for c in used if c.target == "external_id" and not c.key]

    def read(self, number: int, row: Sequence[str]) -> Draft:
        """The draft of a row; ``refused`` is set where nobody can be made of it."""
        draft = Draft(number)
        if len(row) != self._width and not self._fits(draft, row):
            return draft
        for column, setter in self._setters:
            text = row[column]
            if text:
                setter(draft, text)
        if draft.refused is not None:
            return draft
        if not (draft.emails or draft.phones):
            self._judge_unreachable(draft, row)
            if draft.refused:
                return draft
        if self.identity == "external_id" and not draft.external_id:
            draft.refuse("identity-missing")
            return draft
        if self._tags:
            draft.tags = tuple(dict.fromkeys((*draft.tags, *self._tags)))
        if self._relation and not draft.relations:
            draft.relations = self._relation
        for permission in self._permissions:
            permission(draft, row)
        return draft

    def keys(self, row: Sequence[str]) -> list[str]:
        """What may tie this row to others of the file: its addresses and external id; else its name and phone."""
        if len(row) < self._width:
            return []
        found = [text for column in self._address_columns if "@" in (text := row[column].strip().lower())]
        found += [f"\0{text}" for column in self._id_columns if (text := row[column].strip())]
        return found or ["|".join(fold(row[column]) for column in self._other_columns)]

    def is_minor(self, birth_date: str) -> bool:
        """Whether somebody born then is under age today; of unknown age is not known to be."""
        return bool(birth_date) and values.anniversary(birth_date, values.ADULT_AT) > self._day

    def is_same(self, known: Draft, draft: Draft) -> bool:
        """Whether two rows that share a key tell of one person, as the mapping identifies members."""
        if self.identity == "external_id":
            return known.external_id == draft.external_id
        known_name, name = known.name_key(), draft.name_key()
        if not known_name or not name:
            return self.identity == "email"
        return same_person(name, draft.birth_date, known_name, known.birth_date)

    def _fits(self, draft: Draft, row: Sequence[str]) -> bool:
        """Cells beyond the headings may be there if they are empty; missing ones may not."""
        counts = {"found": str(len(row)), "expected": str(self._width)}
        if not any(cell.strip() for cell in row):
            draft.refuse("row-empty")
        elif len(row) < self._width:
            draft.refuse("row-total") if _is_total(row) else draft.refuse("cells-missing", **counts)
        elif any(cell.strip() for cell in row[self._width :]):
            draft.refuse("cells-extra", **counts)
        return draft.refused is None

    def _judge_unreachable(self, draft: Draft, row: Sequence[str]) -> None:
        if not any(cell.strip() for cell in row):
            draft.refuse("row-empty")
        elif _is_total(row):
            draft.refuse("row-total")
        elif not (draft.external_id or draft.full_name or (draft.given_name and draft.family_name)):
            draft.refuse("nobody-named")

    # Columns

    def _compile(self, mapping: ListMapping, index: Mapping[str, int]) -> list[tuple[int, Setter]]:
        setters: list[tuple[int, Setter]] = []
        objects: dict[str, dict[str, Setter]] = {}
        for column in mapping.columns:
            if column.heading not in index or column.target == "ignore":
                continue
            setter = self._setter(column)
            if column.key:
                objects.setdefault(column.heading, {})[column.key] = setter
            else:
                setters.append((index[column.heading], setter))
        setters += [(index[heading], _object(heading, inner)) for heading, inner in objects.items()]
        return setters

    def _setter(self, column: Column) -> Setter:
        field = column.key or column.heading
        order = column.date_order
        today = self._today
        country = self._community.country
        match column.target:
            case "given_name" | "family_name" | "full_name" | "organisation":
                return _name(field, column.target)
            case "email":
                return _address(field, "emails", read_cell.email_address)
            case "phone":
                return _address(field, "phones", lambda text: read_cell.phone_number(text, country))
            case "birth_date":
                return _remembered(field, "birth_date", lambda text: read_cell.birth_date(text, order, today))
            case "locale":
                return _remembered(field, "locale", read_cell.language_tag)
            case "zone":
                return _remembered(field, "zone", read_cell.time_zone)
            case "relation_since":
                return _remembered(field, "since", lambda text: read_cell.calendar_date(text, order).isoformat())
            case "relation_until":
                return _remembered(field, "until", lambda text: read_cell.calendar_date(text, order).isoformat())
            case "external_id":
                return _external_id(field)
            case "tags":
                return _tags(field, column.separators)
            case "reasons":
                return _several(field, "reasons", column.separators, column.words)
            case "relation":
                return _several(field, "relations", column.separators, column.words)
            case "attribute" | "note":
                return self._attribute(column, field)
            case "ignore":
                raise AssertionError("an ignored column has no setter")

    def _attribute(self, column: Column, field: str) -> Setter:
        kind = self._community.attributes[column.name]
        memo = Memo(_attribute_reader(kind, column))
        name = column.name

        def attribute(draft: Draft, text: str) -> None:
            text = text.strip()
            if text:
                value = memo[text]
                if type(value) is CellRefused:
                    draft.found(field, value.code, limit=str(LONGEST["attribute"]))
                else:
                    draft.attributes[name] = value

        return attribute

    # Permission

    def _permission(
        self, columns: PermissionColumns, index: Mapping[str, int]
    ) -> Callable[[Draft, Sequence[str]], None]:
        word_at = index.get(columns.heading, -1) if columns.heading else -1
        date_at = index.get(columns.at_heading, -1) if columns.at_heading else -1
        detail_at = index.get(columns.detail_heading, -1) if columns.detail_heading else -1
        words = {fold(word): effect for word, effect in columns.words.items()}
        instants = Memo(lambda text: read_cell.past_instant(text, columns.date_order, self._now))
        consents = columns.purposes
        refuses = tuple(dict.fromkeys((*columns.purposes, *columns.refuses)))

        def permission(draft: Draft, row: Sequence[str]) -> None:
            effect: str | None = columns.effect
            if word_at >= 0:
                word = row[word_at].strip()
                if not word:
                    return
                effect = words.get(fold(word))
                if effect is None:
                    draft.found(columns.heading, "consent-unclear")
            written = row[date_at].strip() if date_at >= 0 else ""
            at = instants[written] if written else 0
            if type(at) is CellRefused:
                draft.found(columns.at_heading, at.code)
                at = 0
            if effect == "objection" and (at or word_at >= 0):
                draft.acts += (Act(refuses, columns.channel, "objection", at, columns.wording, ""),)
            elif effect == "consent" and at:
                detail = row[detail_at].strip() if detail_at >= 0 else ""
                if len(detail) > LONGEST["detail"]:
                    draft.found(columns.detail_heading, "text-too-long", limit=str(LONGEST["detail"]))
                    detail = ""
                draft.acts += (Act(consents, columns.channel, "consent", at, columns.wording, detail),)
            elif effect == "consent" and word_at >= 0:
                draft.found(columns.heading, "consent-undated")

        return permission


def _is_total(row: Sequence[str]) -> bool:
    filled = [cell.strip() for cell in row if cell.strip()]
    return bool(filled) and fold(filled[0]) in TOTALS and all(_FIGURES.fullmatch(cell) for cell in filled[1:])


def _name(field: str, target: str) -> Setter:
    def name(draft: Draft, text: str) -> None:
        text = values.tidy(text)
        if len(text) > LONGEST["name"]:  # without its name, the row might be taken for somebody else's
            draft.refuse("text-too-long", field, limit=str(LONGEST["name"]))
        elif target == "organisation":
            if text:
                draft.kind, draft.full_name = "organisation", text
        elif target == "full_name":
            draft.full_name = draft.full_name or text
            parts = text.split(" ")
            if len(parts) == 2:
                draft.given_name, draft.family_name = parts
        elif target == "given_name":
            draft.given_name = text
        else:
            draft.family_name = text

    return name


def _address(field: str, slot: str, reader: Callable[[str], str]) -> Setter:
    def address(draft: Draft, text: str) -> None:
        text = text.strip()
        if not text:
            return
        try:
            value = reader(text)
        except CellRefused as refused:
            draft.found(field, refused.code)
            return
        held = getattr(draft, slot)
        if value not in held:
            setattr(draft, slot, (*held, value))

    return address


def _remembered(field: str, slot: str, reader: Callable[[str], str]) -> Setter:
    memo = Memo(reader)

    def remembered(draft: Draft, text: str) -> None:
        text = text.strip()
        if text:
            value = memo[text]
            if type(value) is CellRefused:
                draft.found(field, value.code)
            else:
                setattr(draft, slot, value)

    return remembered


def _attribute_reader(kind: AttributeKind, column: Column) -> Callable[[str], Any]:
    """How a typed attribute's cells are read; choices are found whatever their case and accents."""
    if kind.type == "number":
        read: Callable[[str], Any] = lambda text: read_cell.number(text, column.decimal)  # noqa: E731 # one line each
    elif kind.type == "date":
        read = lambda text: read_cell.calendar_date(text, column.date_order).isoformat()  # noqa: E731
    elif kind.type == "flag":
        read = read_cell.flag
    elif not kind.choices:
        read = nfc
    else:
        choices = {fold(choice): choice for choice in kind.choices}
        translated = {fold(word): choice for word, choice in column.words.items()}

        def read(text: str) -> str:
            return translated.get(fold(text)) or choices.get(fold(text)) or text

    def checked(text: str) -> Any:
        value = read(text)
        try:
            return kind.value(value)
        except Invalid:
            long = kind.type == "text" and len(text) > LONGEST["attribute"]
            raise CellRefused(
                "text-too-long" if long else "choice-unknown" if kind.choices else "value-unfit"
            ) from None

    return checked


def _external_id(field: str) -> Setter:
    def external_id(draft: Draft, text: str) -> None:
        draft.external_id = values.tidy(text)
        if len(draft.external_id) > LONGEST["external_id"]:
            draft.refuse("text-too-long", field, limit=str(LONGEST["external_id"]))

    return external_id


def _several(field: str, slot: str, separators: str, words: Mapping[str, str]) -> Setter:
    """A cell of one or more words, each translated; one that ``words`` does not know is refused."""
    translated = {fold(word): meaning for word, meaning in words.items()}

    def take_apart(text: str) -> tuple[tuple[str, ...], bool]:
        known = [translated.get(fold(part)) for part in split_words(text, separators)]
        return tuple(dict.fromkeys(meaning for meaning in known if meaning)), None in known

    memo = Memo(take_apart)

    def several(draft: Draft, text: str) -> None:
        found, unknown = memo[text]
        if unknown:
            draft.found(field, "word-unknown")
        if found:
            held = getattr(draft, slot)
            setattr(draft, slot, tuple(dict.fromkeys((*held, *found))) if held else found)

    return several


def _tags(field: str, separators: str) -> Setter:
    longest = LONGEST["tag"]

    def take_apart(text: str) -> tuple[tuple[str, ...], bool]:
        words = split_words(text, separators)
        fitting = [word for word in words if len(word) <= longest]
        return tuple(tags_of(fitting)), len(fitting) < len(words)

    memo = Memo(take_apart)

    def tags(draft: Draft, text: str) -> None:
        found, too_long = memo[text]
        if too_long:
            draft.found(field, "text-too-long", limit=str(longest))
        draft.tags = tuple(dict.fromkeys((*draft.tags, *found))) if draft.tags else found

    return tags


def split_words(text: str, separators: str) -> list[str]:
    """The words of a cell; quotes around a word protect a separator in it, as Mailchimp writes its tags."""
    first = next((s for s in separators if s in text), "")
    if not first:
        parts = [text.strip().strip('"')]
    elif '"' in text:
        parts = next(csv.reader([text], delimiter=first, skipinitialspace=True), [])
    else:
        parts = text.split(first)
    return [word for part in parts if (word := values.tidy(part))]


def _object(heading: str, setters: Mapping[str, Setter]) -> Setter:
    """A cell that holds a JSON object, as listmonk writes attributes."""

    def json_object(draft: Draft, text: str) -> None:
        try:
            held = orjson.loads(text)
        except orjson.JSONDecodeError:
            held = None
        if not isinstance(held, dict):
            draft.found(heading, "json-unreadable")
            return
        for key, setter in setters.items():
            value = held.get(key)
            if value is None or value == "" or value == []:
                continue
            if isinstance(value, list):
                setter(draft, "|".join(str(item) for item in value))
            else:
                setter(draft, value if isinstance(value, str) else str(value))

    return json_object
