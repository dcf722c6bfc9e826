"""How a community counts."""

from __future__ import annotations

from dataclasses import replace

from services.campaigns.domain.attribution import CampaignSettings
from services.campaigns.use_cases.desk import Desk, trying_again
from services.kit.scope import Scope


def get_settings(desk: Desk, scope: Scope, community: str) -> CampaignSettings:
    return desk.settings.of(scope, community)


def change_settings(desk: Desk, scope: Scope, wanted: CampaignSettings) -> CampaignSettings:
    """The new window counts for what arrives from now on; what was settled is settled anew when more arrives."""

    def change() -> CampaignSettings:
        stored = desk.settings.of(scope, wanted.community)
        desk.settings.save(scope, replace(wanted, version=stored.version))
        return wanted

    return trying_again(change)
