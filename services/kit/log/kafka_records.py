"""How an event lies in Kafka: CloudEvents 1.0 attributes as headers, as their Kafka binding has it, data as value."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from services.kit.errors import Invalid
from services.kit.log.port import Event

Headers = list[tuple[str, bytes]]

LARGEST = 900_000  # bytes of an event: a broker takes a batch of 1 MiB unless it was told otherwise
_FRAMING = 512  # what a record has besides: names of headers, lengths

_ALWAYS: Headers = [("content-type", b"application/protobuf"), ("ce_specversion", b"1.0")]
_TEXTS = {
    "ce_id": "id",
    "ce_type": "type",
    "ce_source": "source",
    "ce_subject": "subject",
    "ce_agency": "agency",
    "ce_community": "community",
    "ce_traceparent": "trace",
}


def headers_of(event: Event) -> Headers:
    """An empty attribute is none, as CloudEvents has it."""
    given = [(header, getattr(event, name)) for header, name in _TEXTS.items()]
    return [
        *_ALWAYS,
        ("ce_time", datetime.fromtimestamp(event.at / 1_000, UTC).isoformat(timespec="milliseconds").encode()),
        ("ce_sequence", b"%d" % event.sequence),
        *((header, text.encode()) for header, text in given if text),
    ]


def checked(event: Event) -> Event:
    """The event, as one that Kafka can take. Raises Invalid."""
    if not isinstance(event.data, bytes):
        raise Invalid("An event's data is bytes.", field="data")
    if len(event.data) + _FRAMING > LARGEST:
        raise Invalid(f"An event's data may have {LARGEST - _FRAMING} bytes: tell it in several events.", field="data")
    return event


def size_of(event: Event) -> int:
    """Bytes, by a cautious guess."""
    return len(event.data) + _FRAMING


def event_in(headers: Iterable[tuple[str, bytes]], value: bytes) -> Event:
    """Raises KeyError, TypeError or ValueError for what is no event of ours."""
    said = dict(headers)
    return Event(
        sequence=int(said["ce_sequence"]),
        at=round(datetime.fromisoformat(said["ce_time"].decode()).timestamp() * 1_000),
        data=bytes(value),
        **{name: said.get(header, b"").decode() for header, name in _TEXTS.items()},
    )
