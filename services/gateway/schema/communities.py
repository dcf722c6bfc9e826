"""Communities, and everything that hangs on one."""

from __future__ import annotations

from fanfare.members.v1 import community_pb2
from services.gateway.asking import BATCHES, by_rpc
from services.gateway.schema.acts import act
from services.gateway.schema.mirror import Mirror
from services.gateway.schema.node import KINDS, Node
from services.gateway.schema.relations import answer_to, by_id, listing


class Community(Mirror):
    class Meta:
        message = community_pb2.Community
        hide = ("agency",)
        interfaces = (Node,)

    members = listing("MemberService.ListMembers", "Member", parent="community")
    campaigns = listing("CampaignService.ListCampaigns", "Campaign", parent="community")
    objectives = listing("ObjectiveService.ListObjectives", "Objective", parent="community")
    templates = listing("TemplateService.ListTemplates", "Template", parent="community")
    accounts = listing("AccountService.ListAccounts", "Account", parent="community")
    campaign_settings = answer_to("CampaignService.GetCampaignSettings", part="settings", parent="community")


KINDS["com"] = "Community"
BATCHES["Community"] = by_rpc("CommunityService.GetCommunities")

QUERIES = {
    "communities": listing("CommunityService.ListCommunities", "Community", "The communities that you may see."),
    "community": by_id("Community", "One community."),
}

MUTATIONS = {
    "createCommunity": act("CommunityService.CreateCommunity", required=("name", "master_name", "master_kind")),
}
