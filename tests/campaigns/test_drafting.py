"""A campaign is written for a segment: naming one means its rule, and never everybody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.campaigns.domain.campaign import FrozenAtLaunch
from services.campaigns.use_cases.controlling import pause_campaign
from services.campaigns.use_cases.drafting import edit_campaign
from services.kit.errors import NotFound
from tests.campaigns.conftest import DRAFT, House

VIPS, JUDOKAS = '{"field": "tag", "is": "vip"}', '{"field": "tag", "is": "judoka"}'


@pytest.fixture(autouse=True)
def _segments(house: House) -> None:
    house.members.segments = {"seg_vips": VIPS, "seg_judokas": JUDOKAS}


def test_a_campaign_that_names_a_segment_goes_to_its_members(house: House) -> None:
    assert house.create(segment="seg_vips").draft.rule == VIPS
    assert house.create(segment="seg_vips", rule=JUDOKAS).draft.rule == JUDOKAS, "a rule of its own says more"
    assert house.create().draft.rule == "", "everybody, where nothing is named"


def test_a_segment_of_another_community_cannot_be_named(house: House) -> None:
    with pytest.raises(NotFound) as refusal:
        house.create(segment="seg_elsewhere")
    assert refusal.value.field == "segment"
    campaign = house.create()
    with pytest.raises(NotFound):
        edit_campaign(house.desk, house.scope, campaign.id, replace(DRAFT, segment="seg_elsewhere"), ["segment"])
    assert house.campaign(campaign.id).draft.segment == ""


def test_a_new_segment_brings_its_rule(house: House) -> None:
    campaign = house.create(segment="seg_vips")
    moved = edit_campaign(house.desk, house.scope, campaign.id, replace(DRAFT, segment="seg_judokas"), ["segment"])
    assert moved.draft.rule == JUDOKAS
    both = replace(DRAFT, segment="seg_vips", rule=JUDOKAS)
    assert edit_campaign(house.desk, house.scope, campaign.id, both, ["segment", "rule"]).draft.rule == JUDOKAS
    whole = replace(DRAFT, segment="seg_judokas")
    edit_campaign(house.desk, house.scope, campaign.id, replace(DRAFT, name="None"), [])
    assert edit_campaign(house.desk, house.scope, campaign.id, whole, []).draft.rule == JUDOKAS


def test_launching_freezes_the_segment(house: House) -> None:
    campaign = house.launch(segment="seg_vips")
    pause_campaign(house.desk, house.scope, campaign.id)
    with pytest.raises(FrozenAtLaunch):
        edit_campaign(house.desk, house.scope, campaign.id, replace(DRAFT, segment="seg_judokas"), ["segment"])
