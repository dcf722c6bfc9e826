"""Writing a campaign: creating it, editing it, beginning with a template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from services.campaigns.domain.campaign import Campaign, RevisionBlocked
from services.campaigns.domain.checks import check_content
from services.campaigns.domain.draft import Draft
from services.campaigns.use_cases.controlling import confirm_control
from services.campaigns.use_cases.desk import Desk, Listed, require_version, trying_again
from services.kit.errors import NotFound
from services.kit.scope import Scope


def create_campaign(desk: Desk, scope: Scope, community: str, draft: Draft, template: str = "") -> Campaign:
    """``scope`` is the community's. Where the draft has none, a segment's rule is taken, and a template's messages and
    reasons."""
    if template:
        begun = desk.templates.one(scope, template).draft
        draft = replace(
            draft,
            messages=draft.messages or begun.messages,
            reasons=draft.reasons or begun.reasons,
        )
    if draft.segment:
        rule = desk.members.segment_rule(scope, community, draft.segment)
        draft = replace(draft, rule=draft.rule or rule)
    _require_objective(desk, scope, draft.objective)
    campaign = Campaign(
        id=desk.ids.new("cmp"),
        agency=scope.agency,
        community=community,
        draft=draft,
        created_at=desk.clock.now(),
        created_by=scope.actor,
        template=template,
    )
    desk.campaigns.add(scope, campaign)
    return campaign


def edit_campaign(
    desk: Desk, scope: Scope, campaign_id: str, draft: Draft, names: Sequence[str], version: int = 0
) -> Campaign:
    """Take over the named fields of the draft (none named: all); a new segment brings its rule, where none is given.
    While paused, new messages make a revision."""

    def edit() -> Campaign:
        campaign = desk.campaigns.one(scope, campaign_id)
        require_version(version, campaign.version)
        edited = campaign.draft.taking(draft, names)
        if edited.segment and edited.segment != campaign.draft.segment:
            rule = desk.members.segment_rule(scope, campaign.community, edited.segment)
            given = draft.rule if not names or "rule" in names else ""
            edited = replace(edited, rule=given or rule)
        if edited.objective != campaign.draft.objective:
            _require_objective(desk, scope.within(campaign.community), edited.objective)
        revision = campaign.revision
        campaign.edit(edited)
        if campaign.revision != revision:
            catalogue = desk.members.catalogue(scope, campaign.community)
            if problems := check_content(campaign.draft, campaign.compiled(), catalogue):
                raise RevisionBlocked(problems)
        desk.campaigns.save(scope, campaign)
        return campaign

    campaign = trying_again(edit)
    if campaign.control_pending:
        desk.nudge()
        confirm_control(desk, campaign)
    return campaign


def get_campaigns(desk: Desk, scope: Scope, ids: Sequence[str]) -> list[Campaign]:
    """Those found, in the order asked."""
    found = desk.campaigns.get(scope, ids)
    return [found[each] for each in ids if each in found]


def list_campaigns(
    desk: Desk, scope: Scope, *, states: Sequence[str], objective: str, size: int, after: str
) -> Listed[Campaign]:
    return desk.campaigns.page(scope, states=states, objective=objective, size=size, after=after)


def _require_objective(desk: Desk, scope: Scope, objective: str) -> None:
    if objective and objective not in desk.objectives.get(scope, [objective]):
        raise NotFound("There is no such objective in this community.", field="objective")
