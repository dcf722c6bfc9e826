"""Who we may write to, and what they agreed to.

The ledger is append-only: grants (a basis with graded evidence) and objections. What may be written now is derived from
it, from relations and from the law of the country, and what is ambiguous is read restrictively:

- an objection beats every basis for its purpose until a later, proven act of the same person;
- for a minor only a guardian's consent counts, and only until the young person can be asked;
- a date that lies in the future proves nothing, and neither does an act that nobody is known to have done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from services.kit.errors import Invalid
from services.members.domain.limits import within
from services.members.domain.values import CHANNELS, ImpossibleDate, anniversary, day_of, instant_of

Record = dict[str, Any]
Entry = dict[str, Any]

SERVICE = "service"
STATUTORY = "statutory"
NEWS = "news"
PROMOTION = "promotion"
FUNDRAISING = "fundraising"
REVIEW_REQUEST = "review_request"
IMAGE = "image"
TRACKING = "tracking"
PURPOSES = (SERVICE, STATUTORY, NEWS, PROMOTION, FUNDRAISING, REVIEW_REQUEST, IMAGE, TRACKING)
OPTIONAL_PURPOSES = (NEWS, PROMOTION, FUNDRAISING, REVIEW_REQUEST, IMAGE, TRACKING)
"""Those that a general refusal covers; service and statutory messages pass it."""
WITHOUT_CHANNEL = frozenset((IMAGE,))

CONSENT = "consent"
EXISTING_CUSTOMER = "existing_customer"
PROFESSIONAL_ADDRESS = "professional_address"
MEMBERSHIP = "membership"
CONTRACT = "contract"
LEGAL_DUTY = "legal_duty"
BASES = (CONSENT, EXISTING_CUSTOMER, PROFESSIONAL_ADDRESS, MEMBERSHIP, CONTRACT, LEGAL_DUTY)
_NOT_FOR_MINORS = frozenset((EXISTING_CUSTOMER, PROFESSIONAL_ADDRESS))

GRANT = "grant"
OBJECTION = "objection"

NO_BASIS = "no-basis"
TOO_WEAK = "evidence-too-weak"
GUARDIAN_MUST_CONSENT = "guardian-must-consent"
ASK_ANEW = "ask-anew"
NOT_IMPERSONAL = "address-not-impersonal"

_TELLING = (NO_BASIS, TOO_WEAK, NOT_IMPERSONAL, ASK_ANEW, GUARDIAN_MUST_CONSENT)  # of several reasons, the last
THE_MEMBER = "member"
_GUARDIAN = "guardian:"
DOUBLE_OPT_IN = "double_opt_in"
_HEARSAY = frozenset(("", "operator"))
_SKEW = 5_000
EARLIEST_ACT = instant_of("1990-01-01")
"""Nobody agreed to e-mail before: such an instant was written in another unit, or is a slip."""
_IMPERSONAL = frozenset(
    (
        "accueil",
        "admin",
        "administration",
        "association",
        "bestuur",
        "bonjour",
        "bureau",
        "club",
        "commercial",
        "communication",
        "compta",
        "comptabilite",
        "contact",
        "direction",
        "events",
        "facturation",
        "hello",
        "info",
        "infos",
        "mairie",
        "marketing",
        "office",
        "onthaal",
        "press",
        "presse",
        "reception",
        "reservation",
        "sales",
        "secretaire",
        "secretariaat",
        "secretariat",
        "secretary",
        "shop",
        "support",
        "team",
        "vente",
        "ventes",
        "welcome",
    )
)


class Grade(IntEnum):
    """How well an act is proven."""

    NONE = 0  # undated: proves nothing
    WEAK = 1  # dated, but undocumented, or on an operator's word
    FAIR = 2  # dated, by a known person, with its wording or its trace
    STRONG = 3  # double opt-in: confirmed from the address itself

    @property
    def word(self) -> str:
        return self.name.lower()


GRADES: Mapping[str, Grade] = {grade.word: grade for grade in Grade}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows an act: its wording, source, time (UTC ms; None: undated) and who acted.

    ``actor`` is ``member``, ``guardian:<member id>``, ``operator:<id>`` (the operator's word) or empty (unknown).
    """

    wording: str = ""
    source: str = ""
    at: int | None = None
    actor: str = ""
    detail: str = ""

    def check(self) -> None:
        """Raises TextTooLong, ImpossibleDate."""
        for kind in ("wording", "source", "actor", "detail"):
            within(getattr(self, kind), kind, f"evidence.{kind}")
        if self.at is not None and self.at < EARLIEST_ACT:
            raise ImpossibleDate(
                "The act lies before 1990: write its instant in milliseconds since 1970, UTC.", field="evidence.at"
            )

    def grade(self, now: int) -> Grade:
        if self.at is None or self.at > now + _SKEW:
            return Grade.NONE
        person = self.actor == THE_MEMBER or self.actor.startswith(_GUARDIAN)
        if not person or self.source in _HEARSAY or not (self.wording or self.detail):
            return Grade.WEAK
        return Grade.STRONG if self.source == DOUBLE_OPT_IN else Grade.FAIR


