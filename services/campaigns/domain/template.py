"""Messages to begin a campaign with; some come with a starter pack."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from services.campaigns.domain.content import Message
from services.campaigns.domain.purposes import PURPOSES
from services.campaigns.domain.wording import one_of
from services.kit.errors import Invalid

_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")


@dataclass(frozen=True, slots=True)
class TemplateDraft:
    """As written; ``key`` names it in its community, for good."""

    key: str
    name: str
    purpose: str
    reasons: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    pack: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", unicodedata.normalize("NFC", self.name.strip()))
        if not 0 < len(self.name) <= 200:
            raise Invalid(
                "Give the template a name of at most 200 characters.",
                field="templates.name",
                message_fr="Donnez au modèle un nom d’au plus 200 caractères.",
            )
        object.__setattr__(self, "key", self.key or _key_of(self.name))
        if not _KEY.fullmatch(self.key):
            raise Invalid(
                "A key is lower-case letters, digits, - and _, at most 80.",
                field="templates.key",
                message_fr="Une clé est en minuscules, chiffres, - et _, 80 au plus.",
            )
        one_of(self.purpose, PURPOSES, "templates.purpose")
        if not self.messages:
            raise Invalid(
                "A template holds at least one message: write one.",
                field="templates.messages",
                message_fr="Un modèle contient au moins un message : écrivez-en un.",
            )
        locales = [written.locale for written in self.messages]
        if len(set(locales)) != len(locales):
            raise Invalid(
                "There are two messages in one language: keep one.",
                field="templates.messages",
                message_fr="Il y a deux messages dans une même langue : gardez-en un.",
            )


@dataclass(slots=True)
class Template:
    id: str
    agency: str
    community: str
    draft: TemplateDraft
    created_at: int
    version: int = 1

    def edit(self, draft: TemplateDraft) -> None:
        if draft.key != self.draft.key:
            raise Invalid(
                "A template keeps its key: add another one.",
                field="draft.key",
                message_fr="Un modèle garde sa clé : ajoutez-en un autre.",
            )
        self.draft = draft


def _key_of(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:80]
