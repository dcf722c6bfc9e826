"""What happened, in the words of the room; ids and numbers only, never personal data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CampaignLaunched:
    order: Mapping[str, Any]  # the fields of a RunOrder


@dataclass(frozen=True, slots=True)
class BatchPlanned:
    run: str
    sequence: int
    members: list[str]
    sizes: list[int]  # how many of them share an address, group by group; empty: none do


@dataclass(frozen=True, slots=True)
class RunPlanned:
    run: str
    batches: int
    members: int


@dataclass(frozen=True, slots=True)
class RevisionMade:
    run: str
    number: int


@dataclass(frozen=True, slots=True)
class CampaignFinished:
    campaign: str
    run: str


@dataclass(frozen=True, slots=True)
class CampaignCancelled:
    campaign: str
    run: str


@dataclass(frozen=True, slots=True)
class ObjectiveProgressed:
    objective: str
    value: float


@dataclass(frozen=True, slots=True)
class ErasureAcknowledged:
    member: str
    erasure: str


Happened = (
    CampaignLaunched
    | BatchPlanned
    | RunPlanned
    | RevisionMade
    | CampaignFinished
    | CampaignCancelled
    | ObjectiveProgressed
    | ErasureAcknowledged
)