@dataclass(frozen=True, slots=True)
class PurposeRule:
    """On which bases one may write for a purpose, and the least evidence of each."""

    purpose: str
    bases: Mapping[str, Grade]
    impersonal_only: bool  # a professional address must be a function's (info@), not a person's
    article: str


@dataclass(frozen=True, slots=True)
class Law:
    """The rules of one country."""

    country: str
    age_of_consent: int
    age_article: str
    rules: Mapping[str, PurposeRule]


Gives = Mapping[str, Sequence[str]]
"""Relation kind → the bases it gives while it lasts, from the community's catalogue."""


_WHAT_WAS_DONE = ("act", "basis", "purposes", "channels", "at", "wording", "source", "actor", "detail")


class Verdict(NamedTuple):
    """Whether one may write, and why: the basis, or the reason why not; with the ledger entry that decides."""

    allowed: bool
    reason: str
    grade: int
    entry: str
    since: int


def grant(
    entry_id: str,
    *,
    basis: str,
    purposes: Sequence[str],
    channels: Sequence[str],
    evidence: Evidence,
    now: int,
    recorded_by: str,
) -> Entry:
    """A ledger entry: somebody agreed, or another basis was shown. No channels: every channel."""
    if basis not in BASES:
        raise Invalid(f"A basis is one of {', '.join(BASES)}.", field="basis")
    if not purposes:
        raise Invalid("Name the purposes that were agreed to.", field="purposes")
    return _entry(entry_id, GRANT, purposes, channels, evidence, now, recorded_by, basis=basis, at=evidence.at)


def objection(
    entry_id: str,
    *,
    purposes: Sequence[str] = (),
    channels: Sequence[str] = (),
    evidence: Evidence,
    now: int,
    recorded_by: str,
) -> Entry:
    """A ledger entry: the person refuses. No purposes: every optional one; undated: dated now."""
    at = evidence.at if evidence.at is not None and evidence.at <= now + _SKEW else now
    return _entry(entry_id, OBJECTION, purposes or OPTIONAL_PURPOSES, channels, evidence, now, recorded_by, at=at)


def _entry(
    entry_id: str,
    act: str,
    purposes: Sequence[str],
    channels: Sequence[str],
    evidence: Evidence,
    now: int,
    recorded_by: str,
    *,
    at: int | None,
    basis: str = "",
) -> Entry:
    for purpose in purposes:
        if purpose not in PURPOSES:
            raise Invalid(f"A purpose is one of {', '.join(PURPOSES)}.", field="purposes")
    for channel in channels:
        if channel not in CHANNELS:
            raise Invalid(f"A channel is one of {', '.join(CHANNELS)}.", field="channels")
    evidence.check()
    entry: Entry = {
        "_id": entry_id,
        "act": act,
        "purposes": list(purposes),
        "channels": list(channels),
        "grade": int(evidence.grade(now)),
        "at": at,
        "recorded_at": now,
        "recorded_by": recorded_by,
    }
    for key, value in (
        ("basis", basis),
        ("wording", evidence.wording),
        ("source", evidence.source),
        ("actor", evidence.actor),
        ("detail", evidence.detail),
    ):
        if value:
            entry[key] = value
    return entry


def is_the_same_act(one: Entry, other: Entry) -> bool:
    """Whether two entries tell of one act: the same entry, or all that was done is alike, to the millisecond."""
    return one["_id"] == other["_id"] or (
        one["at"] is not None and all(one.get(name) == other.get(name) for name in _WHAT_WAS_DONE)
    )


def verdict(record: Record, purpose: str, channel: str, now: int, law: Law, gives: Gives) -> Verdict:
    """Whether this member may be written to for the purpose on the channel, now; in whatever order the ledger is."""
    ledger: list[Entry] = record["ledger"]
    objected: Entry | None = None
    grants: list[Entry] = []
    for entry in ledger:
        if purpose in entry["purposes"] and (not entry["channels"] or channel in entry["channels"] or not channel):
            if entry["act"] == GRANT:
                grants.append(entry)
            elif objected is None or (entry["at"], entry["_id"]) > (objected["at"], objected["_id"]):
                objected = entry
    minor = minor_at(record, now, law)
    if objected is not None:
        lifted = any(
            g.get("basis") == CONSENT
            and g["grade"] >= Grade.FAIR
            and g["at"] > objected["at"]
            and not _discounted(g, record, minor, law)
            for g in grants
        )
        if not lifted:
            return Verdict(False, OBJECTION, objected["grade"], objected["_id"], objected["at"])
    rule = law.rules[purpose]
    best: Verdict | None = None
    refusal = NO_BASIS
    for entry in grants:
        least = rule.bases.get(entry["basis"])
        if least is None:
            continue
        reason = _discounted(entry, record, minor, law)
        if not reason and entry["grade"] < least:
            reason = TOO_WEAK
        if not reason and entry["basis"] == PROFESSIONAL_ADDRESS and rule.impersonal_only and not _impersonal(record):
            reason = NOT_IMPERSONAL
        if reason:
            refusal = max(refusal, reason, key=_TELLING.index)
        else:
            found = Verdict(True, entry["basis"], entry["grade"], entry["_id"], entry["at"] or entry["recorded_at"])
            if best is None or (found.grade, found.since, found.entry) > (best.grade, best.since, best.entry):
                best = found
    if best is not None:
        return best
    relations = record["relations"]
    if relations:
        today = day_of(now)
        for relation in relations:
            for basis in gives.get(relation["kind"], ()):
                if basis in rule.bases and is_current(relation, today):
                    since = relation["since"]
                    return Verdict(True, basis, Grade.NONE, "", instant_of(since) if since else record["registered_at"])
    if refusal == NO_BASIS and minor and CONSENT in rule.bases:
        refusal = GUARDIAN_MUST_CONSENT
    return Verdict(False, refusal, Grade.NONE, "", 0)


