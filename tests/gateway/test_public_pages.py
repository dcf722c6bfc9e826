"""What members meet: pages that show before they do, in their language, for the whole household."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from services.channels.storage.documents import SuppressionDocument
from services.channels.wiring import DOCUMENTS as CHANNELS
from services.gateway.public.wishes import PROMOTIONAL
from services.kit.clock import DAY
from services.kit.scope import everywhere
from services.kit.store.opening import open_store
from services.kit.store.rule import EVERYTHING
from services.kit.tokens import PREFERENCES, UNSUBSCRIBE
from tests.gateway.house import Caller, House
from tests.gateway.story import Mail, Story, tell_story, wait_until

FRENCH = {"Accept-Language": "fr-BE"}


@pytest.fixture(scope="module")
def told(house: House, owner: Caller, mail: Mail) -> Story:
    """A story of this module's own, since its members change their minds."""
    return tell_story(owner, house.caller(), mail, "sycamore")


@pytest.fixture
def visitor(house: House) -> Iterator[Any]:
    yield house.caller().client


def path(house: House, story: Story, member: str, number: int) -> str:
    page = {UNSUBSCRIBE: "u", PREFERENCES: "p"}.get(number, "l")
    return f"/{page}/{house.gateway.public.tokens.make(story['run'], member, number)}"


def permits(owner: Caller, member: str) -> dict[str, bool]:
    document = "query($id: ID!) { member(id: $id) { permits { purpose channel allowed } } }"
    found = owner.ask(document, id=member)["member"]["permits"]
    return {each["purpose"]: each["allowed"] for each in found if each["channel"] in ("email", None)}


def suppressed(house: House, member: str) -> bool:
    """Whether channels holds back what would go to the member."""
    store = open_store(house.settings.store_url("channels"), CHANNELS)
    found = store.collection(SuppressionDocument).stream(everywhere("service:test"), EVERYTHING)
    subjects = [document["_id"] for page in found for document in page]
    store.close()
    return any(subject.endswith(f":m:{member}") for subject in subjects)


def test_the_unsubscribe_page_asks_for_whom_and_only_then_acts(
    house: House, owner: Caller, told: Story, visitor: Any
) -> None:
    page = path(house, told, told["member"], UNSUBSCRIBE)
    shown = visitor.get(page, headers=FRENCH)
    assert shown.status_code == 200 and 'lang="fr"' in shown.text
    assert "sycamore-ada" in shown.text and "sycamore-child" in shown.text
    assert permits(owner, told["member"])["NEWS"] and permits(owner, told["child"])["NEWS"]
    nobody = visitor.post(page, data={"what": "this"})
    assert nobody.status_code == 422
    done = visitor.post(page, data={"what": "this", "for": told["child"]}, headers=FRENCH)
    assert done.status_code == 200 and "sycamore-child" in done.text and "sycamore-ada" not in done.text
    assert not permits(owner, told["child"])["NEWS"], "in force as soon as the page answers"
    assert permits(owner, told["member"])["NEWS"], "the mother goes on reading"


def test_one_click_holds_for_everybody_at_the_address(house: House, owner: Caller, told: Story, visitor: Any) -> None:
    page = path(house, told, told["member"], UNSUBSCRIBE)
    done = visitor.post(page, data={"List-Unsubscribe": "One-Click"})
    assert done.status_code == 200
    for member in ("member", "child"):
        assert not permits(owner, told[member])["NEWS"]
    assert suppressed(house, told["member"]) and suppressed(house, told["child"]), "channels knows it by itself"
    ledger = owner.ask(
        "query($id: ID!) { member(id: $id) { permission { ledger { act source purposes wording } } } }",
        id=told["member"],
    )["member"]["permission"]["ledger"]
    last = ledger[-1]
    assert (last["act"], last["source"], last["purposes"]) == ("objection", "one_click", ["NEWS"])
    assert last["wording"]


def test_what_was_asked_is_kept_though_members_is_away(house: House, told: Story, visitor: Any, owner: Caller) -> None:
    """The answer waits for nobody: the wish lies in the gateway's own outbox, and reaches members by the log."""
    wishes = house.gateway.public.wishes
    rooms, wishes._rooms = wishes._rooms, _Away()  # type: ignore[assignment] # as if the rooms had died
    try:
        done = visitor.post(path(house, told, told["other"], UNSUBSCRIBE), data={"List-Unsubscribe": "One-Click"})
    finally:
        wishes._rooms = rooms  # they are back
    assert done.status_code == 200

    def objected() -> bool:
        document = "query($id: ID!) { member(id: $id) { permission { ledger { act } } } }"
        ledger = owner.ask(document, id=told["other"])["member"]["permission"]["ledger"]
        return any(entry["act"] == "objection" for entry in ledger)

    wait_until(objected, "the objection that the log brings")


class _Away:
    def call(self, *_: Any) -> Any:
        from services.kit.errors import Unavailable  # beside its one use

        raise Unavailable("A service did not answer in time.")


