"""Whom a segment reaches: a rule in JSON, read with errors that point at the wrong part, compiled for the store.

A rule is ``{"all": […]}``, ``{"any": […]}``, ``{"not": …}`` or a condition: a field and one test.

    {"all": [{"field": "standing", "is": "client"},
             {"field": "attribute.city", "in": ["Huy", "Namur"]},
             {"not": {"field": "last_opened", "within_days": 90}}]}

A condition on what only tracking can see (opens and clicks) is unmeasurable for whoever may not be tracked: neither in
nor out. The logic is Kleene's; two rules follow from one tree: who is certainly in, and who possibly is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.kit.clock import DAY
from services.kit.errors import Invalid
from services.kit.store.rule import EVERYTHING, NOTHING, And, Contains, Equals, Exists, In, Not, Or, Range, Rule
from services.members.domain.community import DATE, FLAG, NUMBER, TEXT, AttributeKind, Community
from services.members.domain.permission import PURPOSES, WITHOUT_CHANNEL
from services.members.domain.standing import LIFECYCLES, STANDINGS
from services.members.domain.values import CHANNELS, OLDEST, anniversary, day_of, instant_of, iso_date, search_words

TRACKED = "tracking:email"
LISTED: Rule = In("state", ("active", "restricted"))
"""Members that lists show: the merged and the erased are gone."""
REACHABLE: Rule = Equals("state", "active")
"""Members that an audience may hold: the restricted are not used."""

_DEEPEST = 8
_MOST_CONDITIONS = 100
_DEFAULT_SPAN = ("is", "in", "known")
_TESTS_OF_DATES = ("before", "after", "within_days", "older_than_days", "known")
_TESTS_OF_NUMBERS = ("is", "at_least", "at_most", "more_than", "less_than", "known")


def reachable(rule: Rule) -> Rule:
    """The rule, for members that an audience may hold: a permission is only ever given to those."""
    parts = rule.rules if isinstance(rule, And) else (rule,)
    if any(isinstance(part, Equals | In) and part.path == "permission" for part in parts):
        return rule
    return And((REACHABLE, *parts))


class BadRule(Invalid):
    """A part of the rule is wrong; ``field`` is ``rule`` and a JSON pointer (RFC 6901) to it."""

    reason = "bad-rule"

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(message, field=f"rule{pointer}", pointer=pointer)


@dataclass(frozen=True, slots=True)
class Compiled:
    """Store rules for one moment: members who are in, and in or unmeasurable."""

    certain: Rule
    possible: Rule


@dataclass(frozen=True, slots=True)
class _Leaf:
    rule: Rule
    tracked: bool


@dataclass(frozen=True, slots=True)
class _Every:
    parts: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Some:
    parts: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _No:
    part: _Node


_Node = _Leaf | _Every | _Some | _No


def read_rule(text: str, community: Community, now: int) -> Compiled:
    """Compile a rule in JSON; empty text means everybody. Raises BadRule."""
    if not text.strip():
        return Compiled(EVERYTHING, EVERYTHING)
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise BadRule("", f"The rule is not JSON: {error}.") from None
    return compile_rule(tree, community, now)


def compile_rule(tree: Any, community: Community, now: int) -> Compiled:
    """Compile a rule's tree for the moment ``now`` (UTC ms). Raises BadRule."""
    if tree in ({}, None):
        return Compiled(EVERYTHING, EVERYTHING)
    node = _Reader(community, now).node(tree, "", 0)
    return Compiled(_compiled(node, certain=True), _compiled(node, certain=False))


def _compiled(node: _Node, *, certain: bool, negated: bool = False) -> Rule:
    """The rule of who is certainly, or possibly, in (negated: not in). Negation is carried down to the conditions, so
    that what must hold together stands on one level, where an engine can begin with any of it."""
    match node:
        case _Leaf(rule, tracked):
            said = Not(rule) if negated else rule
            if not tracked:
                return said
            may_track = Equals("permission", TRACKED)
            return And((may_track, said)) if certain else Or((Not(may_track), said))
        case _Every(parts) | _Some(parts):
            join = Or if isinstance(node, _Every) == negated else And
            return _flat(join, [_compiled(part, certain=certain, negated=negated) for part in parts])
        case _No(part):
            return _compiled(part, certain=certain, negated=not negated)


def _flat(join: type[And] | type[Or], rules: list[Rule]) -> Rule:
    """One level instead of several, each rule once: what an engine counts quickest."""
    parts: dict[Rule, None] = {}
    for rule in rules:
        parts.update(dict.fromkeys(rule.rules if isinstance(rule, join) else (rule,)))
    return next(iter(parts)) if len(parts) == 1 else join(tuple(parts))


