"""What happened, in the words of the room; ids only, never personal data. ``events_out`` says them to the others.

Names and fields are those of ``member_events.proto``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Happened:
    """An event: its name and plain values."""

    name: str
    data: dict[str, Any]


def community_created(community: str) -> Happened:
    return Happened("CommunityCreated", {"community": community})


def member_registered(member: str, standing: list[str], source: str) -> Happened:
    return Happened("MemberRegistered", {"member": member, "standing": standing, "source": source})


def standing_change(
    member: str, was: Sequence[str], now: Sequence[str], held: Collection[str], cause: str, at: int
) -> dict[str, Any]:
    """A change of standing, as events carry it one by one or in bulk; ``held``: what the member was ever before."""
    return {"member": member, **_difference(was, now, held), "cause": cause, "at": at}


def standing_change_alike(
    members: Sequence[str], was: Sequence[str], now: Sequence[str], held: Collection[str], cause: str, at: int
) -> dict[str, Any]:
    """The same change of many, kept once; ``events_out`` tells it of each."""
    return {"members": members, **_difference(was, now, held), "cause": cause, "at": at}


def _difference(was: Sequence[str], now: Sequence[str], held: Collection[str]) -> dict[str, list[str]]:
    gained = [standing for standing in now if standing not in was]
    return {
        "gained": [standing for standing in gained if standing not in held],
        "regained": [standing for standing in gained if standing in held],
        "lost": [standing for standing in was if standing not in now],
    }


def standing_taken_back(
    member: str, was: Sequence[str], now: Sequence[str], held: Collection[str], cause: str, at: int
) -> dict[str, Any]:
    """What undoing an import changed: lost is only what the import was the first to give."""
    back = standing_change(member, was, now, (), cause, at)
    return {**back, "lost": [standing for standing in back["lost"] if standing not in held]}


def standings_changed(changes: list[dict[str, Any]]) -> Happened:
    return Happened("StandingsChanged", {"changes": changes})


def permission_changed(member: str, purpose: str, channel: str, allowed: bool) -> Happened:
    return Happened("PermissionChanged", {"member": member, "purpose": purpose, "channel": channel, "allowed": allowed})


def member_merged(member: str, into: str) -> Happened:
    return Happened("MemberMerged", {"member": member, "into": into})


def member_unmerged(member: str, parted_from: str) -> Happened:
    return Happened("MemberUnmerged", {"member": member, "from": parted_from})


def member_erased(member: str, erasure: str) -> Happened:
    return Happened("MemberErased", {"member": member, "erasure": erasure})


def interaction_recorded(interaction: dict[str, Any], *, registered: bool) -> Happened:
    kept = ("member", "kind", "at", "subject", "currency", "amount_units", "amount_nanos", "reverses")
    data = {key: interaction[key] for key in kept if interaction.get(key)}
    return Happened("InteractionRecorded", {"id": interaction["event"], "registered": registered, **data})
