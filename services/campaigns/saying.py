"""The contract's messages and the room's own words: what is heard, what is said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from google.type import money_pb2  # type: ignore[import-untyped] # ships stubs, but no py.typed

from fanfare.campaigns.v1 import (
    campaign_pb2,
    campaign_service_pb2,
    objective_service_pb2,
    run_pb2,
    template_service_pb2,
)
from services.campaigns.domain.attribution import USUAL_DAYS, CampaignSettings
from services.campaigns.domain.campaign import Campaign
from services.campaigns.domain.content import HTML, Message, message
from services.campaigns.domain.draft import EMAIL, LIST, Draft
from services.campaigns.domain.explanation import Explanation
from services.campaigns.domain.figures import Figures, said_of
from services.campaigns.domain.money import Money
from services.campaigns.domain.objective import Goal, Metric, Objective, latest_days
from services.campaigns.domain.run import Revision
from services.campaigns.domain.template import Template, TemplateDraft
from services.campaigns.domain.wording import Problem, one_of
from services.kit.errors import Invalid
from services.kit.store.port import Document

# Campaigns


def heard_draft(said: campaign_pb2.CampaignDraft) -> Draft:
    return Draft(
        name=said.name,
        purpose=said.purpose,
        channel=said.channel or EMAIL,
        rule=said.rule,
        segment=said.segment,
        objective=said.objective,
        reasons=tuple(said.reasons),
        account=said.account,
        from_name=said.from_name,
        reply_to=said.reply_to,
        unknown_policy=said.unknown_policy or LIST,
        send_until=said.send_until,
        quiet_from=said.quiet_from,
        quiet_until=said.quiet_until,
        cap_count=said.cap_count,
        cap_window_days=said.cap_window_days,
        fallback_locale=said.fallback_locale,
        messages=heard_messages(said.messages),
        message_cost=heard_money(said.message_cost) if said.HasField("message_cost") else None,
    )


def heard_edit(said: campaign_pb2.CampaignDraft, names: Iterable[str]) -> Draft:
    """A draft of which only some fields are meant: the name and purpose need not be."""
    named = set(names)
    filled = campaign_pb2.CampaignDraft()
    filled.CopyFrom(said)
    if named and "name" not in named:
        filled.name = "-"
    if named and "purpose" not in named:
        filled.purpose = "news"
    return heard_draft(filled)


def said_campaign(campaign: Campaign, now: int, locale: str) -> campaign_pb2.Campaign:
    return campaign_pb2.Campaign(
        id=campaign.id,
        agency=campaign.agency,
        community=campaign.community,
        version=campaign.version,
        state=campaign.state.value,
        draft=said_draft(campaign.draft),
        template=campaign.template,
        created_at=campaign.created_at,
        created_by=campaign.created_by,
        scheduled_at=campaign.scheduled_at,
        overdue=campaign.is_overdue(now),
        problems=said_problems(campaign.problems, locale),
        run=campaign.run,
        launched_at=campaign.launched_at,
        finished_at=campaign.finished_at,
        revision=campaign.revision,
        control_pending=campaign.control_pending,
    )


def said_draft(draft: Draft) -> campaign_pb2.CampaignDraft:
    return campaign_pb2.CampaignDraft(
        name=draft.name,
        purpose=draft.purpose,
        channel=draft.channel,
        rule=draft.rule,
        segment=draft.segment,
        objective=draft.objective,
        reasons=draft.reasons,
        account=draft.account,
        from_name=draft.from_name,
        reply_to=draft.reply_to,
        unknown_policy=draft.unknown_policy,
        send_until=draft.send_until,
        quiet_from=draft.quiet_from,
        quiet_until=draft.quiet_until,
        cap_count=draft.cap_count,
        cap_window_days=draft.cap_window_days,
        fallback_locale=draft.fallback_locale,
        messages=[said_message(written) for written in draft.messages],
        message_cost=said_money(draft.message_cost),
    )


def heard_messages(said: Iterable[campaign_pb2.Message]) -> tuple[Message, ...]:
    return tuple(
        message(each.locale, each.subject, each.body, each.format or HTML, each.text, each.preheader) for each in said
    )


def said_message(written: Message) -> campaign_pb2.Message:
    return campaign_pb2.Message(**asdict(written))


def said_problems(problems: Iterable[Problem], locale: str) -> list[campaign_pb2.Problem]:
    return [
        campaign_pb2.Problem(reason=each.reason, field=each.field, message=each.said.in_language(locale))
        for each in problems
    ]


def said_revision(revision: Revision) -> run_pb2.Revision:
    return run_pb2.Revision(**asdict(revision))


# Figures


def said_figures(figures: Figures, locale: str) -> campaign_pb2.Figures:
    totals = figures.totals
    return campaign_pb2.Figures(
        campaign=figures.campaign,
        run=figures.run,
        planned=figures.planned,
        plan_closed=figures.plan_closed,
        skipped_by_reason=[
            campaign_pb2.ReasonCount(reason=reason, count=count, message=said_of(reason).in_language(locale))
            for reason, count in totals.skipped.items()
        ],
        skipped=figures.skipped,
        waiting=figures.waiting,
        handed_off=figures.handed_off,
        in_flight=totals.in_flight,
        accepted=totals.accepted,
        refused=totals.refused,
        unknown=totals.unknown,
        addresses=figures.addresses,
        messages=totals.messages,
        **asdict(figures.reactions),
        conversions=figures.conversions,
        revenue=[money for money in map(said_money, figures.revenue) if money],
        cost=said_money(figures.cost),
        cost_per_click=said_money(figures.cost_per_click),
        cost_per_conversion=said_money(figures.cost_per_conversion),
        counted_at=figures.counted_at,
    )


def said_links(campaign: Campaign, people: dict[int, int], machines: dict[int, int]) -> list[campaign_pb2.LinkFigures]:
    return [
        campaign_pb2.LinkFigures(
            number=number, url=url, offer=offer, clicked=people.get(number, 0), machine_clicked=machines.get(number, 0)
        )
        for number, (url, offer) in enumerate(zip(campaign.links.urls, campaign.links.offers, strict=True))
    ]


def said_reaction(document: Document) -> campaign_pb2.Reaction:
    return campaign_pb2.Reaction(
        member=document["member"],
        opened_at=document.get("opened_at") or 0,
        clicked_at=document.get("clicked_at") or 0,
        machine_opened_at=document.get("machine_opened_at") or 0,
        machine_clicked_at=document.get("machine_clicked_at") or 0,
        machine_causes=sorted(document.get("causes") or ()),
        unsubscribed_at=document.get("unsubscribed_at") or 0,
        converted_at=document.get("converted_at") or 0,
    )


def said_explanation(
    answer: Explanation, reaction: Document | None, locale: str
) -> campaign_service_pb2.ExplainRecipientResponse:
    return campaign_service_pb2.ExplainRecipientResponse(
        state=answer.state,
        reason=answer.reason,
        message=answer.in_language(locale),
        at=answer.at,
        message_id=answer.message_id,
        attempts=answer.attempts,
        reply=answer.reply,
        revision=answer.revision,
        shared_with=answer.shared_with,
        reaction=said_reaction(reaction) if reaction else None,
    )


# Objectives


def heard_goal(said: objective_service_pb2.ObjectiveGoal, now: int) -> Goal:
    one_of(said.metric, Metric, "goal.metric")
    return Goal(
        name=said.name,
        metric=Metric(said.metric),
        target=said.target,
        deadline=said.deadline,
        starts_at=said.starts_at or now,
        baseline=said.baseline,
        standing=said.standing,
        subject=said.subject,
        currency=said.currency,
    )


def said_objective(objective: Objective, now: int, locale: str) -> objective_service_pb2.Objective:
    progress = objective.progress(now)
    forecast = progress.forecast
    return objective_service_pb2.Objective(
        id=objective.id,
        agency=objective.agency,
        community=objective.community,
        version=objective.version,
        goal=objective_service_pb2.ObjectiveGoal(**{**asdict(objective.goal), "metric": objective.goal.metric.value}),
        created_at=objective.created_at,
        progress=objective_service_pb2.ObjectiveProgress(
            value=progress.value,
            share=progress.share,
            time_share=progress.time_share,
            pace=progress.pace.value,
            forecast_known=forecast.value is not None,
            forecast=forecast.value or 0.0,
            forecast_low=forecast.low or 0.0,
            forecast_high=forecast.high or 0.0,
            assumption=forecast.assumption.in_language(locale),
            counted_at=objective.counted.counted_at,
            days=[
                objective_service_pb2.DayCount(day=day, value=value) for day, value in latest_days(objective.counted)
            ],
        ),
    )


# Templates, settings, money


def heard_template(said: template_service_pb2.TemplateDraft) -> TemplateDraft:
    return TemplateDraft(
        key=said.key,
        name=said.name,
        purpose=said.purpose,
        reasons=tuple(said.reasons),
        messages=heard_messages(said.messages),
        pack=said.pack,
    )


def said_template(template: Template) -> template_service_pb2.Template:
    draft = template.draft
    return template_service_pb2.Template(
        id=template.id,
        agency=template.agency,
        community=template.community,
        version=template.version,
        draft=template_service_pb2.TemplateDraft(
            key=draft.key,
            name=draft.name,
            purpose=draft.purpose,
            reasons=draft.reasons,
            messages=[said_message(written) for written in draft.messages],
            pack=draft.pack,
        ),
        created_at=template.created_at,
    )


def heard_settings(said: campaign_service_pb2.CampaignSettings, names: Iterable[str]) -> CampaignSettings:
    """Settings of which only those named (none: all) are meant."""
    cost = heard_money(said.message_cost) if said.HasField("message_cost") else None
    named = set(names)
    days = said.attribution_days if not named or "attribution_days" in named else USUAL_DAYS
    return CampaignSettings(said.community, days, cost)


def said_settings(settings: CampaignSettings) -> campaign_service_pb2.CampaignSettings:
    return campaign_service_pb2.CampaignSettings(
        community=settings.community,
        attribution_days=settings.attribution_days,
        message_cost=said_money(settings.message_cost),
    )


def heard_money(said: money_pb2.Money) -> Money:
    """What a message costs."""
    try:
        return Money(said.currency_code, said.units, said.nanos)
    except Invalid as wrong:
        raise Invalid(wrong.message, field=f"message_cost.{wrong.field}", **wrong.params) from None


def said_money(money: Money | None) -> money_pb2.Money | None:
    return money_pb2.Money(currency_code=money.currency, units=money.units, nanos=money.nanos) if money else None
