"""What an installation chooses for the gateway."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from services.kit.settings import Settings


class GatewaySettings(Settings):
    """The common settings, and how the gateway is reached."""

    public_url: str = Field(
        default="", description="The address that links in messages lead to, such as https://news.example.org."
    )
    http_threads: int = Field(default=32, ge=2, le=512, description="How many requests are answered at once, 2 to 512.")

    upload_megabytes: int = Field(
        default=512, ge=1, le=10_240, description="How large an uploaded list may be, in megabytes, 1 to 10240."
    )

    @property
    def own_url(self) -> str:
        """Where the gateway is reached: the public address, or that which it listens on."""
        return (self.public_url or f"http://{self.http}").rstrip("/")

    @property
    def link_keys_folder(self) -> Path:
        """The keys under which the links of messages are signed; channels signs with the same."""
        return self.keys_folder / "links"

    @property
    def first_operator_file(self) -> Path:
        return self.data / "first-operator.json"
