"""The members around one master: its catalogue of relations, reasons and attributes, and the rules it goes by."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phonenumbers import SUPPORTED_REGIONS

from services.kit.clock import DAY
from services.kit.errors import Invalid, NotFound
from services.members.domain.law import Laws
from services.members.domain.limits import within
from services.members.domain.permission import BASES, Law, Record, Signature, permission_tokens, signature_of
from services.members.domain.standing import StandingRule, standing_rule
from services.members.domain.values import iso_date, locale_tag, tidy, time_zone

MASTER_KINDS = ("brand", "organisation", "personality", "cause", "flagship_activity")
TEXT = "text"
NUMBER = "number"
FLAG = "flag"
DATE = "date"
ATTRIBUTE_TYPES = (TEXT, NUMBER, FLAG, DATE)
LANGUAGES = ("fr", "en")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")
_REMEMBERED = 4_096


class UnknownCommunity(NotFound):
    """There is no such community in the agency."""

    reason = "unknown-community"

    def __init__(self) -> None:
        super().__init__("There is no such community.", field="community")


class NotInCatalogue(Invalid):
    """The community has not declared this relation, reason or attribute."""

    reason = "not-in-catalogue"


@dataclass(frozen=True, slots=True)
class AttributeKind:
    """A typed attribute; a sensitive one stays out of segments, merge fields and streams."""

    key: str
    type: str
    sensitive: bool
    choices: tuple[str, ...]

    def value(self, given: Any) -> str | float | int | bool:
        """The value in the attribute's type. Raises Invalid."""
        field = f"attributes.{self.key}"
        if self.type == TEXT and isinstance(given, str):
            text = given if given.isascii() and given.isprintable() else tidy(given)
            within(text, "attribute", field)
            if self.choices and text not in self.choices:
                raise Invalid(f"Choose one of: {', '.join(self.choices)}.", field=field)
            return text
        if self.type == NUMBER and isinstance(given, (int, float)) and not isinstance(given, bool):
            if abs(given) >= 2**53 or given != given:
                raise Invalid("The number is too great.", field=field)
            return given
        if self.type == FLAG and isinstance(given, bool):
            return given
        if self.type == DATE and isinstance(given, str):
            return iso_date(given, field)
        raise Invalid(f"The attribute {self.key} takes a {self.type}.", field=field)


class Community:
    """A community's record with what it means, compiled once per version."""

    __slots__ = ("_allowed", "attributes", "gives", "id", "law", "reasons", "record", "relations", "standing")

    def __init__(self, record: Record, laws: Laws) -> None:
        self.record = record
        self.id: str = record["_id"]
        self.law: Law = laws.of(record["country"])
        self.relations: dict[str, Record] = {kind["key"]: kind for kind in record["relations"]}
        self.reasons: frozenset[str] = frozenset(reason["key"] for reason in record["reasons"])
        self.gives: Mapping[str, Sequence[str]] = {
            kind["key"]: tuple(kind["gives"]) for kind in record["relations"] if kind["gives"]
        }
        self.attributes: dict[str, AttributeKind] = {
            a["key"]: AttributeKind(a["key"], a["type"], a["sensitive"], tuple(a["choices"]))
            for a in record["attributes"]
        }
        self.standing: StandingRule = standing_rule(record["standing_rule"], frozenset(self.relations))

        self._allowed: dict[Signature, tuple[str, ...]] = {}

    def allowed(self, record: Record, now: int) -> list[str]:
        """The permission tokens of a member; of the many who agreed to the same in the same way, derived once."""
        signature = signature_of(record, now)
        if signature is None:
            return permission_tokens(record, now, self.law, self.gives)
        known = self._allowed.get(signature)
        if known is None:
            known = tuple(permission_tokens(record, now, self.law, self.gives))
            if len(self._allowed) >= _REMEMBERED:
                self._allowed.clear()
            self._allowed[signature] = known
        return list(known)

    @property
    def agency(self) -> str:
        return str(self.record["agency"])

    @property
    def country(self) -> str:
        return str(self.record["country"])

    def relation_kind(self, key: str) -> Record:
        """Raises NotInCatalogue."""
        try:
            return self.relations[key]
        except KeyError:
            raise NotInCatalogue(
                f"The community knows no relation “{key}”: use one of {', '.join(self.relations)}, or declare it.",
                field="relations",
            ) from None

    def attribute(self, key: str) -> AttributeKind:
        """Raises NotInCatalogue."""
        try:
            return self.attributes[key]
        except KeyError:
            raise NotInCatalogue(
                f"The community has no attribute “{key}”: declare it first.", field=f"attributes.{key}"
            ) from None

    def reason(self, key: str) -> str:
        """Raises NotInCatalogue."""
        if key not in self.reasons:
            raise NotInCatalogue(f"The community's catalogue has no reason “{key}”: declare it first.", field="reasons")
        return key


