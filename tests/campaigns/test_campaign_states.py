"""The life of a campaign: what each verb does in each state, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.campaigns.domain import campaign as life
from services.campaigns.domain.campaign import REFUSALS, Campaign, State
from services.campaigns.domain.draft import Draft
from services.kit.errors import Conflict
from tests.campaigns.conftest import DRAFT, NOW

LEADS_TO = {
    "schedule": State.SCHEDULED,
    "unschedule": State.DRAFT,
    "launch": State.RUNNING,
    "pause": State.PAUSED,
    "resume": State.RUNNING,
    "cancel": State.CANCELLED,
    "finish": State.FINISHED,
}


def new_campaign(draft: Draft = DRAFT) -> Campaign:
    return Campaign("cmp_1", "agy_1", "com_1", draft, NOW, "operator:ada")


def do(campaign: Campaign, verb: str) -> None:
    match verb:
        case "schedule":
            campaign.schedule(NOW + 1_000, NOW)
        case "launch":
            campaign.launch(run="run_1", now=NOW, id_ceiling="mbr_f", community_name="Judo")
        case "cancel" | "finish":
            getattr(campaign, verb)(NOW)
        case _:
            getattr(campaign, verb)()


class Life(RuleBasedStateMachine):
    """Any verbs in any order: each is refused with its own word, or leads where it says."""

    def __init__(self) -> None:
        super().__init__()
        self.campaign = new_campaign()
        self.launches = 0

    @rule(verb=st.sampled_from(sorted(LEADS_TO)))
    def act(self, verb: str) -> None:
        before = self.campaign.state
        refusal = REFUSALS[verb].get(before)
        if refusal is not None:
            with pytest.raises(type(refusal)):
                do(self.campaign, verb)
            assert self.campaign.state is before
            return
        do(self.campaign, verb)
        self.launches += verb == "launch"
        assert self.campaign.state is LEADS_TO[verb]

    @invariant()
    def launched_at_most_once(self) -> None:
        assert self.launches <= 1
        assert self.campaign.is_launched == bool(self.launches)

    @invariant()
    def nothing_leaves_an_end(self) -> None:
        if self.campaign.state in (State.FINISHED, State.CANCELLED):
            assert all(self.campaign.state in REFUSALS[verb] for verb in LEADS_TO)


TestLife = Life.TestCase


@pytest.mark.parametrize("state", [State.RUNNING, State.PAUSED, State.FINISHED])
def test_launching_a_second_time_is_refused(state: State) -> None:
    campaign = new_campaign()
    do(campaign, "launch")
    campaign.state = state
    with pytest.raises(Conflict) as refusal:
        do(campaign, "launch")
    assert refusal.value.reason in ("already-launched", "already-finished")


def test_launching_freezes_what_the_senders_must_know() -> None:
    campaign = new_campaign()
    order = campaign.launch(run="run_1", now=NOW, id_ceiling="mbr_f", community_name="Judo")
    assert (order.launched_at, order.send_until, order.revision) == (NOW, NOW + life.SENDS_FOR, 1)
    assert campaign.links.urls == ["https://judo.example/stage", "https://judo.example/tarifs"]
    assert campaign.links.offers == ["", "off_stage"]


def test_an_edit_while_running_asks_for_a_pause_first() -> None:
    campaign = new_campaign()
    do(campaign, "launch")
    with pytest.raises(life.PauseFirst):
        campaign.edit(DRAFT)


def test_an_edit_while_paused_makes_a_revision_and_keeps_the_numbers_of_links() -> None:
    campaign = new_campaign()
    do(campaign, "launch")
    do(campaign, "pause")
    written = DRAFT.messages[0]
    body = written.body.replace("https://judo.example/stage", "https://judo.example/stages")
    changed = replace(written, body=body)
    campaign.edit(replace(DRAFT, messages=(changed,)))
    assert campaign.revision == 2
    assert campaign.links.urls == [
        "https://judo.example/stage",
        "https://judo.example/tarifs",
        "https://judo.example/stages",
    ]


def test_an_edit_while_paused_cannot_touch_what_the_launch_froze() -> None:
    campaign = new_campaign()
    do(campaign, "launch")
    do(campaign, "pause")
    with pytest.raises(life.FrozenAtLaunch) as refusal:
        campaign.edit(replace(DRAFT, purpose="promotion"))
    assert refusal.value.field == "purpose"
    assert campaign.revision == 1
