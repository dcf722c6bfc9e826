"""What leaves this room of what operators write: whole documents, canonical merge fields, numbered links."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.campaigns.domain.content import Compiled, Message, compile_messages, message
from services.campaigns.domain.links import LinkTable
from services.campaigns.domain.merging import Expression, Veil
from services.campaigns.domain.plain_text import text_of
from services.kit.errors import Invalid


def compiled(body: str, **more: str) -> Compiled:
    written = Message("fr", more.pop("subject", "Bonjour"), body, **more)
    return compile_messages([written], "fr", LinkTable())


def reasons(body: str, **more: str) -> list[str]:
    return [problem.reason for problem in compiled(body, **more).problems]


@pytest.mark.parametrize(
    "written",
    [
        '{{ given_name | fallback("ami") }}',
        "{{given_name|fallback('ami')}}",
        "{{ given_name | fallback(&quot;ami&quot;) }}",
        "{{&nbsp;given_name | fallback( 'ami' ) }}",
    ],
)
def test_merge_fields_leave_in_one_canonical_form(written: str) -> None:
    (content,) = compiled(f"<p>Bonjour {written}</p>").contents
    assert '<p>Bonjour {{ given_name | fallback("ami") }}</p>' in content.html


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20).filter(lambda s: "}}" not in s))
def test_a_fallback_survives_being_written_and_read(fallback: str) -> None:
    veil = Veil()
    veil.veil(str(Expression("given_name", fallback)), "messages.fr.subject")
    if "\n" not in str(Expression("given_name", fallback)):
        assert [found.name for found in veil.expressions] == ["given_name"]
    assert not veil.problems


@pytest.mark.parametrize("broken", ["{{ }}", "{{ given_name", "{{ given name }}", "{{ a | upper }}", "{% if a %}"])
def test_broken_merge_syntax_is_named(broken: str) -> None:
    assert "broken-merge-syntax" in reasons(f"<p>{broken}</p>")


def test_braces_of_a_style_sheet_are_no_merge_fields() -> None:
    assert reasons("<style>@media print{.a{color:red}}</style><p>Bonjour</p>") == []


def test_links_are_numbered_once_each_and_unsubscribing_is_not_tracked() -> None:
    body = (
        '<p><a href="https://a.example/x?a=1&amp;b=2">un</a> <a href="https://a.example/y" data-offer="off_1">deux</a>'
        ' <a href="https://a.example/x?a=1&amp;b=2">encore</a> <a href="mailto:a@b.example">mail</a>'
        ' <a href="#haut">haut</a> <a href="{{ unsubscribe_url }}">fin</a></p>'
    )
    made = compiled(body)
    assert made.links == ("https://a.example/x?a=1&b=2", "https://a.example/y")
    assert made.link_offers == ("", "off_1")
    assert made.problems == () and made.without_unsubscribe == ()
    assert "data-offer" not in made.contents[0].html


def test_languages_share_one_table_of_links_and_the_fallback_comes_first() -> None:
    messages = [
        Message("en", "Hello", '<a href="https://a.example/en">x</a>'),
        Message("fr", "Bonjour", '<a href="https://a.example/fr">x</a> <a href="https://a.example/en">y</a>'),
    ]
    made = compile_messages(messages, "fr", LinkTable())
    assert [content.locale for content in made.contents] == ["fr", "en"]
    assert made.links == ("https://a.example/fr", "https://a.example/en")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('<a href="https://a.example/?n={{ given_name }}">x</a>', "merge-field-in-link"),
        ('<a href="/stage">x</a>', "broken-link"),
        ('<a href="https://">x</a>', "broken-link"),
        ("<p>a</p><script>alert(1)</script>", "active-content"),
        ('<p onclick="x()">a</p>', "active-content"),
        ('<p><a href="javascript:x()">a</a></p>', "active-content"),
        ("<p> </p>", "no-content"),
        ("", "no-content"),
    ],
)
def test_what_must_not_be_sent_is_a_problem(body: str, reason: str) -> None:
    assert reason in reasons(body)


def test_a_message_needs_a_subject() -> None:
    assert reasons("<p>a</p>", subject=" ") == ["no-content"]


def test_mjml_becomes_a_whole_document() -> None:
    body = (
        "<mjml><mj-body><mj-section><mj-column><mj-text>Bonjour {{ given_name }} &lt;3</mj-text>"
        '<mj-button href="https://a.example/x">Voir</mj-button>'
        '<mj-text><a href="{{ unsubscribe_url }}">fin</a></mj-text></mj-column></mj-section></mj-body></mjml>'
    )
    made = compiled(body, format="mjml")
    (content,) = made.contents
    assert content.html.lower().startswith("<!doctype html>")
    assert "Bonjour {{ given_name }} &lt;3" in content.html
    assert 'href="{{ unsubscribe_url }}"' in content.html
    assert made.links == ("https://a.example/x",)
    assert "broken-mjml" in reasons("<mjml><mj-body></mjml>", format="mjml")


def test_the_way_out_must_be_in_the_written_text_too() -> None:
    body = '<p>a <a href="{{ unsubscribe_url }}">fin</a></p>'
    assert compiled(body, text="a").without_unsubscribe == ("messages.fr.text",)
    assert compiled(body, text="a {{ unsubscribe_url }}").without_unsubscribe == ()
    assert compiled("<p>a</p>").without_unsubscribe == ("messages.fr.body",)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"locale": "french"}, "messages.locale"),
        ({"subject": "a\r\nBcc: b"}, "messages.fr.subject"),
        ({"format": "markdown"}, "messages.fr.format"),
        ({"subject": "a" * 300}, "messages.fr.subject"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_field(said: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        message(**{"locale": "fr", "subject": "a", "body": "b", **said})
    assert refusal.value.field == field


def test_text_is_what_a_reader_would_see() -> None:
    markup = (
        "<head><title>t</title></head><body><h1>Stage</h1><p>Un&nbsp;<b>beau</b>\n stage</p><ul><li>un<li>deux</ul>"
        '<div style="display: none">caché</div><p><a href="https://a.example">Voir</a></p></body>'
    )
    assert text_of(markup) == "Stage\n\nUn beau stage\n\n- un\n- deux\n\nVoir (https://a.example)"
