"""What an operator reads, in the two languages that Fanfare speaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.kit.errors import Invalid


@dataclass(frozen=True, slots=True)
class Wording:
    """One sentence in English and in French."""

    en: str
    fr: str

    def in_language(self, accepted: str) -> str:
        """The sentence in the first of the accepted languages (RFC 9110 §12.5.4) that there is, English otherwise."""
        for choice in accepted.lower().split(","):
            language = choice.strip()[:2]
            if language == "fr":
                return self.fr
            if language == "en":
                return self.en
        return self.en


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a campaign cannot be launched: a stable reason, the field to correct, and the remedy in words."""

    reason: str
    field: str
    said: Wording


def one_of(value: str, choices: Iterable[str], field: str) -> None:
    """Raises Invalid, naming the field and what it may be."""
    known = tuple(choices)
    if value not in known:
        listed = ", ".join(known)
        raise Invalid(
            f"This is one of {listed}.", field=field, message_fr=f"Choisissez l’une de ces valeurs : {listed}."
        )
