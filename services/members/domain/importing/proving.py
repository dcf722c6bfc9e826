"""What a row proves of permission, and how little of it may change what is known already.

Promise 3: a row that brings no later, proven act of the person changes nothing where an objection stands, and worse
proof never joins better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.members.domain import permission
from services.members.domain.community import Community
from services.members.domain.importing.draft import Act, Draft
from services.members.domain.importing.mapping import Declaration
from services.members.domain.importing.plan import Origin, entry_id
from services.members.domain.member import Member
from services.members.domain.permission import CONSENT, OBJECTION, Entry, Evidence, Grade, Record
from services.members.domain.values import EMAIL, anniversary, day_of


class Proofs:
    """The ledger entries of one import; ``counts`` says how many there were of each sort."""

    def __init__(
        self, community: Community, origin: Origin, declaration: Declaration | None, counts: Counter[str]
    ) -> None:
        self._community = community
        self._origin = origin
        self._declaration = declaration
        self._counts = counts
        self._word: Entry = {}
        self._age_of_consent = community.law.age_of_consent

    def enter(self, member: Member, draft: Draft) -> int:
        """Enter what the row proves into the ledger of somebody known, and nothing that would weaken it."""
        record = member.record
        guardian = record["guardians"][0] if record["guardians"] else ""
        before = len(record["ledger"])
        for entry in self.entries(draft, guardian, self._origin.member(draft.row)):
            entry["purposes"] = [purpose for purpose in entry["purposes"] if self._adds(record, entry, purpose, draft)]
            if entry["purposes"]:
                member.enter(entry)
        self.count(record["ledger"][before:])
        return len(record["ledger"]) - before

    def count(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry["act"] == OBJECTION:
                self._counts["objections"] += 1
            else:
                self._counts["declared" if entry.get("source") == "operator" else "consents"] += 1

    def _adds(self, record: Record, entry: Entry, purpose: str, draft: Draft) -> bool:
        """Whether an entry says something new for a purpose, and may."""
        community, now = self._community, self._origin.at
        for channel in entry["channels"] or (EMAIL,):
            held = permission.verdict(record, purpose, channel, now, community.law, community.gives)
            if entry["act"] == permission.OBJECTION:
                # a later one counts; an undated one, from the import, repeats what stands
                return held.reason != OBJECTION or held.since < entry["at"] < now
            if any(_says_the_same(known, entry, purpose) for known in record["ledger"]):
                return False
            if held.reason == OBJECTION:
                lifts = entry["basis"] == CONSENT and entry["grade"] >= Grade.FAIR and (entry["at"] or 0) > held.since
                if not lifts and all(finding.code != "objection-stands" for finding in draft.findings):
                    self._counts["objections_standing"] += 1
                    draft.found("", "objection-stands")
                return lifts
            if held.allowed and held.reason == CONSENT and held.grade > entry["grade"]:
                draft.found("", "permission-stronger")
                return False
        return True

    def entries(self, draft: Draft, guardian: str, own: str) -> list[Entry]:
        """The ledger entries that a row and the operator's declaration bring."""
        if not draft.acts and self._declaration is None:
            return []
        origin, now = self._origin, self._origin.at
        entries: list[Entry] = []
        for act in draft.acts:
            evidence = Evidence(act.wording, "import", act.at or None, self._actor(draft, act, guardian), act.detail)
            make = permission.objection if act.effect == "objection" else _consent
            entries.append(
                make(
                    entry_id(own, len(entries)),
                    purposes=act.purposes,
                    channels=(act.channel,),
                    evidence=evidence,
                    now=now,
                    recorded_by=origin.actor,
                )
            )
        declared = self._declaration
        if declared:
            refused = {p for entry in entries if entry["act"] == OBJECTION for p in entry["purposes"]}
            purposes = [purpose for purpose in declared.purposes if purpose not in refused]
            if purposes:
                entries.append(self._declared(declared, entry_id(own, 15), purposes))
        return entries

    def _declared(self, declared: Declaration, key: str, purposes: list[str]) -> Entry:
        """The operator's word as an entry of the ledger; the same for everybody but for its id."""
        if not self._word:
            evidence = Evidence("", "operator", declared.at, self._origin.actor, declared.evidence)
            self._word = permission.grant(
                key,
                basis=declared.basis,
                purposes=declared.purposes,
                channels=declared.channels,
                evidence=evidence,
                now=self._origin.at,
                recorded_by=self._origin.actor,
            )
        return self._word | {"_id": key, "purposes": purposes, "channels": list(declared.channels)}

    def _actor(self, draft: Draft, act: Act, guardian: str) -> str:
        """Below the age of consent, what a list says of a child is its guardian's act."""
        born = draft.birth_date
        if guardian and born and day_of(act.at or self._origin.at) < anniversary(born, self._age_of_consent):
            return f"guardian:{guardian}"
        return permission.THE_MEMBER

    def verdicts(self, record: Record, draft: Draft) -> dict[tuple[str, str], str]:
        """The state, before the row, of every permission it speaks of."""
        spoken: set[tuple[str, str]] = {(purpose, act.channel) for act in draft.acts for purpose in act.purposes}
        if declared := self._declaration:
            spoken |= {(purpose, channel) for purpose in declared.purposes for channel in declared.channels}
        return {pair: self._verdict(record, *pair) for pair in sorted(spoken)}

    def changes(self, record: Record, before: Mapping[tuple[str, str], str]) -> list[list[Any]]:
        after = {pair: self._verdict(record, *pair) for pair in before}
        return [
            [f"permission.{purpose}:{channel}", before[purpose, channel], state]
            for (purpose, channel), state in after.items()
            if state != before[purpose, channel]
        ]

    def _verdict(self, record: Record, purpose: str, channel: str) -> str:
        community = self._community
        held = permission.verdict(record, purpose, channel, self._origin.at, community.law, community.gives)
        return f"{held.reason} ({Grade(held.grade).word})" if held.allowed else f"no: {held.reason}"


def _consent(
    key: str,
    *,
    purposes: Sequence[str],
    channels: Sequence[str],
    evidence: Evidence,
    now: int,
    recorded_by: str,
) -> Entry:
    return permission.grant(
        key,
        basis=CONSENT,
        purposes=purposes,
        channels=channels,
        evidence=evidence,
        now=now,
        recorded_by=recorded_by,
    )


def _says_the_same(known: Entry, entry: Entry, purpose: str) -> bool:
    """The same list imported again proves nothing twice."""
    return (
        known["act"] == entry["act"]
        and purpose in known["purposes"]
        and known["at"] == entry["at"]
        and known.get("basis") == entry.get("basis")
        and known.get("detail") == entry.get("detail")
        and known["channels"] == entry["channels"]
    )