def test_preferences_show_what_is_on_and_why_and_change_only_what_was_switched(
    house: House, owner: Caller, told: Story, visitor: Any
) -> None:
    member = told["twin"]
    page = path(house, told, member, PREFERENCES)
    shown = visitor.get(page, headers={"Accept-Language": "en"})
    assert "Why do you write to me?" in shown.text and "sycamore community" in shown.text
    assert f'name="{member}.news" value="on">' in shown.text.replace(" checked", "")
    saved = visitor.post(page, data={"for": member, f"{member}.news": "on"}, headers={"Accept-Language": "en"})
    assert saved.status_code == 200
    assert permits(owner, member).get("NEWS") is True
    ledger = owner.ask(
        "query($id: ID!) { member(id: $id) { permission { ledger { act source purposes wording actor } } } }", id=member
    )["member"]["permission"]["ledger"]
    assert [(one["act"], one["source"], one["purposes"]) for one in ledger] == [("grant", "preferences", ["NEWS"])]
    assert "News" in ledger[0]["wording"] and ledger[0]["actor"] == "member"
    assert f'name="{member}.news" value="on" checked' in visitor.get(page).text
    visitor.post(page, data={"for": member, f"{member}.news": "on"})
    again = owner.ask("query($id: ID!) { member(id: $id) { permission { ledger { id } } } }", id=member)
    assert len(again["member"]["permission"]["ledger"]) == 1, "what was not switched is no act"
    visitor.post(page, data={"for": member})
    assert permits(owner, member)["NEWS"] is False


def test_a_pause_stops_what_was_on_and_ends_by_itself(house: House, owner: Caller, told: Story, visitor: Any) -> None:
    member = told["twin"]
    page = path(house, told, member, PREFERENCES)
    visitor.post(page, data={"for": member, f"{member}.news": "on", f"{member}.pause": ""})
    assert permits(owner, member)["NEWS"]
    visitor.post(page, data={"for": member, f"{member}.news": "on", f"{member}.pause": "30"})
    assert not permits(owner, member)["NEWS"]
    shown = visitor.get(page, headers=FRENCH).text
    assert "En pause jusqu’au" in shown and f'name="{member}.news" value="on" checked' in shown
    pauses = house.gateway.public.pauses
    assert pauses.end_due() == 0
    clock, pauses._clock = pauses._clock, _Later(31 * DAY)  # a month later
    try:
        assert pauses.end_due() == 1
    finally:
        pauses._clock = clock  # back to today
    assert permits(owner, member)["NEWS"]
    assert "En pause" not in visitor.get(page, headers=FRENCH).text


def test_a_pause_can_be_ended_before_its_day(house: House, owner: Caller, told: Story, visitor: Any) -> None:
    member = told["twin"]
    page = path(house, told, member, PREFERENCES)
    assert 'value="0"' not in visitor.get(page).text
    visitor.post(page, data={"for": member, f"{member}.news": "on", f"{member}.pause": "90"})
    assert not permits(owner, member)["NEWS"]
    assert 'value="0"' in visitor.get(page).text
    visitor.post(page, data={"for": member, f"{member}.news": "on", f"{member}.pause": "0"})
    assert permits(owner, member)["NEWS"]
    assert 'value="0"' not in visitor.get(page).text


@pytest.mark.parametrize("how", ["on the page", "to an operator"])
def test_a_pause_that_ends_takes_back_no_later_objection(
    how: str, house: House, owner: Caller, told: Story, visitor: Any
) -> None:
    member = told["twin"]
    page = path(house, told, member, PREFERENCES)
    visitor.post(page, data={"for": member, f"{member}.news": "on"})
    visitor.post(page, data={"for": member, f"{member}.news": "on", f"{member}.pause": "30"})
    if how == "on the page":
        visitor.post(path(house, told, member, UNSUBSCRIBE), data={"List-Unsubscribe": "One-Click"})
        assert f'name="{member}.news" value="on">' in visitor.get(page).text, "the topic is off, and no longer paused"
    else:
        evidence = {"wording": "Never again.", "source": "phone"}
        owner.do("recordObjection", "member { id }", member=member, purposes=["NEWS"], evidence=evidence)
    pauses = house.gateway.public.pauses
    clock, pauses._clock = pauses._clock, _Later(31 * DAY)
    try:
        pauses.end_due()
    finally:
        pauses._clock = clock
    assert not permits(owner, member)["NEWS"]
    assert "En pause" not in visitor.get(page, headers=FRENCH).text


def test_who_switches_a_topic_on_again_is_written_to_again(
    house: House, owner: Caller, told: Story, visitor: Any
) -> None:
    member = told["twin"]
    page = path(house, told, member, PREFERENCES)
    document = "query($id: ID!, $m: ID!) { campaign(id: $id) { preview(member: $m) { verdict } } }"

    def verdict() -> str | None:
        found: str | None = owner.ask(document, id=told["draft"], m=member)["campaign"]["preview"]["verdict"]
        return found

    visitor.post(path(house, told, member, UNSUBSCRIBE), data={"List-Unsubscribe": "One-Click"})
    assert verdict() == "objection"
    visitor.post(page, data={"for": member, f"{member}.news": "on"})
    wait_until(lambda: verdict() is None, "channels to hear that the member permits it again")


