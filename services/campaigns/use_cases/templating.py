"""Templates: added singly or with a starter pack, edited, listed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from services.campaigns.domain.template import Template, TemplateDraft
from services.campaigns.use_cases.desk import Desk, Listed, require_version, trying_again
from services.kit.scope import Scope


def add_templates(desk: Desk, scope: Scope, community: str, drafts: Sequence[TemplateDraft]) -> list[Template]:
    """Add those whose key is new in the community; all of them, as they stand now, in the order given."""
    now = desk.clock.now()
    templates = [
        Template(_id(scope.agency, community, draft.key), scope.agency, community, draft, now) for draft in drafts
    ]
    desk.templates.add(scope, templates)
    found = desk.templates.get(scope, [template.id for template in templates])
    return [found[template.id] for template in templates]


def edit_template(desk: Desk, scope: Scope, template_id: str, draft: TemplateDraft, version: int = 0) -> Template:
    def edit() -> Template:
        template = desk.templates.one(scope, template_id)
        require_version(version, template.version)
        template.edit(draft)
        desk.templates.save(scope, template)
        return template

    return trying_again(edit)


def get_templates(desk: Desk, scope: Scope, ids: Sequence[str]) -> list[Template]:
    """Those found, in the order asked."""
    found = desk.templates.get(scope, ids)
    return [found[each] for each in ids if each in found]


def list_templates(desk: Desk, scope: Scope, *, size: int, after: str) -> Listed[Template]:
    return desk.templates.page(scope, size=size, after=after)


def _id(agency: str, community: str, key: str) -> str:
    return "tpl_" + hashlib.blake2b(f"{agency}\0{community}\0{key}".encode(), digest_size=16).hexdigest()
