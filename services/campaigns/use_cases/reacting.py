"""What members do with a message: opening, following links, unsubscribing. People and programs apart.

One document for each member of a run, changed by patches that give the same in whichever order, and however often, they
come; figures count these documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.campaigns.domain.run import Run
from services.campaigns.use_cases.converting import attribute_clickers
from services.campaigns.use_cases.desk import Desk
from services.kit.clock import SECOND
from services.kit.scope import Scope
from services.kit.store.port import Document, Patch

PIXEL = -1


@dataclass(frozen=True, slots=True)
class Visit:
    """A link followed (its number), or the pixel loaded (-1); ``machine`` is the cause for holding it a program's."""

    run: str
    member: str
    at: int
    link: int
    machine: str = ""


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    run: str
    members: tuple[str, ...]
    at: int


class _Changes:
    """What is to be changed of each member's reactions, gathered."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str], dict[str, int]] = {}
        self._causes: dict[tuple[str, str], set[str]] = {}

    def at(self, run: str, member: str, at: int, *paths: str) -> None:
        latest = self._latest.setdefault((run, member), {})
        for path in paths:
            latest[path] = max(latest.get(path, 0), at)

    def cause(self, run: str, member: str, cause: str) -> None:
        self._causes.setdefault((run, member), set()).add(cause)

    def save(self, desk: Desk, scope: Scope, runs: Mapping[str, Run]) -> None:
        desk.reactions.insert(scope, [_blank(runs[run], member) for run, member in self._latest])
        desk.reactions.patch(
            scope,
            [
                Patch(
                    reaction_id(*key),
                    max=latest,
                    set={f"causes.{cause}": True for cause in sorted(self._causes.get(key, ()))},
                )
                for key, latest in self._latest.items()
            ],
        )


def take_visits(desk: Desk, scope: Scope, visits: Sequence[Visit]) -> None:
    """``scope`` is one community's. Visits of runs that are not there (test messages) are passed over."""
    runs = desk.runs.get(scope, list({visit.run for visit in visits}))
    changes = _Changes()
    clickers: set[str] = set()
    for visit in visits:
        if visit.run not in runs:
            continue
        changes.at(visit.run, visit.member, visit.at, *_paths(visit))
        if visit.machine:
            changes.cause(visit.run, visit.member, visit.machine.replace(".", "-"))
        elif visit.link >= 0:
            clickers.add(visit.member)
    changes.save(desk, scope, runs)
    if clickers:
        attribute_clickers(desk, scope, sorted(clickers))
        _recount(desk, scope, runs.values())


def take_unsubscribes(desk: Desk, scope: Scope, unsubscribed: Iterable[Unsubscribed]) -> None:
    """``scope`` is one community's."""
    known = list(unsubscribed)
    runs = desk.runs.get(scope, list({each.run for each in known}))
    changes = _Changes()
    for each in known:
        if each.run in runs:
            for member in each.members:
                changes.at(each.run, member, each.at, "unsubscribed_at")
    changes.save(desk, scope, runs)


def reaction_id(run: str, member: str) -> str:
    return f"{run}:{member}"


def _paths(visit: Visit) -> tuple[str, ...]:
    """What a visit is the latest of. A click is an opening too, by the same hand."""
    if visit.machine:
        if visit.link == PIXEL:
            return ("machine_opened_at",)
        numbered = (f"machine_links.{visit.link}",) if visit.link >= 0 else ()
        return ("machine_clicked_at", *numbered)
    if visit.link < 0:
        return ("opened_at",)
    return ("opened_at", "clicked_at", f"links.{visit.link}", f"clicks.{visit.at // SECOND}")


def _blank(run: Run, member: str) -> Document:
    return {
        "_id": reaction_id(run.id, member),
        "agency": run.order.agency,
        "community": run.order.community,
        "version": 1,
        "schema_version": 1,
        "run": run.id,
        "campaign": run.order.campaign,
        "member": member,
        "causes": {},
        "links": {},
        "machine_links": {},
        "clicks": {},
    }


def _recount(desk: Desk, scope: Scope, runs: Iterable[Run]) -> None:
    for community in {run.order.community for run in runs if run.objective}:
        desk.recount(scope.agency, community)
