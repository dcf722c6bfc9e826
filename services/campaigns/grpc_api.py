"""The contract's rpcs, each one line to its use case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from fanfare.access.v1.page_pb2 import PageRequest
from fanfare.campaigns.v1 import campaign_service_pb2 as campaigns
from fanfare.campaigns.v1 import objective_service_pb2 as objectives
from fanfare.campaigns.v1 import run_service_pb2 as runs
from fanfare.campaigns.v1 import template_service_pb2 as templates
from fanfare.campaigns.v1.campaign_pb2 import Campaign as CampaignMessage
from services.campaigns import saying
from services.campaigns.domain.campaign import Campaign
from services.campaigns.domain.objective import Objective
from services.campaigns.use_cases import (
    adjusting,
    controlling,
    counting,
    drafting,
    explaining,
    launching,
    previewing,
    pursuing,
    templating,
)
from services.campaigns.use_cases.desk import Desk
from services.kit.errors import Invalid
from services.kit.rpc.server import Caller
from services.kit.scope import Scope
from services.kit.store.port import PAGE_LIMIT

_USUAL_PAGE = 50
T = TypeVar("T")


class CampaignApi:
    """`CampaignService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def CreateCampaign(
        self, request: campaigns.CreateCampaignRequest, caller: Caller
    ) -> campaigns.CreateCampaignResponse:
        made = drafting.create_campaign(
            self._desk,
            caller.in_community(request.community),
            request.community,
            saying.heard_draft(request.draft),
            request.template,
        )
        return campaigns.CreateCampaignResponse(campaign=self._said(made, caller))

    def EditCampaign(self, request: campaigns.EditCampaignRequest, caller: Caller) -> campaigns.EditCampaignResponse:
        names = list(request.fields.paths)
        draft = saying.heard_edit(request.draft, names)
        made = drafting.edit_campaign(self._desk, caller.scope, request.campaign, draft, names, request.version)
        return campaigns.EditCampaignResponse(campaign=self._said(made, caller))

    def GetCampaigns(self, request: campaigns.GetCampaignsRequest, caller: Caller) -> campaigns.GetCampaignsResponse:
        found = drafting.get_campaigns(self._desk, caller.scope, _bounded(request.ids))
        return campaigns.GetCampaignsResponse(campaigns=[self._said(each, caller) for each in found])

    def ListCampaigns(self, request: campaigns.ListCampaignsRequest, caller: Caller) -> campaigns.ListCampaignsResponse:
        page = drafting.list_campaigns(
            self._desk,
            _listed(request.community, caller),
            states=list(request.states),
            objective=request.objective,
            size=_size(request.page),
            after=request.page.after,
        )
        return campaigns.ListCampaignsResponse(
            campaigns=[self._said(each, caller) for each in page.items], next=page.next or ""
        )

    def CheckCampaign(self, request: campaigns.CheckCampaignRequest, caller: Caller) -> campaigns.CheckCampaignResponse:
        problems, audience = launching.check_campaign(self._desk, caller.scope, request.campaign)
        return campaigns.CheckCampaignResponse(
            problems=saying.said_problems(problems, caller.locale),
            audience=audience.members,
            unmeasurable=audience.unmeasurable,
        )

    def PreviewCampaign(
        self, request: campaigns.PreviewCampaignRequest, caller: Caller
    ) -> campaigns.PreviewCampaignResponse:
        seen = previewing.preview_campaign(self._desk, caller.scope, request.campaign, request.member)
        return campaigns.PreviewCampaignResponse(
            subject=seen.subject,
            html=seen.html,
            text=seen.text,
            locale=seen.locale,
            source=seen.source,
            verdict=seen.verdict,
        )

    def SendTest(self, request: campaigns.SendTestRequest, caller: Caller) -> campaigns.SendTestResponse:
        sent = previewing.send_test(self._desk, caller.scope, request.campaign, request.member, request.to)
        return campaigns.SendTestResponse(message_id=sent.message_id, outcome=sent.outcome, reply=sent.reply)

    def ScheduleCampaign(
        self, request: campaigns.ScheduleCampaignRequest, caller: Caller
    ) -> campaigns.ScheduleCampaignResponse:
        made = launching.schedule_campaign(self._desk, caller.scope, request.campaign, request.at)
        return campaigns.ScheduleCampaignResponse(campaign=self._said(made, caller))

    def UnscheduleCampaign(
        self, request: campaigns.UnscheduleCampaignRequest, caller: Caller
    ) -> campaigns.UnscheduleCampaignResponse:
        made = launching.unschedule_campaign(self._desk, caller.scope, request.campaign)
        return campaigns.UnscheduleCampaignResponse(campaign=self._said(made, caller))

    def LaunchCampaign(
        self, request: campaigns.LaunchCampaignRequest, caller: Caller
    ) -> campaigns.LaunchCampaignResponse:
        made = launching.launch_campaign(self._desk, caller.scope, request.campaign, request.version)
        return campaigns.LaunchCampaignResponse(campaign=self._said(made, caller))

    def PauseCampaign(self, request: campaigns.PauseCampaignRequest, caller: Caller) -> campaigns.PauseCampaignResponse:
        made = controlling.pause_campaign(self._desk, caller.scope, request.campaign)
        return campaigns.PauseCampaignResponse(campaign=self._said(made, caller))

    def ResumeCampaign(
        self, request: campaigns.ResumeCampaignRequest, caller: Caller
    ) -> campaigns.ResumeCampaignResponse:
        made = controlling.resume_campaign(self._desk, caller.scope, request.campaign)
        return campaigns.ResumeCampaignResponse(campaign=self._said(made, caller))

    def CancelCampaign(
        self, request: campaigns.CancelCampaignRequest, caller: Caller
    ) -> campaigns.CancelCampaignResponse:
        made = controlling.cancel_campaign(self._desk, caller.scope, request.campaign)
        return campaigns.CancelCampaignResponse(campaign=self._said(made, caller))

    def GetFigures(self, request: campaigns.GetFiguresRequest, caller: Caller) -> campaigns.GetFiguresResponse:
        counted = counting.figures(self._desk, caller.scope, _bounded(request.campaigns))
        return campaigns.GetFiguresResponse(figures=[saying.said_figures(each, caller.locale) for each in counted])

    def GetLinkFigures(
        self, request: campaigns.GetLinkFiguresRequest, caller: Caller
    ) -> campaigns.GetLinkFiguresResponse:
        counted = counting.link_clicks(self._desk, caller.scope, request.campaign)
        return campaigns.GetLinkFiguresResponse(links=saying.said_links(*counted))

    def ListReactions(self, request: campaigns.ListReactionsRequest, caller: Caller) -> campaigns.ListReactionsResponse:
        page = counting.list_reactions(
            self._desk,
            caller.scope,
            request.campaign,
            request.kind,
            size=_size(request.page),
            after=request.page.after,
        )
        return campaigns.ListReactionsResponse(
            reactions=[saying.said_reaction(each) for each in page.items], next=page.next or ""
        )

    def ExplainRecipient(
        self, request: campaigns.ExplainRecipientRequest, caller: Caller
    ) -> campaigns.ExplainRecipientResponse:
        answer = explaining.explain_recipient(self._desk, caller.scope, request.campaign, request.member, caller.locale)
        return saying.said_explanation(*answer, caller.locale)

    def GetCampaignSettings(
        self, request: campaigns.GetCampaignSettingsRequest, caller: Caller
    ) -> campaigns.GetCampaignSettingsResponse:
        settings = adjusting.get_settings(self._desk, caller.in_community(request.community), request.community)
        return campaigns.GetCampaignSettingsResponse(settings=saying.said_settings(settings))

    def ChangeCampaignSettings(
        self, request: campaigns.ChangeCampaignSettingsRequest, caller: Caller
    ) -> campaigns.ChangeCampaignSettingsResponse:
        scope = caller.in_community(request.settings.community)
        names = list(request.fields.paths)
        wanted = saying.heard_settings(request.settings, names)
        settings = adjusting.change_settings(self._desk, scope, wanted, names)
        return campaigns.ChangeCampaignSettingsResponse(settings=saying.said_settings(settings))

    def _said(self, campaign: Campaign, caller: Caller) -> CampaignMessage:
        return saying.said_campaign(campaign, self._desk.clock.now(), caller.locale)


class ObjectiveApi:
    """`ObjectiveService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def CreateObjective(
        self, request: objectives.CreateObjectiveRequest, caller: Caller
    ) -> objectives.CreateObjectiveResponse:
        scope = caller.in_community(request.community)
        goal = saying.heard_goal(request.goal, self._desk.clock.now())
        made = pursuing.create_objective(self._desk, scope, request.community, goal)
        return objectives.CreateObjectiveResponse(objective=self._said(made, caller))

    def EditObjective(
        self, request: objectives.EditObjectiveRequest, caller: Caller
    ) -> objectives.EditObjectiveResponse:
        goal = saying.heard_goal(request.goal, self._desk.clock.now())
        made = pursuing.edit_objective(self._desk, caller.scope, request.objective, goal, request.version)
        return objectives.EditObjectiveResponse(objective=self._said(made, caller))

    def GetObjectives(
        self, request: objectives.GetObjectivesRequest, caller: Caller
    ) -> objectives.GetObjectivesResponse:
        found = pursuing.get_objectives(self._desk, caller.scope, _bounded(request.ids))
        return objectives.GetObjectivesResponse(objectives=[self._said(each, caller) for each in found])

    def ListObjectives(
        self, request: objectives.ListObjectivesRequest, caller: Caller
    ) -> objectives.ListObjectivesResponse:
        page = pursuing.list_objectives(
            self._desk, _listed(request.community, caller), size=_size(request.page), after=request.page.after
        )
        return objectives.ListObjectivesResponse(
            objectives=[self._said(each, caller) for each in page.items], next=page.next or ""
        )

    def _said(self, objective: Objective, caller: Caller) -> objectives.Objective:
        return saying.said_objective(objective, self._desk.clock.now(), caller.locale)


