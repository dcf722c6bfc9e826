"""What an installation chooses for the channels room."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from services.channels.domain.ledger import AGAIN_DELAY, RETRY_DELAYS
from services.kit.clock import SECOND
from services.kit.settings import Settings


class ChannelsSettings(Settings):
    """The kit's settings, and this room's own."""

    public_url: str = Field(
        default="", description="Where readers reach the public pages, such as https://fanfare.example.org."
    )
    lanes: int = Field(
        default=8,
        ge=1,
        le=256,
        description="How many batches a sender carries at once, each on a connection, 1 to 256.",
    )
    helo: str = Field(
        default_factory=lambda: socket.getfqdn() or "localhost",
        description="The name this machine gives itself when it greets a mail server, such as mail.example.org.",
    )
    retry_delays: list[int] = Field(
        default=[delay // SECOND for delay in RETRY_DELAYS],
        description="Seconds to wait before each new try of a temporary refusal, such as [60, 300, 900].",
    )
    again_delay: int = Field(
        default=AGAIN_DELAY // SECOND,
        ge=0,
        le=86_400,
        description="Seconds before what is unknown is sent again, where the campaign says again; 0 to 86400.",
    )
    tls_ca_file: str = Field(
        default="", description="A file of certificates that mail servers are trusted by, beside the system's own."
    )
    rpc_threads: int = Field(default=16, ge=2, le=256, description="How many calls are answered at once, 2 to 256.")

    @field_validator("retry_delays")
    @classmethod
    def _positive(cls, delays: Any) -> Any:
        if any(delay < 0 for delay in delays):
            raise ValueError("a delay is not negative")
        return delays

    @property
    def link_keys_folder(self) -> Path:
        """The keys under which the links of messages are signed; the gateway verifies with the same."""
        return self.keys_folder / "links"

    @property
    def base_url(self) -> str:
        return (self.public_url or f"http://{self.http}").rstrip("/")
