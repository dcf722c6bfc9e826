"""What every use case works with: the collections, the clock, ids, the laws."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from services.kit.clock import Clock
from services.kit.errors import VersionConflict
from services.kit.ids import Ids
from services.kit.outbox import append_event
from services.kit.scope import Scope
from services.kit.store.port import Collection, Document
from services.members.domain.community import Community, UnknownCommunity
from services.members.domain.events import Happened
from services.members.domain.law import Laws
from services.members.domain.member import MERGED, Cause, Member, UnknownMember
from services.members.domain.packs import Pack

T = TypeVar("T")
_TRIES = 8
_LONGEST_CHAIN = 32


@dataclass(frozen=True, slots=True)
class Room:
    """The members room."""

    communities: Collection
    members: Collection
    claims: Collection
    interactions: Collection
    receipts: Collection
    segments: Collection
    merges: Collection
    erasures: Collection
    erased_addresses: Collection
    dismissals: Collection
    laws: Laws
    packs: dict[str, Pack]
    address_key: bytes
    clock: Clock
    ids: Ids
    nudge: Callable[[], None] = lambda: None
    forgetters: list[Callable[[Scope, str, Sequence[str]], object]] = field(default_factory=list)
    """What else empties what it keeps of erased members: called with scope, community and their ids."""
    together: Executor = field(default_factory=lambda: ThreadPoolExecutor(4, thread_name_prefix="question"))
    _compiled: dict[str, tuple[int, Community]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def community(self, scope: Scope, community: str) -> Community:
        """The community with its rules. Raises UnknownCommunity outside the scope."""
        found = self.communities.get(scope, [community]).get(community)
        if found is None:
            raise UnknownCommunity
        return self.compiled(found)

    def compiled(self, document: Document) -> Community:
        """A community's document with what it means, compiled once per version."""
        version, known = self._compiled.get(document["_id"], (0, None))
        if known is None or version != document["version"]:
            known = Community(document, self.laws)
            with self._lock:
                self._compiled[document["_id"]] = (document["version"], known)
        return known

    def member(self, scope: Scope, member: str) -> Document:
        """The member that this id means now: an old id leads to the one that goes on. Raises UnknownMember."""
        for _ in range(_LONGEST_CHAIN):
            found = self.members.get(scope, [member]).get(member)
            if found is None:
                raise UnknownMember
            if found["state"] != MERGED:
                return found
            member = found["merged_into"]
        raise UnknownMember

    def cause(self, scope: Scope, source: str = "operator") -> Cause:
        return Cause(self.clock.now(), scope.actor, source)

    def change(self, scope: Scope, member: str, cause: Cause, act: Callable[[Member], None]) -> Document:
        """Load the member, let ``act`` change it, save it with what happened; again if somebody was quicker.

        Raises UnknownMember, MemberGone, and what ``act`` raises.
        """
        for _ in range(_TRIES):
            record = self.member(scope, member)
            changing = Member(record, self.community(scope, record["community"]), cause)
            act(changing)
            changing.settle()
            self.tell(record, changing.events, cause.at)
            if self.members.replace(scope, [record]):
                self.nudge()
                return record
        raise VersionConflict("Others keep changing this member: try again.", field="member")

    def tell(self, document: Document, events: Iterable[Happened], at: int) -> None:
        """Put events into the outbox of the document they happened to, to be saved with it."""
        for event in events:
            append_event(document, self.ids.new("evt"), event.name, at, event.data)


def persistently(attempt: Callable[[], T | None], what: str) -> T:
    """The first result of ``attempt`` that is not None: it reads, changes and saves, and gives None when overtaken."""
    for _ in range(_TRIES):
        result = attempt()
        if result is not None:
            return result
    raise VersionConflict(f"Others keep changing this {what}: try again.", field=what)


def in_order(ids: Sequence[str], found: dict[str, Document]) -> list[Document]:
    """The documents found, in the order asked for."""
    return [found[one] for one in ids if one in found]
