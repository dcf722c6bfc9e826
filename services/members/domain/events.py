"""What happened, in the words of the room; ids only, never personal data. ``events_out`` says them to the others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommunityCreated:
    community: str


@dataclass(frozen=True, slots=True)
class MemberRegistered:
    member: str
    standing: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class StandingChanged:
    member: str
    gained: tuple[str, ...]
    lost: tuple[str, ...]
    cause: str
    at: int


@dataclass(frozen=True, slots=True)
class PermissionChanged:
    member: str
    purpose: str
    channel: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class MemberMerged:
    member: str
    into: str


@dataclass(frozen=True, slots=True)
class MemberUnmerged:
    member: str
    parted_from: str


@dataclass(frozen=True, slots=True)
class MemberErased:
    member: str
    erasure: str


@dataclass(frozen=True, slots=True)
class InteractionRecorded:
    id: str
    member: str
    kind: str
    at: int
    subject: str
    currency: str
    amount_units: int
    amount_nanos: int
    reverses: str
    registered: bool


Happened = (
    CommunityCreated
    | MemberRegistered
    | StandingChanged
    | PermissionChanged
    | MemberMerged
    | MemberUnmerged
    | MemberErased
    | InteractionRecorded
)
