"""New members by the thousand: the records that ``register`` would make, struck from one blank."""

from __future__ import annotations

from collections.abc import Container, Sequence

from services.kit.clock import DAY
from services.kit.errors import Invalid
from services.members.domain.community import Community
from services.members.domain.household import channels_shared
from services.members.domain.importing.draft import Draft
from services.members.domain.importing.plan import Address, Origin
from services.members.domain.member import (
    UNVERIFIED,
    Cause,
    Profile,
    blank,
    derive,
    reason,
    register,
    relation,
    searched_by,
)
from services.members.domain.permission import Entry, Record
from services.members.domain.values import day_of, fold


class Mint:
    """Strikes the members of one import."""

    def __init__(self, community: Community, origin: Origin, presence: str) -> None:
        self._community = community
        self._origin = origin
        self._presence = presence
        self._source = f"import:{origin.id}"
        self._cause = Cause(origin.at, origin.actor, self._source)
        self._yesterday = day_of(origin.at - DAY)
        self._sensitive = frozenset(key for key, kind in community.attributes.items() if kind.sensitive)
        self._blanks: dict[str, Record] = {}
        self._terms: dict[tuple[str, str, str], Record] = {}
        self._reasons: dict[str, Record] = {}

    def strike(
        self,
        draft: Draft,
        own: str,
        contacts: Sequence[Address],
        shared: Container[Address],
        guardian: str,
        ledger: list[Entry],
    ) -> Record:
        """The record of somebody new, as a row tells of them."""
        nobody = self._blanks.get(draft.kind)
        if nobody is None:
            profile = Profile(kind=draft.kind, presence=self._presence)
            nobody = self._blanks[draft.kind] = blank(profile, "", self._community, self._cause)
        given, family = draft.given_name, draft.family_name
        display = draft.full_name or (f"{given} {family}" if given and family else given or family)
        attributes: list[Record] = []
        sensitive: list[Record] = []
        for key, value in draft.attributes.items():
            (sensitive if key in self._sensitive else attributes).append({"key": key, "value": value})
        relations = self._relations(draft) if draft.relations else []
        record = nobody.copy()
        record.update(
            _id=own,
            display_name=display,
            given_name=given,
            family_name=family,
            sort_name=fold(f"{family} {given}" if family else display),
            locale=draft.locale,
            zone=draft.zone,
            birth_date=draft.birth_date or None,
            external_id=draft.external_id or None,
            contact_points=[
                {
                    "id": f"c{number}",
                    "channel": contact[0],
                    "address": contact[1],
                    "state": UNVERIFIED,
                    "shared": contact in shared,
                }
                for number, contact in enumerate(contacts, 1)
            ],
            relations=relations,
            reasons=[self._reason(key) for key in draft.reasons] if draft.reasons else [],
            attributes=attributes,
            sensitive=sensitive,
            tags=list(draft.tags),
            ledger=ledger,
            guardians=[guardian] if guardian else [],
            wards=[],
            absorbed=[],
            engagement={},
            recent=[],
            history=[],
        )
        if relations or guardian:
            derive(record, self._community, self._origin.at)
        else:
            record["standing"] = list(nobody["standing"])
            record["permission"] = self._community.allowed(record, self._origin.at) if ledger else []
            record["search"] = searched_by(record)
            record["shares"] = channels_shared(record) if shared else []
        return record

    def guardian(self, own: str, contact: Address) -> Record:
        """The record of somebody who answers for a minor, and of whom nothing is known but the address."""
        parent = "parent" in self._community.relations
        profile = Profile(
            contacts=[contact],
            shared=frozenset((contact,)),
            relations=[relation(self._community, "parent", source=self._source)] if parent else [],
            presence=self._presence,
        )
        return register(profile, own, self._community, self._cause)

    def _relations(self, draft: Draft) -> list[Record]:
        made: list[Record] = []
        for word in draft.relations:
            key = (word, draft.since, draft.until)
            terms = self._terms.get(key)
            if terms is None:
                kind, _, ended = word.partition(":")
                until = draft.until or (self._yesterday if ended else "")
                try:
                    terms = relation(self._community, kind, draft.since, until, self._source)
                except Invalid:
                    draft.found("relation", "dates-reversed")
                    terms = relation(self._community, kind, "", self._yesterday if ended else "", self._source)
                else:
                    self._terms[key] = terms
            made.append(dict(terms))
        return made

    def _reason(self, key: str) -> Record:
        made = self._reasons.get(key)
        if made is None:
            made = self._reasons[key] = reason(self._community, key, self._origin.at, evidence=self._source)
        return dict(made)
