"""A message is compiled once and written per member; a mail reader sees what was meant."""

from __future__ import annotations

import base64
import email
import re
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.channels.connectors.smtp.compiling import Sender, compile_revision
from services.channels.connectors.smtp.dkim import DkimKeyUnusable, DkimSigner
from services.channels.connectors.smtp.encoding import HeaderUnsafe, quoted_printable, quoted_value
from services.channels.connectors.smtp.writing import Writer
from services.channels.domain.content import Content, Revision
from services.kit.clock import ManualClock
from services.kit.ids import Ids
from services.kit.tokens import HIDDEN_LINK, PIXEL, UNSUBSCRIBE, KeyRing, LinkTokens

IDS = Ids(ManualClock())
RUN = IDS.new("run")
MEMBER = IDS.new("mbr")
CLUB = Sender("news@club.example", "Le Club", "info@club.example")
NOW = 1_764_000_000_000
HTML = """<html><head><style>p {{ color: #123456 }}</style></head><body>
<p>Bonjour {{{{ given_name | fallback("l'ami") }}}}, le {{{{ attribute.city }}}} &amp; vous.</p>
<p><a href="https://club.example/agenda?a=1&amp;b=2">L'agenda</a> <a href="https://other.example/">Ailleurs</a></p>
{filler}
<p><a href="{{{{ unsubscribe_url }}}}">Se désinscrire</a></p></body></html>"""


def revision(**changes: object) -> Revision:
    content = Content("fr", 'Nouvelles de {{ attribute.city | fallback("chez nous") }}', HTML.format(filler=""))
    given: dict[str, object] = {
        "contents": (content,),
        "fields": ("given_name", "attribute.city"),
        "links": ("https://club.example/agenda?a=1&b=2",),
    }
    return Revision(RUN, 1, **{**given, **changes})  # type: ignore[arg-type]


@pytest.fixture
def tokens(tmp_path: Path) -> LinkTokens:
    return LinkTokens(KeyRing(tmp_path / "keys"))


def write(
    tokens: LinkTokens,
    revision: Revision,
    *,
    values: tuple[str, ...] = ("Léa", "Namur"),
    tracked: bool = True,
    locale: str = "fr",
    concerned: tuple[str, ...] = (),
    signer: DkimSigner | None = None,
    sender: Sender = CLUB,
) -> bytes:
    compiled = compile_revision(revision, sender, "https://fanfare.example")
    writer = Writer(compiled, tokens.of_run(RUN), signer)
    return writer.write(b"abc234", MEMBER, b"lea@example.org", locale, tracked, values, concerned, NOW)


def read(source: bytes) -> tuple[EmailMessage, str, str]:
    message = email.message_from_bytes(source, policy=SMTP)
    text, markup = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None and markup is not None
    assert not message.defects and not text.defects and not markup.defects
    return message, text.get_content(), markup.get_content()


def test_a_member_reads_their_own_message(tokens: LinkTokens) -> None:
    message, text, markup = read(write(tokens, revision()))
    assert message["From"] == "Le Club <news@club.example>"
    assert message["Reply-To"] == "info@club.example"
    assert message["To"] == "lea@example.org"
    assert message["Subject"] == "Nouvelles de Namur"
    assert message["Message-ID"] == "<abc234@club.example>"
    assert message["Date"].datetime.timestamp() == NOW // 1000
    assert "Bonjour Léa, le Namur &amp; vous." in markup
    assert "Bonjour Léa, le Namur & vous." in text
    assert 'style="color: #123456' in markup


def test_values_are_escaped_in_html_and_left_alone_in_text(tokens: LinkTokens) -> None:
    _, text, markup = read(write(tokens, revision(), values=("<b>Bob</b> & Co", "")))
    assert "Bonjour &lt;b&gt;Bob&lt;/b&gt; &amp; Co," in markup and "<b>Bob" not in markup
    assert "Bonjour <b>Bob</b> & Co," in text


def test_a_missing_value_gives_way_to_its_fallback(tokens: LinkTokens) -> None:
    message, text, markup = read(write(tokens, revision(), values=("", "")))
    assert message["Subject"] == "Nouvelles de chez nous"
    assert "Bonjour l'ami," in text and "Bonjour l&#x27;ami," in markup


def test_links_of_a_tracked_member_lead_through_us_and_carry_no_address(tokens: LinkTokens) -> None:
    source = write(tokens, revision())
    _, text, markup = read(source)
    link = tokens.read(re.search(r'href="https://fanfare.example/l/([\w-]{64})">L', markup)[1])  # type: ignore[index]
    assert (link.run, link.member, link.number) == (RUN, MEMBER, 0)
    assert tokens.read(re.search(r"/o/([\w-]{64})\"", markup)[1]).number == PIXEL  # type: ignore[index]
    hidden = re.search(r'/l/([\w-]{64})" style="display:none"', markup)
    assert hidden is not None and tokens.read(hidden[1]).number == HIDDEN_LINK
    assert "https://other.example/" in markup, "a link that campaigns did not number stays as it is"
    assert re.search(r"L'agenda \(https://fanfare.example/l/[\w-]{64}\)", text)
    assert b"lea@example.org" not in source.partition(b"\r\n\r\n")[2]


def test_promise_a_member_who_may_not_be_tracked_gets_plain_links_and_no_pixel(tokens: LinkTokens) -> None:
    message, text, markup = read(write(tokens, revision(), tracked=False))
    assert 'href="https://club.example/agenda?a=1&amp;b=2"' in markup
    assert "https://club.example/agenda?a=1&b=2" in text
    assert "/l/" not in markup and "/o/" not in markup and "<img" not in markup
    assert "/u/" in message["List-Unsubscribe"], "leaving is never taken away"


