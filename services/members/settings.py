"""What an installation chooses for the members room."""

from __future__ import annotations

from pydantic import Field

from services.kit.settings import Settings


class MembersSettings(Settings):
    """The kit's settings, and this room's own."""

    sweep_hour: int = Field(
        default=3, ge=0, le=23, description="The hour (UTC) of the daily sweep, from 0 to 23: a quiet one."
    )
    rpc_threads: int = Field(default=16, ge=2, le=256, description="How many calls are answered at once, 2 to 256.")