def found_community(
    *,
    community_id: str,
    agency: str,
    name: str,
    master_name: str,
    master_kind: str,
    country: str,
    locale: str,
    zone: str,
    pack: Record | None,
    now: int,
) -> Record:
    """The record of a new community, begun with a starter pack or bare. Raises Invalid."""
    if not tidy(name):
        raise Invalid("Give the community a name.", field="name")
    kind = master_kind or (pack["master_kind"] if pack else "organisation")
    if kind not in MASTER_KINDS:
        raise Invalid(f"A master is one of {', '.join(MASTER_KINDS)}.", field="master_kind")
    if country and country not in SUPPORTED_REGIONS:
        raise Invalid("Write the country as the two letters of ISO 3166, such as BE or FR.", field="country")
    begun = pack or BARE
    return {
        "_id": community_id,
        "agency": agency,
        "community": community_id,
        "schema_version": 1,
        "name": within(tidy(name), "name", "name"),
        "master_name": within(tidy(master_name) or tidy(name), "name", "master_name"),
        "master_kind": kind,
        "pack": pack["key"] if pack else "",
        "country": country,
        "locale": locale_tag(locale or "fr"),
        "zone": time_zone(zone or "Europe/Brussels"),
        "relations": [declared_relation(r) for r in begun["relations"]],
        "reasons": [declared_reason(r) for r in begun["reasons"]],
        "attributes": [declared_attribute(a) for a in begun["attributes"]],
        "standing_rule": begun["standing_rule"],
        "retention_days": begun.get("retention_days", 1_095),
        "erasures": 0,
        "swept_on": now // DAY,
        "created_at": now,
    }


def declared_relation(table: Mapping[str, Any]) -> Record:
    """A relation kind of the catalogue: labels, the bases it gives, days kept after its end. Raises Invalid."""
    gives = list(table.get("gives", ()))
    if any(basis not in BASES for basis in gives):
        raise Invalid(f"A basis is one of {', '.join(BASES)}.", field="relations.gives")
    return {**_named(table, "relations"), "gives": gives, "retention_days": int(table.get("retention_days", 1_095))}


def declared_reason(table: Mapping[str, Any]) -> Record:
    return _named(table, "reasons")


def declared_attribute(table: Mapping[str, Any]) -> Record:
    """A typed attribute of the catalogue. Raises Invalid."""
    kind = table.get("type", TEXT)
    if kind not in ATTRIBUTE_TYPES:
        raise Invalid(f"An attribute is one of {', '.join(ATTRIBUTE_TYPES)}.", field="attributes.type")
    return {
        **_named(table, "attributes"),
        "type": kind,
        "sensitive": bool(table.get("sensitive", False)),
        "choices": [within(choice, "label", "attributes.choices") for choice in table.get("choices", ())],
    }


def _named(table: Mapping[str, Any], field: str) -> Record:
    key = str(table["key"])
    if not _KEY.fullmatch(key):
        raise Invalid("A key is lower-case letters, digits and underscores, at most 40.", field=f"{field}.key")
    labels = {
        language: within(
            tidy(str(table.get(language, "") or table.get("labels", {}).get(language, ""))), "label", f"{field}.labels"
        )
        for language in LANGUAGES
    }
    either = labels["fr"] or labels["en"] or key
    return {"key": key, "labels": {language: label or either for language, label in labels.items()}}


BARE: Mapping[str, Any] = {
    "relations": [
        {"key": "customer", "fr": "Client", "en": "Customer", "gives": ["contract"]},
        {"key": "adherent", "fr": "Adhérent", "en": "Adherent", "gives": ["membership"]},
        {"key": "follower", "fr": "Abonné", "en": "Follower"},
    ],
    "reasons": [],
    "attributes": [],
    "standing_rule": {
        "client": {"relations": ["customer", "adherent"], "acts": {"purchased": 730}},
        "fan": {"relations": ["follower"], "acts": {"attended": 730, "clicked": 180}},
    },
}
"""What a community without a starter pack begins with."""
