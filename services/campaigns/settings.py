"""What an installation chooses for the campaigns room."""

from __future__ import annotations

from pydantic import Field

from services.kit.settings import Settings


class CampaignsSettings(Settings):
    """The kit's settings, and this room's own."""

    rpc_threads: int = Field(default=16, ge=2, le=256, description="How many calls are answered at once, 2 to 256.")
