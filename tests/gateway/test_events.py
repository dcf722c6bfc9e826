"""What partners tell: one event or a batch, each with a result, each taken once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.house import Caller, House
from tests.gateway.story import Story


@pytest.fixture(scope="module")
def shop(house: House, owner: Caller, story: Story) -> Caller:
    """A key that may tell of this community, and do nothing else."""
    made = owner.do("createApiKey", "secret", name="shop", scopes=["EVENTS_WRITE"], communities=[story["community"]])
    return house.caller(made["secret"])


def tell(shop: Caller, events: Any, content_type: str = "application/cloudevents-batch+json") -> Any:
    return shop.client.post("/v1/events", json=events, headers={**shop.headers, "Content-Type": content_type})


def purchase(number: int, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"order-{number}",
        "source": "https://shop.example",
        "type": "fanfare.purchase",
        "time": "2026-11-01T10:00:00Z",
        "data": {"offer": "pass", "amount": "89.50", "currency": "EUR", **data},
    }


def test_a_purchase_is_recorded_once_by_source_and_id(shop: Caller, story: Story, owner: Caller) -> None:
    event = purchase(1, email="zebrawood-ada@members.example", given_name="zebrawood-ada", family_name="Secret")
    first = tell(shop, event, "application/cloudevents+json").get_json()["results"]
    assert [(one["id"], one["outcome"], one["member"]) for one in first] == [("order-1", "recorded", story["member"])]
    assert tell(shop, [event]).get_json()["results"][0]["outcome"] == "known"
    elsewhere = {**event, "source": "https://other-shop.example"}
    assert tell(shop, [elsewhere]).get_json()["results"][0]["outcome"] == "recorded", "another shop has its own orders"
    latest = owner.ask("query($id: ID!) { member(id: $id) { latest { kind subject } } }", id=story["member"])
    assert {"kind": "purchased", "subject": "pass"} in latest["member"]["latest"]


def test_an_order_number_used_for_another_order_is_an_error_that_says_so(shop: Caller, story: Story) -> None:
    event = purchase(2, member=story["member"])
    untimed = {name: value for name, value in purchase(3, member=story["member"]).items() if name != "time"}
    tell(shop, [event, untimed])
    other = purchase(2, member=story["other"])
    dearer = purchase(2, member=story["member"], amount="890.50")
    results = tell(shop, [event, untimed, other, dearer]).get_json()["results"]
    assert [one["outcome"] for one in results] == ["known", "known", "refused", "refused"]
    for one in results[2:]:
        assert (one["reason"], one["field"]) == ("event-id-reused", "id")
        assert "give each event an id of its own" in one["message"]


def test_each_event_of_a_batch_has_its_own_result(shop: Caller, story: Story) -> None:
    events = [
        purchase(10, member=story["other"]),
        purchase(11, email="zebrawood-ada@members.example"),
        purchase(12, email="nobody@members.example"),
        purchase(13, member=story["other"], currency=""),
        {**purchase(14, member=story["other"]), "type": "com.example.unknown"},
        {**purchase(15, member=story["other"]), "time": "yesterday"},
        purchase(16, member=story["other"], reverses="order-10"),
        purchase(17, member=story["other"], amount="not a number"),
    ]
    results = tell(shop, events).get_json()["results"]
    assert [one["outcome"] for one in results] == [
        "recorded",
        "ambiguous",
        "unmatched",
        "refused",
        "refused",
        "refused",
        "recorded",
        "refused",
    ]
    fields = [results[place]["field"] for place in (3, 4, 5, 7)]
    assert fields == ["data.currency", "type", "time", "data.amount"]
    assert all(one["message"] for one in results if one["outcome"] not in ("recorded", "known"))


def test_a_sign_up_makes_a_prospect_with_the_permission_it_proves(shop: Caller, owner: Caller) -> None:
    event = {
        "specversion": "1.0",
        "id": "form-1",
        "source": "https://site.example/form",
        "type": "fanfare.sign_up",
        "time": "2026-11-02T10:00:00Z",
        "data": {
            "email": "new@members.example",
            "given_name": "Nora",
            "consent": {"purposes": ["news"], "wording": "Yes, send me news.", "source": "form", "detail": "192.0.2.1"},
        },
    }
    result = tell(shop, event, "application/cloudevents+json").get_json()["results"][0]
    assert result["outcome"] == "recorded"
    member = owner.ask(
        "query($id: ID!) { member(id: $id) { givenName standing permits { purpose allowed evidence } } }",
        id=result["member"],
    )["member"]
    assert member["givenName"] == "Nora" and member["standing"] == ["PROSPECT"]
    assert [one["purpose"] for one in member["permits"] if one["allowed"]] == ["NEWS"]


def test_an_event_may_come_in_binary_mode(shop: Caller, story: Story) -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "b-1",
        "ce-source": "https://shop.example",
        "ce-type": "fanfare.attendance",
    }
    reply = shop.client.post(
        "/v1/events", json={"member": story["other"], "activity": "open-day"}, headers={**shop.headers, **headers}
    )
    assert reply.get_json()["results"][0]["outcome"] == "recorded"


def test_the_door_is_shut_to_whoever_may_not(house: House, shop: Caller, owner: Caller, story: Story) -> None:
    assert house.caller().client.post("/v1/events", json=[purchase(20)]).status_code == 401
    reader = house.caller(owner.do("createApiKey", "secret", name="reader", scopes=["MEMBERS_READ"])["secret"])
    refused = tell(reader, [purchase(21, community=story["community"], member=story["other"])])
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (403, "not-allowed")
    reading = shop.post("query($id: ID!) { member(id: $id) { displayName } }", id=story["member"])
    assert "zebrawood" not in str(reading), "a key for events reads nobody"


def test_the_door_says_what_it_cannot_understand(shop: Caller) -> None:
    for events, content_type in (
        ([], "application/cloudevents-batch+json"),
        (["text"], "application/json"),
        ([purchase(1)], "text/plain"),
        ([purchase(number) for number in range(501)], "application/json"),
    ):
        reply = tell(shop, events, content_type)
        assert reply.status_code == 400 and reply.get_json()["error"]["message"], content_type
    large = shop.client.post(
        "/v1/events", data=b"[" + b" " * 1_100_000 + b"]", headers={**shop.headers, "Content-Type": "application/json"}
    )
    assert large.get_json()["error"]["code"] == "request-too-large"
