"""Pause, resume, cancel, and stop everything: direct calls, read before each handful."""

from __future__ import annotations

from dataclasses import dataclass

from services.channels.domain import reasons
from services.channels.domain.run import RunState
from services.channels.use_cases.room import Room, UnknownRun, change
from services.kit.errors import Conflict, Invalid
from services.kit.scope import Scope
from services.kit.store.port import Document


class RunCancelled(Conflict):
    reason = "run-cancelled"


def control_run(room: Room, scope: Scope, run: str, state: RunState, revision: int = 0) -> RunState:
    """Hold, release or end a run. Raises RunCancelled for a run that was ended, UnknownRun outside the scope."""

    def apply(document: Document) -> Document | None:
        current = RunState.named(document["state"])
        if current is RunState.CANCELLED and state is not RunState.CANCELLED:
            raise RunCancelled("The run was cancelled: launch the campaign again.", field="state")
        number = max(revision, document.get("revision") or 0)
        if current is state and number == document.get("revision"):
            return None
        return {**document, "state": state.value, "revision": number}

    changed = change(room.runs, scope, run, apply)
    if changed is None:
        changed = _control_before_launch(room, scope, run, state)
    room.nudge()
    return RunState.named(changed["state"])


def _control_before_launch(room: Room, scope: Scope, run: str, state: RunState) -> Document:
    """The call was quicker than the launch's event: what it says is kept until the launch arrives."""
    if scope.communities is None or len(scope.communities) != 1:
        raise UnknownRun
    document: Document = {
        "_id": run,
        "agency": scope.agency,
        "community": next(iter(scope.communities)),
        "version": 1,
        "schema_version": 1,
        "order": {},
        "state": state.value,
        "revision": 0,
        "launched_at": 0,
        "active": None,
    }
    if not room.runs.insert(scope, [document]):
        raise UnknownRun
    return document


def hold_id(agency: str, community: str = "") -> str:
    """One hold for a community, one for the whole agency. It names the agency: nobody else's can stand in its place."""
    return f"hold_{agency}:{community}"


def hold_outgoing(room: Room, scope: Scope, community: str, cause: str) -> int:
    """Stop everything of a community, or of the agency where none is named; returns since when (UTC ms)."""
    now = room.clock.now()
    document: Document = {
        "_id": hold_id(scope.agency, community),
        "agency": scope.agency,
        "community": community or None,
        "version": 1,
        "schema_version": 1,
        "cause": cause,
        "by": scope.actor,
        "held_at": now,
        "released_at": None,
    }
    if not room.holds.insert(scope, [document]):
        held = change(
            room.holds,
            scope,
            document["_id"],
            lambda found: {**document, "version": found["version"]} if found["released_at"] else None,
        )
        now = held["held_at"] if held else now
    room.nudge()
    return now


def release_outgoing(room: Room, scope: Scope, community: str) -> int:
    """Let it go on. Raises Invalid where nothing is held."""
    now = room.clock.now()
    released = change(
        room.holds,
        scope,
        hold_id(scope.agency, community),
        lambda found: {**found, "released_at": now} if not found["released_at"] else None,
    )
    if released is None:
        raise Invalid("Nothing is held here: there is nothing to release.", field="community")
    room.nudge()
    return int(released["released_at"])


@dataclass(frozen=True, slots=True)
class Control:
    """What stands in the way of a run now: empty, or one of the reasons; the revision to send, and the account."""

    obstacle: str
    revision: int
    account: Document | None = None

    @property
    def ended(self) -> bool:
        """Nothing of the run is sent any more, whoever else stands in the way: what is left is closed."""
        return self.obstacle in (reasons.CANCELLED, reasons.EXPIRED)


def control_of(room: Room, scope: Scope, run: str) -> Control:
    """Whether the run may go on, as it stands in the store now."""
    document = room.run(scope, run)
    revision = int(document.get("revision") or 1)
    state = RunState.named(document["state"])
    if state is RunState.CANCELLED:
        return Control(reasons.CANCELLED, revision)
    if 0 < document["order"].get("send_until", 0) <= room.clock.now():
        return Control(reasons.EXPIRED, revision)
    if is_held(room, document["agency"], document["community"], scope):
        return Control(reasons.HELD, revision)
    if state is RunState.PAUSED:
        return Control(reasons.PAUSED, revision)
    account = room.accounts.get(scope, [document["account"]]).get(document["account"])
    if account is None or account["state"] != "active" or not account["sender_verified_at"]:
        return Control(reasons.ACCOUNT, revision)
    return Control("", revision, account)


def is_held(room: Room, agency: str, community: str, scope: Scope) -> bool:
    """Whether the community, or its whole agency, is held."""
    whole = Scope(agency, None, scope.actor)
    holds = room.holds.get(whole, [hold_id(agency), hold_id(agency, community)])
    return any(not hold["released_at"] for hold in holds.values())
