"""Objectives: stated, and counted from what happens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from services.campaigns.domain.objective import Counted, Goal, Metric, Objective, day_of
from services.campaigns.use_cases.desk import Desk, Listed, require_version, trying_again
from services.kit.errors import VersionConflict
from services.kit.scope import Scope, stored_scope
from services.kit.store.port import Collection, Document, Order
from services.kit.store.rule import Equals, Range, Rule, all_of

JOINED = "joined"
CONVERTED = "converted"
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Gain:
    """So many members joined, gained a standing or were converted at ``at``; ``key`` makes it count once.

    What takes back (``count`` below zero) names the key it ``undoes``, and counts on the day of that.
    """

    what: str
    key: str
    at: int
    count: int = 1
    undoes: str = ""


def create_objective(desk: Desk, scope: Scope, community: str, goal: Goal) -> Objective:
    """``scope`` is the community's. What happened since the goal's start already counts."""
    objective = Objective(
        id=desk.ids.new("obj"),
        agency=scope.agency,
        community=community,
        goal=goal,
        created_at=desk.clock.now(),
    )
    objective.count(count(desk, scope, objective))
    objective.happened.clear()
    desk.objectives.add(scope, objective)
    return objective


def edit_objective(desk: Desk, scope: Scope, objective_id: str, goal: Goal, version: int = 0) -> Objective:
    def edit() -> Objective:
        objective = desk.objectives.one(scope, objective_id)
        require_version(version, objective.version)
        objective.edit(goal)
        objective.count(count(desk, scope.within(objective.community), objective))
        desk.objectives.save(scope, objective)
        return objective

    return trying_again(edit)


def get_objectives(desk: Desk, scope: Scope, ids: Sequence[str]) -> list[Objective]:
    """Those found, in the order asked."""
    found = desk.objectives.get(scope, ids)
    return [found[each] for each in ids if each in found]


def list_objectives(desk: Desk, scope: Scope, *, size: int, after: str) -> Listed[Objective]:
    return desk.objectives.page(scope, size=size, after=after)


def take_gains(desk: Desk, scope: Scope, community: str, gains: Iterable[Gain]) -> None:
    """Keep what is new. ``scope`` is the community's."""
    documents = [_gain(scope.agency, community, gain) for gain in gains]
    undone = desk.gains.get(scope, [each["undoes"] for each in documents if each["undoes"]])
    for document in documents:
        if document["undoes"] in undone:
            document["at"] = undone[document["undoes"]]["at"]
    if documents and desk.gains.insert(scope, documents):
        desk.recount(scope.agency, community)


def recount_objectives(desk: Desk, agency: str, community: str) -> None:
    """Count the open objectives of a community anew; those that stand differently say so."""
    scope = stored_scope(agency, community, "service:campaigns")
    for objective in desk.objectives.open_in(agency, community, desk.clock.now()):
        if not objective.count(count(desk, scope, objective)):
            continue
        try:
            desk.objectives.save(scope, objective)
        except VersionConflict:
            desk.recount(agency, community)
    desk.nudge()


def count(desk: Desk, scope: Scope, objective: Objective) -> Counted:
    """What came between start and deadline, counted from what is kept."""
    goal = objective.goal
    days: dict[str, float] = {}
    for at, amount in _COUNTING[goal.metric](desk, scope, objective):
        day = day_of(at)
        days[day] = days.get(day, 0.0) + amount
    days = {day: round(amount, 9) for day, amount in sorted(days.items())}
    return Counted(round(sum(days.values()), 9), days, desk.clock.now())


def _gains(what: str, desk: Desk, scope: Scope, goal: Goal) -> Iterator[tuple[int, float]]:
    for gain in _each(desk.gains, scope, all_of(Equals("what", what), _during(goal)), ("at", "count")):
        yield gain["at"], float(gain["count"])


def _new_members(desk: Desk, scope: Scope, objective: Objective) -> Iterator[tuple[int, float]]:
    return _gains(objective.goal.standing or JOINED, desk, scope, objective.goal)


def _converted(desk: Desk, scope: Scope, objective: Objective) -> Iterator[tuple[int, float]]:
    return _gains(CONVERTED, desk, scope, objective.goal)


def _attendance(desk: Desk, scope: Scope, objective: Objective) -> Iterator[tuple[int, float]]:
    for each in _kept(desk, scope, objective.goal, "attended"):
        yield each["at"], 1.0


def _revenue(desk: Desk, scope: Scope, objective: Objective) -> Iterator[tuple[int, float]]:
    for each in _kept(desk, scope, objective.goal, "purchased"):
        if each["currency"] == objective.goal.currency:
            yield each["at"], each["left_units"] + each["left_nanos"] / 1e9


def _kept(desk: Desk, scope: Scope, goal: Goal, kind: str) -> Iterator[Document]:
    fields = ("at", "subject", "currency", "left_units", "left_nanos", "stands", "reverses")
    for each in _each(desk.conversions, scope, all_of(Equals("kind", kind), _during(goal)), fields):
        if each.get("stands") and not each.get("reverses") and goal.subject in ("", each["subject"]):
            yield each


def _clicks(desk: Desk, scope: Scope, objective: Objective) -> Iterator[tuple[int, float]]:
    for run in desk.runs.under(scope, objective.id):
        rule = all_of(Equals("run", run.id), _during(objective.goal, "clicked_at"))
        for each in _each(desk.reactions, scope, rule, ("clicked_at",), "clicked_at"):
            yield each["clicked_at"], 1.0


_COUNTING = {
    Metric.NEW_MEMBERS: _new_members,
    Metric.CONVERSIONS: _converted,
    Metric.ATTENDANCE: _attendance,
    Metric.REVENUE: _revenue,
    Metric.CLICKS: _clicks,
}


def _during(goal: Goal, path: str = "at") -> Rule:
    return Range(path, gte=goal.starts_at, lte=goal.deadline)


def _each(
    collection: Collection, scope: Scope, rule: Rule, fields: Sequence[str], along: str = "at"
) -> Iterator[Document]:
    after: str | None = None
    while True:
        page = collection.find(scope, rule, order=Order(along), limit=_PAGE, after=after, fields=fields)
        yield from page.documents
        if page.next is None:
            return
        after = page.next


def _gain(agency: str, community: str, gain: Gain) -> Document:
    return {
        "_id": f"gain:{gain.what}:{gain.key}",
        "agency": agency,
        "community": community,
        "version": 1,
        "schema_version": 1,
        "what": gain.what,
        "at": gain.at,
        "count": gain.count,
        "undoes": f"gain:{gain.what}:{gain.undoes}" if gain.undoes else None,
    }
