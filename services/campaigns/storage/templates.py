"""Templates and a community's settings: document ↔ domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from services.campaigns.domain.attribution import CampaignSettings
from services.campaigns.domain.template import Template, TemplateDraft
from services.campaigns.storage.campaigns import messages_from, money_from
from services.campaigns.storage.documents import CampaignSettingsDocument, TemplateDocument
from services.campaigns.use_cases.desk import Listed
from services.kit.errors import NotFound, VersionConflict
from services.kit.scope import Scope
from services.kit.store.port import Collection, Document


class StoredTemplates:
    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def get(self, scope: Scope, ids: Sequence[str]) -> dict[str, Template]:
        return {each: _template(document) for each, document in self._collection.get(scope, ids).items()}

    def one(self, scope: Scope, an_id: str) -> Template:
        found = self.get(scope, [an_id]).get(an_id)
        if found is None:
            raise NotFound("There is no such template.", field="template")
        return found

    def add(self, scope: Scope, templates: Sequence[Template]) -> None:
        """Those that are there already stay as they are."""
        self._collection.insert(scope, [_document(template) for template in templates])

    def save(self, scope: Scope, template: Template) -> None:
        if not self._collection.replace(scope, [_document(template)]):
            raise VersionConflict("Somebody changed this meanwhile: read it again.", field="version")
        template.version += 1

    def page(self, scope: Scope, *, size: int, after: str) -> Listed[Template]:
        page = self._collection.find(scope, limit=size, after=after or None)
        return Listed([_template(document) for document in page.documents], page.next)


def _document(template: Template) -> Document:
    return {
        "_id": template.id,
        "agency": template.agency,
        "community": template.community,
        "version": template.version,
        "schema_version": TemplateDocument.SCHEMA_VERSION,
        "draft": asdict(template.draft),
        "created_at": template.created_at,
    }


def _template(document: Mapping[str, Any]) -> Template:
    stored = document["draft"]
    draft = TemplateDraft(
        **{**stored, "reasons": tuple(stored["reasons"]), "messages": messages_from(stored["messages"])}
    )
    return Template(
        document["_id"], document["agency"], document["community"], draft, document["created_at"], document["version"]
    )


class StoredSettings:
    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def of(self, scope: Scope, community: str) -> CampaignSettings:
        """The community's own, or the usual."""
        an_id = f"set_{scope.agency}:{community}"
        stored = self._collection.get(scope, [an_id]).get(an_id)
        if stored is None:
            return CampaignSettings(community)
        return CampaignSettings(
            community, stored["attribution_days"], money_from(stored["message_cost"]), stored["version"]
        )

    def save(self, scope: Scope, settings: CampaignSettings) -> None:
        document = {
            "_id": f"set_{scope.agency}:{settings.community}",
            "agency": scope.agency,
            "community": settings.community,
            "version": settings.version,
            "schema_version": CampaignSettingsDocument.SCHEMA_VERSION,
            "attribution_days": settings.attribution_days,
            "message_cost": asdict(settings.message_cost) if settings.message_cost else None,
        }
        write = self._collection.replace if settings.version else self._collection.insert
        if not write(scope, [document]):
            raise VersionConflict("Somebody changed this meanwhile: read it again.", field="version")
