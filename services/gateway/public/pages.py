"""The public pages: ``/l`` and ``/o`` for links and pixels, ``/u`` unsubscribe, ``/p`` preferences, ``/s`` a sender's
proof, ``/i`` an operator's invitation. GET and HEAD change nothing."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from babel.dates import format_date
from flask import Blueprint, Response, render_template, request

from fanfare.channels.v1 import account_service_pb2
from fanfare.members.v1.member_pb2 import Member, Permit
from services.gateway.access.people import People
from services.gateway.contract import Rooms
from services.gateway.public.links import PATH, Links
from services.gateway.public.pauses import Pauses
from services.gateway.public.runs import RunFacts, Runs, RunUnknown
from services.gateway.public.visits import Visits
from services.gateway.public.wishes import PROMOTIONAL, TRACKING, Person, Unsubscribe, Wishes
from services.gateway.public.words import TEXTS, basis_name, purpose_name
from services.gateway.saying import language_of, said
from services.kit.clock import DAY, Clock
from services.kit.errors import FanfareError, Kind, NotFound
from services.kit.rpc.trust import Signer
from services.kit.scope import everywhere
from services.kit.tokens import PREFERENCES, UNSUBSCRIBE, Link, LinkTokens, TokenInvalid

LARGEST_FORM = 16 * 1024
ONE_CLICK = ("List-Unsubscribe", "One-Click")  # RFC 8058
PIXEL_GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_PAUSES = {"30": 30, "90": 90}
_NO_PAUSE = "0"
_NOT_KEPT = ("Cache-Control", "no-store")

log = structlog.get_logger(__name__)


class OnlyATest(NotFound):
    """The link stands in a test message: nobody is behind it, and nothing may change."""


@dataclass(frozen=True, slots=True)
class PublicDesk:
    """What the public pages work with."""

    tokens: LinkTokens
    runs: Runs
    visits: Visits
    links: Links
    wishes: Wishes
    pauses: Pauses
    people: People
    rooms: Rooms
    signer: Signer
    clock: Clock


def public_pages(desk: PublicDesk) -> Blueprint:
    """Every public page."""
    pages = Blueprint(
        "public",
        __name__,
        template_folder=str(Path(__file__).with_name("templates")),
        static_folder=str(Path(__file__).with_name("assets")),
        static_url_path="/assets",
    )
    _links(pages, desk.links)
    _unsubscribe(pages, desk)
    _preferences(pages, desk)
    _sender_proof(pages, desk)
    _invitation(pages, desk)
    pages.register_error_handler(FanfareError, _sorry)
    pages.app_errorhandler(404)(lambda _error: _sorry(RunUnknown("There is no such page.")))
    return pages


# Links and pixels


def _links(pages: Blueprint, links: Links) -> None:
    @pages.get(f"{PATH}<token>")
    def follow_link(token: str) -> Response:
        target = links.follow(token, request.method, request.headers.get("User-Agent", ""))
        leads = [("Location", target)] if target else []
        return Response(status=302 if target else 204, headers=[*leads, _NOT_KEPT])

    @pages.get("/o/<token>")
    def open_pixel(token: str) -> Response:
        links.open(token.removesuffix(".gif"), request.method, request.headers.get("User-Agent", ""))
        return Response(PIXEL_GIF, headers=[("Content-Type", "image/gif"), _NOT_KEPT])


# Unsubscribe


def _unsubscribe(pages: Blueprint, desk: PublicDesk) -> None:
    @pages.get("/u/<token>")
    def show_unsubscribe(token: str) -> Response:
        link, facts = _message(desk, token, UNSUBSCRIBE)
        return _unsubscribe_form(desk, token, facts, desk.wishes.household(facts, link.member))

    @pages.post("/u/<token>")
    def unsubscribe(token: str) -> Response:
        link, facts = _message(desk, token, UNSUBSCRIBE)
        form = _form()
        people = desk.wishes.household(facts, link.member)
        one_click = form.get(ONE_CLICK[0]) == [ONE_CLICK[1]]
        known = [person.member for person in people]
        # Whoever presses the button of the mail program is asked nothing: it then holds for all who share the address.
        chosen = known if one_click or not form else [member for member in form.get("for", ()) if member in known]
        if not chosen:
            return _unsubscribe_form(desk, token, facts, people, problem=True)
        everything = form.get("what") == ["all"] or facts.purpose not in PROMOTIONAL
        purposes = PROMOTIONAL if everything else (facts.purpose,)
        t, locale = _texts(people[0].locale)
        names = [purpose_name(purpose, locale) for purpose in purposes]
        wording = f"{t['stop_button']}: {', '.join(names)}"
        asked = Unsubscribe(chosen[0], tuple(chosen[1:]), purposes, "one_click" if one_click else "page", wording)
        desk.wishes.unsubscribe(facts, asked)
        for member in chosen:
            for purpose in purposes:
                desk.pauses.forget(facts, member, purpose)
        details = [(t["stopped"], names)]
        if len(people) > 1:
            details.append((t["for_whom"], [person.name for person in people if person.member in chosen]))
        return _page(
            "said.html",
            locale,
            facts.community_name,
            title=t["unsubscribed_title"],
            text=t["unsubscribed_text"],
            details=details,
            link=f"/p/{desk.tokens.make(link.run, link.member, PREFERENCES)}",
            link_text=t["to_preferences"],
        )


def _unsubscribe_form(
    desk: PublicDesk, token: str, facts: RunFacts, people: list[Person], *, problem: bool = False
) -> Response:
    t, locale = _texts(people[0].locale)
    if people[0].state == "erased":
        return _page("said.html", locale, facts.community_name, title=t["erased_title"], text=t["erased_text"])
    link = desk.tokens.read(token)
    return _page(
        "unsubscribe.html",
        locale,
        facts.community_name,
        status=422 if problem else 200,
        action=f"/u/{token}",
        purpose=purpose_name(facts.purpose, locale) if facts.purpose in PROMOTIONAL else "",
        people=people,
        problem=t["choose_one"] if problem else "",
        preferences=f"/p/{desk.tokens.make(link.run, link.member, PREFERENCES)}",
    )


# Preferences


def _preferences(pages: Blueprint, desk: PublicDesk) -> None:
    @pages.get("/p/<token>")
    def show_preferences(token: str) -> Response:
        link, facts = _message(desk, token, PREFERENCES)
        people = desk.wishes.household(facts, link.member)
        t, locale = _texts(people[0].locale)
        if people[0].state == "erased":
            return _page("said.html", locale, facts.community_name, title=t["erased_title"], text=t["erased_text"])
        shown = [_preference(desk, facts, person, locale) for person in people]
        return _page("preferences.html", locale, facts.community_name, action=f"/p/{token}", people=shown)

    @pages.post("/p/<token>")
    def save_preferences(token: str) -> Response:
        link, facts = _message(desk, token, PREFERENCES)
        form = _form()
        people = desk.wishes.household(facts, link.member)
        t, locale = _texts(people[0].locale)
        for person in people:
            if person.member in form.get("for", ()):
                _save(desk, facts, person, people, form, locale)
        return _page(
            "said.html",
            locale,
            facts.community_name,
            title=t["saved_title"],
            text=t["saved_text"],
            link=f"/p/{token}",
            link_text=t["back"],
        )


def _preference(desk: PublicDesk, facts: RunFacts, person: Person, locale: str) -> dict[str, Any]:
    """What a person's part of the page shows. Raises Unavailable."""
    t = TEXTS[locale]
    member = _member(desk, facts, person.member)
    paused_until = desk.pauses.until(facts, person.member)
    why = [t["why_presence"].format(date=_date(member.registered_at, locale))]
    catalogue = desk.wishes.catalogue(facts, person.member)
    if relations := [catalogue.relation(each.kind, locale) for each in member.relations if not each.until]:
        why.append(t["why_relation"].format(relations=", ".join(relations)))
    if reasons := [catalogue.reason(each.key, locale) for each in member.reasons]:
        why.append(t["why_reasons"].format(reasons=", ".join(reasons)))
    return {
        "member": person.member,
        "name": member.display_name,
        "topics": [
            {"purpose": purpose, "name": purpose_name(purpose, locale), "allowed": allowed}
            for purpose, allowed in _choices(desk, facts, member).items()
        ],
        "paused": t["paused_until"].format(date=_date(paused_until, locale)) if paused_until else "",
        "why": why,
        "grounds": [
            {
                "name": purpose_name(permit.purpose, locale),
                "basis": basis_name(permit.basis if permit.allowed or permit.basis == "objection" else "", locale),
                "since": _date(permit.since, locale) if permit.since else "",
            }
            for permit in _permits(facts, member)
        ],
    }


