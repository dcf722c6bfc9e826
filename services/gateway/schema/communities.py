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
    segments = listing("SegmentService.ListSegments", "Segment", "The saved segments.", parent="community")
    imports = listing("ImportService.ListImports", "Import", parent="community")
    mappings = listing("ImportService.ListMappings", "SavedMapping", parent="community")
    duplicates = answer_to("IdentityService.SuggestDuplicates", part="pairs", parent="community")
    merges = listing("IdentityService.ListMerges", "Merge", parent="community")
    campaign_settings = answer_to("CampaignService.GetCampaignSettings", part="settings", parent="community")


KINDS["cmt"] = "Community"
BATCHES["Community"] = by_rpc("CommunityService.GetCommunities")

QUERIES = {
    "communities": listing("CommunityService.ListCommunities", "Community", "The communities that you may see."),
    "community": by_id("Community", "One community."),
    "starterPacks": answer_to("CommunityService.ListStarterPacks", part="packs"),
}

MUTATIONS = {
    "createCommunity": act("CommunityService.CreateCommunity", required=("name", "master_name", "master_kind")),
    "changeCommunity": act("CommunityService.ChangeCommunity", required=("community",)),
    "declareRelation": act("CommunityService.DeclareRelation", required=("community", "relation")),
    "declareReason": act("CommunityService.DeclareReason", required=("community", "reason")),
    "declareAttribute": act("CommunityService.DeclareAttribute", required=("community", "attribute")),
    "changeStandingRule": act("CommunityService.ChangeStandingRule", required=("community", "rule")),
}
