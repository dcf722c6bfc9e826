# the doors have the shape of their ports
"""The services next door, as campaigns sees them: members and channels that a test sets up and may send away."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from services.campaigns.domain.checks import MEMBER_FIELDS, Audience, Catalogue, Sender
from services.campaigns.domain.explanation import ABSENT, Explanation
from services.campaigns.domain.run import BATCH_SIZE, Order, Revision
from services.campaigns.use_cases.desk import AudiencePage, Rendered, Tested
from services.kit.errors import NotFound, Unavailable
from services.kit.scope import Scope

AWAY = Unavailable("The service is away.")


def member_id(number: int) -> str:
    return f"mbr_{number:032x}"


@dataclass
class MembersNextDoor:
    """``groups`` in id order: members who share an address."""

    groups: list[list[str]] = field(default_factory=list)
    by_rule: dict[str, list[list[str]]] = field(default_factory=dict)
    segments: dict[str, str] = field(default_factory=dict)
    unmeasurable: int = 0
    standing: dict[str, str] = field(default_factory=dict)
    away: bool = False
    gone: bool = False
    page_size: int = BATCH_SIZE

    def holds(self, count: int) -> None:
        self.groups = [[member_id(number)] for number in range(count)]

    def stream_audience(self, scope: Scope, order: Order, rule: str, after: str) -> Iterator[AudiencePage]:
        assert scope.allows(order.agency, order.community)
        if self.away:
            raise AWAY
        left = [
            group for group in self.by_rule.get(rule, self.groups) if group[0] > after and group[0] <= order.id_ceiling
        ]
        for start in range(0, len(left), self.page_size):
            page = left[start : start + self.page_size]
            members = [member for group in page for member in group]
            sizes = [len(group) for group in page] if len(members) > len(page) else []
            yield AudiencePage(members, sizes, page[-1][0])

    def audience(self, scope: Scope, community: str, rule: str) -> Audience:
        if self.away:
            raise AWAY
        if self.gone:
            raise NotFound("There is no such community.", field="community")
        return Audience(sum(map(len, self.groups)), self.unmeasurable)

    def catalogue(self, scope: Scope, community: str) -> Catalogue:
        return Catalogue(
            MEMBER_FIELDS | {"attribute.city"}, frozenset({"attribute.health"}), frozenset({"judo_children"})
        )

    def segment_rule(self, scope: Scope, community: str, segment: str) -> str:
        if segment not in self.segments:
            raise NotFound("There is no such segment in this community.", field="segment")
        return self.segments[segment]

    def community_name(self, scope: Scope, community: str) -> str:
        return "Judo Club"

    def membership(self, scope: Scope, community: str, rule: str, member: str, now: int) -> str:
        return self.standing.get(member, "out")


@dataclass
class ChannelsNextDoor:
    senders: dict[str, Sender] = field(default_factory=dict)
    answers: dict[str, Explanation] = field(default_factory=dict)
    controls: list[tuple[str, str, int]] = field(default_factory=list)
    tests: list[tuple[str, str]] = field(default_factory=list)
    away: bool = False

    def sender(self, scope: Scope, account: str) -> Sender | None:
        return self.senders.get(account)

    def control(self, scope: Scope, run: str, state: str, revision: int) -> None:
        if self.away:
            raise AWAY
        self.controls.append((run, state, revision))

    def explain(self, scope: Scope, run: str, member: str, locale: str) -> Explanation:
        return self.answers.get(member, Explanation(ABSENT))

    def preview(self, scope: Scope, order: Order, revision: Revision, member: str) -> Rendered:
        content = revision.contents[0]
        return Rendered(content.subject, content.html, content.text, content.locale, b"", "")

    def send_test(self, scope: Scope, order: Order, revision: Revision, member: str, to: str) -> Tested:
        self.tests.append((order.run, to))
        return Tested("<test@example.org>", "accepted", "250 ok")