class _Reader:
    """Reads the tree of a rule for one community and moment."""

    def __init__(self, community: Community, now: int) -> None:
        self._community = community
        self._now = now
        self._today = day_of(now)
        self._conditions = 0

    def node(self, tree: Any, at: str, depth: int) -> _Node:
        if not isinstance(tree, Mapping) or not tree:
            raise BadRule(at, 'A rule is an object: {"all": […]}, {"any": […]}, {"not": …} or {"field": …}.')
        if depth > _DEEPEST:
            raise BadRule(at, f"A rule is at most {_DEEPEST} levels deep.")
        if "field" in tree:
            return self._condition(tree, at)
        if len(tree) != 1:
            raise BadRule(at, "Use one of all, any, not at a time; join several with all.")
        ((word, inner),) = tree.items()
        if word == "not":
            return _No(self.node(inner, f"{at}/not", depth + 1))
        if word not in ("all", "any"):
            raise BadRule(f"{at}/{_escaped(word)}", "Use all, any, not, or a condition with a field.")
        if not isinstance(inner, list) or not inner:
            raise BadRule(f"{at}/{word}", "List at least one condition.")
        parts = tuple(self.node(part, f"{at}/{word}/{i}", depth + 1) for i, part in enumerate(inner))
        return _Every(parts) if word == "all" else _Some(parts)

    def _condition(self, tree: Mapping[str, Any], at: str) -> _Node:
        self._conditions += 1
        if self._conditions > _MOST_CONDITIONS:
            raise BadRule(at, f"A rule has at most {_MOST_CONDITIONS} conditions.")
        name = tree["field"]
        if not isinstance(name, str):
            raise BadRule(f"{at}/field", "Name the field as text.")
        field = self._field(name, f"{at}/field")
        tests = [key for key in tree if key != "field" and key not in field.options]
        if len(tests) != 1:
            raise BadRule(at, f"Give {name} exactly one test: {', '.join(field.tests)}.")
        test = tests[0]
        if test not in field.tests:
            raise BadRule(f"{at}/{_escaped(test)}", f"{name} is tested with {', '.join(field.tests)}.")
        rule = field.rule(test, tree[test], tree, at)
        return _Leaf(rule, field.tracked)

    def _field(self, name: str, at: str) -> _Field:
        head, _, rest = name.partition(".")
        if head == "attribute" and rest:
            return self._attribute(rest, at)
        fixed = _FIXED.get(name)
        if fixed is not None:
            return fixed(self)
        known = ", ".join((*_FIXED, "attribute.<key>"))
        raise BadRule(at, f"There is no field {name}: use one of {known}.")

    def _attribute(self, key: str, at: str) -> _Field:
        kind = self._community.attributes.get(key)
        if kind is None:
            known = ", ".join(k for k, a in self._community.attributes.items() if not a.sensitive)
            raise BadRule(at, f"The community has no attribute {key}: declare it, or use one of {known or 'none yet'}.")
        if kind.sensitive:
            raise BadRule(at, f"{key} is sensitive: it stays out of segments.")
        return _attribute_field(self, kind)

    # -- the kinds of fields

    def word_in(self, path: str, words: Sequence[str] | None) -> _Field:
        """A word, or a list of words, of a known set (None: any)."""

        def rule(test: str, value: Any, _: Mapping[str, Any], at: str) -> Rule:
            if test == "known":
                return _known(path, value, f"{at}/known")
            wanted = _texts(value, test, at)
            for text in wanted:
                if words is not None and text not in words:
                    raise BadRule(
                        f"{at}/{test}", f"“{text}” is not known: use one of {', '.join(words) or 'none yet'}."
                    )
            return _one_of(path, wanted)

        return _Field(_DEFAULT_SPAN, rule)

    def relation(self) -> _Field:
        kinds = list(self._community.relations)

        def rule(test: str, value: Any, tree: Mapping[str, Any], at: str) -> Rule:
            wanted = _texts(value, test, at)
            for kind in wanted:
                if kind not in kinds:
                    raise BadRule(f"{at}/{test}", f"“{kind}” is not in the catalogue: use one of {', '.join(kinds)}.")
            terms = tree.get("terms", "current")
            if terms == "ever":
                return _one_of("relations.kind", wanted)
            begun = Or((Equals("since", None), Range("since", lte=self._today)))
            running = Or((Equals("until", None), Range("until", gte=self._today)))
            when: dict[str, Rule] = {
                "current": And((_one_of("kind", wanted), begun, running)),
                "ended": And((_one_of("kind", wanted), Range("until", lt=self._today))),
            }
            if terms not in when:
                raise BadRule(f"{at}/terms", "Terms are current (unless said otherwise), ended or ever.")
            return Contains("relations", when[terms])

        return _Field(("is", "in"), rule, options=("terms",))

    def permission(self) -> _Field:
        def rule(test: str, value: Any, _: Mapping[str, Any], at: str) -> Rule:
            wanted = _texts(value, test, at)
            for token in wanted:
                purpose, _sep, channel = token.partition(":")
                if purpose not in PURPOSES:
                    raise BadRule(f"{at}/{test}", f"A purpose is one of {', '.join(PURPOSES)}.")
                if (channel not in CHANNELS) if purpose not in WITHOUT_CHANNEL else bool(channel):
                    raise BadRule(f"{at}/{test}", f"Write purpose:channel, with a channel of {', '.join(CHANNELS)}.")
            return _one_of("permission", wanted)

        return _Field(("is", "in"), rule)

    def instant(self, path: str, *, tracked: bool = False) -> _Field:
        def rule(test: str, value: Any, _: Mapping[str, Any], at: str) -> Rule:
            match test:
                case "known":
                    return _known(path, value, f"{at}/known")
                case "within_days":
                    return Range(path, gt=self._now - _days(value, f"{at}/{test}") * DAY)
                case "older_than_days":
                    return Range(path, lte=self._now - _days(value, f"{at}/{test}") * DAY)
                case "before":
                    return Range(path, lt=instant_of(_date(value, f"{at}/{test}")))
                case _:
                    return Range(path, gte=instant_of(_date(value, f"{at}/{test}")))

        return _Field(_TESTS_OF_DATES, rule, tracked=tracked)

    def birth_date(self) -> _Field:
        def rule(test: str, value: Any, _: Mapping[str, Any], at: str) -> Rule:
            match test:
                case "known":
                    return _known("birth_date", value, f"{at}/known")
                case "age_at_least":
                    return Range("birth_date", lte=anniversary(self._today, -_years(value, f"{at}/{test}")))
                case "age_below":
                    return Range("birth_date", gt=anniversary(self._today, -_years(value, f"{at}/{test}")))
                case "before":
                    return Range("birth_date", lt=_date(value, f"{at}/{test}"))
                case _:
                    return Range("birth_date", gte=_date(value, f"{at}/{test}"))

        return _Field(("age_at_least", "age_below", "before", "after", "known"), rule)

    def number(self, path: str, *, tracked: bool = False) -> _Field:
        def rule(test: str, value: Any, _: Mapping[str, Any], at: str) -> Rule:
            if test == "known":
                return _known(path, value, f"{at}/known")
            return _number_rule(path, test, value, f"{at}/{test}")

        return _Field(_TESTS_OF_NUMBERS, rule, tracked=tracked)

    def contact(self) -> _Field:
        def rule(test: str, value: Any, _: Mapping[str, Any], at: str) -> Rule:
            wanted = _texts(value, test, at)
            if any(channel not in CHANNELS for channel in wanted):
                raise BadRule(f"{at}/{test}", f"A channel is one of {', '.join(CHANNELS)}.")
            return _one_of("contact_points.channel", wanted)

        return _Field(("is", "in"), rule)

    def words(self) -> _Field:
        def rule(_test: str, value: Any, _: Mapping[str, Any], at: str) -> Rule:
            if not isinstance(value, str):
                raise BadRule(f"{at}/begins", "Write the words as text.")
            return search_rule(value)

        return _Field(("begins",), rule)

    @property
    def today(self) -> str:
        return self._today

    @property
    def catalogue_reasons(self) -> list[str]:
        return sorted(self._community.reasons)


