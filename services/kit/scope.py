"""In whose name, and how far, an operation acts. Tenants are walls: nothing is stored or read without a scope."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.kit.errors import NotFound


@dataclass(frozen=True, slots=True)
class Scope:
    """An agency, and the communities within it (``None``: every one of them), for an actor.

    ``actor`` is ``operator:<id>``, ``key:<id>``, ``member:<id>`` or ``service:<name>``.
    """

    agency: str
    communities: frozenset[str] | None
    actor: str

    def allows(self, agency: str, community: str | None) -> bool:
        """Whether a thing of that agency and community lies within; ``community`` is None for agency-wide things."""
        if self.agency != EVERY_AGENCY and agency != self.agency:
            return False
        return self.communities is None or (community is not None and community in self.communities)

    def within(self, community: str) -> Scope:
        """This scope narrowed to one community. Raises NotFound for a community outside it."""
        if not self.allows(self.agency, community):
            raise NotFound("There is no such community.", field="community")
        return replace(self, communities=frozenset((community,)))


EVERY_AGENCY = "*"


def everywhere(actor: str) -> Scope:
    """All agencies: for relays and schedulers alone, which then act in the scope of what they find stored."""
    return Scope(EVERY_AGENCY, None, actor)


def stored_scope(agency: str, community: str | None, actor: str) -> Scope:
    """The scope a worker acts in: that of the aggregate it found, never of what a message claims."""
    return Scope(agency, None if community is None else frozenset((community,)), actor)