class _Later:
    def __init__(self, milliseconds: int) -> None:
        self._more = milliseconds

    def now(self) -> int:
        from services.kit.clock import SystemClock  # beside its one use

        return SystemClock().now() + self._more


def test_links_of_an_erased_member_still_answer(house: House, owner: Caller, told: Story, visitor: Any) -> None:
    member = told["member"]
    owner.do("eraseMember", "erasure { id }", member=member)
    assert visitor.get(path(house, told, member, 0)).headers["Location"] == "https://club.example/one"
    for number in (UNSUBSCRIBE, PREFERENCES):
        page = visitor.get(path(house, told, member, number), headers=FRENCH)
        assert page.status_code == 200
        assert "Rien n’est conservé" in page.text and "sycamore-ada" not in page.text

    def complete() -> bool:
        found = owner.ask("{ erasures { nodes { member completedAt } } }")["erasures"]["nodes"]
        (mine,) = [one for one in found if one["member"] == member]
        return bool(mine["completedAt"])

    wait_until(complete, "every room to have acknowledged the erasure")


@pytest.mark.parametrize("what", ["draft", "campaign"])
def test_a_test_message_lets_its_links_be_tried_and_changes_nothing(
    what: str, house: House, owner: Caller, told: Story, visitor: Any, mail: Mail
) -> None:
    to = f"{what}@sycamore.example"
    owner.do("sendTest", "outcome", campaign=told[what], member=told["other"], to=to)
    links = ["/" + link.split("/", 3)[3] for link in mail.last_to(to).links]
    pages = [link for link in links if link.startswith(("/u/", "/p/"))]
    assert len(pages) == 2
    before = house.gateway.public.wishes._unsubscribes.count(everywhere("service:test"), EVERYTHING)
    for page in pages:
        for answer in (visitor.get(page, headers=FRENCH), visitor.post(page, data={"what": "all"}, headers=FRENCH)):
            assert answer.status_code == 200 and "Ceci est un message d’essai" in answer.text
    assert visitor.post(pages[-1], data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert house.gateway.public.wishes._unsubscribes.count(everywhere("service:test"), EVERYTHING) == before


def test_whose_browser_speaks_neither_language_is_answered_in_their_own(
    house: House, told: Story, visitor: Any
) -> None:
    page = path(house, told, told["twin"], UNSUBSCRIBE)
    for accepted, spoken in (("nl", "fr"), ("nl,en;q=0.5", "en"), ("*", "fr"), ("", "fr")):
        assert f'lang="{spoken}"' in visitor.get(page, headers={"Accept-Language": accepted}).text, accepted


def test_an_address_that_is_cut_short_gets_a_kind_page_too(visitor: Any) -> None:
    for where in ("/u/", "/nothing"):
        answer = visitor.get(where, headers=FRENCH)
        assert answer.status_code == 404 and "Ce lien ne mène nulle part" in answer.text


@pytest.mark.parametrize("page", ["l", "o", "u", "p"])
@pytest.mark.parametrize("token", ["x", "A" * 64, "é" * 64, "A" * 5_000])
def test_a_link_that_is_not_ours_gets_a_kind_page(page: str, token: str, visitor: Any) -> None:
    answer = visitor.get(f"/{page}/{token}", headers=FRENCH)
    assert answer.status_code == 404
    assert "Ce lien ne mène nulle part" in answer.text


def test_a_token_is_good_on_its_own_page_only(house: House, told: Story, visitor: Any) -> None:
    link = path(house, told, told["twin"], UNSUBSCRIBE).rpartition("/")[2]
    for page in ("l", "o", "p"):
        assert visitor.get(f"/{page}/{link}").status_code == 404
    assert visitor.post(f"/p/{link}", data={"for": told["twin"]}).status_code == 404


def test_pages_let_no_script_run_and_are_framed_by_nobody(house: House, told: Story, visitor: Any) -> None:
    for page in (path(house, told, told["twin"], UNSUBSCRIBE), "/graphql", "/u/nothing"):
        policy = visitor.get(page).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy


def test_unsubscribing_from_everything_names_every_promotional_purpose(
    house: House, owner: Caller, told: Story, visitor: Any
) -> None:
    page = path(house, told, told["twin"], UNSUBSCRIBE)
    visitor.post(page, data={"what": "all", "for": told["twin"]})
    ledger = owner.ask(
        "query($id: ID!) { member(id: $id) { permission { ledger { act purposes } } } }", id=told["twin"]
    )["member"]["permission"]["ledger"]
    assert {purpose.lower() for purpose in ledger[-1]["purposes"]} == set(PROMOTIONAL)
