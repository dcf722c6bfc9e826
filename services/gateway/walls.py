"""Whose community it is: asked of members before any other room hears of it.

Campaigns and channels keep what they are told under the caller's agency, and take the community on trust; members knows
all communities. Communities never change hands while they live here, so an answer is kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import cache
from operator import attrgetter
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from fanfare.members.v1 import community_service_pb2
from services.gateway.access.viewer import Viewer
from services.gateway.contract import Rooms, rpc
from services.kit.errors import NotFound
from services.kit.rpc.trust import WHOLE_AGENCY, Signer

_KEPT = 20_000
_GET = "CommunityService.GetCommunities"


class Walls:
    """Refuses calls that name another agency's community, as if it did not exist."""

    def __init__(self, rooms: Rooms, signer: Signer) -> None:
        self._rooms = rooms
        self._signer = signer
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def check(self, viewer: Viewer, name: str, request: Message) -> int:
        """Raises NotFound; how many calls it took to know."""
        return sum(self._asked(viewer, community) for community in _named(name, request))

    def _asked(self, viewer: Viewer, community: str) -> int:
        agency = viewer.agency
        if (agency, community) in self._known:
            return 0
        token = self._signer.token(viewer.actor, agency, {WHOLE_AGENCY: frozenset(("members.read",))})
        asked = community_service_pb2.GetCommunitiesRequest(ids=[community])
        found = self._rooms.call(_GET, asked, (("authorization", f"Bearer {token}"),)).communities
        if not found or found[0].agency != agency:
            raise NotFound("There is no such community.", field="community")
        with self._lock:
            self._known[agency, community] = None
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return 1


def _named(name: str, request: Message) -> Iterator[str]:
    for get in _paths(name):
        if community := get(request):
            yield community


@cache
def _paths(name: str) -> tuple[Any, ...]:
    """Where a request names communities; nowhere for members' own rpcs, which know better."""
    method = rpc(name)
    if method.containing_service.file.package.startswith("fanfare.members."):
        return ()
    return tuple(attrgetter(path) for path in _community_fields(method.input_type, ""))


def _community_fields(descriptor: Descriptor, prefix: str) -> Iterator[str]:
    for field in descriptor.fields:
        if field.name == "community" and field.message_type is None:
            yield f"{prefix}community"
        elif field.message_type is not None and not field.is_repeated and not prefix:
            yield from _community_fields(field.message_type, f"{field.name}.")
