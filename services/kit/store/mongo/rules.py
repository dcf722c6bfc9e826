"""A rule as a MongoDB filter; says the same as ``rule.matches``, and uses the indexes there are.

MongoDB looks into lists by itself, which is right for one comparison: any element may meet it. Where one element must
meet several, or a path has numbers for names (which MongoDB would take for places in a list), lists and documents on
the way are told apart. A declared index says which lists there are; without one both are tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mongoengine

from services.kit.store.checks import parts_of
from services.kit.store.compare import asks_for_nothing, without_nothing
from services.kit.store.documents import indexes_of
from services.kit.store.mongo.values import INNER_LIST, stored_name
from services.kit.store.rule import And, Contains, Equals, Exists, In, Not, Or, Range, Rule, Scalar, matches

Filter = dict[str, Any]

EVERY: Filter = {}
NONE: Filter = {"$nor": [{}]}
_SOMETHING = {"$type": ["string", "double", "int", "long", "bool", "object"]}
_IS_LIST = {"$type": "array"}
_SIGNS = {"gt": "$gt", "gte": "$gte", "lt": "$lt", "lte": "$lte"}


def all_of(filters: Sequence[Filter]) -> Filter:
    telling = [each for each in filters if each]
    if len(telling) < 2:
        return telling[0] if telling else EVERY
    return {"$and": telling}


def any_of(filters: Sequence[Filter]) -> Filter:
    if len(filters) < 2:
        return filters[0] if filters else NONE
    return {"$or": list(filters)}


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where paths start: what MongoDB calls the place, the class declared there, and its path in the document."""

    prefix: str
    kind: type | None
    way: str = ""


@dataclass(frozen=True, slots=True)
class _Step:
    """One name further: its path for MongoDB, what may stand there, and the class of it."""

    path: str
    may_be_list: bool
    may_be_one: bool
    scalar: bool
    inside: _Spot  # of what stands there itself
    element: _Spot  # of an element of the list there


class Compiler:
    """Compiles the rules of one class."""

    def __init__(self, document_class: type) -> None:
        self._top = _Spot("", document_class)
        self._lists = frozenset(index.through for index in indexes_of(document_class) if index.through)

    def filter(self, rule: Rule) -> Filter:
        return self._rule(rule, self._top)

    def _rule(self, rule: Rule, spot: _Spot) -> Filter:
        match rule:
            case And(rules):
                return all_of([self._rule(each, spot) for each in rules])
            case Or(rules):
                return any_of([self._rule(each, spot) for each in rules])
            case Not(inner):
                return {"$nor": [self._rule(inner, spot)]}
            case Contains(path, inner):
                return self._reach(spot, parts_of(path), lambda step: self._contains(step, inner))
            case Equals() | In() | Range() | Exists():
                return self._leaf(rule, spot)

    def _contains(self, step: _Step, inner: Rule) -> Filter:
        ways: list[Filter] = []
        if step.may_be_list:
            element = self._rule(inner, step.element)
            if matches(inner, {}):  # a list within the list would seem a document without fields
                element = all_of([element, {INNER_LIST: {"$exists": False}}])
            ways.append({step.path: {"$elemMatch": element}})
        if step.may_be_one:
            is_one = all_of([{step.path: {"$type": "object"}}, _not_a_list(step)])
            ways.append(all_of([is_one, self._rule(inner, step.inside)]))
        return any_of(ways)

    def _leaf(self, leaf: Equals | In | Range | Exists, spot: _Spot) -> Filter:
        parts = parts_of(leaf.path)
        ways = [{"$nor": [self._meets(parts, spot, Exists(leaf.path))]}] if asks_for_nothing(leaf) else []
        present = without_nothing(leaf)
        if not (isinstance(present, In) and not present.values):
            ways.append(self._meets(parts, spot, present))
        return any_of(ways)

    def _meets(self, parts: list[str], spot: _Spot, leaf: Equals | In | Range | Exists) -> Filter:
        test = _test(leaf)
        if test is None:
            return NONE
        steps = self._steps(spot, parts)
        if all(step.may_be_one and not step.may_be_list for step in steps) and steps[-1].scalar:
            return {steps[-1].path: {"$ne": None} if isinstance(leaf, Exists) else test}
        if len(test) == 1 and not any(part.isdigit() for part in parts[1:]):
            return {_path(spot, parts): test}
        return self._reach(spot, parts, lambda step: _one_meets(step, test))

    def _reach(self, spot: _Spot, parts: list[str], last: Callable[[_Step], Filter]) -> Filter:
        """That something the path reaches is as ``last`` says, lists on the way taken apart."""
        step = self._step(spot, parts[0])
        if len(parts) == 1:
            return last(step)
        ways: list[Filter] = []
        if step.may_be_list:
            ways.append({step.path: {"$elemMatch": self._reach(step.element, parts[1:], last)}})
        if step.may_be_one:
            ways.append(all_of([_not_a_list(step), self._reach(step.inside, parts[1:], last)]))
        return any_of(ways)

    def _steps(self, spot: _Spot, parts: list[str]) -> list[_Step]:
        steps = [self._step(spot, parts[0])]
        for part in parts[1:]:
            steps.append(self._step(steps[-1].inside, part))
        return steps

    def _step(self, spot: _Spot, part: str) -> _Step:
        declared = spot.kind._fields.get(part) if spot.kind is not None else None  # type: ignore[attr-defined] # mongoengine's own word
        path, way = spot.prefix + stored_name(part), f"{spot.way}.{part}" if spot.way else part
        inside = _Spot(path + ".", _kind(declared), way)
        element = replace(inside, prefix="")
        if isinstance(declared, mongoengine.ListField):
            kind = _kind(declared.field)
            inside, element = replace(inside, kind=kind), replace(element, kind=kind)
            return _Step(path, True, way not in self._lists, False, inside, element)
        scalar = declared is not None and not isinstance(declared, _OPEN)
        document = isinstance(declared, mongoengine.EmbeddedDocumentField)
        return _Step(path, not (scalar or document), True, scalar and not document, inside, element)


_OPEN = (mongoengine.DynamicField, mongoengine.DictField, mongoengine.GenericEmbeddedDocumentField)


def _kind(declared: Any) -> type | None:
    return declared.document_type if isinstance(declared, mongoengine.EmbeddedDocumentField) else None


def _path(spot: _Spot, parts: list[str]) -> str:
    return spot.prefix + ".".join(map(stored_name, parts))


def _not_a_list(step: _Step) -> Filter:
    return {step.path: {"$not": _IS_LIST}} if step.may_be_list else EVERY


def _one_meets(step: _Step, test: Filter) -> Filter:
    """That the value, or one element of the list there, meets the whole test."""
    ways: list[Filter] = []
    if step.may_be_list:
        ways.append({step.path: {"$elemMatch": test}})
    if step.may_be_one:
        ways.append(all_of([{step.path: test}, _not_a_list(step)]))
    return any_of(ways)


def _test(leaf: Equals | In | Range | Exists) -> Filter | None:
    """What one value must meet; None where nothing can."""
    match leaf:
        case Equals(_, value):
            return {"$eq": value}
        case In(_, values):
            return {"$in": list(values)}
        case Exists():
            return _SOMETHING
        case Range():
            bounds = {sign: value for name, sign in _SIGNS.items() if (value := getattr(leaf, name)) is not None}
            families = {_family(value) for value in bounds.values()}
            return bounds if len(families) == 1 else None


def _family(value: Scalar) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"
