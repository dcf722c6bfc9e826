"""Pause, resume, cancel: saved first, then asked of the senders directly; repeated until they confirm."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from services.campaigns.domain.campaign import Campaign, State
from services.campaigns.use_cases.desk import Desk, trying_again
from services.campaigns.use_cases.opening import keep_revision, open_run
from services.kit.errors import FanfareError, Kind, VersionConflict
from services.kit.scope import Scope, stored_scope

logger = structlog.get_logger(__name__)

_SENDERS_STATE = {
    State.RUNNING: "running",
    State.PAUSED: "paused",
    State.CANCELLED: "cancelled",
    State.FINISHED: "running",
}


def pause_campaign(desk: Desk, scope: Scope, campaign_id: str) -> Campaign:
    return _control(desk, scope, campaign_id, Campaign.pause)


def resume_campaign(desk: Desk, scope: Scope, campaign_id: str) -> Campaign:
    return _control(desk, scope, campaign_id, Campaign.resume)


def cancel_campaign(desk: Desk, scope: Scope, campaign_id: str) -> Campaign:
    now = desk.clock.now()
    return _control(desk, scope, campaign_id, lambda campaign: campaign.cancel(now))


def confirm_control(desk: Desk, campaign: Campaign) -> bool:
    """Ask the senders for the state that is saved, once; whether they confirmed. What they have not confirmed stays
    pending and is asked again, soon, by the controller."""
    scope = stored_scope(campaign.agency, campaign.community, "service:campaigns")
    open_run(desk, campaign)
    keep_revision(desk, campaign)
    try:
        desk.channels.control(scope, campaign.run, _SENDERS_STATE[campaign.state], campaign.revision)
    except FanfareError as error:
        if error.kind is not Kind.CONFLICT:  # away, or its launch has not reached them yet
            logger.warning("control_waits", campaign=campaign.id, state=campaign.state.value, reason=error.reason)
            return False
        logger.warning("control_refused", campaign=campaign.id, state=campaign.state.value, reason=error.reason)
    campaign.control_pending = False
    try:
        desk.campaigns.save(scope, campaign)
    except VersionConflict:
        return False  # changed meanwhile; the controller asks for what is saved now
    return True


def confirm_controls(desk: Desk) -> int:
    """Ask again for everything that is pending; how many are confirmed now."""
    return sum(confirm_control(desk, campaign) for campaign in desk.campaigns.uncontrolled())


def _control(desk: Desk, scope: Scope, campaign_id: str, verb: Callable[[Campaign], None]) -> Campaign:
    def change() -> Campaign:
        campaign = desk.campaigns.one(scope, campaign_id)
        verb(campaign)
        desk.campaigns.save(scope, campaign)
        return campaign

    campaign = trying_again(change)
    desk.nudge()
    if campaign.control_pending:
        confirm_control(desk, campaign)
    return campaign
