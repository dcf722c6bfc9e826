"""Segments: live rules over members."""

from __future__ import annotations

from fanfare.members.v1 import segment_service_pb2 as pb
from services.gateway.asking import BATCHES, by_rpc
from services.gateway.schema.acts import act
from services.gateway.schema.mirror import Mirror
from services.gateway.schema.node import KINDS, Node
from services.gateway.schema.relations import answer_to, by_id, listing, one


class Segment(Mirror):
    class Meta:
        message = pb.Segment
        hide = ("agency",)
        interfaces = (Node,)

    community = one("community", "Community")


class SegmentPreview(Mirror):
    """What a rule reaches now: within, without, and those of whom it cannot be said."""

    class Meta:
        message = pb.PreviewSegmentResponse


KINDS["seg"] = "Segment"
BATCHES["Segment"] = by_rpc("SegmentService.GetSegments")

QUERIES = {
    "segments": listing("SegmentService.ListSegments", "Segment", "The saved segments.", required=("community",)),
    "segment": by_id("Segment", "One segment."),
    "previewSegment": answer_to("SegmentService.PreviewSegment", required=("community",)),
}

MUTATIONS = {
    "saveSegment": act("SegmentService.SaveSegment", required=("community", "name")),
    "deleteSegment": act("SegmentService.DeleteSegment", required=("segment",)),
}
