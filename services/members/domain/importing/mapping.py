"""What each column of a list means for a community: guessed, corrected by an operator, saved under a name.

A mapping speaks of headings, not of positions, so that next month's export of the same tool finds it again.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from services.kit.errors import Invalid
from services.members.domain.community import Community
from services.members.domain.limits import within
from services.members.domain.permission import BASES, EARLIEST_ACT, PURPOSES
from services.members.domain.values import CHANNELS, tidy

Target = Literal[
    "ignore",
    "given_name",
    "family_name",
    "full_name",
    "organisation",
    "email",
    "phone",
    "birth_date",
    "locale",
    "zone",
    "external_id",
    "tags",
    "reasons",
    "relation",
    "relation_since",
    "relation_until",
    "attribute",
    "note",
]
TARGETS: tuple[str, ...] = get_args(Target)
Identity = Literal["email", "email_name", "external_id"]
IDENTITIES: tuple[str, ...] = get_args(Identity)
DateOrder = Literal["dmy", "mdy"]
Effect = Literal["consent", "objection", "nothing"]
EFFECTS: tuple[str, ...] = get_args(Effect)
MOST_PERMISSIONS = 15
"""A row's ledger entries are numbered from 0 to 15; the last is the operator's declaration."""


class MappingWrong(Invalid):
    """A part of the mapping does not fit; ``field`` leads to it."""

    reason = "mapping-wrong"


@dataclass(frozen=True, slots=True)
class Column:
    """What one column (or one key of a column of JSON objects) means.

    ``words`` translates folded words: into ``kind`` or ``kind:ended`` for relations, into keys for reasons ("" drops
    the word). ``name`` is the attribute's key. ``separators`` cut tags and reasons.
    """

    heading: str
    target: Target
    key: str = ""
    name: str = ""
    words: MappingType[str, str] = field(default_factory=dict)
    separators: str = ",;|"
    date_order: DateOrder = "dmy"
    decimal: str = ","


@dataclass(frozen=True, slots=True)
class PermissionColumns:
    """How columns speak of permission.

    ``heading`` holds words, each with its effect; without one, a date in ``at_heading`` is itself the act. A consent
    without a date proves nothing; a date alone is weak evidence, a date with a trace (``detail_heading``: an IP
    address, a document number) fair. An objection without a date counts from the import. ``refuses`` are the
    purposes an objection covers besides.
    """

    purposes: tuple[str, ...]
    channel: str = "email"
    heading: str = ""
    words: MappingType[str, Effect] = field(default_factory=dict)
    at_heading: str = ""
    date_order: DateOrder = "dmy"
    detail_heading: str = ""
    wording: str = ""
    refuses: tuple[str, ...] = ()
    effect: Effect = "consent"  # of a dated row, where there is no column of words


@dataclass(frozen=True, slots=True)
class Declaration:
    """A basis that the operator declares for the whole file: kept as the operator's word, never as the members' act."""

    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    basis: str
    evidence: str
    at: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """How to read a list. ``tool`` names the program that wrote it, where its columns give it away."""

    columns: tuple[Column, ...]
    permissions: tuple[PermissionColumns, ...] = ()
    identity: Identity = "email"
    households: bool = False
    tool: str = ""
    declaration: Declaration | None = None
    relation: str = ""  # given to every member of the file
    tags: tuple[str, ...] = ()  # given to every member of the file
    source: str = ""  # how these people came to be there, in the operator's words
    presence: Literal["voluntary", "involuntary"] = "voluntary"


def check_mapping(mapping: Mapping, community: Community, headings: Sequence[str]) -> None:
    """Raise MappingWrong at the first part that does not fit the community or the file."""
    known = frozenset(headings)
    for number, column in enumerate(mapping.columns):
        _check_column(column, community, known, f"mapping.columns[{number}]")
    for number, columns in enumerate(mapping.permissions):
        _check_permission(columns, known, f"mapping.permissions[{number}]")
    if len(mapping.permissions) > MOST_PERMISSIONS:
        raise MappingWrong(
            f"Say of at most {MOST_PERMISSIONS} columns what they permit or refuse.", field="mapping.permissions"
        )
    within(mapping.source, "source", "mapping.source")
    for tag in mapping.tags:
        within(tidy(tag), "tag", "mapping.tags")
    targets = {column.target for column in mapping.columns}
    _one_of(mapping.identity, IDENTITIES, "mapping.identity")
    if mapping.identity == "external_id" and "external_id" not in targets:
        raise MappingWrong("Identity by external id needs a column of external ids.", field="mapping.identity")
    if not targets & {"email", "phone", "given_name", "family_name", "full_name", "organisation", "external_id"}:
        raise MappingWrong("No column says who anyone is: map a name or an e-mail address.", field="mapping.columns")
    if mapping.relation and mapping.relation not in community.relations:
        raise MappingWrong(f"The community has no relation {mapping.relation!r}.", field="mapping.relation")
    if mapping.declaration:
        _check_declaration(mapping.declaration)


def _check_column(column: Column, community: Community, headings: frozenset[str], at: str) -> None:
    _one_of(column.target, TARGETS, f"{at}.target")
    if column.target != "ignore" and column.heading not in headings:
        raise MappingWrong(f"The file has no column {column.heading!r}.", field=f"{at}.heading")
    if column.target in ("attribute", "note") and column.name not in community.attributes:
        raise MappingWrong(
            f"The community declares no attribute {column.name!r}: declare it, or ignore the column.",
            field=f"{at}.name",
        )
    if column.target == "note" and not community.attributes[column.name].sensitive:
        raise MappingWrong("Remarks go to a sensitive attribute, or nowhere.", field=f"{at}.name")
    _one_of(column.date_order, get_args(DateOrder), f"{at}.date_order")
    _one_of(column.decimal, (",", "."), f"{at}.decimal")
    kinds = {"relation": community.relations, "reasons": community.reasons}.get(column.target)
    for word, meaning in column.words.items():
        if kinds is not None and meaning and meaning.removesuffix(":ended") not in kinds:
            raise MappingWrong(f"The community has no {meaning!r}.", field=f"{at}.words[{word}]")


def _check_permission(columns: PermissionColumns, headings: frozenset[str], at: str) -> None:
    if not columns.purposes:
        raise MappingWrong("Say for which purposes.", field=f"{at}.purposes")
    for purpose in columns.purposes:
        _one_of(purpose, PURPOSES, f"{at}.purposes")
    _one_of(columns.channel, CHANNELS, f"{at}.channel")
    for name in ("heading", "at_heading", "detail_heading"):
        heading = getattr(columns, name)
        if heading and heading not in headings:
            raise MappingWrong(f"The file has no column {heading!r}.", field=f"{at}.{name}")
    if not columns.heading and not columns.at_heading:
        raise MappingWrong("Name the column of words, or that of dates.", field=f"{at}.heading")
    for word, effect in columns.words.items():
        _one_of(effect, EFFECTS, f"{at}.words[{word}]")
    for purpose in columns.refuses:
        _one_of(purpose, PURPOSES, f"{at}.refuses")
    within(columns.wording, "wording", f"{at}.wording")


def _check_declaration(declaration: Declaration) -> None:
    for purpose in declaration.purposes:
        _one_of(purpose, PURPOSES, "mapping.declaration.purposes")
    for channel in declaration.channels:
        _one_of(channel, CHANNELS, "mapping.declaration.channels")
    _one_of(declaration.basis, BASES, "mapping.declaration.basis")
    if not declaration.purposes or not declaration.channels:
        raise MappingWrong("Say for which purposes and channels.", field="mapping.declaration.purposes")
    if len(declaration.evidence.strip()) < 10:
        raise MappingWrong(
            "Say in a sentence what shows this basis: it is kept as your word.", field="mapping.declaration.evidence"
        )
    within(declaration.evidence, "detail", "mapping.declaration.evidence")
    if declaration.at and declaration.at < EARLIEST_ACT:
        raise MappingWrong(
            "It lies before 1990: write the instant in milliseconds since 1970, UTC.", field="mapping.declaration.at"
        )


def _one_of(value: str, allowed: Sequence[str], at: str) -> None:
    if value not in allowed:
        raise MappingWrong(f"{value!r} is none of {', '.join(allowed)}.", field=at)


def mapping_document(mapping: Mapping) -> dict[str, Any]:
    """The mapping as plain values, for the store."""
    return {
        "columns": [
            {
                "heading": c.heading,
                "target": c.target,
                "key": c.key,
                "name": c.name,
                "words": [[word, meaning] for word, meaning in c.words.items()],
                "separators": c.separators,
                "date_order": c.date_order,
                "decimal": c.decimal,
            }
            for c in mapping.columns
        ],
        "permissions": [
            {
                "purposes": list(p.purposes),
                "channel": p.channel,
                "heading": p.heading,
                "words": [[word, effect] for word, effect in p.words.items()],
                "at_heading": p.at_heading,
                "date_order": p.date_order,
                "detail_heading": p.detail_heading,
                "wording": p.wording,
                "refuses": list(p.refuses),
                "effect": p.effect,
            }
            for p in mapping.permissions
        ],
        "identity": mapping.identity,
        "households": mapping.households,
        "tool": mapping.tool,
        "declaration": _declaration_document(mapping.declaration),
        "relation": mapping.relation,
        "tags": list(mapping.tags),
        "source": mapping.source,
        "presence": mapping.presence,
    }


def _declaration_document(declaration: Declaration | None) -> dict[str, Any] | None:
    if declaration is None:
        return None
    return {
        "purposes": list(declaration.purposes),
        "channels": list(declaration.channels),
        "basis": declaration.basis,
        "evidence": declaration.evidence,
        "at": declaration.at,
    }


def mapping_from(document: MappingType[str, Any]) -> Mapping:
    """The mapping that ``mapping_document`` wrote."""
    declared = document["declaration"]
    return Mapping(
        columns=tuple(Column(**{**c, "words": dict(c["words"])}) for c in document["columns"]),
        permissions=tuple(
            PermissionColumns(
                **{
                    **p,
                    "words": dict(p["words"]),
                    "refuses": tuple(p["refuses"]),
                    "purposes": tuple(p["purposes"]),
                }
            )
            for p in document["permissions"]
        ),
        identity=document["identity"],
        households=document["households"],
        tool=document["tool"],
        declaration=declared
        and Declaration(
            **{**declared, "purposes": tuple(declared["purposes"]), "channels": tuple(declared["channels"])}
        ),
        relation=document["relation"],
        tags=tuple(document["tags"]),
        source=document["source"],
        presence=document["presence"],
    )
