"""A person or organisation present in a community.

A member is its record: a plain dict of JSON values that the store keeps as it is (an import makes a hundred thousand of
them). ``register`` makes one; ``Member`` changes one, deriving anew what follows from the change (standing, lifecycle,
permission tokens, search words), keeping the history, and collecting what happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from services.kit.errors import Conflict, Invalid, NotFound
from services.members.domain.community import Community
from services.members.domain.events import (
    Happened,
    member_registered,
    permission_changed,
    standing_change,
    standings_changed,
)
from services.members.domain.household import channels_shared
from services.members.domain.limits import within
from services.members.domain.permission import Entry, Record, is_the_same_act
from services.members.domain.standing import held_before
from services.members.domain.values import (
    EMAIL,
    ImpossibleDate,
    address_on,
    birth_day,
    fold,
    iso_date,
    locale_tag,
    search_words,
    tags_of,
    tidy,
    time_zone,
)

PERSON = "person"
ORGANISATION = "organisation"

ACTIVE = "active"
RESTRICTED = "restricted"
MERGED = "merged"
ERASED = "erased"

UNVERIFIED = "unverified"
BOUNCED = "bounced"
COMPLAINED = "complained"
INVALID = "invalid"
CONTACT_STATES = (UNVERIFIED, ACTIVE, BOUNCED, COMPLAINED, INVALID)

VOLUNTARY = "voluntary"
INVOLUNTARY = "involuntary"
DECLARED = "declared"
INFERRED = "inferred"

RECENT = 10


class UnknownMember(NotFound):
    """There is no such member in the scope."""

    reason = "unknown-member"

    def __init__(self) -> None:
        super().__init__("There is no such member.", field="member")


_NAMES = ("given_name", "family_name", "display_name")


class MemberGone(Conflict):
    """The member was merged or erased; nothing more can be done to this id."""

    reason = "member-gone"


class NobodyNamed(Invalid):
    """Nothing says who the member is, nor reaches them."""

    reason = "nobody-named"

    def __init__(self) -> None:
        super().__init__(
            "Nothing says who this is: give a name, an e-mail address, a phone number or an external id.",
            field="given_name",
        )


@dataclass(frozen=True, slots=True)
class Cause:
    """When and through whom something came about; ``source`` is ``operator``, ``import:<id>``, ``form``…"""

    at: int
    actor: str
    source: str


@dataclass(slots=True)
class Profile:
    """What is said of somebody, as values already validated (addresses in their one form, ISO dates)."""

    kind: str = PERSON
    given_name: str = ""
    family_name: str = ""
    display_name: str = ""
    locale: str = ""
    zone: str = ""
    birth_date: str = ""
    external_id: str = ""
    contacts: list[tuple[str, str]] = field(default_factory=list)  # (channel, address)
    shared: frozenset[tuple[str, str]] = frozenset()  # those of them that a household owns already
    relations: list[Record] = field(default_factory=list)  # from ``relation``
    reasons: list[Record] = field(default_factory=list)  # from ``reason``
    attributes: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    presence: str = VOLUNTARY
    guardians: list[str] = field(default_factory=list)
    ledger: list[Entry] = field(default_factory=list)  # from ``permission.grant`` and ``permission.objection``


def relation(community: Community, kind: str, since: str = "", until: str = "", source: str = "") -> Record:
    """A relation of the community's catalogue with its terms (ISO dates, inclusive). Raises NotInCatalogue, Invalid."""
    community.relation_kind(kind)
    begins = iso_date(since, "relations.since") if since else None
    ends = iso_date(until, "relations.until") if until else None
    if begins and ends and ends < begins:
        raise ImpossibleDate("The relation ends before it begins: correct one of the dates.", field="relations.until")
    return {"kind": kind, "since": begins, "until": ends, "source": within(source, "source", "relations.source")}


def reason(community: Community, key: str, at: int, basis: str = DECLARED, evidence: str = "") -> Record:
    """A reason that justifies the presence. Raises NotInCatalogue."""
    if basis not in (DECLARED, INFERRED):
        raise Invalid("A reason is declared or inferred.", field="reasons.basis")
    shown = within(evidence, "detail", "reasons.evidence")
    return {"key": community.reason(key), "basis": basis, "evidence": shown, "at": at}