class TemplateApi:
    """`TemplateService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def AddTemplates(self, request: templates.AddTemplatesRequest, caller: Caller) -> templates.AddTemplatesResponse:
        scope = caller.in_community(request.community)
        drafts = [saying.heard_template(each) for each in _bounded(request.templates)]
        added = templating.add_templates(self._desk, scope, request.community, drafts)
        return templates.AddTemplatesResponse(templates=[saying.said_template(each) for each in added])

    def EditTemplate(self, request: templates.EditTemplateRequest, caller: Caller) -> templates.EditTemplateResponse:
        draft = saying.heard_template(request.draft)
        made = templating.edit_template(self._desk, caller.scope, request.template, draft, request.version)
        return templates.EditTemplateResponse(template=saying.said_template(made))

    def GetTemplates(self, request: templates.GetTemplatesRequest, caller: Caller) -> templates.GetTemplatesResponse:
        found = templating.get_templates(self._desk, caller.scope, _bounded(request.ids))
        return templates.GetTemplatesResponse(templates=[saying.said_template(each) for each in found])

    def ListTemplates(self, request: templates.ListTemplatesRequest, caller: Caller) -> templates.ListTemplatesResponse:
        page = templating.list_templates(
            self._desk, _listed(request.community, caller), size=_size(request.page), after=request.page.after
        )
        return templates.ListTemplatesResponse(
            templates=[saying.said_template(each) for each in page.items], next=page.next or ""
        )


class RunApi:
    """`RunService`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def GetRevision(self, request: runs.GetRevisionRequest, caller: Caller) -> runs.GetRevisionResponse:
        found = previewing.get_revision(self._desk, caller.scope, request.run, request.number)
        return runs.GetRevisionResponse(revision=saying.said_revision(found))

    def GetRunLinks(self, request: runs.GetRunLinksRequest, caller: Caller) -> runs.GetRunLinksResponse:
        campaign, run, links = previewing.links_of_run(self._desk, caller.scope, request.run)
        return runs.GetRunLinksResponse(
            agency=campaign.agency,
            community=campaign.community,
            campaign=campaign.id,
            purpose=campaign.draft.purpose,
            channel=campaign.draft.channel,
            links=links,
            community_name=campaign.community_name,
            launched_at=run.order.launched_at if run else 0,
        )


def _listed(community: str, caller: Caller) -> Scope:
    """The community's scope; all that the caller may see where none is named."""
    return caller.in_community(community) if community else caller.scope


def _size(page: PageRequest) -> int:
    return min(page.size or _USUAL_PAGE, PAGE_LIMIT)


def _bounded(items: Sequence[T]) -> Sequence[T]:
    if len(items) > PAGE_LIMIT:
        raise Invalid(
            f"Ask for at most {PAGE_LIMIT} at once.",
            field="ids",
            message_fr=f"Demandez-en au plus {PAGE_LIMIT} à la fois.",
        )
    return items
