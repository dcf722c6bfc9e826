"""What channels takes from the others as an answer, and what it does not."""

from __future__ import annotations

from typing import Any, cast

import pytest

from fanfare.members.v1 import member_service_pb2
from services.channels.clients import MembersClient
from services.channels.domain.run import RunOrder
from services.kit.errors import Unavailable
from services.kit.rpc.client import Peer

ORDER = RunOrder("run_1", "cmp_1", "agn_1", "com_1", "email", "news", "acc_1")


_OTHER_WORDS = (
    "states",
    "contact_points",
    "contact_states",
    "permission_reasons",
    "locales",
    "zones",
    "display_names",
)


class AnotherOrder:
    """A members service that answers for the members given, whoever was asked about."""

    def __init__(self, *members: str) -> None:
        nothing, zeros = [""] * len(members), [0] * len(members)
        self._answer = member_service_pb2.ResolveRecipientsResponse(
            members=members,
            addresses=[f"{member}@example.org" for member in members],
            values=[value for member in members for value in (f"Ada of {member}", "Huy")],
            permitted=zeros,
            may_track=zeros,
            registered_at=zeros,
            **dict.fromkeys(_OTHER_WORDS, nothing),
        )

    def stub(self, _: Any) -> AnotherOrder:
        return self

    def as_service(self, _: Any) -> tuple[()]:
        return ()

    def ResolveRecipients(self, _: Any, metadata: Any) -> Any:  # noqa: N802 # the contract's name
        return self._answer


def test_a_member_never_gets_the_message_of_another() -> None:
    asked = ["mbr_1", "mbr_2"]
    for answered in (["mbr_2", "mbr_1"], ["mbr_1"], ["mbr_1", "mbr_3"]):
        with pytest.raises(Unavailable):
            MembersClient(cast(Peer, AnotherOrder(*answered))).resolve(ORDER, asked, [])
    fields = ["given_name", "attribute.city"]
    found = MembersClient(cast(Peer, AnotherOrder(*asked))).resolve(ORDER, asked, fields)
    assert [recipient.values for recipient in found] == [["Ada of mbr_1", "Huy"], ["Ada of mbr_2", "Huy"]]
    assert [recipient.address for recipient in found] == ["mbr_1@example.org", "mbr_2@example.org"]
