"""From a launched campaign to its run: what the launch froze is laid out where planner and senders look."""

from __future__ import annotations

from services.campaigns.domain.campaign import Campaign
from services.campaigns.domain.run import Run
from services.campaigns.domain.run import revision as revision_of
from services.campaigns.use_cases.desk import Desk
from services.kit.errors import VersionConflict
from services.kit.scope import stored_scope


def open_run(desk: Desk, campaign: Campaign) -> None:
    """Make the run of a launch and its first revision. The launch itself is one write of the campaign; this follows it,
    and is done again by the opener where a crash came between. A second time changes nothing."""
    order = campaign.opening
    if order is None:
        return
    scope = stored_scope(campaign.agency, campaign.community, "service:campaigns")
    desk.revisions.add(scope, order, revision_of(order.run, order.revision, campaign.compiled()))
    desk.runs.add(scope, Run(order, campaign.draft.rule, campaign.draft.objective, campaign.community_name))
    desk.nudge()
    campaign.opening = None
    try:
        desk.campaigns.save(scope, campaign)
    except VersionConflict:
        return  # somebody changed the campaign meanwhile; the opener clears it


def keep_revision(desk: Desk, campaign: Campaign) -> None:
    """Keep the content in force under its number, from which it always follows; once it is kept it never changes."""
    scope = stored_scope(campaign.agency, campaign.community, "service:campaigns")
    order = campaign.order(campaign.run, launched_at=campaign.launched_at, id_ceiling="", revision=campaign.revision)
    desk.revisions.add(scope, order, revision_of(campaign.run, campaign.revision, campaign.compiled()))


def open_runs(desk: Desk) -> int:
    """Open what a crash left; how many."""
    launched = desk.campaigns.opening()
    for campaign in launched:
        open_run(desk, campaign)
    return len(launched)
