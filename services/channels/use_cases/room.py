"""What every use case works with: the collections, the clock, ids, and what is asked of members and campaigns."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from services.channels.domain.content import Revision
from services.channels.domain.gate import Recipient
from services.channels.domain.handing_off import Connector
from services.channels.domain.run import ORDER_FIELDS, RunOrder
from services.kit.clock import Clock
from services.kit.errors import NotFound, VersionConflict
from services.kit.ids import Ids
from services.kit.scope import Scope, stored_scope
from services.kit.store.port import Collection, Document

T = TypeVar("T")
_TRIES = 20
_STEP_ASIDE_SECONDS = 0.001  # longer each time: who loses in step with a busy winner would lose every time
ACTOR = "service:channels"


class UnknownRun(NotFound):
    reason = "run-unknown"

    def __init__(self) -> None:
        super().__init__("There is no such run.", field="run")


class UnknownAccount(NotFound):
    reason = "account-unknown"

    def __init__(self) -> None:
        super().__init__("There is no such channel account.", field="account")


class Vault(Protocol):
    def seal(self, secret: str) -> str: ...

    def open(self, sealed: str, field: str) -> str: ...


class Members(Protocol):
    """What channels asks of members."""

    def resolve(self, order: RunOrder, members: Sequence[str], fields: Sequence[str]) -> Sequence[Recipient]:
        """Address, permission and merge fields as they are now, in the order asked. Raises Unavailable."""


class Campaigns(Protocol):
    """What channels asks of campaigns."""

    def revision(self, order: RunOrder, number: int) -> Revision:
        """The content of a run at a revision. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class Room:
    """The channels room."""

    runs: Collection
    batches: Collection
    ledgers: Collection
    accounts: Collection
    paces: Collection
    suppressions: Collection
    holds: Collection
    erasures: Collection
    vault: Vault
    members: Members
    campaigns: Campaigns
    connectors: dict[str, Callable[[], Connector]]
    address_key: bytes
    proofs: Any  # services.kit.tokens.ProofTokens
    base_url: str
    clock: Clock
    ids: Ids
    nudge: Callable[[], None] = lambda: None

    def hash_of(self, address: str) -> str:
        """The keyed hash that stands for an address in suppressions."""
        return hashlib.blake2b(address.strip().lower().encode(), key=self.address_key, digest_size=16).hexdigest()

    def run(self, scope: Scope, run: str) -> Document:
        """Raises UnknownRun outside the scope."""
        found = self.runs.get(scope, [run]).get(run)
        if found is None or not found.get("order"):
            raise UnknownRun
        return found

    def account(self, scope: Scope, account: str) -> Document:
        """Raises UnknownAccount outside the scope."""
        found = self.accounts.get(scope, [account]).get(account)
        if found is None:
            raise UnknownAccount
        return found


def order_of(run: Document) -> RunOrder:
    order = run["order"]
    return RunOrder(**{name: order[name] for name in ORDER_FIELDS if name in order})


def scope_of(document: Document) -> Scope:
    """The scope a worker acts in: that of what it found stored."""
    return stored_scope(document["agency"], document["community"], ACTOR)


def change(
    collection: Collection, scope: Scope, an_id: str, do: Callable[[Document], Document | None]
) -> Document | None:
    """Load, change and save one document, again if somebody was quicker. ``do`` returns None to leave it.

    Returns the document as it stands then, or None where there is none.
    """
    for tried in range(_TRIES):
        found = collection.get(scope, [an_id]).get(an_id)
        if found is None:
            return None
        changed = do(found)
        if changed is None:
            return found
        if collection.replace(scope, [changed]):
            return changed
        time.sleep(tried * _STEP_ASIDE_SECONDS)
    raise VersionConflict("It was changed by others all the while: try again.")
