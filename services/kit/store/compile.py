"""A rule as SQL over the tables of one class; says the same as ``rule.matches``, and uses the indexes there are.

``m`` is the table of documents in every statement. A list is asked through its side table by the number of the document
(``doc._n``), which is ``m`` itself or ``d``, the driver: the side table whose rows a statement begins with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.kit.store.compare import (
    ALWAYS,
    NEVER,
    Leaf,
    Sql,
    asks_for_nothing,
    joined,
    on_column,
    on_json,
    without_nothing,
)
from services.kit.store.documents import kind_of, place_of
from services.kit.store.rule import And, Contains, Equals, Exists, In, Not, Or, Range, Rule
from services.kit.store.schema import OWN_COLUMNS, Side, Table, json_path

_MANY = 16


@dataclass(frozen=True, slots=True)
class SideMatch:
    """A condition as one over the rows of a side table."""

    side: Side
    leaves: tuple[tuple[int, Leaf], ...]  # position of the column, and what it must meet
    exact: bool  # the rows say all that the condition says; otherwise they only narrow it
    single: bool  # no more than one row of a document can match

    def over(self, alias: str) -> Sql:
        return joined(
            " AND ", [on_column(leaf, f"{alias}.{self.side.names[at]}", in_side=True) for at, leaf in self.leaves]
        )

    @property
    def points(self) -> bool:
        """Whether a document is looked up at a few places, rather than along a stretch of the table."""
        filled = [leaf for at, leaf in self.leaves if _few(leaf)]
        return len(filled) == len(self.side.paths)


def _few(leaf: Leaf) -> bool:
    return isinstance(leaf, Equals) or (isinstance(leaf, In) and len(leaf.values) <= _MANY)


def conjuncts(rule: Rule) -> Iterator[Rule]:
    """What must hold together, nested ``And`` taken apart."""
    if isinstance(rule, And):
        for each in rule.rules:
            yield from conjuncts(each)
    else:
        yield rule


def side_match(table: Table, rule: Rule) -> SideMatch | None:
    """The best side table for one condition, if one can serve it."""
    if isinstance(rule, Contains):
        through, atoms = rule.path, list(conjuncts(rule.rule))
    elif isinstance(rule, (Equals, In, Range)):
        place = place_of(table.document_class, rule.path)
        if place is None or place.through is None:
            return None
        through, atoms = place.through, [_moved(rule, place.rest)]
    else:
        return None
    of_scalars = not isinstance(rule, Contains)
    found = [
        match
        for side in table.sides
        if side.through == through and (of_scalars or side.paths != ("",)) and (match := _match(side, atoms))
    ]
    return max(found, key=lambda match: (match.exact, len(match.leaves)), default=None)


def _moved(leaf: Leaf, path: str) -> Leaf:
    match leaf:
        case Equals(_, value):
            return Equals(path, value)
        case In(_, values):
            return In(path, values)
        case Range(_, gt, gte, lt, lte):
            return Range(path, gt, gte, lt, lte)
        case Exists():
            return Exists(path)


def _match(side: Side, atoms: list[Rule]) -> SideMatch | None:
    leaves: list[tuple[int, Leaf]] = []
    exact = True
    taken: set[int] = set()
    for atom in atoms:
        served = isinstance(atom, (Equals, In, Range, Exists)) and atom.path in side.paths
        if not served or not isinstance(atom, (Equals, In, Range, Exists)) or asks_for_nothing(atom):
            exact = False
            continue
        at = side.paths.index(atom.path)
        if at in taken and not side.scalar[at]:
            exact = False  # two values of one element may meet the two conditions
            continue
        taken.add(at)
        leaves.append((at, atom))
    if 0 not in taken or all(isinstance(leaf, Exists) for at, leaf in leaves if at == 0):
        return None
    single = len(taken) == len(side.paths) and all(isinstance(leaf, Equals) for _, leaf in leaves)
    return SideMatch(side, tuple(leaves), exact, single)


@dataclass(frozen=True, slots=True)
class Reach:
    """The numbers of the scopes that a statement may see; None: all of them."""

    scopes: tuple[int, ...] | None

    def over(self, column: str) -> Sql:
        if self.scopes is None:
            return ALWAYS
        if len(self.scopes) == 1:
            return Sql(f"{column} = ?", self.scopes)
        return Sql(f"{column} IN ({', '.join('?' * len(self.scopes))})", self.scopes)

    def prefix(self, column: str) -> Sql:
        """The same for an index that begins with the scope, which must be told where to look."""
        return Sql(f"{column} IN (SELECT n FROM _scopes)") if self.scopes is None else self.over(column)


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where paths start: the SQL of the JSON there, and its class where that is declared."""

    source: str
    kind: type | None
    whole: bool  # the document itself rather than an element in it


