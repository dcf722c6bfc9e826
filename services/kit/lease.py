"""A lease: one worker of its name at a time, over all processes that share a store."""

from __future__ import annotations

from services.kit.clock import SECOND, Clock
from services.kit.owners import is_gone, new_owner
from services.kit.scope import EVERY_AGENCY, everywhere
from services.kit.store.port import Collection

SKEW = 5 * SECOND  # what two machines' clocks may differ by
DURATION = 15 * SECOND


class Lease:
    """A small document that names its owner, an epoch that every change of owner raises, and until when it holds."""

    def __init__(self, leases: Collection, name: str, clock: Clock, duration: int = DURATION) -> None:
        self.owner = new_owner(name)
        self.epoch = 0
        self._leases = leases
        self._id = f"lease_{name}"
        self._clock = clock
        self._duration = duration
        self._scope = everywhere(f"service:{name}")
        self._until = 0

    def hold(self) -> bool:
        """Take or keep the lease; whether it is ours now. Asks the store only when a third of it has passed."""
        now = self._clock.now()
        if now < self._until - self._duration * 2 // 3:
            return True
        found = self._leases.get(self._scope, [self._id]).get(self._id)
        if found is None:
            found = {
                "_id": self._id,
                "agency": EVERY_AGENCY,
                "community": None,
                "version": 1,
                "schema_version": 1,
                "owner": self.owner,
                "epoch": 1,
                "until": now + self._duration,
            }
            taken = bool(self._leases.insert(self._scope, [found]))
        elif found["owner"] == self.owner:
            found |= {"until": now + self._duration}
            taken = bool(self._leases.replace(self._scope, [found]))
        elif now > found["until"] + SKEW or is_gone(found["owner"]):
            found |= {"owner": self.owner, "epoch": found["epoch"] + 1, "until": now + self._duration}
            taken = bool(self._leases.replace(self._scope, [found]))
        else:
            taken = False
        self._until = found["until"] if taken else 0
        self.epoch = found["epoch"] if taken else 0
        return taken

    def release(self) -> None:
        """Let the next one have it at once."""
        if not self._until:
            return
        self._until = 0
        found = self._leases.get(self._scope, [self._id]).get(self._id)
        if found is not None and found["owner"] == self.owner:
            self._leases.replace(self._scope, [found | {"owner": "", "until": -SKEW}])
