"""What the gateway told the log."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from fanfare.gateway.v1 import public_events_pb2 as pb
from tests.gateway.house import House
from tests.gateway.story import wait_until


def visits_of(house: House, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """The visits told so far, in their order, once there are enough of them."""
    reader = house.log.reader(("gateway",), f"test-{secrets.token_hex(4)}")
    heard: list[Any] = []

    def came() -> bool:
        for one in reader.poll(timeout_ms=50):
            if one.event.type == pb.LinksFollowed.DESCRIPTOR.full_name:
                heard.extend(pb.LinksFollowed.FromString(one.event.data).visits)
        return enough(heard)

    wait_until(came, "the visits in the log")
    reader.close()
    return heard
