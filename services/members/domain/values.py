"""Addresses, names, dates: text from outside, validated once and brought to one form."""

from __future__ import annotations

import datetime
import re
import unicodedata
import zoneinfo
from collections.abc import Iterable
from functools import lru_cache

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from services.kit.errors import Invalid
from services.members.domain.limits import within

ADULT_AT = 18  # majority, in Belgium (Civil Code, art. 488) and France (Code civil, art. 414)
OLDEST = 120
"""Years: nobody alive is older."""

EMAIL = "email"
PHONE = "phone"
CHANNELS = (EMAIL, PHONE)

_PLAIN_EMAIL = re.compile(
    r"[A-Za-z0-9_+\-]+(?:\.[A-Za-z0-9_+\-]+)*@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}"
)
_RESERVED_TLDS = ("arpa", "invalid", "local", "localhost", "onion", "test")
_PHONE_NOISE = re.compile(r"\(0\)|[\s./()\-\u00a0\u202f]")
# Numbers whose form alone proves them: mobile numbers of Belgium and France. Others ask the library.
_KNOWN_PHONE = re.compile(r"\+(?:324[5-9]\d{7}|33(?:6(?:[0-24-8]\d|3[0-8]|9[589])|7[3-9]\d)\d{6})", re.ASCII)
_CALLING_CODE = {"BE": "+32", "FR": "+33"}
_WORD = re.compile(r"[\w@.+\-']+")
_LOCALE = re.compile(r"[a-z]{2,3}(?:-[A-Z][a-z]{3})?(?:-(?:[A-Z]{2}|\d{3}))?")


class ImpossibleDate(Invalid):
    """A date that cannot be: of what it is said to be, or beside another one."""

    reason = "impossible-date"


class BadAddress(Invalid):
    """The text is no address that a message could reach."""

    reason = "bad-address"


def email_address(text: str) -> str:
    """The one form of an e-mail address (RFC 5321): trimmed, NFC, lower case. Raises BadAddress."""
    text = text.strip()
    if len(text) <= 254 and _PLAIN_EMAIL.fullmatch(text):
        local, _, domain = text.rpartition("@")
        if len(local) <= 64 and domain.rpartition(".")[2].lower() not in _RESERVED_TLDS and "--" not in domain:
            return text.lower()
    try:
        return validate_email(text, check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        raise BadAddress(
            "This is not an e-mail address: correct it, or leave it empty.", field="email"
        ) from None  # the library's message quotes the address


def phone_number(text: str, country: str = "BE") -> str:
    """The one form of a phone number (E.164), national forms read in ``country``. Raises BadAddress."""
    bare = _PHONE_NOISE.sub("", text)
    if bare.startswith("00"):
        bare = "+" + bare[2:]
    elif bare.startswith("0") and country in _CALLING_CODE:
        bare = _CALLING_CODE[country] + bare[1:]
    if _KNOWN_PHONE.fullmatch(bare):
        return bare
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or not phonenumbers.is_valid_number(number):
        raise BadAddress("This is not a phone number: write it with its country, as +32 470 12 34 56.", field="phone")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def address_on(channel: str, text: str, country: str = "BE") -> str:
    """The one form of an address on a channel. Raises BadAddress, or Invalid for a channel that has no addresses."""
    if channel == EMAIL:
        return email_address(text)
    if channel == PHONE:
        return phone_number(text, country)
    raise Invalid(f"Contact points are of the channels {', '.join(CHANNELS)}.", field="channel")


def tidy(text: str) -> str:
    """NFC, with runs of white space made one space and control characters gone."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split()) if "  " in text else text.strip()
    text = "".join(c for c in unicodedata.normalize("NFC", text) if c.isprintable() or c.isspace())
    return " ".join(text.split())


def tags_of(texts: Iterable[str]) -> list[str]:
    """Tags in one form: tidied, lower case, each once, in order. Raises TextTooLong."""
    return list(dict.fromkeys(within(tag, "tag", "tags") for text in texts if (tag := tidy(text).lower())))


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """A copy for search and comparison: no accents, no case, one form of each letter."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).replace("ł", "l").replace("ø", "o")


def search_words(text: str) -> list[str]:
    """The folded words that a search finds by prefix."""
    return _WORD.findall(fold(text))


@lru_cache(maxsize=8192)
def iso_date(text: str, field: str = "date") -> str:
    """An ISO 8601 date as it is. Raises Invalid, naming the field."""
    try:
        return datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        raise Invalid("Write the date as YYYY-MM-DD.", field=field) from None


def birth_day(text: str, now: int, field: str = "birth_date") -> str:
    """The day a living person was born, ISO 8601. Raises Invalid, ImpossibleDate."""
    day, today = iso_date(text, field), day_of(now)
    if day > today:
        raise ImpossibleDate("Nobody is born in the future: correct the date.", field=field)
    if day < anniversary(today, -OLDEST):
        raise ImpossibleDate("Nobody that old is alive: correct the year.", field=field)
    return day


def locale_tag(text: str) -> str:
    """A BCP 47 tag in its usual form (fr, nl-BE), or empty. Raises Invalid."""
    if not text or _LOCALE.fullmatch(text):
        return text
    parts = text.replace("_", "-").split("-")
    parts[0] = parts[0].lower()
    parts[1:] = [p.title() if len(p) == 4 else p.upper() for p in parts[1:]]
    made = "-".join(parts)
    if not _LOCALE.fullmatch(made):
        raise Invalid("Write the language as a BCP 47 tag: fr, nl-BE.", field="locale")
    return made


@lru_cache(maxsize=1024)
def time_zone(text: str) -> str:
    """An IANA zone name, or empty. Raises Invalid."""
    if text:
        try:
            zoneinfo.ZoneInfo(text)
        except (KeyError, ValueError, OSError):
            raise Invalid("Write the time zone by its IANA name: Europe/Brussels.", field="zone") from None
    return text


def day_of(at: int) -> str:
    """The UTC day of an instant, as an ISO 8601 date."""
    return _day(at // 86_400_000)


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=number)).isoformat()


@lru_cache(maxsize=8192)
def instant_of(day: str) -> int:
    """The first millisecond of an ISO 8601 date, UTC."""
    return (datetime.date.fromisoformat(day) - datetime.date(1970, 1, 1)).days * 86_400_000


@lru_cache(maxsize=8192)
def anniversary(day: str, years: int) -> str:
    """The date ``years`` after ``day``; 29 February falls on 1 March in a common year."""
    date = datetime.date.fromisoformat(day)
    try:
        return date.replace(year=date.year + years).isoformat()
    except ValueError:
        return datetime.date(date.year + years, 3, 1).isoformat()