def register(profile: Profile, member_id: str, community: Community, cause: Cause) -> Record:
    """The record of a new member, of whom at least a name, an address or an external id is known.

    Raises NobodyNamed, TextTooLong, ImpossibleDate; NotInCatalogue or Invalid for what the community has not declared.
    """
    if profile.kind not in (PERSON, ORGANISATION):
        raise Invalid("A member is a person or an organisation.", field="kind")
    if profile.presence not in (VOLUNTARY, INVOLUNTARY):
        raise Invalid("A presence is voluntary or involuntary.", field="presence")
    for name in _NAMES:
        within(getattr(profile, name), "name", name)
    within(profile.external_id, "external_id", "external_id")
    if profile.birth_date:
        birth_day(profile.birth_date, cause.at)
    record = blank(profile, member_id, community, cause)
    says_who(record)
    return record


def says_who(record: Record) -> None:
    """Raises NobodyNamed for a member without a name, an address or an external id."""
    if not (record["display_name"] or record["contact_points"] or record["external_id"]):
        raise NobodyNamed


def blank(profile: Profile, member_id: str, community: Community, cause: Cause) -> Record:
    """The record that a profile makes, nobody's yet where it says nothing; the profile is valid."""
    given, family = profile.given_name, profile.family_name
    display = profile.display_name or (f"{given} {family}" if given and family else given or family)
    attributes: list[Record] = []
    sensitive: list[Record] = []
    for key, value in profile.attributes.items():
        kind = community.attribute(key)
        (sensitive if kind.sensitive else attributes).append({"key": key, "value": kind.value(value)})
    record: Record = {
        "_id": member_id,
        "agency": community.agency,
        "community": community.id,
        "schema_version": 1,
        "kind": profile.kind,
        "state": ACTIVE,
        "merged_into": None,
        "display_name": display,
        "given_name": given,
        "family_name": family,
        "sort_name": fold(f"{family} {given}" if family else display),
        "locale": profile.locale,
        "zone": profile.zone,
        "birth_date": profile.birth_date or None,
        "external_id": profile.external_id or None,
        "contact_points": [
            {
                "id": f"c{number}",
                "channel": contact[0],
                "address": contact[1],
                "state": UNVERIFIED,
                "shared": contact in profile.shared,
            }
            for number, contact in enumerate(profile.contacts, 1)
        ],
        "relations": profile.relations,
        "presence": profile.presence,
        "source": cause.source,
        "reasons": profile.reasons,
        "attributes": attributes,
        "sensitive": sensitive,
        "tags": profile.tags,
        "ledger": profile.ledger,
        "guardians": profile.guardians,
        "wards": [],
        "absorbed": [],
        "engagement": {},
        "recent": [],
        "history": [],
        "registered_at": cause.at,
        "registered_by": cause.actor,
    }
    derive(record, community, cause.at)
    return record


def derive(record: Record, community: Community, now: int) -> None:
    """Set what follows from the rest: standing, lifecycle, permission tokens, search words, shared channels."""
    standing = community.standing.standings(record, now)
    record["standing"] = standing
    record["lifecycle"] = community.standing.lifecycle(record, now, standing)
    record["permission"] = community.allowed(record, now) if record["state"] == ACTIVE else []
    record["search"] = searched_by(record)
    record["shares"] = channels_shared(record)


def searched_by(record: Record) -> list[str]:
    """The words of names and the e-mail addresses that find the member, by prefix; other addresses have claims."""
    words = dict.fromkeys(record["sort_name"].split())
    if record["kind"] == ORGANISATION or not record["family_name"]:
        words.update(dict.fromkeys(search_words(record["display_name"])))
    for point in record["contact_points"]:
        if point["channel"] == EMAIL:
            words[point["address"]] = None
    return list(words)


def contact_on(record: Record, channel: str) -> Record | None:
    """The contact point that a message on the channel goes to: the first usable one, or else the first."""
    first: Record | None = None
    for point in record["contact_points"]:
        if point["channel"] == channel:
            if point["state"] in (ACTIVE, UNVERIFIED):
                return point  # type: ignore[no-any-return] # records are plain dicts
            first = first or point
    return first