def permission_tokens(record: Record, now: int, law: Law, gives: Gives) -> list[str]:
    """What is allowed now, as ``purpose:channel`` (image: alone), for the channels the member can be reached on."""
    relations, ledger = record["relations"], record["ledger"]
    if not relations and not ledger:
        return []
    reached = tuple(dict.fromkeys(point["channel"] for point in record["contact_points"]))
    asked: set[tuple[str, str]] = set()
    for relation in relations:
        for basis in gives.get(relation["kind"], ()):
            asked.update((purpose, channel) for purpose in _purposes_of(law, basis) for channel in reached)
    for entry in ledger:
        if entry["act"] == GRANT:
            channels = entry["channels"]
            for purpose in entry["purposes"]:
                if purpose in WITHOUT_CHANNEL:
                    asked.add((purpose, ""))
                else:
                    asked.update((purpose, channel) for channel in reached if not channels or channel in channels)
    return [
        f"{purpose}:{channel}" if channel else purpose
        for purpose, channel in sorted(asked, key=_rank)
        if verdict(record, purpose, channel, now, law, gives).allowed
    ]


Signature = tuple[Any, ...]


def signature_of(record: Record, now: int) -> Signature | None:
    """All that permission tokens depend on, for a member whose grants count whenever they were given; None for others:
    there are objections, an age, a guardian, or an address to look at."""
    if record["birth_date"] or record["guardians"]:
        return None
    parts: list[Any] = [day_of(now), *(point["channel"] for point in record["contact_points"])]
    for relation in record["relations"]:
        parts += (relation["kind"], relation["since"], relation["until"])
    for entry in record["ledger"]:
        if entry["act"] != GRANT or entry["basis"] == PROFESSIONAL_ADDRESS:
            return None
        parts += (
            entry["basis"],
            entry["grade"],
            entry.get("actor"),
            *entry["purposes"],
            None,
            *entry["channels"],
            None,
        )
    return tuple(parts)


def _rank(asked: tuple[str, str]) -> tuple[int, str]:
    return PURPOSES.index(asked[0]), asked[1]


def minor_at(record: Record, at: int, law: Law) -> bool:
    """Whether the member is too young to consent. Someone's ward of unknown age is held to be."""
    born = record["birth_date"]
    if not born:
        return bool(record["guardians"])
    return day_of(at) < anniversary(born, law.age_of_consent)


def is_current(relation: Mapping[str, Any], today: str) -> bool:
    """Whether the relation holds on an ISO date, its last day included."""
    since, until = relation["since"], relation["until"]
    return (not since or since <= today) and (not until or today <= until)


def _discounted(entry: Entry, record: Record, minor_now: bool, law: Law) -> str:
    """Why the act does not count: who acted could not (yet, or no longer) agree; empty where it counts."""
    at = entry["at"] if entry["at"] is not None else entry["recorded_at"]
    actor = entry.get("actor", "")
    if not minor_at(record, at, law):
        return GUARDIAN_MUST_CONSENT if minor_now else (ASK_ANEW if actor.startswith(_GUARDIAN) else "")
    if entry["basis"] in _NOT_FOR_MINORS:
        return GUARDIAN_MUST_CONSENT if minor_now else ASK_ANEW
    by_guardian = actor.startswith(_GUARDIAN) and actor[len(_GUARDIAN) :] in record["guardians"]
    if not minor_now:
        return ASK_ANEW
    return "" if by_guardian else GUARDIAN_MUST_CONSENT


def _impersonal(record: Record) -> bool:
    return any(
        point["channel"] == "email" and point["address"].partition("@")[0].split("+")[0] in _IMPERSONAL
        for point in record["contact_points"]
    )


def _purposes_of(law: Law, basis: str) -> list[str]:
    return [purpose for purpose, rule in law.rules.items() if basis in rule.bases]
