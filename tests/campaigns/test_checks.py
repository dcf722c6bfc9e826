"""Nothing is launched that should not be: each check blocks with its reason, field and remedy, in two languages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from services.campaigns.domain.campaign import LaunchBlocked, State
from services.campaigns.domain.content import Message
from services.campaigns.domain.draft import Draft
from services.campaigns.use_cases.launching import check_campaign, launch_campaign
from services.kit.errors import Conflict, Invalid
from tests.campaigns.conftest import ACCOUNT, DRAFT, MESSAGE, NOW, House


def with_body(extra: str) -> Draft:
    return replace(DRAFT, messages=(replace(MESSAGE, body=MESSAGE.body + extra),))


def unverified(house: House) -> None:
    house.channels.senders[ACCOUNT] = replace(house.channels.senders[ACCOUNT], verified=False)


def paused(house: House) -> None:
    house.channels.senders[ACCOUNT] = replace(house.channels.senders[ACCOUNT], state="paused")


def elsewhere(house: House) -> None:
    house.channels.senders[ACCOUNT] = replace(house.channels.senders[ACCOUNT], community="com_other")


def nobody(house: House) -> None:
    house.members.groups = []


def nothing(house: House) -> None:
    pass


@pytest.mark.parametrize(
    ("draft", "arrange", "reason", "field"),
    [
        (with_body("<p>{{ shoe_size }}</p>"), nothing, "unknown-merge-field", "messages"),
        (with_body("<p>{{ attribute.health }}</p>"), nothing, "sensitive-merge-field", "messages"),
        (with_body("<p>{{ given_name</p>"), nothing, "broken-merge-syntax", "messages.fr.body"),
        (
            replace(DRAFT, messages=(replace(MESSAGE, body="<p>Bonjour</p>"),)),
            nothing,
            "missing-unsubscribe-link",
            "messages.fr.body",
        ),
        (
            replace(with_body("<p>Profitez de nos soldes</p>"), purpose="service"),
            nothing,
            "promotion-under-service",
            "",
        ),
        (replace(DRAFT, purpose="service"), nothing, "promotion-under-service", ""),
        (replace(DRAFT, reasons=("judo_children", "judo_cats")), nothing, "unknown-reason", "reasons"),
        (DRAFT, nobody, "no-recipients", "rule"),
        (DRAFT, unverified, "sender-not-verified", "account"),
        (DRAFT, paused, "account-paused", "account"),
        (DRAFT, elsewhere, "no-account", "account"),
        (replace(DRAFT, account=""), nothing, "no-account", "account"),
        (replace(DRAFT, messages=()), nothing, "no-content", "messages"),
        (replace(DRAFT, fallback_locale="nl"), nothing, "missing-fallback-language", "fallback_locale"),
        (replace(DRAFT, send_until=NOW - 1), nothing, "send-until-passed", "send_until"),
    ],
)
def test_a_launch_is_blocked_with_the_reason(
    house: House, draft: Draft, arrange: Callable[[House], None], reason: str, field: str
) -> None:
    arrange(house)
    campaign = house.create(draft)
    problems, _ = check_campaign(house.desk, house.scope, campaign.id)
    found = next(problem for problem in problems if problem.reason == reason)
    assert found.field == (field or found.field)
    assert found.said.en and found.said.fr and found.said.en != found.said.fr
    with pytest.raises(LaunchBlocked) as blocked:
        launch_campaign(house.desk, house.scope, campaign.id)
    assert reason in blocked.value.params["problems"]
    assert house.campaign(campaign.id).state is State.DRAFT


def test_a_service_message_without_promotion_needs_no_way_out(house: House) -> None:
    plain = Message("fr", "Cours annulé", "<p>Le cours de lundi est annulé.</p>")
    campaign = house.create(replace(DRAFT, purpose="service", messages=(plain,)))
    assert check_campaign(house.desk, house.scope, campaign.id)[0] == []


def test_a_clean_campaign_has_no_problem_and_tells_its_audience(house: House) -> None:
    house.members.unmeasurable = 7
    problems, audience = check_campaign(house.desk, house.scope, house.create().id)
    assert (problems, audience.members, audience.unmeasurable) == ([], 3, 7)


def test_a_launch_of_another_version_than_was_checked_is_refused(house: House) -> None:
    campaign = house.create()
    with pytest.raises(Conflict):
        launch_campaign(house.desk, house.scope, campaign.id, version=campaign.version + 1)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": " "}, "name"),
        ({"purpose": "spam"}, "purpose"),
        ({"unknown_policy": "forget"}, "unknown_policy"),
        ({"quiet_from": 1_440}, "quiet_from"),
        ({"cap_count": 2}, "cap_count"),
        ({"reply_to": "the office"}, "reply_to"),
        ({"from_name": "a\r\nBcc: b"}, "from_name"),
        ({"messages": (MESSAGE, MESSAGE)}, "messages"),
    ],
)
def test_what_cannot_be_kept_of_a_draft_is_refused_with_its_field(changed: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        replace(DRAFT, **changed)  # type: ignore[arg-type] # wrong on purpose
    assert refusal.value.field == field
    assert refusal.value.params["message_fr"]
