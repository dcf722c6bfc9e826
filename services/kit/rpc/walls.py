"""Whose community a request names: asked once of the room that knows them all, then remembered.

A token that names a community was signed by a service that had found it there. One for a whole agency says nothing of
the community that a request names with it; a room that took it at its word would keep things in another agency's.
Communities never change hands while they live here, so that an answer stays true.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from services.kit.errors import NotFound
from services.kit.scope import Scope

KEPT = 20_000

Owns = Callable[[Scope, str], bool]
"""Whether the community is the agency's in whose scope is asked."""


class Walls:
    """What stands around each agency's communities."""

    def __init__(self, owns: Owns) -> None:
        self._owns = owns
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def enter(self, scope: Scope, community: str) -> Scope:
        """The scope narrowed to the community. Raises NotFound for one that is not the agency's."""
        within = scope.within(community)
        if scope.communities is None and not self._remembers(scope, community):
            if not community or not self._owns(within, community):
                raise NotFound("There is no such community.", field="community")
            self._remember(scope, community)
        return within

    def _remembers(self, scope: Scope, community: str) -> bool:
        return (scope.agency, community) in self._known

    def _remember(self, scope: Scope, community: str) -> None:
        with self._lock:
            self._known[scope.agency, community] = None
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
