"""Why did this member (not) get it? The ledger answers; where it has never heard of the member, the plan does."""

from __future__ import annotations

from services.campaigns.domain.campaign import Campaign
from services.campaigns.domain.explanation import (
    ABSENT,
    NOT_LAUNCHED,
    NOT_PLANNED_YET,
    PLANNED,
    Explanation,
    explained,
)
from services.campaigns.domain.run import Run
from services.campaigns.use_cases.desk import Desk
from services.campaigns.use_cases.reacting import reaction_id
from services.kit.scope import Scope
from services.kit.store.port import Document, Order
from services.kit.store.rule import Equals, Range, all_of


def explain_recipient(
    desk: Desk, scope: Scope, campaign_id: str, member: str, locale: str
) -> tuple[Explanation, Document | None]:
    """The answer, and what the member did with the message (None: nothing known)."""
    campaign = desk.campaigns.one(scope, campaign_id)
    run = desk.runs.get(scope, [campaign.run]).get(campaign.run) if campaign.run else None
    if run is None:
        return explained(NOT_LAUNCHED), None
    scope = scope.within(campaign.community)
    answer = desk.channels.explain(scope, run.id, member, locale)
    if answer.state == ABSENT:
        answer = _from_plan(desk, scope, campaign, run, member)
    key = reaction_id(run.id, member)
    return answer, desk.reactions.get(scope, [key]).get(key)


def _from_plan(desk: Desk, scope: Scope, campaign: Campaign, run: Run, member: str) -> Explanation:
    if _has_a_place(desk, scope, run.id, member):
        return explained(PLANNED)
    if member > run.order.id_ceiling:
        return explained(ABSENT, "joined-after-launch")
    standing = desk.members.membership(scope, campaign.community, run.rule, member, run.order.launched_at)
    if standing != "in":
        return explained(ABSENT, _ABSENT_BECAUSE[standing])
    if _stands_with_another(desk, scope, run.id, member):
        return explained(PLANNED)
    if not run.plan.is_closed:
        return explained(NOT_PLANNED_YET)
    return explained(ABSENT, "plan-ended" if campaign.is_cancelled else "entered-later")


_ABSENT_BECAUSE = {
    "out": "not-in-segment",
    "unmeasurable": "unmeasurable",
    "missing": "no-member",
    "merged": "merged",
    "restricted": "restricted",
}


def _has_a_place(desk: Desk, scope: Scope, run: str, member: str) -> bool:
    """Whether the batch that reaches up to the member holds it."""
    rule = all_of(Equals("run", run), Range("last", gte=member))
    page = desk.batches.find(scope, rule, order=Order("last"), limit=1)
    return any(member in batch["members"] for batch in page.documents)


def _stands_with_another(desk: Desk, scope: Scope, run: str, member: str) -> bool:
    """Whether a batch before holds it: those who share an address stand where the lowest id of them does."""
    before = all_of(Equals("run", run), Range("last", lt=member))
    return any(
        member in batch["members"] for page in desk.batches.stream(scope, before, fields=("members",)) for batch in page
    )