def test_one_click_unsubscribing_is_offered_in_the_headers(tokens: LinkTokens) -> None:
    message, _, markup = read(write(tokens, revision()))
    found = re.fullmatch(r"<https://fanfare.example/u/([\w-]{64})>", message["List-Unsubscribe"])
    assert found is not None and tokens.read(found[1]).number == UNSUBSCRIBE
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert f'href="https://fanfare.example/u/{found[1]}"' in markup


def test_each_member_reads_their_language_and_the_first_one_otherwise(tokens: LinkTokens) -> None:
    english = Content("en", "News", "<p>Hello</p>")
    both = revision(contents=(*revision().contents, english))
    assert read(write(tokens, both, locale="en-GB"))[0]["Subject"] == "News"
    assert read(write(tokens, both, locale="nl"))[0]["Subject"] == "Nouvelles de Namur"


def test_a_household_message_names_everyone_concerned(tokens: LinkTokens) -> None:
    _, text, markup = read(write(tokens, revision(), concerned=("Léa", "Tom", "Zoé")))
    assert text.startswith("Pour Léa, Tom et Zoé")
    assert "<p>Pour Léa, Tom et Zoé</p>" in markup
    assert "Bonjour Léa, Tom et Zoé," in markup


def test_a_header_value_cannot_start_another_header(tokens: LinkTokens) -> None:
    with pytest.raises(HeaderUnsafe):
        write(tokens, revision(), sender=Sender("news@club.example", "Club\r\nBcc: all@example.org"))
    with pytest.raises(HeaderUnsafe):
        write(tokens, revision(), sender=Sender("news@club.example\r\nX: y"))
    message, _, _ = read(write(tokens, revision(), values=("Léa", "Namur\r\nBcc: all@example.org")))
    assert message["Bcc"] is None
    assert message["Subject"] == "Nouvelles de Namur Bcc: all@example.org"


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=120)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=3), words)
@example([("Ada", "Huy")], "{{")
@example([("Ada", "Huy")], "{{ nothing }")
def test_whatever_a_member_is_called_the_message_reads_back(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[str, str]], filler: str
) -> None:
    tokens = LinkTokens(KeyRing(tmp_path_factory.getbasetemp() / "ring"))
    content = Content(
        "fr", "S {{ given_name }}", "<p>[{{ given_name }}|{{ city }}]</p>", f"{filler}\n[{{{{ given_name }}}}]\n.\n.."
    )
    subject = revision(contents=(content,), fields=("given_name", "city"))
    for given_name, city in values:
        source = write(tokens, subject, values=(given_name, city))
        assert all(len(line) <= 998 for line in source.split(b"\r\n"))
        body = source.partition(b"\r\n\r\n")[2]
        assert all(len(line) <= 76 for line in body.split(b"\r\n"))
        assert b"\n." not in body, "nothing is left to dot-stuff"
        message, text, _ = read(source)
        assert f"[{given_name}]" in text.replace("\r\n", "\n")
        assert "\n.\n.." in text.replace("\r\n", "\n")
        assert " ".join(str(message["Subject"]).split()) == " ".join(f"S {given_name}".split())


@given(st.binary(max_size=400).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"\r\n")))
def test_quoted_printable_reads_back_in_lines_of_76(raw: bytes) -> None:
    import quopri

    encoded = quoted_printable(raw)
    assert quopri.decodestring(encoded) == raw
    assert all(len(line) <= 76 and not line.startswith(b".") and line[-1:] != b" " for line in encoded.split(b"\r\n"))
    assert b"  " not in encoded and b"\t" not in encoded, "relaxed canonicalisation leaves it alone"
    assert quopri.decodestring(quoted_value(raw)).replace(b"\r\n", b"\n") == raw.replace(b"\r\n", b"\n")


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
@pytest.mark.parametrize("values", [("Léa", "Namur"), (". x  y\t", "Saint-Étienne-du-Rouvray " * 5)])
def test_a_dkim_signature_is_good_and_covers_both_unsubscribe_headers(
    tokens: LinkTokens, kind: str, values: tuple[str, str]
) -> None:
    if kind == "rsa":
        rsa_key = rsa.generate_private_key(65537, 2048)
        source_key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey = rsa_key
        public = rsa_key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    else:
        ed_key = ed25519.Ed25519PrivateKey.generate()
        source_key = ed_key
        public = ed_key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    record = b"v=DKIM1; k=%s; p=%s" % (kind.encode(), base64.b64encode(public))
    source = write(tokens, revision(), values=values, signer=DkimSigner("club.example", "s1", pem(source_key)))

    def verify(message: bytes) -> bool:
        return bool(
            dkim.verify(message, dnsfunc=lambda name, **_: record if name == b"s1._domainkey.club.example." else b"")
        )

    assert verify(source)
    covered = re.search(rb"h=([a-z:-]+);", source)
    assert covered is not None and {b"list-unsubscribe", b"list-unsubscribe-post"} <= set(covered[1].split(b":"))
    assert not verify(source.replace(b"One-Click", b"Two-Click"))
    assert not verify(source.replace(b"Bonjour", b"Bonsoir"))


def test_a_weak_or_foreign_dkim_key_is_refused_by_name() -> None:
    with pytest.raises(DkimKeyUnusable) as refused:
        DkimSigner("club.example", "s1", b"not a key")
    assert refused.value.field == "dkim_private_key"
