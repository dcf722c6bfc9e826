"""What an installation chooses: typed settings from FANFARE_* variables, read once at the start of a process.

A room extends ``Settings`` in its own settings.py; ``load`` turns what is wrong into one error that names the variable
and the remedy, without repeating a value that may be a secret.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.kit.clock import DAY, SECOND
from services.kit.errors import Invalid
from services.kit.log import Terms
from services.kit.log.kafka_address import SCHEME, address_in
from services.kit.sockets import socket_folder

PREFIX = "FANFARE_"
_LONGEST_SOCKET_NAME = 24
_SENDERS = 2
_ADDRESS = "_ADDRESS"
_MONGODB = "mongodb://"


class Settings(BaseSettings):
    """What every service must know. The description of a field is the remedy that its error offers."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, env_ignore_empty=True, extra="ignore")

    data: Path = Field(
        default=Path("var"), description="A folder on a local disk, which holds everything that is kept."
    )
    store: str = Field(
        default="sqlite",
        description="sqlite (in the data folder), the sqlite:///<folder> of another one, or mongodb://host:port.",
    )
    log: str = Field(
        default="",
        description="sqlite:///<path of a file>, or kafka://<host>:<port>, further brokers after commas, and after a "
        "slash a prefix for the names of topics; unset, log.sqlite in the data folder.",
    )
    http: str = Field(
        default="127.0.0.1:8080", description="The address to listen on, as host:port, such as 127.0.0.1:8080."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="One of debug, info, warning, error."
    )
    log_format: Literal["text", "json"] = Field(default="text", description="text for people, or json for machines.")
    log_files: bool = Field(
        default=True, description="yes or no: whether lines also go to files in the data folder's logs."
    )
    handful: int = Field(default=100, ge=1, le=200, description="How many messages a sender takes at once, 1 to 200.")
    senders: int = Field(
        default_factory=lambda: min(os.cpu_count() or 1, _SENDERS),
        ge=1,
        le=64,
        description="How many processes send on this machine, 1 to 64; unset, one for each processor, two at most.",
    )
    lease_seconds: int = Field(
        default=60,
        ge=2,
        le=3_600,
        description="After how many silent seconds a worker's work is taken over, 2 to 3600.",
    )
    drain_seconds: float = Field(
        default=10,
        ge=0,
        le=300,
        description="How long a service may take to finish what is in hand when it stops, 0 to 300.",
    )
    log_partitions: int = Field(default=8, ge=1, le=1_024, description="Partitions of a new topic, from 1 to 1024.")
    log_retention_days: int = Field(
        default=30, ge=1, le=3_650, description="For how many days events are kept, from 1 to 3650."
    )
    addresses: dict[str, str] = Field(
        default_factory=lambda: _addresses_in(os.environ),
        description="FANFARE_<SERVICE>_ADDRESS sets one: unix:/path, or host:port.",
    )

    @field_validator("data")
    @classmethod
    def _absolute(cls, folder: Path) -> Path:
        return folder.expanduser().absolute()

    @field_validator("http")
    @classmethod
    def _host_and_port(cls, address: str) -> str:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
            raise ValueError("is not host:port")
        return address

    @field_validator("store")
    @classmethod
    def _a_store_at_hand(cls, url: str) -> str:
        if url != "sqlite" and not url.startswith(("sqlite:///", _MONGODB)):
            raise ValueError("names another engine")
        return url

    @field_validator("log")
    @classmethod
    def _a_log_at_hand(cls, url: str) -> str:
        if url.startswith(SCHEME):
            try:
                address_in(url)
            except Invalid:
                raise ValueError("is no address of Kafka") from None
        elif url not in ("", "sqlite") and not url.startswith("sqlite:///"):
            raise ValueError("names another engine")
        return url

    @property
    def log_url(self) -> str:
        return self.log if ":" in self.log else f"sqlite:///{self.data / 'log.sqlite'}"

    @property
    def log_terms(self) -> Terms:
        return Terms(
            partitions=self.log_partitions,
            retention=self.log_retention_days * DAY,
            lease=self.lease_seconds * SECOND,
        )

    @property
    def run_folder(self) -> Path:
        """Where sockets and locks lie."""
        return socket_folder(self.data / "run", _LONGEST_SOCKET_NAME)

    @property
    def keys_folder(self) -> Path:
        """Each service's signing key, and the public keys of the others."""
        return self.data / "keys"

    @property
    def files_folder(self) -> Path:
        return self.data / "files"

    def store_url(self, service: str) -> str:
        """Where the documents of one service are kept."""
        if self.store == "sqlite":
            return f"sqlite:///{self.data / service}.sqlite"
        if self.store.startswith("sqlite:///"):
            return f"{self.store.rstrip('/')}/{service}.sqlite"
        return _database_of(service, self.store)

    def address(self, service: str) -> str:
        """Where a service answers calls: its FANFARE_<SERVICE>_ADDRESS, or a socket in the run folder."""
        return self.addresses.get(service, f"unix:{self.run_folder / service}.sock")


def _database_of(service: str, url: str) -> str:
    """The URL of a service's own database: ``fanfare_<service>``, or behind the name that the URL has. Who signs in is
    known where the URL says it: in that named database, or in MongoDB's own."""
    servers, _, rest = url.removeprefix(_MONGODB).partition("/")
    name, _, options = rest.partition("?")
    if "@" in servers and "authsource=" not in options.lower():
        options = "&".join(filter(None, (options, f"authSource={name or 'admin'}")))
    return f"{_MONGODB}{servers}/{name or 'fanfare'}_{service}" + (f"?{options}" if options else "")


def _addresses_in(environment: os._Environ[str]) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX).removesuffix(_ADDRESS).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and name.endswith(_ADDRESS) and value
    }


S = TypeVar("S", bound=Settings)


def load(settings: type[S]) -> S:
    """The settings of this process. Raises Invalid naming every variable that is wrong, and what it may be."""
    try:
        return settings()
    except ValidationError as error:
        wrong: dict[str, str] = {}
        for problem in error.errors(include_input=False, include_url=False):
            name = str(problem["loc"][0]) if problem["loc"] else ""
            remedy = settings.model_fields[name].description if name in settings.model_fields else problem["msg"]
            wrong[f"{PREFIX}{name.upper()}"] = remedy or problem["msg"]
        said = "; ".join(
            f"{variable} cannot be used as it is set. It should be: {wrong[variable]}" for variable in wrong
        )
        raise Invalid(said, field=next(iter(wrong))) from None
