"""What an operator writes and changes of a campaign before it is launched."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, fields, replace

from email_validator import EmailNotValidError, validate_email

from services.campaigns.domain.content import Message
from services.campaigns.domain.money import Money
from services.campaigns.domain.purposes import PURPOSES
from services.campaigns.domain.wording import one_of
from services.kit.errors import Invalid

EMAIL = "email"
CHANNELS = (EMAIL,)
LIST = "list"
AGAIN = "again"
LONGEST_NAME = 200
_DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Draft:
    """A campaign as written. Raises Invalid for what could not even be kept; ``checks`` says what a launch needs.

    ``send_until`` UTC ms (0: three days after the launch); ``quiet_*`` minutes after midnight in the member's own zone
    (equal: none); ``cap_*`` messages of the purpose in a window of days (0: no cap); ``rule`` a segment rule in JSON.
    """

    name: str
    purpose: str
    channel: str = EMAIL
    rule: str = ""
    segment: str = ""
    objective: str = ""
    reasons: tuple[str, ...] = ()
    account: str = ""
    from_name: str = ""
    reply_to: str = ""
    unknown_policy: str = LIST
    send_until: int = 0
    quiet_from: int = 0
    quiet_until: int = 0
    cap_count: int = 0
    cap_window_days: int = 0
    fallback_locale: str = ""
    messages: tuple[Message, ...] = ()
    message_cost: Money | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", unicodedata.normalize("NFC", self.name.strip()))
        object.__setattr__(self, "from_name", unicodedata.normalize("NFC", self.from_name.strip()))
        if not 0 < len(self.name) <= LONGEST_NAME:
            raise Invalid(
                f"Give the campaign a name of at most {LONGEST_NAME} characters.",
                field="name",
                message_fr=f"Donnez à la campagne un nom d’au plus {LONGEST_NAME} caractères.",
            )
        one_of(self.purpose, PURPOSES, "purpose")
        one_of(self.channel, CHANNELS, "channel")
        one_of(self.unknown_policy, (LIST, AGAIN), "unknown_policy")
        for field in ("name", "from_name", "reply_to"):
            if any(ord(character) < 32 for character in getattr(self, field)):
                raise Invalid(
                    "This is a single line: take the control characters out.",
                    field=field,
                    message_fr="Ceci tient sur une ligne : enlevez les caractères de contrôle.",
                )
        if self.reply_to:
            object.__setattr__(self, "reply_to", address(self.reply_to, "reply_to"))
        for field in ("quiet_from", "quiet_until"):
            if not 0 <= getattr(self, field) < _DAY_MINUTES:
                raise Invalid(
                    "Quiet hours are minutes after midnight, from 0 to 1439.",
                    field=field,
                    message_fr="Les heures calmes sont des minutes après minuit, de 0 à 1439.",
                )
        if self.cap_count < 0 or self.cap_window_days < 0 or bool(self.cap_count) != bool(self.cap_window_days):
            raise Invalid(
                "A cap is a count and a window of days, both or neither.",
                field="cap_count",
                message_fr="Un plafond est un nombre et une fenêtre de jours : les deux, ou aucun.",
            )
        if self.send_until < 0:
            raise Invalid(
                "The end of sending is an instant in UTC milliseconds, or 0.",
                field="send_until",
                message_fr="La fin de l’envoi est un instant en millisecondes UTC, ou 0.",
            )
        if self.message_cost is not None and self.message_cost.all_nanos < 0:
            raise Invalid(
                "A message does not cost less than nothing.",
                field="message_cost",
                message_fr="Un message ne coûte pas moins que rien.",
            )
        locales = [written.locale for written in self.messages]
        if len(set(locales)) != len(locales):
            raise Invalid(
                "There are two messages in one language: keep one.",
                field="messages",
                message_fr="Il y a deux messages dans une même langue : gardez-en un.",
            )

    @property
    def first_locale(self) -> str:
        """The language for members whose own there is none in; empty where nothing is written."""
        return self.fallback_locale or (self.messages[0].locale if self.messages else "")

    def taking(self, other: Draft, names: Collection[str]) -> Draft:
        """This draft with the named fields of another; no names: all of them. Raises Invalid for an unknown name."""
        known = {field.name for field in fields(Draft)}
        for name in names:
            if name not in known:
                raise Invalid(f"A draft has no field {name}: it has {', '.join(sorted(known))}.", field="fields")
        return replace(self, **{name: getattr(other, name) for name in names or known})

    def differs_in(self, other: Draft) -> list[str]:
        """The names of the fields that are not the same, in their order."""
        return [field.name for field in fields(Draft) if getattr(self, field.name) != getattr(other, field.name)]


def address(written: str, field: str) -> str:
    """An e-mail address as written by an operator. Raises Invalid naming the field."""
    try:
        return validate_email(written, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise Invalid(
            "Write an address such as secretariat@example.org.",
            field=field,
            message_fr="Écrivez une adresse telle que secretariat@example.org.",
        ) from None