@dataclass(frozen=True, slots=True)
class _Field:
    tests: tuple[str, ...]
    rule: Callable[[str, Any, Mapping[str, Any], str], Rule]
    tracked: bool = False
    options: tuple[str, ...] = ()


_FIXED: Mapping[str, Callable[[_Reader], _Field]] = {
    "tag": lambda r: r.word_in("tags", None),
    "standing": lambda r: r.word_in("standing", STANDINGS),
    "lifecycle": lambda r: r.word_in("lifecycle", LIFECYCLES),
    "presence": lambda r: r.word_in("presence", ("voluntary", "involuntary")),
    "reason": lambda r: r.word_in("reasons.key", r.catalogue_reasons),
    "kind": lambda r: r.word_in("kind", ("person", "organisation")),
    "locale": lambda r: r.word_in("locale", None),
    "zone": lambda r: r.word_in("zone", None),
    "source": lambda r: r.word_in("source", None),
    "relation": _Reader.relation,
    "permission": _Reader.permission,
    "contact": _Reader.contact,
    "name": _Reader.words,
    "birth_date": _Reader.birth_date,
    "registered": lambda r: r.instant("registered_at"),
    "last_received": lambda r: r.instant("engagement.last_received_at"),
    "last_opened": lambda r: r.instant("engagement.last_opened_at", tracked=True),
    "last_clicked": lambda r: r.instant("engagement.last_clicked_at", tracked=True),
    "last_purchased": lambda r: r.instant("engagement.last_purchased_at"),
    "last_attended": lambda r: r.instant("engagement.last_attended_at"),
    "last_signed_up": lambda r: r.instant("engagement.last_signed_up_at"),
    "engagement": lambda r: r.number("engagement.score", tracked=True),
}


