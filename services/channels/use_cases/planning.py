"""What campaigns planned becomes work here: runs, batches, and the ledgers where it is claimed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.channels.domain.ledger import new_ledger
from services.channels.domain.run import RunOrder, RunState
from services.channels.use_cases.room import ACTOR, Room, UnknownRun, change
from services.kit.ids import derived_id
from services.kit.scope import Scope, stored_scope
from services.kit.store.port import Document


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """A page of the audience; ``sizes`` says how many share an address, group by group (empty: none do)."""

    run: str
    sequence: int
    members: Sequence[str]
    sizes: Sequence[int] = ()


def batch_id(order_launched_at: int, run: str, sequence: int) -> str:
    """The same batch has the same id however often it is planned."""
    return derived_id("bat", order_launched_at, sequence, run)


def record_launch(room: Room, order: RunOrder) -> None:
    """A run begins. A pause or cancellation that came before its launch stands."""
    scope = stored_scope(order.agency, order.community, ACTOR)
    document = _run_document(order, RunState.RUNNING)
    if room.runs.insert(scope, [document]):
        return

    def complete(run: Document) -> Document | None:
        return None if run.get("order") else {**document, "state": run["state"], "version": run["version"]}

    change(room.runs, scope, order.run, complete)


def _run_document(order: RunOrder, state: RunState) -> Document:
    return {
        "_id": order.run,
        "agency": order.agency,
        "community": order.community,
        "version": 1,
        "schema_version": 1,
        "order": order.document(),
        "purpose": order.purpose,
        "account": order.account,
        "state": state.value,
        "revision": order.revision,
        "launched_at": order.launched_at,
        "batches": None,
        "active": 1,
    }


def add_batches(room: Room, agency: str, community: str, planned: Sequence[PlannedBatch]) -> int:
    """Put batches where senders claim them; those known already stay as they are. Returns how many were new.

    Raises UnknownRun for a batch of a run whose launch is not known.
    """
    scope = stored_scope(agency, community, ACTOR)
    runs = room.runs.get(scope, sorted({batch.run for batch in planned}))
    now = room.clock.now()
    batches: list[Document] = []
    for batch in planned:
        run = runs.get(batch.run)
        if run is None or not run.get("order"):
            raise UnknownRun
        batches.append(_batch_document(run, batch))
    room.batches.insert(scope, batches)
    added = room.ledgers.insert(scope, [new_ledger(batch, now) for batch in batches])
    for known in runs:
        change(room.runs, scope, known, _woken)
    room.nudge()
    return len(added)


def _woken(run: Document) -> Document | None:
    """The run, to be looked at again. A cancelled one may retire at any moment: it is written even where it is awake,
    so that whoever found nothing left of it before is too late."""
    awake = run["active"] and run["state"] != RunState.CANCELLED.value
    return None if awake else {**run, "active": 1}


def _batch_document(run: Document, batch: PlannedBatch) -> Document:
    members = list(batch.members)
    return {
        "_id": batch_id(run["launched_at"], batch.run, batch.sequence),
        "agency": run["agency"],
        "community": run["community"],
        "version": 1,
        "schema_version": 1,
        "run": batch.run,
        "sequence": batch.sequence,
        "members": members,
        "sizes": list(batch.sizes),
        "first_member": min(members),
        "last_member": max(members),
    }


def close_plan(room: Room, scope: Scope, run: str, batches: int) -> None:
    """The plan is complete: so many batches, and no more. Raises UnknownRun for a run whose launch is not known."""
    if _set(room, scope, run, batches=batches) is None:
        raise UnknownRun


def make_revision(room: Room, scope: Scope, run: str, number: int) -> None:
    """What is not handed off yet gets this revision. Raises UnknownRun for a run whose launch is not known."""
    newer = change(
        room.runs,
        scope,
        run,
        lambda found: {**found, "revision": number} if number > (found["revision"] or 0) else None,
    )
    if newer is None:
        raise UnknownRun


def end_run(room: Room, scope: Scope, run: str) -> None:
    """Campaigns counts it as finished: nothing is looked for any more."""
    _set(room, scope, run, active=None)


def _set(room: Room, scope: Scope, run: str, **fields: int | None) -> Document | None:
    """Set these of the run, whatever others change of it meanwhile; None where there is no such run."""
    return change(
        room.runs,
        scope,
        run,
        lambda found: {**found, **fields} if any(found.get(name) != fields[name] for name in fields) else None,
    )
