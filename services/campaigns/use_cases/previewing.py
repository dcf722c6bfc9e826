"""The very message that a member would get, shown or sent to an operator, before anything is launched."""

from __future__ import annotations

from services.campaigns.domain.campaign import Campaign
from services.campaigns.domain.content import Compiled
from services.campaigns.domain.draft import address
from services.campaigns.domain.run import Order, Revision, Run, campaign_of_test_run, id_ceiling, test_run
from services.campaigns.domain.run import revision as revision_of
from services.campaigns.use_cases.desk import Desk, Rendered, Tested
from services.campaigns.use_cases.opening import keep_revision
from services.kit.errors import Invalid, NotFound
from services.kit.scope import Scope


def preview_campaign(desk: Desk, scope: Scope, campaign_id: str, member: str) -> Rendered:
    campaign = desk.campaigns.one(scope, campaign_id)
    order, revision = _as_if_launched(desk, campaign)
    return desk.channels.preview(scope.within(campaign.community), order, revision, member)


def send_test(desk: Desk, scope: Scope, campaign_id: str, member: str, to: str) -> Tested:
    campaign = desk.campaigns.one(scope, campaign_id)
    order, revision = _as_if_launched(desk, campaign)
    return desk.channels.send_test(scope.within(campaign.community), order, revision, member, address(to, "to"))


def get_revision(desk: Desk, scope: Scope, run_id: str, number: int) -> Revision:
    """A run's revision; 0: the newest."""
    found = desk.revisions.find(scope, run_id, number) if number else None
    if found is None:
        campaign = desk.campaigns.one(scope, desk.runs.one(scope, run_id).order.campaign)
        if number in (0, campaign.revision):  # just made, and told of before it was kept
            keep_revision(desk, campaign)
            found = desk.revisions.find(scope, run_id, campaign.revision)
    if found is None:
        raise NotFound("There is no such revision of this run.", field="number")
    return found


def links_of_run(desk: Desk, scope: Scope, run_id: str) -> tuple[Campaign, Run | None, list[str]]:
    """The campaign behind a run, or (no run) behind its test messages, and where its links lead by number."""
    run = desk.runs.get(scope, [run_id]).get(run_id)
    campaign_id = run.order.campaign if run else campaign_of_test_run(run_id)
    campaign = desk.campaigns.get(scope, [campaign_id]).get(campaign_id)
    if campaign is None:
        raise NotFound("There is no such run.", field="run")
    return campaign, run, list(campaign.links.urls if run else campaign.compiled().links)


def _as_if_launched(desk: Desk, campaign: Campaign) -> tuple[Order, Revision]:
    compiled = campaign.compiled()
    _require_readable(compiled)
    run, now = test_run(campaign.id), desk.clock.now()
    order = campaign.order(run, launched_at=now, id_ceiling=id_ceiling(now), revision=1)
    return order, revision_of(run, 1, compiled)


def _require_readable(compiled: Compiled) -> None:
    if not compiled.contents:
        raise Invalid(
            "The campaign has no message: write one.",
            field="messages",
            message_fr="La campagne n’a pas de message : écrivez-en un.",
        )
    for problem in compiled.problems:
        if problem.reason in ("no-content", "broken-mjml", "broken-merge-syntax"):
            raise Invalid(problem.said.en, field=problem.field, message_fr=problem.said.fr)
