"""Templates: messages to begin a campaign with."""

from __future__ import annotations

from fanfare.campaigns.v1 import template_service_pb2 as pb
from services.gateway.asking import BATCHES, by_rpc
from services.gateway.schema.acts import act
from services.gateway.schema.mirror import Mirror
from services.gateway.schema.node import KINDS, Node
from services.gateway.schema.relations import by_id, listing, one


class Template(Mirror):
    class Meta:
        message = pb.Template
        hide = ("agency",)
        flatten = ("draft",)
        interfaces = (Node,)

    community = one("community", "Community")


KINDS["tpl"] = "Template"
BATCHES["Template"] = by_rpc("TemplateService.GetTemplates")

QUERIES = {
    "templates": listing("TemplateService.ListTemplates", "Template", "The templates of a community."),
    "template": by_id("Template", "One template."),
}

MUTATIONS = {
    "addTemplates": act("TemplateService.AddTemplates", required=("community", "templates")),
    "editTemplate": act(
        "TemplateService.EditTemplate", required=("template",), flatten="draft", keeps=("Template", "template")
    ),
}
