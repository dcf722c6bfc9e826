"""Who is who: duplicates, merges and their undoing."""

from __future__ import annotations

from fanfare.members.v1 import identity_service_pb2 as pb
from services.gateway.schema.acts import act
from services.gateway.schema.mirror import Mirror
from services.gateway.schema.relations import answer_to, listing, one


class DuplicatePair(Mirror):
    class Meta:
        message = pb.DuplicatePair

    first = one("first", "Member")
    second = one("second", "Member")


class Merge(Mirror):
    class Meta:
        message = pb.Merge

    community = one("community", "Community")
    survivor = one("survivor", "Member")


class MergePreview(Mirror):
    """What merging two members would keep and take."""

    class Meta:
        message = pb.PreviewMergeResponse


QUERIES = {
    "suggestDuplicates": answer_to("IdentityService.SuggestDuplicates", part="pairs", required=("community",)),
    "previewMerge": answer_to("IdentityService.PreviewMerge", required=("survivor", "absorbed")),
    "merges": listing("IdentityService.ListMerges", "Merge", "Merges, undone ones too.", required=("community",)),
}

MUTATIONS = {
    "dismissDuplicate": act("IdentityService.DismissDuplicate", required=("first", "second")),
    "mergeMembers": act("IdentityService.MergeMembers", required=("survivor", "absorbed")),
    "unmergeMembers": act("IdentityService.UnmergeMembers", required=("merge",)),
}