def _member(desk: PublicDesk, facts: RunFacts, member: str) -> Member:
    found = desk.wishes.members(facts, [member])
    if not found:
        raise NotFound("There is nobody behind this link any more.", field="token")
    return found[0]


def _permits(facts: RunFacts, member: Member) -> list[Permit]:
    return [each for each in member.permits if each.channel == facts.channel or each.purpose == TRACKING]


def _choices(desk: PublicDesk, facts: RunFacts, member: Member) -> dict[str, bool]:
    """Which topics are on, as the page shows them: what only a pause stops counts as on."""
    allowed = {permit.purpose for permit in _permits(facts, member) if permit.allowed}
    return {
        purpose: purpose in allowed or desk.pauses.holds(facts, member.id, purpose)
        for purpose in (*PROMOTIONAL, TRACKING)
    }


def _save(
    desk: PublicDesk,
    facts: RunFacts,
    person: Person,
    household: list[Person],
    form: Mapping[str, list[str]],
    locale: str,
) -> None:
    """Only what differs from what is kept; each switch is an act of its own, with its wording."""
    t = TEXTS[locale]
    member = _member(desk, facts, person.member)
    guardian = next((one.member for one in household if one.member in member.guardians), "")
    acted_by = f"guardian:{guardian}" if guardian else "member"
    shown = _choices(desk, facts, member)
    wanted = {purpose: f"{person.member}.{purpose}" in form for purpose in shown}
    for purpose, on in wanted.items():
        if on == shown[purpose]:
            continue
        wording = t["choice_wording"].format(
            topic=purpose_name(purpose, locale), how=t["on"] if on else t["off"], community=facts.community_name
        )
        desk.pauses.forget(facts, person.member, purpose)
        desk.wishes.choose(facts, person.member, purpose, on, wording, acted_by)
    pause = "".join(form.get(f"{person.member}.pause", ()))
    if pause == _NO_PAUSE:
        desk.pauses.end(facts, person.member, f"{t['pause']}: {t['no_pause']}")
    if days := _PAUSES.get(pause, 0):
        topics = [purpose for purpose in PROMOTIONAL if wanted[purpose]]
        until = desk.clock.now() + days * DAY
        wording = f"{t['pause']}: {t['paused_until'].format(date=_date(until, locale))}"
        desk.pauses.begin(facts, person.member, topics, until, wording, acted_by)


