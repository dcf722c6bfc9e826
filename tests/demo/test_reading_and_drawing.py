"""The demo tells the same story each time, and its picture tells people from programs."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree

from demo.picture import CampaignPicture, ObjectivePicture, Step, day, funnel_svg, report_html
from demo.readers import Habits, deeds_of

HABITS = Habits()


def test_the_same_seed_tells_the_same_story() -> None:
    first = [deeds_of(7, f"user{number}@members.example", "Hello", HABITS) for number in range(200)]
    again = [deeds_of(7, f"USER{number}@members.example", "Hello", HABITS) for number in range(200)]
    other = [deeds_of(8, f"user{number}@members.example", "Hello", HABITS) for number in range(200)]
    assert first == again
    assert first != other


def test_readers_do_believable_things_in_a_believable_order() -> None:
    every = [deeds_of(1, f"user{number}@members.example", "Hello", HABITS) for number in range(4_000)]
    kinds = Counter(deed.kind for deeds in every for deed in deeds)
    assert 0.40 < kinds["open"] / 4_000 < 0.56
    assert 0 < kinds["unsubscribe"] < kinds["buy"] < kinds["click"] < kinds["open"]
    for deeds in every:
        times = [deed.after for deed in deeds]
        assert times == sorted(times)
        assert all(deed.after >= HABITS.earliest_seconds for deed in deeds if deed.kind not in ("scan", "prefetch"))
        assert all(deed.after < 4 for deed in deeds if deed.kind in ("scan", "prefetch"))


def test_a_picture_tells_people_from_programs_in_both_languages() -> None:
    picture = CampaignPicture(
        "L’affiche & <le reste>",
        "Festival",
        [Step("planned", 2_000), Step("opened", 800, 120), Step("clicked", 210, 130)],
        [("They <objected>.", 40)],
        1_900,
        objective=ObjectivePicture("Préventes", "EUR", 0, 15_000, 4_200, 250, "2027-01-22", "…"),
    )
    for language in ("fr", "en"):
        drawing = ElementTree.fromstring(funnel_svg(picture, language))
        machines = [each for each in drawing.iter() if each.get("class") == "machines"]
        assert len(machines) == 2
        page = report_html([picture], language, {"mail": "http://127.0.0.1:1/"}, "{ agency { id } }", "other.html")
        assert "<le reste>" not in page
        assert "They &lt;objected&gt;." in page


def test_a_day_is_written_as_its_readers_write_it() -> None:
    assert day("2027-01-02T12:00:00.000Z", "fr") == "2 janvier 2027"
    assert day("2027-01-02T12:00:00.000Z", "en") == "January 2, 2027"
