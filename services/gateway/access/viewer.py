"""Who asks: the operator or key behind a request, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass

from services.kit.errors import Forbidden, NotFound
from services.kit.rpc.trust import WHOLE_AGENCY, Grants, NotAllowed
from services.kit.scope import Scope


class OperatorsOnly(Forbidden):
    reason = "operators-only"


@dataclass(frozen=True, slots=True)
class Viewer:
    """``actor`` is ``operator:<id>`` or ``key:<id>``; ``session`` is empty for a key."""

    actor: str
    agency: str
    grants: Grants
    session: str = ""
    by_cookie: bool = False

    @property
    def operator(self) -> str:
        """The operator's id; empty for a key."""
        return self.actor.removeprefix("operator:") if self.actor.startswith("operator:") else ""

    @property
    def scope(self) -> Scope:
        """The agency's own things: operators, keys, the audit log."""
        return Scope(self.agency, None, self.actor)

    def may(self, grant: str, community: str = "") -> bool:
        """Whether the grant is held in the community (none named: in the whole agency)."""
        if grant in self.grants.get(WHOLE_AGENCY, frozenset()):
            return True
        return bool(community) and grant in self.grants.get(community, frozenset())

    def may_somewhere(self, grant: str) -> bool:
        return any(grant in held for held in self.grants.values())

    def require(self, grant: str, community: str = "") -> None:
        """Raises NotAllowed without the grant, and NotFound for a community where nothing at all is held."""
        if self.may(grant, community):
            return
        if community and WHOLE_AGENCY not in self.grants and community not in self.grants:
            raise NotFound("There is no such community.", field="community")
        raise NotAllowed(grant)

    def require_operator(self, grant: str = "") -> None:
        """Raises OperatorsOnly for a key, NotAllowed without the grant in the whole agency."""
        if not self.operator:
            raise OperatorsOnly("Only a signed-in operator may do this, not an API key.")
        if grant:
            self.require(grant)
