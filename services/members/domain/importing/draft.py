"""A person as one row of a list tells of them: valid values, acts of permission, and what was found wanting."""

from __future__ import annotations

from typing import Any, NamedTuple

from services.members.domain.importing.folding import fold
from services.members.domain.importing.refusals import Finding


class Act(NamedTuple):
    """What a row says about permission: a consent with its proof, or an objection."""

    purposes: tuple[str, ...]
    channel: str
    effect: str  # consent, objection
    at: int  # UTC milliseconds; 0: the row does not say, it counts from the import
    wording: str
    detail: str


class Link(NamedTuple):
    """How a row hangs together with others of its file that hold the same address."""

    same_as: int = 0  # the first row of the same person
    guardian: int = 0  # the row of the adult who holds a minor's address
    made_by: int = 0  # the row of the first minor for whom a guardian is made
    shared: bool = False  # other persons of the file hold its address
    refused: str = ""


NO_LINK = Link()


class Draft:
    """One row, interpreted; mutable while it is. There is one for every row, and most fields keep their default."""

    kind: str = "person"
    given_name: str = ""
    family_name: str = ""
    full_name: str = ""
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    birth_date: str = ""
    locale: str = ""
    zone: str = ""
    external_id: str = ""
    since: str = ""
    until: str = ""
    tags: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    relations: tuple[str, ...] = ()  # kind, or kind:ended
    acts: tuple[Act, ...] = ()
    refused: Finding | None = None

    def __init__(self, row: int) -> None:
        self.row = row
        self.attributes: dict[str, Any] = {}
        self.findings: list[Finding] = []

    def name(self) -> str:
        """The name to show."""
        return self.full_name or f"{self.given_name} {self.family_name}".strip()

    def name_key(self) -> str:
        return name_key(self.name())

    def found(self, field: str, code: str, **params: str) -> None:
        self.findings.append(Finding(field, code, params))

    def refuse(self, code: str, field: str = "", **params: str) -> None:
        """Nobody is made of the row; ``field`` is the column at fault, where it is one."""
        self.refused = Finding(field, code, params)


def name_key(name: str) -> str:
    """A name as it is compared: ``DE SMET Léa`` and ``Léa De Smet`` are one."""
    return " ".join(sorted(fold(name).split()))


def same_person(key: str, birth_date: str, other_key: str, other_birth_date: str) -> bool:
    """Whether two names at one address are one person: unless they were born in different years."""
    return key == other_key and (not birth_date or not other_birth_date or birth_date[:4] == other_birth_date[:4])