# A sender's proof, an operator's invitation


def _sender_proof(pages: Blueprint, desk: PublicDesk) -> None:
    @pages.get("/s/<token>")
    def show_sender_proof(token: str) -> Response:
        t, locale = _texts("")
        return _page(
            "confirm.html",
            locale,
            "",
            title=t["sender_title"],
            text=t["sender_text"],
            button=t["sender_button"],
            action=f"/s/{token}",
        )

    @pages.post("/s/<token>")
    def confirm_sender(token: str) -> Response:
        t, locale = _texts("")
        bearer = desk.signer.service_token(everywhere("service:gateway"))
        desk.rooms.call(
            "AccountService.ConfirmSender",
            account_service_pb2.ConfirmSenderRequest(token=token),
            (("authorization", f"Bearer {bearer}"),),
        )
        return _page("said.html", locale, "", title=t["sender_done_title"], text=t["sender_done_text"])


def _invitation(pages: Blueprint, desk: PublicDesk) -> None:
    @pages.get("/i/<token>")
    def show_invitation(token: str) -> Response:
        return _invitation_form(desk, token)

    @pages.post("/i/<token>")
    def accept_invitation(token: str) -> Response:
        t, locale = _texts("")
        form = _form()
        password = "".join(form.get("password", ()))
        if password != "".join(form.get("again", ())):
            return _invitation_form(desk, token, t["passwords_differ"])
        try:
            desk.people.accept(token, password)
        except FanfareError as error:
            if error.kind is not Kind.INVALID:
                raise
            return _invitation_form(desk, token, said(error, locale))
        return _page(
            "said.html",
            locale,
            "",
            title=t["invitation_done_title"],
            text=t["invitation_done_text"],
            link="/graphql",
            link_text=t["to_sign_in"],
        )


