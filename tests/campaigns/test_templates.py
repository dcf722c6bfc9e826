"""Templates begin campaigns; a pack's can be added twice without harm."""

from __future__ import annotations

from dataclasses import replace

from services.campaigns.domain.draft import Draft
from services.campaigns.domain.template import TemplateDraft
from services.campaigns.use_cases.drafting import create_campaign
from services.campaigns.use_cases.templating import add_templates, edit_template, list_templates
from tests.campaigns.conftest import CLUB, MESSAGE, WORKER, House

WELCOME = TemplateDraft("", "Bienvenue à tous", "news", ("judo_children",), (MESSAGE,), "sports_club")


def test_a_pack_added_twice_changes_nothing_that_was_edited(house: House) -> None:
    (added,) = add_templates(house.desk, WORKER, CLUB, [WELCOME])
    assert added.draft.key == "bienvenue-a-tous"
    edit_template(house.desk, WORKER, added.id, replace(added.draft, name="Bonjour"))
    (again,) = add_templates(house.desk, WORKER, CLUB, [WELCOME])
    assert (again.id, again.draft.name) == (added.id, "Bonjour")
    assert len(list_templates(house.desk, WORKER, size=10, after="").items) == 1


def test_a_campaign_begins_with_what_its_template_says(house: House) -> None:
    (template,) = add_templates(house.desk, WORKER, CLUB, [WELCOME])
    campaign = create_campaign(house.desk, WORKER, CLUB, Draft("Rentrée", "news"), template.id)
    assert (campaign.draft.messages, campaign.draft.reasons) == ((MESSAGE,), ("judo_children",))
