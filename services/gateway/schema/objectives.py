"""Objectives: what is meant to be reached, and how it stands."""

from __future__ import annotations

from fanfare.campaigns.v1 import objective_service_pb2 as pb
from services.gateway.asking import BATCHES, by_rpc
from services.gateway.schema.acts import act
from services.gateway.schema.mirror import Mirror
from services.gateway.schema.node import KINDS, Node
from services.gateway.schema.relations import by_id, listing, one


class Objective(Mirror):
    class Meta:
        message = pb.Objective
        hide = ("agency",)
        flatten = ("goal",)
        interfaces = (Node,)

    community = one("community", "Community")


KINDS["obj"] = "Objective"
BATCHES["Objective"] = by_rpc("ObjectiveService.GetObjectives")

QUERIES = {
    "objectives": listing("ObjectiveService.ListObjectives", "Objective"),
    "objective": by_id("Objective", "One objective."),
}

MUTATIONS = {
    "createObjective": act(
        "ObjectiveService.CreateObjective",
        required=("community", "name", "metric", "target", "deadline"),
        flatten="goal",
    ),
    "editObjective": act(
        "ObjectiveService.EditObjective", required=("objective",), flatten="goal", keeps=("Objective", "objective")
    ),
}
