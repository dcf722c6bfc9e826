"""How a community counts."""

from __future__ import annotations

from collections.abc import Sequence

from services.campaigns.domain.attribution import CampaignSettings
from services.campaigns.use_cases.desk import Desk, trying_again
from services.kit.scope import Scope


def get_settings(desk: Desk, scope: Scope, community: str) -> CampaignSettings:
    return desk.settings.of(scope, community)


def change_settings(desk: Desk, scope: Scope, wanted: CampaignSettings, names: Sequence[str] = ()) -> CampaignSettings:
    """Take over the named settings (none named: all). A new window counts for what arrives from now on; what was
    settled is settled anew when more arrives."""

    def change() -> CampaignSettings:
        changed = desk.settings.of(scope, wanted.community).taking(wanted, names)
        desk.settings.save(scope, changed)
        return changed

    return trying_again(change)
