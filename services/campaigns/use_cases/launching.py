"""From a draft to a run: checks, the launch, and launches that wait for their instant."""

from __future__ import annotations

import structlog

from services.campaigns.domain.campaign import Campaign, LaunchBlocked
from services.campaigns.domain.checks import Audience, check
from services.campaigns.domain.run import id_ceiling
from services.campaigns.domain.wording import Problem, Wording
from services.campaigns.use_cases.desk import Desk, require_version, trying_again
from services.campaigns.use_cases.opening import open_run
from services.kit.errors import FanfareError, Kind, VersionConflict
from services.kit.scope import Scope, stored_scope

logger = structlog.get_logger(__name__)


def check_campaign(desk: Desk, scope: Scope, campaign_id: str) -> tuple[list[Problem], Audience]:
    """What would stop a launch now, and how many members it would reach."""
    return _checked(desk, scope, desk.campaigns.one(scope, campaign_id))


def launch_campaign(desk: Desk, scope: Scope, campaign_id: str, version: int = 0) -> Campaign:
    """Freeze the content, the rule, the instant and the id ceiling, and let planner and senders begin.

    Raises AlreadyLaunched, AlreadyFinished, AlreadyCancelled; LaunchBlocked with the first problem.
    """

    def launch() -> Campaign:
        campaign = desk.campaigns.one(scope, campaign_id)
        require_version(version, campaign.version)
        campaign.require_launchable()
        problems, _ = _checked(desk, scope, campaign)
        if problems:
            raise LaunchBlocked(problems)
        name = desk.members.community_name(scope, campaign.community)
        now = desk.clock.now()
        campaign.launch(run=desk.ids.new("run"), now=now, id_ceiling=id_ceiling(now), community_name=name)
        desk.campaigns.save(scope, campaign)
        return campaign

    campaign = trying_again(launch)
    open_run(desk, campaign)
    return campaign


def schedule_campaign(desk: Desk, scope: Scope, campaign_id: str, at: int) -> Campaign:
    def schedule() -> Campaign:
        campaign = desk.campaigns.one(scope, campaign_id)
        campaign.schedule(at, desk.clock.now())
        desk.campaigns.save(scope, campaign)
        return campaign

    return trying_again(schedule)


def unschedule_campaign(desk: Desk, scope: Scope, campaign_id: str) -> Campaign:
    def unschedule() -> Campaign:
        campaign = desk.campaigns.one(scope, campaign_id)
        campaign.unschedule()
        desk.campaigns.save(scope, campaign)
        return campaign

    return trying_again(unschedule)


def fire_due(desk: Desk) -> int:
    """Launch what is due, late or not; how many were launched. What is blocked stays scheduled and overdue, says why,
    and is tried again after a minute."""
    return sum(_fired(desk, campaign) for campaign in desk.campaigns.due(desk.clock.now()))


def _fired(desk: Desk, campaign: Campaign) -> bool:
    scope = stored_scope(campaign.agency, campaign.community, "service:campaigns")
    try:
        launch_campaign(desk, scope, campaign.id, campaign.version)
        return True
    except LaunchBlocked as blocked:
        problems = blocked.problems
    except VersionConflict:
        return False
    except FanfareError as error:
        if error.kind is Kind.UNAVAILABLE:
            raise
        if error.kind is Kind.CONFLICT:
            return False  # an operator was quicker
        logger.error("scheduled_launch_failed", campaign=campaign.id, reason=error.reason, message=error.message)
        problems = (_problem(error, "state"),)
    campaign.note_blocked(problems, desk.clock.now())
    try:
        desk.campaigns.save(scope, campaign)
    except VersionConflict:
        return False
    logger.warning("scheduled_launch_blocked", campaign=campaign.id, reasons=[problem.reason for problem in problems])
    return False


def _checked(desk: Desk, scope: Scope, campaign: Campaign) -> tuple[list[Problem], Audience]:
    draft = campaign.draft
    audience, wrong = _audience(desk, scope, campaign)
    problems = check(
        draft,
        campaign.community,
        campaign.compiled(),
        sender=desk.channels.sender(scope.within(campaign.community), draft.account) if draft.account else None,
        catalogue=desk.members.catalogue(scope, campaign.community),
        audience=audience,
        now=desk.clock.now(),
    )
    return [*wrong, *problems], audience or Audience(0)


def _audience(desk: Desk, scope: Scope, campaign: Campaign) -> tuple[Audience | None, list[Problem]]:
    """Whom the rule reaches now; or None, and what members found wrong with it."""
    try:
        return desk.members.audience(scope, campaign.community, campaign.draft.rule), []
    except FanfareError as error:
        if error.kind is not Kind.INVALID:
            raise
        return None, [_problem(error, "rule")]


def _problem(error: FanfareError, field: str) -> Problem:
    """What another room refused; about ``field`` where it names none."""
    said = Wording(error.message, error.params.get("message_fr", error.message))
    return Problem(error.reason, error.field or field, said)
