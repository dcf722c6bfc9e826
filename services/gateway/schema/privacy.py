"""What people may ask of whoever keeps data about them. Whole lists leave through ``GET /v1/exports``."""

from __future__ import annotations

from fanfare.members.v1 import privacy_service_pb2 as pb
from services.gateway.schema.acts import act
from services.gateway.schema.mirror import Mirror
from services.gateway.schema.relations import answer_to, listing


class Erasure(Mirror):
    class Meta:
        message = pb.Erasure


class MemberFile(Mirror):
    """Everything known of a member."""

    class Meta:
        message = pb.AccessMemberResponse


QUERIES = {
    "accessMember": answer_to("PrivacyService.AccessMember", required=("member",)),
    "erasures": listing("PrivacyService.ListErasures", "Erasure", "Erasures, and how far they are."),
}

MUTATIONS = {
    "restrictMember": act("PrivacyService.RestrictMember", required=("member",)),
    "liftRestriction": act("PrivacyService.LiftRestriction", required=("member",)),
    "eraseMember": act("PrivacyService.EraseMember", required=("member",)),
}
