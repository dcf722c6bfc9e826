"""``POST /v1/events``: what partners tell of members, as CloudEvents 1.0 in JSON.

One event or a batch; each gets a result of its own. An event is known again by its ``source`` and ``id``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Blueprint, Request, Response, request

from fanfare.members.v1 import member_service_pb2 as pb
from services.gateway.access.roles import EVENTS
from services.gateway.access.viewer import Viewer
from services.gateway.amounts import nanos_of
from services.gateway.asking import Desk
from services.gateway.schema.scalars import milliseconds
from services.gateway.web.doors import asked_by, metadata_for, refused, told
from services.kit.errors import FanfareError, Invalid

MOST_BYTES = 1024 * 1024
MOST_EVENTS = 500
SINGLE, BATCH, PLAIN = "application/cloudevents+json", "application/cloudevents-batch+json", "application/json"
KINDS = {
    "fanfare.purchase": "purchased",
    "fanfare.sign_up": "signed_up",
    "fanfare.attendance": "attended",
}
_FIELDS = {
    "id": "id",
    "subject": "data.offer",
    "consent_purposes": "data.consent.purposes",
    **{f"evidence.{name}": f"data.consent.{name}" for name in ("wording", "source", "at", "detail")},
}
"""What members calls a field, and where it stands in an event; others are the event's own data."""
_LONGEST = {"id": 200, "source": 500}


class EventInvalid(Invalid):
    reason = "event-invalid"


class EventsTooLarge(Invalid):
    reason = "request-too-large"


@dataclass(frozen=True, slots=True)
class Told:
    """An event that was understood."""

    id: str
    source: str
    community: str
    report: pb.InteractionReport


def event_door(desk: Desk) -> Blueprint:
    """The door."""
    door = Blueprint("events", __name__)

    @door.post("/v1/events")
    def take_events() -> Response:
        viewer = asked_by(desk)
        if not viewer.may_somewhere(EVENTS):
            viewer.require(EVENTS)
        events = _events_in(request)
        results: list[dict[str, Any] | None] = [None] * len(events)
        by_community: dict[str, list[tuple[int, Told]]] = {}
        for place, event in enumerate(events):
            try:
                understood = _understood(event, viewer)
                viewer.require(EVENTS, understood.community)
                by_community.setdefault(understood.community, []).append((place, understood))
            except FanfareError as error:
                results[place] = _result(
                    event, "refused", reason=error.reason, message=error.message, field=error.field
                )
        for community, together in by_community.items():
            answers = _record(desk, viewer, community, [each.report for _, each in together])
            for (place, _), answer in zip(together, answers, strict=True):
                results[place] = _result(
                    events[place],
                    answer.outcome,
                    member=answer.member,
                    reason=answer.reason,
                    message=answer.message,
                    field=_FIELDS.get(answer.field, f"data.{answer.field}" if answer.field else ""),
                )
        return told({"results": results})

    door.register_error_handler(FanfareError, refused)
    return door


def _record(
    desk: Desk, viewer: Viewer, community: str, reports: Sequence[pb.InteractionReport]
) -> Sequence[pb.InteractionResult]:
    asked = pb.RecordInteractionsRequest(community=community, interactions=reports)
    metadata = metadata_for(desk, viewer, {community: frozenset(("members.write",))})
    try:
        answered: Sequence[pb.InteractionResult] = desk.rooms.call(
            "MemberService.RecordInteractions", asked, metadata
        ).results
    except FanfareError as error:
        if error.kind.value == "unavailable":
            raise  # nothing is known to be recorded: the partner sends the same again
        return [pb.InteractionResult(outcome="refused", reason=error.reason, message=error.message) for _ in reports]
    return answered


# Reading CloudEvents


def _events_in(asked: Request) -> list[Mapping[str, Any]]:
    """The events of the body: structured, batched, or one in binary mode (its attributes in headers)."""
    if (asked.content_length or 0) > MOST_BYTES:
        raise EventsTooLarge(f"A request has at most {MOST_BYTES} bytes: send several.")
    raw = asked.stream.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise EventsTooLarge(f"A request has at most {MOST_BYTES} bytes: send several.")
    if asked.mimetype not in (SINGLE, BATCH, PLAIN):
        raise EventInvalid(f"Send CloudEvents as {SINGLE} or {BATCH}.", field="Content-Type")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise EventInvalid("The body is not JSON.") from None
    if asked.headers.get("ce-specversion"):
        attributes = {key[3:].lower(): value for key, value in asked.headers.items() if key.lower().startswith("ce-")}
        return [{**attributes, "data": body}]
    events = body if isinstance(body, list) else [body]
    if not events or not all(isinstance(event, dict) for event in events):
        raise EventInvalid("Send one CloudEvent, or a list of them.")
    if len(events) > MOST_EVENTS:
        raise EventsTooLarge(f"A request has at most {MOST_EVENTS} events: send several.")
    return events


