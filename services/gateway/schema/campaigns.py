"""Campaigns: written, checked, launched, and what came of them."""

from __future__ import annotations

from typing import Any

import graphene

from fanfare.campaigns.v1 import campaign_pb2, campaign_service_pb2
from fanfare.channels.v1 import delivery_service_pb2
from services.gateway.asking import BATCHES, by_rpc
from services.gateway.schema.acts import act
from services.gateway.schema.mirror import Mirror
from services.gateway.schema.node import KINDS, Node
from services.gateway.schema.relations import answer_to, by_id, listing, many, named, one


def _figures(source: Any, info: Any) -> Any:
    return info.context.load("Figures", source.id)


class Campaign(Mirror):
    class Meta:
        message = campaign_pb2.Campaign
        hide = ("agency",)
        flatten = ("draft",)
        interfaces = (Node,)

    community = one("community", "Community")
    objective = one("draft.objective", "Objective")
    segment = one("draft.segment", "Segment", "The saved segment that the rule was taken from.")
    account = one("draft.account", "Account", "The channel account that sends.")
    template = one("template", "Template", "The template it began with.")
    figures = graphene.Field(named("Figures"), description="What came of it, so far.", resolver=_figures)
    links = answer_to("CampaignService.GetLinkFigures", part="links", parent="campaign")
    check = answer_to("CampaignService.CheckCampaign", parent="campaign")
    preview = answer_to("CampaignService.PreviewCampaign", parent="campaign", required=("member",))
    explain = answer_to("CampaignService.ExplainRecipient", parent="campaign", required=("member",))
    deliveries = listing("DeliveryService.ListDeliveries", "Delivery", parent="run", by="run", required=("state",))
    reactions = listing("CampaignService.ListReactions", "Reaction", parent="campaign")


class Figures(Mirror):
    class Meta:
        message = campaign_pb2.Figures

    campaign = one("campaign", "Campaign")


class Reaction(Mirror):
    class Meta:
        message = campaign_pb2.Reaction

    member = one("member", "Member")


class Delivery(Mirror):
    """Where a member stands in a run, as the ledger has it."""

    class Meta:
        message = delivery_service_pb2.Delivery

    member = one("member", "Member")


class CampaignCheck(Mirror):
    """Whether a campaign could be launched now, and how many it would reach."""

    class Meta:
        message = campaign_service_pb2.CheckCampaignResponse


class Preview(Mirror):
    """The very message that a member would get."""

    class Meta:
        message = campaign_service_pb2.PreviewCampaignResponse


class Explanation(Mirror):
    """Why a member got it, or did not."""

    class Meta:
        message = campaign_service_pb2.ExplainRecipientResponse

    shared_with = many("shared_with", "Member", "Others who shared the address.")


KINDS["cmp"] = "Campaign"
BATCHES["Campaign"] = by_rpc("CampaignService.GetCampaigns")
BATCHES["Figures"] = by_rpc("CampaignService.GetFigures", "campaigns")

QUERIES = {
    "campaigns": listing("CampaignService.ListCampaigns", "Campaign"),
    "campaign": by_id("Campaign", "One campaign."),
    "whyDidTheyNotGetIt": answer_to(
        "CampaignService.ExplainRecipient",
        required=("campaign", "member"),
        description="Why this member got this campaign's message, or did not.",
    ),
}

MUTATIONS = {
    "createCampaign": act("CampaignService.CreateCampaign", required=("community", "name"), flatten="draft"),
    "editCampaign": act("CampaignService.EditCampaign", required=("campaign",), flatten="draft"),
    "sendTest": act("CampaignService.SendTest", required=("campaign", "member", "to")),
    "scheduleCampaign": act("CampaignService.ScheduleCampaign", required=("campaign", "at")),
    "unscheduleCampaign": act("CampaignService.UnscheduleCampaign", required=("campaign",)),
    "launchCampaign": act("CampaignService.LaunchCampaign", required=("campaign",)),
    "pauseCampaign": act("CampaignService.PauseCampaign", required=("campaign",)),
    "resumeCampaign": act("CampaignService.ResumeCampaign", required=("campaign",)),
    "cancelCampaign": act("CampaignService.CancelCampaign", required=("campaign",)),
    "changeCampaignSettings": act(
        "CampaignService.ChangeCampaignSettings", required=("community",), flatten="settings"
    ),
}
