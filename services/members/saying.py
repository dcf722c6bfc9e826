"""Records in the words of the contract."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from fanfare.members.v1 import community_pb2, member_pb2, member_service_pb2, privacy_service_pb2, segment_service_pb2
from services.members.domain.community import LANGUAGES, Community
from services.members.domain.packs import Pack
from services.members.domain.permission import OBJECTION, WITHOUT_CHANNEL, Grade, Record, Verdict, verdict
from services.members.domain.standing import USUAL_DAYS
from services.members.domain.values import CHANNELS
from services.members.use_cases.reaching import Recipient


def said_community(record: Record) -> community_pb2.Community:
    return community_pb2.Community(
        id=record["_id"],
        agency=record["agency"],
        version=record["version"],
        name=record["name"],
        master_name=record["master_name"],
        master_kind=record["master_kind"],
        pack=record["pack"],
        country=record["country"],
        locale=record["locale"],
        zone=record["zone"],
        created_at=record["created_at"],
        relations=[_relation_kind(kind) for kind in record["relations"]],
        reasons=[_reason_kind(kind) for kind in record["reasons"]],
        attributes=[_attribute_kind(kind) for kind in record["attributes"]],
        standing_rule=_standing_rule(record["standing_rule"]),
    )


def said_pack(pack: Pack) -> community_pb2.StarterPack:
    table = pack.table
    return community_pb2.StarterPack(
        key=pack.key,
        labels=_labels(table),
        master_kind=table["master_kind"],
        relations=[_relation_kind(kind) for kind in table["relations"]],
        reasons=[_reason_kind(kind) for kind in table["reasons"]],
        attributes=[_attribute_kind(kind) for kind in table["attributes"]],
        objectives=[
            community_pb2.PackObjective(
                key=objective["key"],
                labels=_labels(objective),
                metric=objective["metric"],
                standing=objective.get("standing", ""),
                currency=objective.get("currency", ""),
                target=objective["target"],
                days=objective["days"],
            )
            for objective in table["objectives"]
        ],
        templates=[
            community_pb2.PackTemplate(
                key=template["key"],
                purpose=template["purpose"],
                reasons=template["reasons"],
                messages=[
                    community_pb2.PackMessage(
                        locale=language,
                        name=template[language]["name"],
                        subject=template[language]["subject"],
                        mjml=template[language]["html"].strip(),
                    )
                    for language in LANGUAGES
                ],
            )
            for template in table["templates"]
        ],
    )


def said_member(record: Record, community: Community, now: int) -> member_pb2.Member:
    engagement = record["engagement"] or {}
    return member_pb2.Member(
        id=record["_id"],
        agency=record["agency"],
        community=record["community"],
        version=record["version"],
        kind=record["kind"],
        display_name=record["display_name"],
        given_name=record["given_name"],
        family_name=record["family_name"],
        state=record["state"],
        merged_into=record["merged_into"],
        locale=record["locale"],
        zone=record["zone"],
        birth_date=record["birth_date"],
        tags=record["tags"],
        standing=record["standing"],
        lifecycle=record["lifecycle"],
        contact_points=[member_pb2.ContactPoint(**point) for point in record["contact_points"]],
        relations=[member_pb2.Relation(**relation) for relation in record["relations"]],
        reasons=[member_pb2.Reason(**reason) for reason in record["reasons"]],
        attributes=[
            *(said_attribute(a, community, sensitive=False) for a in record["attributes"]),
            *(said_attribute(a, community, sensitive=True) for a in record["sensitive"]),
        ],
        permits=_permits(record, community, now),
        recent=[said_interaction(entry) for entry in recent_of(record)],
        engagement=_engagement(engagement),
        guardians=record["guardians"],
        wards=record["wards"],
        presence=record["presence"],
        registered_at=record["registered_at"],
        external_id=record["external_id"],
        source=record["source"],
    )


def recent_of(record: Record) -> list[Record]:
    """The last ten, newest first, each once."""
    each = {entry["_id"]: entry for entry in record["recent"] or ()}
    return sorted(each.values(), key=lambda entry: (entry["at"], entry["_id"]), reverse=True)


def said_attribute(attribute: Record, community: Community, *, sensitive: bool) -> member_pb2.Attribute:
    value = attribute["value"]
    said = member_pb2.Attribute(key=attribute["key"], sensitive=sensitive)
    if isinstance(value, bool):
        said.flag = value
    elif isinstance(value, (int, float)):
        said.number = value
    elif (kind := community.attributes.get(attribute["key"])) is not None and kind.type == "date":
        said.date = value
    else:
        said.text = value
    return said


def said_interaction(entry: Record) -> member_pb2.Interaction:
    return member_pb2.Interaction(
        id=entry["_id"],
        kind=entry["kind"],
        channel=entry.get("channel", ""),
        at=entry["at"],
        campaign=entry.get("campaign", ""),
        run=entry.get("run", ""),
        machine=entry.get("machine", ""),
        subject=entry.get("subject", ""),
        points=entry.get("points", 0),
    )


def said_verdict(purpose: str, channel: str, found: Verdict, community: Community) -> member_pb2.Verdict:
    return member_pb2.Verdict(
        purpose=purpose,
        channel=channel,
        allowed=found.allowed,
        reason=found.reason,
        grade=Grade(found.grade).word,
        entry=found.entry,
        since=found.since,
        article=community.law.rules[purpose].article,
    )


def said_entry(entry: Record) -> member_pb2.LedgerEntry:
    return member_pb2.LedgerEntry(
        id=entry["_id"],
        act=entry["act"],
        basis=entry.get("basis", ""),
        purposes=entry["purposes"],
        channels=entry["channels"],
        grade=Grade(entry["grade"]).word,
        at=entry["at"],
        wording=entry.get("wording", ""),
        source=entry.get("source", ""),
        actor=entry.get("actor", ""),
        detail=entry.get("detail", ""),
        recorded_at=entry["recorded_at"],
        recorded_by=entry["recorded_by"],
    )


def said_change(change: Record) -> member_pb2.Change:
    return member_pb2.Change(
        at=change["at"],
        actor=change["actor"],
        cause=change["cause"],
        what=change["what"],
        was=_json(change["was"]),
        now=_json(change["now"]),
    )


def said_recipients(resolved: Sequence[Recipient], fields: int) -> member_service_pb2.ResolveRecipientsResponse:
    """Recipients in parallel lists: a sender asks for hundreds, and a message of each would cost the most."""
    columns = dict(zip(Recipient._fields, zip(*resolved, strict=True), strict=False))
    nothing = ("",) * fields
    return member_service_pb2.ResolveRecipientsResponse(
        members=columns.get("member"),
        states=columns.get("state"),
        addresses=columns.get("address"),
        contact_points=columns.get("contact_point"),
        contact_states=columns.get("contact_state"),
        permitted=columns.get("permitted"),
        permission_reasons=columns.get("permission_reason"),
        may_track=columns.get("may_track"),
        locales=columns.get("locale"),
        zones=columns.get("zone"),
        versions=columns.get("version"),
        values=chain.from_iterable(values or nothing for values in columns.get("values", ())),
        display_names=columns.get("display_name"),
        registered_at=columns.get("registered_at"),
        shared=[
            member_service_pb2.SharedAddress(member=one.member, others=one.shared_with)
            for one in resolved
            if one.shared_with
        ],
    )


def said_segment(record: Record) -> segment_service_pb2.Segment:
    return segment_service_pb2.Segment(
        id=record["_id"],
        agency=record["agency"],
        community=record["community"],
        version=record["version"],
        name=record["name"],
        rule=record["rule"],
        created_at=record["created_at"],
        created_by=record["created_by"],
    )


def said_erasure(record: Record) -> privacy_service_pb2.Erasure:
    return privacy_service_pb2.Erasure(
        id=record["_id"],
        community=record["community"],
        member=record["member"],
        requested_at=record["requested_at"],
        requested_by=record["requested_by"],
        acknowledged=record["acknowledged"],
        completed_at=record["completed_at"],
    )


def heard_relation_kind(kind: community_pb2.RelationKind) -> Record:
    return {**_heard(kind), "gives": list(kind.gives), "retention_days": kind.retention_days or 1_095}


def heard_reason_kind(kind: community_pb2.ReasonKind) -> Record:
    return _heard(kind)


def heard_attribute_kind(kind: community_pb2.AttributeKind) -> Record:
    typed = {"type": kind.type or "text", "sensitive": kind.sensitive, "choices": list(kind.choices)}
    return {**_heard(kind), **typed}


def heard_standing_rule(rule: community_pb2.StandingRule) -> Record:
    made = {
        name: {"relations": list(part.relations), "acts": dict(part.acts)}
        for name, part in (("client", rule.client), ("fan", rule.fan), ("prospect", rule.prospect))
    }
    days = {name: getattr(rule, name) for name in ("new_days", "at_risk_days", "lapsed_days")}
    return {**made, **{name: value for name, value in days.items() if value}}


def heard_attribute(attribute: member_pb2.Attribute) -> Any:
    """The value, or None where none is given."""
    which = attribute.WhichOneof("value")
    value = getattr(attribute, which) if which else None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _heard(kind: Any) -> Record:
    return {"key": kind.key, "labels": {"fr": kind.labels.fr, "en": kind.labels.en}}


def _labels(table: Mapping[str, Any]) -> community_pb2.Labels:
    labels = table.get("labels", table)
    return community_pb2.Labels(fr=labels["fr"], en=labels["en"])


def _relation_kind(kind: Mapping[str, Any]) -> community_pb2.RelationKind:
    return community_pb2.RelationKind(
        key=kind["key"],
        labels=_labels(kind),
        gives=kind.get("gives", ()),
        retention_days=kind["retention_days"],
    )


def _reason_kind(kind: Mapping[str, Any]) -> community_pb2.ReasonKind:
    return community_pb2.ReasonKind(key=kind["key"], labels=_labels(kind))


def _attribute_kind(kind: Mapping[str, Any]) -> community_pb2.AttributeKind:
    return community_pb2.AttributeKind(
        key=kind["key"],
        labels=_labels(kind),
        type=kind.get("type", "text"),
        sensitive=kind.get("sensitive", False),
        choices=kind.get("choices", ()),
    )


def _standing_rule(table: Mapping[str, Any]) -> community_pb2.StandingRule:
    days = {name: int(table.get(name, usual)) for name, usual in USUAL_DAYS.items()}
    return community_pb2.StandingRule(
        client=_made(table.get("client", {})),
        fan=_made(table.get("fan", {})),
        prospect=_made(table.get("prospect", {})),
        new_days=days["new_days"],
        at_risk_days=days["at_risk_days"],
        lapsed_days=days["lapsed_days"],
    )


def _made(part: Mapping[str, Any]) -> community_pb2.Made:
    return community_pb2.Made(relations=part.get("relations", ()), acts=part.get("acts", {}))


def _permits(record: Record, community: Community, now: int) -> list[member_pb2.Permit]:
    """What is allowed, and what was objected to."""
    asked: dict[tuple[str, str], None] = {}
    for token in record["permission"]:
        purpose, _, channel = token.partition(":")
        asked[purpose, channel] = None
    for entry in record["ledger"]:
        if entry["act"] == OBJECTION:
            for purpose in entry["purposes"]:
                for channel in ("",) if purpose in WITHOUT_CHANNEL else entry["channels"] or CHANNELS:
                    asked[purpose, channel] = None
    permits = []
    for purpose, channel in asked:
        found = verdict(record, purpose, channel, now, community.law, community.gives)
        permits.append(
            member_pb2.Permit(
                purpose=purpose,
                channel=channel,
                allowed=found.allowed,
                basis=found.reason,
                evidence=Grade(found.grade).word,
                entry=found.entry,
                since=found.since,
            )
        )
    return permits


def _engagement(engagement: Mapping[str, Any]) -> member_pb2.Engagement:
    if not engagement:
        return member_pb2.Engagement()
    return member_pb2.Engagement(
        score=engagement.get("score", 0),
        last_received_at=engagement.get("last_received_at", 0),
        last_opened_at=engagement.get("last_opened_at", 0),
        last_clicked_at=engagement.get("last_clicked_at", 0),
        last_purchased_at=engagement.get("last_purchased_at", 0),
        last_attended_at=engagement.get("last_attended_at", 0),
        channels=[
            member_pb2.ChannelEngagement(channel=channel, **engagement[channel])
            for channel in CHANNELS
            if engagement.get(channel)
        ],
    )


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)
