"""What one cell means: addresses, numbers, dates and words, each read or refused with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from services.kit.errors import Invalid
from services.members.domain import values
from services.members.domain.importing.folding import fold
from services.members.domain.permission import EARLIEST_ACT

MEMO_LIMIT = 20_000


class CellRefused(Exception):
    """A cell that cannot be used; ``code`` is one of ``refusals.EXPLANATIONS``."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Memo(dict[str, Any]):
    """Remembers what a function made of each text: columns repeat themselves. A refusal is remembered too."""

    def __init__(self, function: Callable[[str], Any]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, text: str) -> Any:
        try:
            result = self._function(text)
        except CellRefused as refused:
            result = refused
        if len(self) >= MEMO_LIMIT:
            self.clear()
        self[text] = result
        return result


# Addresses

_SEVERAL = re.compile(r"\S+@\S+\s*[;,/ ]\s*\S+@\S+")


def email_address(text: str) -> str:
    try:
        return values.email_address(text)
    except values.BadAddress:
        raise CellRefused("addresses-several" if _SEVERAL.search(text) else "address-invalid") from None


def phone_number(text: str, country: str) -> str:
    """The number in E.164; one without a country code is read as of ``country`` (ISO 3166-1 alpha-2)."""
    try:
        return values.phone_number(text, country)
    except values.BadAddress:
        raise CellRefused("phone-invalid") from None


# Dates and instants

_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].*)?")
_YEAR_LAST = re.compile(r"(\d{1,2})[-/. ](\d{1,2})[-/. ](\d{4})(?: .*)?")
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?\s*(?:Z|UTC|([+-]\d\d):?(\d\d)(?: UTC)?)?"
)


def calendar_date(text: str, order: str) -> date:
    """A day; ``order`` is ``dmy`` or ``mdy`` for what does not begin with the year."""
    if found := _YEAR_FIRST.fullmatch(text):
        year, month, day = found.groups()
    elif found := _YEAR_LAST.fullmatch(text):
        day, month, year = found.groups()
        if order == "mdy":
            day, month = month, day
    else:
        raise CellRefused("date-unreadable")
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        raise CellRefused("date-impossible") from None


def birth_date(text: str, order: str, today: date) -> str:
    """The day a living person was born, as ISO 8601."""
    day = calendar_date(text, order)
    if day > today:
        raise CellRefused("date-future")
    if day.isoformat() < values.anniversary(today.isoformat(), -values.OLDEST):
        raise CellRefused("date-too-old")
    return day.isoformat()


def past_instant(text: str, order: str, now: int) -> int:
    """An instant that has come, in UTC milliseconds; a day alone counts from its midnight, UTC."""
    if found := _INSTANT.fullmatch(text):
        day, hour, minute, second, zone_hours, zone_minutes = found.groups()
        try:
            at = datetime.fromisoformat(f"{day}T{hour}:{minute}:{second or '00'}+00:00")
        except ValueError:
            raise CellRefused("date-impossible") from None
        shift = 0
        if zone_hours:
            shift = int(zone_hours) * 60 + int(zone_minutes) * (-1 if zone_hours[0] == "-" else 1)
        instant = int(at.timestamp() - shift * 60) * 1_000
    else:
        day_of_act = calendar_date(text, order)
        instant = int(datetime(day_of_act.year, day_of_act.month, day_of_act.day, tzinfo=UTC).timestamp()) * 1_000
    if instant > now:
        raise CellRefused("date-future")
    if instant < EARLIEST_ACT:
        raise CellRefused("act-too-old")
    return instant


# Numbers and booleans

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_NOT_IN_NUMBER = str.maketrans("", "", " \u00a0\u202f'€$£%")


def number(text: str, decimal: str) -> float:
    """A number; ``decimal`` is the comma or the point, and the other one groups thousands."""
    text = text.translate(_NOT_IN_NUMBER)
    text = text.replace(".", "").replace(",", ".") if decimal == "," else text.replace(",", "")
    if not text.isascii() or not _NUMBER.fullmatch(text) or len(text) > 15:
        raise CellRefused("number-unreadable")
    return float(text)


YES = frozenset(["oui", "yes", "ja", "true", "vrai", "waar", "x", "1", "y", "o", "j", "ok", "on", "si"])
NO = frozenset(["non", "no", "nee", "neen", "false", "faux", "onwaar", "0", "n", "off", "nein"])


def flag(text: str) -> bool:
    word = fold(text)
    if word in YES:
        return True
    if word in NO:
        return False
    raise CellRefused("boolean-unreadable")


# Languages and zones

_LANGUAGES = {
    name: code
    for code, names in {
        "fr": "fr fra fre francais french frans f",
        "nl": "nl nld dut neerlandais nederlands dutch flamand vlaams n",
        "en": "en eng anglais engels english e",
        "de": "de deu ger allemand duits german deutsch d",
        "es": "es spa espagnol spaans spanish espanol",
        "it": "it ita italien italiaans italian italiano",
        "pt": "pt por portugais portugees portuguese portugues",
        "pl": "pl pol polonais pools polish polski",
        "ar": "ar ara arabe arabisch arabic",
        "tr": "tr tur turc turks turkish turkce",
    }.items()
    for name in names.split()
}
_TAG = re.compile(r"([a-z]{2,3})(?:[-_]([a-z]{4}))?(?:[-_]([a-z]{2}|\d{3}))?", re.IGNORECASE)


def language_tag(text: str) -> str:
    """A BCP 47 tag from a name or a code."""
    if known := _LANGUAGES.get(fold(text)):
        return known
    found = _TAG.fullmatch(text)
    if not found:
        raise CellRefused("language-unknown")
    language, script, region = found.groups()
    language = _LANGUAGES.get(language.lower(), language.lower())
    if len(language) != 2:
        raise CellRefused("language-unknown")
    return "-".join(part for part in (language, script and script.title(), region and region.upper()) if part)


def time_zone(text: str) -> str:
    try:
        return values.time_zone(text)
    except Invalid:
        raise CellRefused("zone-unknown") from None