def _understood(event: Mapping[str, Any], viewer: Viewer) -> Told:
    """Raises EventInvalid naming the field that is wrong, and the remedy."""
    if event.get("specversion") != "1.0":
        raise EventInvalid("Only CloudEvents 1.0 are understood.", field="specversion")
    event_id, source = _text(event, "id", required=True), _text(event, "source", required=True)
    kind = KINDS.get(_text(event, "type", required=True))
    if kind is None:
        raise EventInvalid(f"A type is one of {', '.join(KINDS)}.", field="type")
    data = event.get("data")
    if not isinstance(data, dict):
        raise EventInvalid("The data is a JSON object.", field="data")
    report = pb.InteractionReport(
        id=_known_as(source, event_id),
        kind=kind,
        at=_instant(event, "time"),
        member=_text(data, "member", "data."),
        email=_text(data, "email", "data."),
        phone=_text(data, "phone", "data."),
        external_id=_text(data, "external_id", "data."),
        subject=_text(data, "offer", "data.") or _text(data, "activity", "data."),
        given_name=_text(data, "given_name", "data."),
        family_name=_text(data, "family_name", "data."),
    )
    if reversed_id := _text(data, "reverses", "data."):
        report.reverses = _known_as(source, reversed_id)
    _amount(report, data)
    _consent(report, data)
    return Told(event_id, source, _community(data, viewer), report)


def _known_as(source: str, event_id: str) -> str:
    """CloudEvents are told apart by source and id together."""
    both = "\0".join((source, event_id)).encode()
    return f"ext_{hashlib.blake2b(both, digest_size=16).hexdigest()}"


def _community(data: Mapping[str, Any], viewer: Viewer) -> str:
    """The community that the event names, or the only one of the key."""
    named = _text(data, "community", "data.")
    if named:
        return named
    places = [place for place, held in viewer.grants.items() if EVENTS in held and place != "*"]
    if len(places) == 1 and "*" not in viewer.grants:
        return places[0]
    raise EventInvalid("Name the community.", field="data.community")


def _amount(report: pb.InteractionReport, data: Mapping[str, Any]) -> None:
    amount, currency = data.get("amount"), _text(data, "currency", "data.").upper()
    if amount is None:
        return
    if isinstance(amount, bool) or not isinstance(amount, (str, int, float)):
        raise EventInvalid('An amount is a decimal number, best sent as text: "12.50".', field="data.amount")
    if len(currency) != 3 or not currency.isalpha():
        raise EventInvalid("An amount needs its currency, ISO 4217: EUR.", field="data.currency")
    sign, units, nanos = nanos_of(str(amount), "data.amount")
    report.currency, report.amount_units, report.amount_nanos = currency, sign * units, sign * nanos


def _consent(report: pb.InteractionReport, data: Mapping[str, Any]) -> None:
    """What a person agreed to on signing up: purposes, and the evidence for it."""
    consent = data.get("consent")
    if consent is None:
        return
    if not isinstance(consent, dict) or not isinstance(consent.get("purposes"), list):
        raise EventInvalid("A consent names its purposes, wording and time.", field="data.consent")
    report.consent_purposes.extend(str(purpose) for purpose in consent["purposes"])
    report.evidence.wording = _text(consent, "wording", "data.consent.")
    report.evidence.source = _text(consent, "source", "data.consent.") or "partner"
    report.evidence.at = _instant(consent, "at", "data.consent.")
    report.evidence.actor = "member"
    report.evidence.detail = _text(consent, "detail", "data.consent.")


def _text(given: Mapping[str, Any], name: str, prefix: str = "", *, required: bool = False) -> str:
    value = given.get(name)
    if value is None or value == "":
        if required:
            raise EventInvalid("It is missing.", field=f"{prefix}{name}")
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST.get(name, 1_000):
        raise EventInvalid(f"It is text of at most {_LONGEST.get(name, 1_000)} characters.", field=f"{prefix}{name}")
    return value


def _instant(given: Mapping[str, Any], name: str, prefix: str = "") -> int:
    """0 where none is given: members takes the time at which it is told, and knows the event when it is told again."""
    text = _text(given, name, prefix)
    if not text:
        return 0
    try:
        return milliseconds(text)
    except ValueError:
        raise EventInvalid(
            "An instant is RFC 3339 with its zone: 2026-11-23T20:30:00Z.", field=f"{prefix}{name}"
        ) from None


def _result(event: Mapping[str, Any], outcome: str, **known: str) -> dict[str, Any]:
    return {"id": event.get("id"), "outcome": outcome, **{name: value for name, value in known.items() if value}}
