"""Figures: counted from what is kept, whenever they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.campaigns.domain.campaign import Campaign
from services.campaigns.domain.figures import NO_FIGURES, Figures, Reactions
from services.campaigns.domain.money import sums
from services.campaigns.domain.run import Run
from services.campaigns.domain.wording import one_of
from services.campaigns.use_cases.desk import Desk, Listed
from services.campaigns.use_cases.planning import last_batch
from services.campaigns.use_cases.settling import totals_of
from services.kit.scope import Scope
from services.kit.store.port import Document, Order
from services.kit.store.rule import Equals, Range, Rule, all_of

KINDS = ("opened", "clicked", "machine_opened", "machine_clicked", "unsubscribed", "converted")
_BILLION = 1_000_000_000


def figures(desk: Desk, scope: Scope, campaigns: Sequence[str]) -> list[Figures]:
    """Of those found, in the order asked."""
    found = desk.campaigns.get(scope, campaigns)
    runs = desk.runs.get(scope, [each.run for each in found.values() if each.run])
    return [_figures(desk, scope, found[each], runs.get(found[each].run)) for each in campaigns if each in found]


def link_clicks(desk: Desk, scope: Scope, campaign_id: str) -> tuple[Campaign, dict[int, int], dict[int, int]]:
    """The campaign, and by link number the members who followed it, by hand and by program."""
    campaign = desk.campaigns.one(scope, campaign_id)
    people: dict[int, int] = {}
    machines: dict[int, int] = {}
    if campaign.run:
        of_run = all_of(Equals("run", campaign.run), Range("_id", gte=f"{campaign.run}:", lt=f"{campaign.run};"))
        for page in desk.reactions.stream(scope, of_run, fields=("links", "machine_links")):
            for reaction in page:
                for name, counts in (("links", people), ("machine_links", machines)):
                    for number in reaction.get(name) or ():
                        counts[int(number)] = counts.get(int(number), 0) + 1
    return campaign, people, machines


def list_reactions(desk: Desk, scope: Scope, campaign_id: str, kind: str, *, size: int, after: str) -> Listed[Document]:
    """Who did what with the message, by member id; the kind, or anything."""
    if kind:
        one_of(kind, KINDS, "kind")
    campaign = desk.campaigns.one(scope, campaign_id)
    if not campaign.run:
        return Listed([], None)
    if kind:
        rule, order = _did(campaign.run, kind), Order(f"{kind}_at", descending=True)
    else:
        rule = all_of(Equals("run", campaign.run), Range("_id", gte=f"{campaign.run}:", lt=f"{campaign.run};"))
        order = Order()
    page = desk.reactions.find(scope, rule, order=order, limit=size, after=after or None)
    return Listed(page.documents, page.next)


def _figures(desk: Desk, scope: Scope, campaign: Campaign, run: Run | None) -> Figures:
    totals = NO_FIGURES if run is None else run.settled or totals_of(desk, scope, run.id)
    planned, addresses, closed = _planned(desk, scope, run)  # after the totals: they never exceed it
    owed = list(_conversions(desk, scope, campaign.id)) if run else []
    cost = campaign.draft.message_cost or desk.settings.of(scope, campaign.community).message_cost
    return Figures(
        campaign=campaign.id,
        run=campaign.run,
        planned=planned,
        plan_closed=closed,
        addresses=addresses,
        totals=totals,
        reactions=_reactions(desk, scope, run.id) if run else Reactions(),
        conversions=len(owed),
        revenue=tuple(
            sums(
                (each["currency"], each["left_units"] * _BILLION + each["left_nanos"])
                for each in owed
                if each["currency"]
            )
        ),
        message_cost=cost,
        counted_at=desk.clock.now(),
    )


def _planned(desk: Desk, scope: Scope, run: Run | None) -> tuple[int, int, bool]:
    if run is None:
        return 0, 0, False
    if run.plan.is_closed:
        return run.plan.members, run.plan.addresses, True
    last = last_batch(desk, scope, run.id)
    return (last["members_so_far"], last["addresses_so_far"], False) if last else (0, 0, False)


def _reactions(desk: Desk, scope: Scope, run: str) -> Reactions:
    return Reactions(**{kind: desk.reactions.count(scope, _did(run, kind)) for kind in KINDS})


def _did(run: str, kind: str) -> Rule:
    return all_of(Equals("run", run), Range(f"{kind}_at", gt=0))


def _conversions(desk: Desk, scope: Scope, campaign: str) -> Iterator[Document]:
    rule = all_of(Equals("campaign", campaign), Equals("stands", True))
    for page in desk.conversions.stream(scope, rule, fields=("currency", "left_units", "left_nanos")):
        yield from page
