"""A sender in a process of its own, to be killed: ``python -m tests.channels.a_sender <folder> <lease ms>``."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from services.channels.delivery.sender import Sender, Ways
from services.channels.domain.gate import Recipient
from services.channels.domain.ledger import Patience
from services.channels.domain.run import RunOrder
from services.channels.settings import ChannelsSettings
from services.channels.wiring import DOCUMENTS, room_of
from services.kit.clock import SystemClock
from services.kit.store.opening import open_store
from tests.channels.stage import Person, PlayedCampaigns

HANDFUL, LANES = 5, 3


class EverybodyIsThere:
    """Members whose address is their id."""

    def resolve(self, order: RunOrder, members: Sequence[str], fields: Sequence[str]) -> Sequence[Recipient]:
        return [Person(member, address_of(member)) for member in members]


def address_of(member: str) -> str:
    return f"{member}@example.org"


def main(folder: Path, lease: int) -> None:
    settings = ChannelsSettings(data=folder / "data")
    store = open_store(settings.store_url("channels"), DOCUMENTS)
    room = room_of(store, SystemClock(), settings, EverybodyIsThere(), PlayedCampaigns())
    Sender(room, room.connectors, Ways(HANDFUL, LANES, lease, Patience((200, 200), 200))).run(threading.Event())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
