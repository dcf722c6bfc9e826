"""One intention, carried by a message to a segment, under an objective.

draft → scheduled → running ⇄ paused → finished, or cancelled. The model decides: each verb raises a word of the field
where the state does not allow it, and nobody outside compares states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from services.campaigns.domain.content import Compiled, compile_messages
from services.campaigns.domain.draft import Draft
from services.campaigns.domain.events import CampaignCancelled, CampaignFinished, Happened, RevisionMade
from services.campaigns.domain.links import LinkTable
from services.campaigns.domain.run import Order
from services.campaigns.domain.wording import Problem
from services.kit.clock import DAY
from services.kit.errors import Conflict, Invalid

SENDS_FOR = 3 * DAY


class State(StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"


class AlreadyLaunched(Conflict):
    reason = "already-launched"


class AlreadyFinished(Conflict):
    reason = "already-finished"


class AlreadyCancelled(Conflict):
    reason = "already-cancelled"


class AlreadyPaused(Conflict):
    reason = "already-paused"


class NotLaunched(Conflict):
    reason = "not-launched"


class NotPaused(Conflict):
    reason = "not-paused"


class NotScheduled(Conflict):
    reason = "not-scheduled"


class PauseFirst(Conflict):
    reason = "pause-first"


class FrozenAtLaunch(Conflict):
    reason = "frozen-at-launch"


class LaunchBlocked(Conflict):
    """Something stands in the way: the first problem speaks, ``check`` lists them all."""

    reason = "launch-blocked"

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0]
        others = f" ({len(problems) - 1} more: check the campaign.)" if len(problems) > 1 else ""
        super().__init__(
            first.said.en + others,
            field=first.field,
            problem=first.reason,
            problems=",".join(dict.fromkeys(problem.reason for problem in problems)),
            message_fr=first.said.fr,
        )
        self.problems = tuple(problems)


class RevisionBlocked(LaunchBlocked):
    """The edited messages could not be sent: the run goes on with those it had."""

    reason = "revision-blocked"


class ScheduleInThePast(Invalid):
    reason = "schedule-in-the-past"


_LAUNCHED = AlreadyLaunched("The campaign was launched already.")
_NOT_LAUNCHED = NotLaunched("The campaign has not been launched yet: launch it first.")
_FINISHED = AlreadyFinished("The campaign is finished: make a new one.")
_CANCELLED = AlreadyCancelled("The campaign was cancelled: make a new one.")
_NOT_SCHEDULED = NotScheduled("The campaign is not scheduled.")

REFUSALS: Mapping[str, Mapping[State, Conflict]] = {
    "edit": {
        State.RUNNING: PauseFirst("The campaign is running: pause it to edit its messages."),
        State.FINISHED: _FINISHED,
        State.CANCELLED: _CANCELLED,
    },
    "schedule": {
        State.RUNNING: _LAUNCHED,
        State.PAUSED: _LAUNCHED,
        State.FINISHED: _FINISHED,
        State.CANCELLED: _CANCELLED,
    },
    "unschedule": {
        State.DRAFT: _NOT_SCHEDULED,
        State.RUNNING: _LAUNCHED,
        State.PAUSED: _LAUNCHED,
        State.FINISHED: _FINISHED,
        State.CANCELLED: _CANCELLED,
    },
    "launch": {
        State.RUNNING: _LAUNCHED,
        State.PAUSED: _LAUNCHED,
        State.FINISHED: _FINISHED,
        State.CANCELLED: _CANCELLED,
    },
    "pause": {
        State.DRAFT: _NOT_LAUNCHED,
        State.SCHEDULED: _NOT_LAUNCHED,
        State.PAUSED: AlreadyPaused("The campaign is paused already."),
        State.FINISHED: _FINISHED,
        State.CANCELLED: _CANCELLED,
    },
    "resume": {
        State.DRAFT: _NOT_LAUNCHED,
        State.SCHEDULED: _NOT_LAUNCHED,
        State.RUNNING: NotPaused("The campaign is running."),
        State.FINISHED: _FINISHED,
        State.CANCELLED: _CANCELLED,
    },
    "cancel": {State.FINISHED: _FINISHED, State.CANCELLED: _CANCELLED},
    "finish": {
        State.DRAFT: _NOT_LAUNCHED,
        State.SCHEDULED: _NOT_LAUNCHED,
        State.FINISHED: _FINISHED,
        State.CANCELLED: _CANCELLED,
    },
}
"""What each verb answers in the states that do not allow it; it is allowed in the others."""

_EDITABLE_WHILE_PAUSED = frozenset({"name", "messages", "fallback_locale", "message_cost"})


@dataclass(slots=True)
class Campaign:
    """``run`` is empty until the launch; ``revision`` is that of the content in force (0 before the launch).

    ``links`` are those of every revision: an edit adds to them. ``opening`` is the run that the launch froze, until it
    is there. ``control_pending``: the senders have not confirmed the last pause, resume, cancel or revision yet; asking
    them is repeated until they have. ``problems`` are what stopped the scheduled launch at ``tried_at``.
    """

    id: str
    agency: str
    community: str
    draft: Draft
    created_at: int
    created_by: str
    template: str = ""
    state: State = State.DRAFT
    scheduled_at: int = 0
    tried_at: int = 0
    problems: tuple[Problem, ...] = ()
    run: str = ""
    launched_at: int = 0
    finished_at: int = 0
    revision: int = 0
    control_pending: bool = False
    links: LinkTable = field(default_factory=LinkTable)
    opening: Order | None = None
    community_name: str = ""
    version: int = 1
    happened: list[Happened] = field(default_factory=list)

    @property
    def is_launched(self) -> bool:
        return bool(self.run)

    @property
    def is_cancelled(self) -> bool:
        return self.state is State.CANCELLED

    def is_overdue(self, now: int) -> bool:
        """Its scheduled instant has passed, and it is not launched."""
        return self.state is State.SCHEDULED and self.scheduled_at < now

    def edit(self, draft: Draft) -> None:
        """Take the draft over. While paused only the messages may change: they make a revision."""
        self._require("edit")
        changed = self.draft.differs_in(draft)
        if self.is_launched:
            frozen = [name for name in changed if name not in _EDITABLE_WHILE_PAUSED]
            if frozen:
                raise FrozenAtLaunch(
                    f"Launching froze {', '.join(frozen)}: edit the messages only, or make a new campaign.",
                    field=frozen[0],
                )
            if {"messages", "fallback_locale"} & set(changed):
                self.draft = draft
                self._keep_links()
                self.revision += 1
                self.control_pending = True
                self.happened.append(RevisionMade(self.run, self.revision))
        self.draft = draft

    def schedule(self, at: int, now: int) -> None:
        self._require("schedule")
        if at <= now:
            raise ScheduleInThePast("Choose an instant to come, or launch the campaign now.", field="at")
        if self.draft.send_until and at >= self.draft.send_until:
            raise Invalid(
                "The campaign would be launched after its end of sending: choose another.",
                field="at",
                message_fr="La campagne serait lancée après la fin de son envoi : choisissez un autre instant.",
            )
        self.state = State.SCHEDULED
        self.scheduled_at = at
        self.tried_at = 0
        self.problems = ()

    def unschedule(self) -> None:
        self._require("unschedule")
        self.state = State.DRAFT
        self.scheduled_at = self.tried_at = 0
        self.problems = ()

    def note_blocked(self, problems: Sequence[Problem], now: int) -> None:
        """The scheduled launch did not succeed; it stays scheduled, overdue, and is tried again."""
        self.problems = tuple(problems)
        self.tried_at = now

    def compiled(self) -> Compiled:
        """The messages as senders will have them; the numbers of links that earlier revisions had stay."""
        table = LinkTable(list(self.links.urls), list(self.links.offers))
        return compile_messages(self.draft.messages, self.draft.first_locale, table)

    def require_launchable(self) -> None:
        """Raises AlreadyLaunched, AlreadyFinished, AlreadyCancelled."""
        self._require("launch")

    def launch(self, *, run: str, now: int, id_ceiling: str, community_name: str) -> Order:
        """Freeze what must not change under the run. Raises AlreadyLaunched, AlreadyFinished, AlreadyCancelled."""
        self.require_launchable()
        self._keep_links()
        self.state = State.RUNNING
        self.run = run
        self.launched_at = now
        self.revision = 1
        self.problems = ()
        self.community_name = community_name
        self.opening = self.order(run, launched_at=now, id_ceiling=id_ceiling, revision=1)
        return self.opening

    def order(self, run: str, *, launched_at: int, id_ceiling: str, revision: int) -> Order:
        """What the senders must know."""
        draft = self.draft
        return Order(
            run=run,
            campaign=self.id,
            agency=self.agency,
            community=self.community,
            channel=draft.channel,
            purpose=draft.purpose,
            account=draft.account,
            from_name=draft.from_name,
            reply_to=draft.reply_to,
            unknown_policy=draft.unknown_policy,
            launched_at=launched_at,
            send_until=draft.send_until or launched_at + SENDS_FOR,
            id_ceiling=id_ceiling,
            revision=revision,
            quiet_from=draft.quiet_from,
            quiet_until=draft.quiet_until,
            cap_count=draft.cap_count,
            cap_window_days=draft.cap_window_days,
        )

    def pause(self) -> None:
        self._require("pause")
        self.state = State.PAUSED
        self.control_pending = True

    def resume(self) -> None:
        self._require("resume")
        self.state = State.RUNNING
        self.control_pending = True

    def cancel(self, now: int) -> None:
        self._require("cancel")
        self.state = State.CANCELLED
        self.finished_at = now
        self.control_pending = self.is_launched
        self.happened.append(CampaignCancelled(self.id, self.run))

    def finish(self, now: int) -> None:
        """Every recipient is terminal."""
        self._require("finish")
        self.state = State.FINISHED
        self.finished_at = now
        self.control_pending = False
        self.happened.append(CampaignFinished(self.id, self.run))

    def _keep_links(self) -> None:
        compiled = self.compiled()
        self.links = LinkTable(list(compiled.links), list(compiled.link_offers))

    def _require(self, verb: str) -> None:
        refusal = REFUSALS[verb].get(self.state)
        if refusal is not None:
            raise type(refusal)(refusal.message, field=refusal.field, state=self.state.value)