class Member:
    """One member while it is being changed."""

    __slots__ = ("_was_allowed", "_was_standing", "cause", "community", "events", "held", "record")

    def __init__(self, record: Record, community: Community, cause: Cause) -> None:
        if record["state"] in (MERGED, ERASED):
            raise MemberGone(f"The member was {record['state']}: work with the one that goes on.", field="member")
        self.record = record
        self.community = community
        self.cause = cause
        self.events: list[Happened] = []
        self.held: set[str] = set()  # standings that it had as somebody who is now found to be the same
        self._was_standing = list(record["standing"])
        self._was_allowed = list(record["permission"])

    @property
    def id(self) -> str:
        return str(self.record["_id"])

    def registered(self) -> None:
        """Tell that this record is new."""
        self.events.append(member_registered(self.id, self.record["standing"], self.cause.source))

    # -- who they are

    def rename(self, *, given_name: str, family_name: str, display_name: str = "") -> None:
        given, family, display = tidy(given_name), tidy(family_name), tidy(display_name)
        for name, text in zip(_NAMES, (given, family, display), strict=True):
            within(text, "name", name)
        self._change("given_name", given)
        self._change("family_name", family)
        self._change("display_name", display or " ".join(part for part in (given, family) if part))
        self.record["sort_name"] = fold(f"{family} {given}" if family else self.record["display_name"])

    def speaks(self, locale: str) -> None:
        self._change("locale", locale_tag(locale))

    def lives_in(self, zone: str) -> None:
        self._change("zone", time_zone(zone))

    def born_on(self, birth_date: str) -> None:
        self._change("birth_date", birth_day(birth_date, self.cause.at) if birth_date else None)

    def known_elsewhere_as(self, external_id: str) -> None:
        self._change("external_id", within(external_id.strip(), "external_id", "external_id") or None)

    def is_present(self, presence: str) -> None:
        if presence not in (VOLUNTARY, INVOLUNTARY):
            raise Invalid("A presence is voluntary or involuntary.", field="presence")
        self._change("presence", presence)

    # -- how they are reached

    def add_contact_point(self, channel: str, address: str, *, shared: bool = False, state: str = UNVERIFIED) -> Record:
        """Add an address in its one form; the one that is there already is given back."""
        made = address_on(channel, address, self.community.country)
        points: list[Record] = self.record["contact_points"]
        for point in points:
            if (point["channel"], point["address"]) == (channel, made):
                point["shared"] = point["shared"] or shared
                return point
        number = 1 + max((int(p["id"][1:]) for p in points), default=0)
        point = {"id": f"c{number}", "channel": channel, "address": made, "state": state, "shared": shared}
        points.append(point)
        self._note("contact_points", None, point["id"])
        return point

    def remove_contact_point(self, contact_point: str) -> Record:
        point = self.contact_point(contact_point)
        self.record["contact_points"].remove(point)
        self._note("contact_points", contact_point, None)
        return point

    def mark_contact_point(self, contact_point: str, state: str) -> None:
        if state not in CONTACT_STATES:
            raise Invalid(f"A contact point is {', '.join(CONTACT_STATES)}.", field="state")
        point = self.contact_point(contact_point)
        if point["state"] != state:
            self._note(f"contact_points.{contact_point}", point["state"], state)
            point["state"] = state

    def contact_point(self, contact_point: str) -> Record:
        for point in self.record["contact_points"]:
            if point["id"] == contact_point:
                return point  # type: ignore[no-any-return] # records are plain dicts
        raise NotFound("The member has no such contact point.", field="contact_point")

    # -- why they are here

    def relate(self, kind: str, since: str = "", until: str = "", source: str = "") -> None:
        """Begin, or correct the terms of, a relation that starts on that day."""
        made = relation(self.community, kind, since, until, source or self.cause.source)
        relations: list[Record] = self.record["relations"]
        for number, known in enumerate(relations):
            if (known["kind"], known["since"]) == (kind, made["since"]):
                if known["until"] != made["until"]:
                    self._note(f"relations.{kind}", _terms(known), _terms(made))
                    relations[number] = made
                return
        relations.append(made)
        self._note(f"relations.{kind}", None, _terms(made))

    def end_relation(self, kind: str, on: str) -> None:
        """Every relation of the kind that still runs ends on that day (its last). Raises ImpossibleDate before it
        begins."""
        day = iso_date(on, "on")
        running = [
            r for r in self.record["relations"] if r["kind"] == kind and (r["until"] is None or r["until"] > day)
        ]
        if any(known["since"] and known["since"] > day for known in running):
            raise ImpossibleDate("The relation begins later: end it on its first day, or after.", field="on")
        for known in running:
            was = _terms(known)
            known["until"] = day
            self._note(f"relations.{kind}", was, _terms(known))

    def give_reason(self, key: str, basis: str = DECLARED, evidence: str = "") -> None:
        made = reason(self.community, key, self.cause.at, basis, evidence)
        reasons: list[Record] = self.record["reasons"]
        for number, known in enumerate(reasons):
            if known["key"] == key:
                if known["basis"] == INFERRED and basis == DECLARED:
                    reasons[number] = made
                    self._note(f"reasons.{key}", INFERRED, DECLARED)
                return
        reasons.append(made)
        self._note(f"reasons.{key}", None, basis)

    def withdraw_reason(self, key: str) -> None:
        kept = [known for known in self.record["reasons"] if known["key"] != key]
        if len(kept) != len(self.record["reasons"]):
            self._note(f"reasons.{key}", "given", None)
            self.record["reasons"] = kept

    # -- what is known of them

    def describe(self, key: str, value: Any) -> None:
        """Set an attribute, or clear it with None."""
        kind = self.community.attribute(key)
        place = "sensitive" if kind.sensitive else "attributes"
        values: list[Record] = self.record[place]
        known = next((a for a in values if a["key"] == key), None)
        if value is None:
            if known is not None:
                values.remove(known)
                self._note(f"{place}.{key}", None if kind.sensitive else known["value"], None)
            return
        made = kind.value(value)
        if known is None:
            values.append({"key": key, "value": made})
        elif known["value"] == made:
            return
        self._note(
            f"{place}.{key}",
            (known and not kind.sensitive and known["value"]) or None,
            None if kind.sensitive else made,
        )
        if known is not None:
            known["value"] = made

    def tag(self, tags: Iterable[str]) -> None:
        added = [tag for tag in tags_of(tags) if tag not in self.record["tags"]]
        if added:
            self.record["tags"] = [*self.record["tags"], *added]
            self._note("tags", None, added)

    def untag(self, tags: Iterable[str]) -> None:
        gone = set(tags_of(tags)) & set(self.record["tags"])
        if gone:
            self.record["tags"] = [tag for tag in self.record["tags"] if tag not in gone]
            self._note("tags", sorted(gone), None)

    # -- what they agreed to

    def enter(self, entry: Entry) -> None:
        """Append to the ledger; what stands there already, or is the very same act told on another way, is left."""
        if not any(is_the_same_act(known, entry) for known in self.record["ledger"]):
            self.record["ledger"].append(entry)

    # -- who answers for them

    def name_guardian(self, guardian: str) -> None:
        if guardian == self.id:
            raise Invalid("Nobody is their own guardian.", field="guardian")
        if guardian not in self.record["guardians"]:
            self.record["guardians"].append(guardian)
            self._note("guardians", None, guardian)

    def dismiss_guardian(self, guardian: str) -> None:
        if guardian in self.record["guardians"]:
            self.record["guardians"].remove(guardian)
            self._note("guardians", guardian, None)

    def answers_for(self, ward: str) -> None:
        if ward not in self.record["wards"]:
            self.record["wards"].append(ward)

    def answers_no_more_for(self, ward: str) -> None:
        if ward in self.record["wards"]:
            self.record["wards"].remove(ward)

    # -- restriction (GDPR, art. 18): kept, but neither written to nor used

    def restrict(self) -> None:
        self._change("state", RESTRICTED)

    def lift_restriction(self) -> None:
        self._change("state", ACTIVE)

    # -- what follows

    def settle(self, why: str = "") -> list[Happened]:
        """Derive anew, keep the changes of standing with their cause, and tell what happened."""
        record, cause = self.record, self.cause
        lifecycle = record["lifecycle"]
        derive(record, self.community, cause.at)
        why = why or cause.source
        if record["lifecycle"] != lifecycle:
            self._note("lifecycle", lifecycle, record["lifecycle"], why)
        if record["standing"] != self._was_standing:
            held = self.held | held_before(record)
            self._note("standing", self._was_standing, record["standing"], why)
            change = standing_change(self.id, self._was_standing, record["standing"], held, why, cause.at)
            self.events.append(standings_changed([change]))
        for token in sorted(set(record["permission"]) ^ set(self._was_allowed)):
            purpose, _, channel = token.partition(":")
            self.events.append(permission_changed(self.id, purpose, channel, token in record["permission"]))
        self._was_standing, self._was_allowed = list(record["standing"]), list(record["permission"])
        return self.events

    def _change(self, name: str, value: Any) -> None:
        was = self.record[name]
        if was != value:
            self.record[name] = value
            self._note(name, was, value)

    def _note(self, what: str, was: Any, now: Any, why: str = "") -> None:
        change: Record = {"at": self.cause.at, "actor": self.cause.actor, "what": what, "was": was, "now": now}
        change["cause"] = why or self.cause.source
        self.record["history"].append(change)


def _terms(known: Record) -> str:
    return f"{known['since'] or ''}…{known['until'] or ''}"