def search_rule(text: str) -> Rule:
    """Members whose names or addresses have every word as a prefix."""
    words = search_words(text)[:8]
    if not words:
        return NOTHING
    rules = tuple(Range("search", gte=word, lt=word + "\U0010ffff") for word in words)
    return rules[0] if len(rules) == 1 else And(rules)


def _attribute_field(reader: _Reader, kind: AttributeKind) -> _Field:
    tests = {
        TEXT: ("is", "in", "begins", "known"),
        FLAG: ("is", "known"),
        NUMBER: _TESTS_OF_NUMBERS,
        DATE: ("is", *_TESTS_OF_DATES),
    }[kind.type]

    def rule(test: str, value: Any, _: Mapping[str, Any], at: str) -> Rule:
        here = f"{at}/{test}"
        if test == "known":
            has = Contains("attributes", Equals("key", kind.key))
            return has if _flag(value, here) else Not(has)
        return Contains(
            "attributes", And((Equals("key", kind.key), _value_rule(kind, test, value, here, reader.today)))
        )

    return _Field(tests, rule)


def _value_rule(kind: AttributeKind, test: str, value: Any, at: str, today: str) -> Rule:
    if kind.type == TEXT:
        if test == "begins":
            if not isinstance(value, str) or not value:
                raise BadRule(at, "Write the beginning as text.")
            return Range("value", gte=value, lt=value + "\U0010ffff")
        wanted = _texts(value, test, at.rpartition("/")[0])
        for text in wanted:
            if kind.choices and text not in kind.choices:
                raise BadRule(at, f"“{text}” is not a choice of {kind.key}: use one of {', '.join(kind.choices)}.")
        return _one_of("value", wanted)
    if kind.type == FLAG:
        return Equals("value", _flag(value, at))
    if kind.type == NUMBER:
        return _number_rule("value", test, value, at)
    if test == "is":
        return Equals("value", _date(value, at))
    if test == "before":
        return Range("value", lt=_date(value, at))
    if test == "after":
        return Range("value", gte=_date(value, at))
    bound = day_of(instant_of(today) - _days(value, at) * DAY)
    return Range("value", gt=bound, lte=today) if test == "within_days" else Range("value", lte=bound)


def _number_rule(path: str, test: str, value: Any, at: str) -> Rule:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadRule(at, "Write a number.")
    match test:
        case "is":
            return Equals(path, value)
        case "at_least":
            return Range(path, gte=value)
        case "at_most":
            return Range(path, lte=value)
        case "more_than":
            return Range(path, gt=value)
        case _:
            return Range(path, lt=value)


def _known(path: str, value: Any, at: str) -> Rule:
    return Exists(path) if _flag(value, at) else Not(Exists(path))


def _one_of(path: str, values: Sequence[str]) -> Rule:
    return Equals(path, values[0]) if len(values) == 1 else In(path, tuple(values))


def _texts(value: Any, test: str, at: str) -> list[str]:
    if test == "is" and isinstance(value, str) and value:
        return [value]
    if test == "in" and isinstance(value, list) and value and all(isinstance(v, str) and v for v in value):
        if len(value) > 500:
            raise BadRule(f"{at}/in", "List at most 500 values.")
        return value
    raise BadRule(f"{at}/{test}", "Write a text." if test == "is" else "List at least one text.")


def _days(value: Any, at: str) -> int:
    return _whole(value, at, 36_500)


def _years(value: Any, at: str) -> int:
    return _whole(value, at, OLDEST)


def _whole(value: Any, at: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise BadRule(at, f"Write a whole number, 0 to {most}.")
    return value


def _date(value: Any, at: str) -> str:
    if isinstance(value, str):
        try:
            return iso_date(value)
        except Invalid:
            pass
    raise BadRule(at, "Write a date as YYYY-MM-DD.")


def _flag(value: Any, at: str) -> bool:
    if not isinstance(value, bool):
        raise BadRule(at, "Write true or false.")
    return value


def _escaped(key: Any) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")
