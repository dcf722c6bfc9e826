"""The line of a campaign through this room: created, launched, planned, reported on, finished; over the real log."""

from __future__ import annotations

from collections.abc import Callable

from fanfare.campaigns.v1 import campaign_events_pb2 as told
from fanfare.channels.v1.delivery_events_pb2 import BatchProgressed, Totals
from services.campaigns.domain.campaign import State
from services.campaigns.use_cases.counting import figures
from services.campaigns.use_cases.planning import plan_runs
from services.kit.log.port import Event
from tests.campaigns.conftest import CLUB, House
from tests.campaigns.neighbours import member_id


def heard_by_channels(house: House) -> list[Event]:
    house.relayed()
    reader = house.log.reader(("campaigns",), "channels")
    events = [received.event for received in reader.poll(1_000)]
    reader.commit()
    reader.close()
    return events


def test_a_campaign_is_launched_planned_reported_on_and_finished(house: House, event: Callable[..., Event]) -> None:
    house.members.holds(450)
    house.members.groups[3].append(member_id(1_000))  # two share an address
    campaign = house.launch()
    assert campaign.state is State.RUNNING
    assert plan_runs(house.desk, lambda: True) == 0, "nothing is planned before the launch is published"

    launched, *others = heard_by_channels(house)
    assert launched.type == "fanfare.campaigns.v1.CampaignLaunched"
    assert not others
    order = told.CampaignLaunched.FromString(launched.data).order
    assert (order.run, order.community, order.revision, order.account) == (campaign.run, CLUB, 1, "acc_1")

    assert plan_runs(house.desk, lambda: True) == 1
    heard = heard_by_channels(house)
    batches = [told.BatchPlanned.FromString(each.data) for each in heard if each.type.endswith("BatchPlanned")]
    (planned,) = [told.RunPlanned.FromString(each.data) for each in heard if each.type.endswith("RunPlanned")]
    assert [batch.sequence for batch in batches] == [0, 1, 2]
    assert [len(batch.sizes or batch.members) for batch in batches] == [200, 200, 50]
    assert list(batches[0].members[3:5]) == [member_id(3), member_id(1_000)] and batches[0].sizes[3] == 2
    assert (planned.batches, planned.members) == (3, 451)

    for batch in batches:
        members, addresses = len(batch.members), len(batch.sizes or batch.members)
        totals = Totals(members=members, addresses=addresses, accepted=members - 2, messages=addresses)
        totals.skipped["objection"] = 2
        progressed = BatchProgressed(run=campaign.run, sequence=batch.sequence, version=4, totals=totals, settled=True)
        house.log.publish("channels", [event(progressed)])
    house.consume()

    assert house.campaign(campaign.id).state is State.FINISHED
    (counted,) = figures(house.desk, house.scope, [campaign.id])
    assert (counted.planned, counted.addresses, counted.totals.messages) == (451, 450, 450)
    assert (counted.totals.accepted, counted.skipped, counted.waiting) == (445, 6, 0)
    assert counted.totals.skipped == {"objection": 6}
    assert counted.add_up
    assert [each.type for each in heard_by_channels(house)] == ["fanfare.campaigns.v1.CampaignFinished"]
