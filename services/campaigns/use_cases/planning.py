"""Laying the audience out in batches.

A batch is saved before it is published, under an id that its run and sequence always give: whoever inserts it first has
decided what it holds. A planner goes on behind the last batch that is saved; one whose insert finds the place taken
knows that another works, and stops. The end is a place in the sequence too, so that nothing can be added behind it.
"""

from __future__ import annotations

from collections.abc import Callable

from services.campaigns.domain.events import BatchPlanned
from services.campaigns.domain.run import Order, Run, batch_id
from services.campaigns.use_cases.desk import AudiencePage, Desk, trying_again
from services.campaigns.use_cases.settling import finish_if_settled
from services.kit.outbox import append_event
from services.kit.scope import Scope, stored_scope
from services.kit.store.port import Document
from services.kit.store.port import Order as Ordered
from services.kit.store.rule import Equals

_NEWEST = Ordered("sequence", descending=True)
A_TURN = 500  # batches; then it is another run's
_LOOKS_UP_EVERY = 20  # batches, between looks at whether the campaign was cancelled
_LIGHT = ("run", "sequence", "last", "members_so_far", "addresses_so_far", "end")


def plan_runs(desk: Desk, may_go_on: Callable[[], bool], most: int = A_TURN) -> int:
    """Give every run whose plan is open its turn; how many were closed."""
    return sum(plan_run(desk, run, may_go_on, most) for run in desk.runs.to_plan())


def plan_run(desk: Desk, run: Run, may_go_on: Callable[[], bool], most: int = A_TURN) -> bool:
    """Plan a run from where it stands, at most so many batches; whether it is closed. ``may_go_on``: the lease still
    holds."""
    order = run.order
    scope = stored_scope(order.agency, order.community, "service:campaigns")
    last = last_batch(desk, scope, order.run)
    if last is None or not last["end"]:
        last = _laid_out(desk, scope, run, last, may_go_on, most)
    if last is None:
        return False

    def close() -> Run:
        closing = desk.runs.one(scope, order.run)
        closing.close_plan(last["sequence"], last["members_so_far"], last["addresses_so_far"])
        desk.runs.save(scope, closing)
        return closing

    trying_again(close)
    desk.nudge()
    finish_if_settled(desk, scope, [order.run])
    return True


def last_batch(desk: Desk, scope: Scope, run: str) -> Document | None:
    page = desk.batches.find(scope, Equals("run", run), order=_NEWEST, limit=1, fields=_LIGHT)
    return page.documents[0] if page.documents else None


def _laid_out(
    desk: Desk, scope: Scope, run: Run, last: Document | None, may_go_on: Callable[[], bool], most: int
) -> Document | None:
    """Save the batches behind the last one, and the end mark, which is returned; None: the turn is over, or another
    planner is at work."""
    order = run.order
    pages = desk.members.stream_audience(scope, order, run.rule, last["last"] if last else "")
    for number, page in enumerate(pages):
        if number == most or not may_go_on():
            return None
        if number % _LOOKS_UP_EVERY == 0 and desk.campaigns.one(scope, order.campaign).is_cancelled:
            break
        if not page.members:
            continue  # they all stand with somebody of a lower id
        last = _saved(desk, scope, _batch(desk, order, page, last))
        if last is None:
            return None
        desk.nudge()
    if not may_go_on():
        return None
    return _saved(desk, scope, _end_mark(order, last))


def _saved(desk: Desk, scope: Scope, batch: Document) -> Document | None:
    return batch if desk.batches.insert(scope, [batch]) else None


def _batch(desk: Desk, order: Order, page: AudiencePage, last: Document | None) -> Document:
    batch = _place_behind(order, last)
    batch |= {
        "members": page.members,
        "last": page.last,
        "members_so_far": batch["members_so_far"] + len(page.members),
        "addresses_so_far": batch["addresses_so_far"] + len(page.sizes or page.members),
    }
    told = {"run": order.run, "sequence": batch["sequence"], "members": page.members, "sizes": page.sizes}
    append_event(batch, desk.ids.new("evt"), BatchPlanned.__name__, desk.clock.now(), told)
    return batch


def _end_mark(order: Order, last: Document | None) -> Document:
    return _place_behind(order, last) | {"end": True}


def _place_behind(order: Order, last: Document | None) -> Document:
    """An empty place in the sequence, counting what is before it."""
    sequence = last["sequence"] + 1 if last else 0
    return {
        "_id": batch_id(order, sequence),
        "agency": order.agency,
        "community": order.community,
        "version": 1,
        "schema_version": 1,
        "run": order.run,
        "sequence": sequence,
        "members": [],
        "last": last["last"] if last else "",
        "members_so_far": last["members_so_far"] if last else 0,
        "addresses_so_far": last["addresses_so_far"] if last else 0,
        "end": False,
    }