class Compiler:
    """Compiles conditions into the text of one statement."""

    def __init__(self, table: Table, reach: Reach, doc: str = "m") -> None:
        self._table = table
        self._reach = reach
        self._doc = doc
        self._aliases = 0
        self._top = _Spot("m._body", table.document_class, whole=True)

    def condition(self, rule: Rule) -> Sql:
        return self._rule(rule, self._top)

    def _rule(self, rule: Rule, spot: _Spot) -> Sql:
        match rule:
            case And(rules):
                return joined(" AND ", [self._rule(each, spot) for each in rules]) if rules else ALWAYS
            case Or(rules):
                return joined(" OR ", [self._rule(each, spot) for each in rules]) if rules else NEVER
            case Not(inner):
                refused = self._rule(inner, spot)
                return Sql(f"({refused.text}) IS NOT TRUE", refused.params)
            case Contains():
                return self._contains(rule, spot)
            case Equals() | In() | Range() | Exists():
                return self._leaf(rule, spot)

    def _contains(self, rule: Contains, spot: _Spot) -> Sql:
        found = side_match(self._table, rule) if spot.whole else None
        if found and found.exact:
            return self._in_side(found)
        parts = [self._in_side(found)] if found else []
        chain, last = self._chain(spot, rule.path)
        element = _Spot(_object(last), kind_of(spot.kind, rule.path), whole=False)
        inner = self._rule(rule.rule, element)
        parts.append(
            Sql(f"EXISTS (SELECT 1 FROM {chain} WHERE {last}.type = 'object' AND ({inner.text}))", inner.params)
        )
        return joined(" AND ", parts)

    def _in_side(self, found: SideMatch) -> Sql:
        alias, doc = self._alias("x"), self._doc
        rows = found.over(alias)
        if found.points:
            text = (
                f"EXISTS (SELECT 1 FROM {found.side.table} {alias} WHERE {alias}._scope = {doc}._scope "
                f"AND {rows.text} AND {alias}._n = {doc}._n)"
            )
            return Sql(text, rows.params)
        scope = self._reach.prefix(f"{alias}._scope")
        text = f"{doc}._n IN (SELECT {alias}._n FROM {found.side.table} {alias} WHERE {scope.text} AND {rows.text})"
        return Sql(text, scope.params + rows.params)

    def _leaf(self, leaf: Leaf, spot: _Spot) -> Sql:
        if spot.whole:
            if leaf.path in OWN_COLUMNS:
                return on_column(leaf, f"m.{leaf.path}")
            if leaf.path in ("agency", "community"):
                of = on_column(leaf, f"NULLIF(s.{leaf.path}, '')")
                return Sql(f"{self._doc}._scope IN (SELECT s.n FROM _scopes s WHERE {of.text})", of.params)
            column = self._table.by_path.get(leaf.path)
            if column:
                return on_column(leaf, f"m.{column.name}")
        parts = [self._absent(leaf.path, spot)] if asks_for_nothing(leaf) else []
        present = without_nothing(leaf)
        if not (isinstance(present, In) and not present.values):
            found = side_match(self._table, present) if spot.whole else None
            parts.append(self._in_side(found) if found and found.exact else self._present(present, spot))
        return joined(" OR ", parts) if parts else NEVER

    def _present(self, leaf: Leaf, spot: _Spot) -> Sql:
        if self._holds_scalar(leaf.path, spot):
            path = json_path(leaf.path)
            return on_json(leaf, f"json_type({spot.source}, '{path}')", f"json_extract({spot.source}, '{path}')")
        chain, last = self._chain(spot, leaf.path)
        test = on_json(leaf, f"{last}.type", f"{last}.value")
        return Sql(f"EXISTS (SELECT 1 FROM {chain} WHERE {test.text})", test.params)

    def _absent(self, path: str, spot: _Spot) -> Sql:
        if self._holds_scalar(path, spot):
            return Sql(f"IFNULL(json_type({spot.source}, '{json_path(path)}'), 'null') = 'null'")
        chain, last = self._chain(spot, path)
        return Sql(f"NOT EXISTS (SELECT 1 FROM {chain} WHERE {last}.type <> 'null')")

    def _holds_scalar(self, path: str, spot: _Spot) -> bool:
        place = place_of(spot.kind, path) if spot.kind else None
        return place is not None and place.through is None and place.scalar

    def _chain(self, spot: _Spot, path: str) -> tuple[str, str]:
        """A FROM clause of every value the path reaches, lists on the way taken apart; and the alias of its last."""
        json_path(path)  # refuses what cannot be told
        source, tables, alias = spot.source, [], ""
        for part in path.split("."):
            alias = self._alias("e")
            at = json_path(part)
            tables.append(
                f"json_each(CASE json_type({source}, '{at}') WHEN 'array' THEN {source} -> '{at}' "
                f"ELSE '[' || ({source} -> '{at}') || ']' END) {alias}"
            )
            source = _object(alias)
        return ", ".join(tables), alias

    def _alias(self, letter: str) -> str:
        self._aliases += 1
        return f"{letter}{self._aliases}"


def _object(alias: str) -> str:
    return f"CASE WHEN {alias}.type = 'object' THEN {alias}.value END"