def _invitation_form(desk: PublicDesk, token: str, problem: str = "") -> Response:
    operator = desk.people.invited(token)
    t, locale = _texts(operator.locale)
    return _page(
        "confirm.html",
        locale,
        "",
        status=422 if problem else 200,
        title=t["invitation_title"].format(agency=desk.people.agency(operator.agency).name),
        text=t["invitation_text"].format(email=operator.email),
        button=t["invitation_button"],
        action=f"/i/{token}",
        problem=problem,
        passwords=True,
    )


# What they share


def _message(desk: PublicDesk, token: str, number: int) -> tuple[Link, RunFacts]:
    """What the token of a message stands for. Raises TokenInvalid, also for a token of another page; OnlyATest."""
    link = desk.tokens.read(token)
    if link.number != number:
        raise TokenInvalid
    facts = desk.runs.facts(link.run)
    if not facts.launched_at:
        raise OnlyATest("This is a test message.")
    return link, facts


def _form() -> dict[str, list[str]]:
    """What was posted; a form that is too large is none of ours."""
    request.max_content_length = LARGEST_FORM
    return dict(request.form.lists())


def _texts(stated: str) -> tuple[Mapping[str, str], str]:
    """The texts in the language of the browser, or where it names none of ours, of the person."""
    locale = language_of(request.headers.get("Accept-Language", ""), stated)
    return TEXTS[locale], locale


def _page(template: str, locale: str, community: str, *, status: int = 200, **shown: Any) -> Response:
    html = render_template(template, t=TEXTS[locale], community=community, **shown)
    response = Response(html, status, mimetype="text/html")
    response.headers["Content-Language"] = locale
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Vary"] = "Accept-Language"
    response.headers.add(*_NOT_KEPT)
    return response


def _sorry(error: FanfareError) -> Response:
    t, locale = _texts("")
    if isinstance(error, OnlyATest):
        return _page("said.html", locale, "", title=t["test_title"], text=t["test_text"])
    if error.kind in (Kind.NOT_FOUND, Kind.INVALID, Kind.CONFLICT):
        return _page("said.html", locale, "", status=404, title=t["gone_title"], text=t["gone_text"])
    log.warning("public_page_away", reason=error.reason)
    page = _page(
        "said.html",
        locale,
        "",
        status=503,
        title=t["away_title"],
        text=t["away_text"],
        link=request.path if request.method == "POST" else "",
        link_text=t["again"],
    )
    page.headers["Retry-After"] = "30"
    return page


def _date(at: int, locale: str) -> str:
    return format_date(datetime.fromtimestamp(at / 1_000, UTC), format="long", locale=locale)
