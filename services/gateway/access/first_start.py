"""The first start: signing keys, a first agency, a first operator and a key, written where only their owner reads.

Done again, it completes what is missing and changes nothing else.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path

from services.gateway.access.credentials import Credentials
from services.gateway.access.people import Agency, EmailTaken, Operator, People
from services.gateway.access.roles import SCOPES, Role
from services.gateway.access.viewer import Viewer
from services.kit.rpc.trust import make_key

SERVICES = ("members", "campaigns", "channels", "gateway")
FIRST_EMAIL = "owner@fanfare.example"


@dataclass(frozen=True, slots=True)
class Founding:
    agency: Agency
    operator: Operator
    password: str
    api_key: str


def make_signing_keys(folder: Path) -> list[str]:
    """A signing key for each service that has none yet; which were made."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return [make_key(folder, service) for service in SERVICES if not any(folder.glob(f"{service}.*.key"))]


def found(
    people: People, credentials: Credentials, name: str, email: str, *, locale: str = "en", password: str = ""
) -> Founding:
    """A new agency, its owner and a key that may do everything a key may. Raises EmailTaken, EmailInvalid."""
    agency = people.found_agency(name, locale)
    password = password or secrets.token_urlsafe(15)
    operator = people.enlist(agency.id, email, password, [Role("owner")], locale=locale)
    viewer = Viewer(f"operator:{operator.id}", agency.id, operator.grants)
    _, secret = credentials.create_key(viewer, "first key", list(SCOPES), None)
    return Founding(agency, operator, password, secret)


def found_first(people: People, credentials: Credentials, file: Path, url: str, locale: str) -> bool:
    """Write the first operator's file; False where it is there already, or somebody works here already.

    Where a former start was cut short before the file was whole, the first operator begins anew.
    """
    if file.exists():
        return False
    email = FIRST_EMAIL
    try:
        founding = found(people, credentials, "Fanfare", email, locale=locale)
    except EmailTaken:
        return False
    write_private(
        file,
        {
            "url": url,
            "email": founding.operator.email,
            "password": founding.password,
            "agency": founding.agency.id,
            "operator": founding.operator.id,
            "api_key": founding.api_key,
        },
    )
    return True


def write_private(file: Path, told: dict[str, str]) -> None:
    """Write JSON that only its owner reads, whole or not at all."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as writing:
        json.dump(told, writing, indent=2)
        writing.write("\n")
        writing.flush()
        os.fsync(writing.fileno())
    draft.rename(file)
