"""Which index a statement begins with: the condition that fewest documents meet, found by asking the file itself.

SQLite keeps averages, which say nothing of a value that is rare among common ones. So each candidate is counted up to
a growing limit, until one ends below it; the answer is kept for the next statements of the same rule.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from services.kit.store.compare import ALWAYS, Sql, asks_for_nothing, joined, on_column
from services.kit.store.compile import Compiler, Reach, SideMatch, conjuncts, side_match
from services.kit.store.rule import Equals, In, Range, Rule
from services.kit.store.schema import Table

_FIRST_LIMIT = 128
_GROWTH = 8
_LAST_LIMIT = _FIRST_LIMIT * _GROWTH**3
FEW = 2_048  # rather sorted than looked for along an order
_KEPT_PLANS = 512
_USES = 200  # of one choice, before it is made anew


@dataclass(frozen=True, slots=True)
class Driver:
    """One way to begin: the rows of a side table, or a stretch of an index of the table itself."""

    condition: int  # which conjunct it serves; -1 for an index over several
    side: SideMatch | None
    index: str
    stretch: Sql

    def source(self, table: Table, reach: Reach) -> Sql:
        """As a FROM clause: ``d`` with its ``_n`` and ``_scope``, or ``m`` by an index."""
        if self.side is None:
            return Sql(f"{table.quoted} m INDEXED BY {self.index}")
        where = joined(" AND ", [reach.prefix("d._scope"), self.side.over("d")])
        distinct = "" if self.side.single else "DISTINCT "
        return Sql(
            f"(SELECT {distinct}d._n, d._scope FROM {self.side.side.table} d WHERE {where.text}) d", where.params
        )

    def probe(self, table: Table, reach: Reach, limit: int) -> Sql:
        if self.side is None:
            where = joined(" AND ", [reach.prefix("m._scope"), self.stretch])
            source = f"{table.quoted} m INDEXED BY {self.index}"
        else:
            where = joined(" AND ", [reach.prefix("d._scope"), self.side.over("d")])
            source = f"{self.side.side.table} d"
        return Sql(f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {where.text} LIMIT ?)", (*where.params, limit))


def candidates(table: Table, rule: Rule) -> list[Driver]:
    """Every index that one or more of the conditions could use."""
    found: list[Driver] = []
    columns: dict[str, Equals | In | Range] = {}
    for at, condition in enumerate(conjuncts(rule)):
        side = side_match(table, condition)
        if side:
            found.append(Driver(at, side, "", ALWAYS))
        elif isinstance(condition, (Equals, In, Range)) and not asks_for_nothing(condition):
            columns.setdefault(condition.path, condition)
    for index in table.scalar_indexes:
        if index.everywhere:
            continue
        parts: list[Sql] = []
        for path in index.paths:
            if path not in columns:
                break
            parts.append(on_column(columns[path], f"m.{table.column_name(path)}"))
            if not isinstance(columns[path], Equals):
                break
        if parts:
            found.append(Driver(-1, None, table.index_name(index), joined(" AND ", parts)))
    return found


@dataclass(slots=True)
class Choice:
    """How the statements of one rule begin; ``size`` is how many documents the driver meets, at most the last limit."""

    driver: Driver | None  # None: no index can serve
    size: int
    sizes: dict[int, int]  # of the conjuncts that were counted
    at: int = 0  # the driver's place among the candidates
    key: str = ""
    uses: int = _USES
    counting: Sql | None = None  # made with the first count


_BOUND = re.compile(r"((?:gt|lt)e?=-?\d{5})\d+")


class Planner:
    """Chooses drivers for the statements of one table, and remembers its choices for a while.

    Rules that differ only in the last digits of a bound share a choice: what is relative to now has another bound in
    every millisecond.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._kept: OrderedDict[tuple[str, Reach], Choice] = OrderedDict()
        self._lock = threading.Lock()

    def choose(self, connection: sqlite3.Connection, rule: Rule, key: str, reach: Reach) -> Choice:
        """``key`` is the rule's text."""
        kept_as = _BOUND.sub(r"\1", key), reach
        with self._lock:
            kept = self._kept.get(kept_as)
            if kept is not None and kept.uses > 0:
                kept.uses -= 1
                if kept.key == key:
                    return kept
        drivers = candidates(self._table, rule)
        if kept is not None and kept.uses > 0 and drivers:
            choice = Choice(drivers[kept.at], kept.size, kept.sizes, kept.at, uses=kept.uses)
        else:
            choice = self._smallest(connection, drivers, reach)
        choice.key = key
        with self._lock:
            self._kept[kept_as] = choice
            while len(self._kept) > _KEPT_PLANS:
                self._kept.popitem(last=False)
        return choice

    def counting(self, connection: sqlite3.Connection, rule: Rule, reach: Reach) -> Sql:
        """The statement that counts what meets the rule."""
        choice = self.choose(connection, rule, repr(rule), reach)
        if choice.counting is None:
            choice.counting = counting(self._table, rule, reach, choice)
        return choice.counting

    def _smallest(self, connection: sqlite3.Connection, drivers: Sequence[Driver], reach: Reach) -> Choice:
        limit = _FIRST_LIMIT
        while drivers:
            found: list[int] = []
            for driver in drivers:
                probe = driver.probe(self._table, reach, limit)
                found.append(connection.execute(probe.text, probe.params).fetchone()[0])
            smallest = min(found)
            if smallest < limit or limit >= _LAST_LIMIT:
                sizes = {driver.condition: size for driver, size in zip(drivers, found, strict=True)}
                at = found.index(smallest)
                return Choice(drivers[at], smallest, sizes, at)
            limit *= _GROWTH
        return Choice(None, _LAST_LIMIT, {})


def counting(table: Table, rule: Rule, reach: Reach, choice: Choice) -> Sql:
    body = _body(table, rule, reach, choice.driver, choice.sizes, reads_documents=False)
    return Sql(f"SELECT count(*) {body.text}", body.params)


def selecting(
    table: Table,
    rule: Rule,
    reach: Reach,
    driver: Driver | None,
    sizes: dict[int, int],
    columns: str,
    stretch: Sql,
    order: str,
    limit: int,
) -> Sql:
    """The statement that reads one stretch of an order, through a driver or along the order's own index."""
    body = _body(table, rule, reach, driver, sizes, reads_documents=True)
    text = f"SELECT {columns} {body.text} AND ({stretch.text}) ORDER BY {order} LIMIT ?"
    return Sql(text, (*body.params, *stretch.params, limit))


def _body(
    table: Table, rule: Rule, reach: Reach, driver: Driver | None, sizes: dict[int, int], *, reads_documents: bool
) -> Sql:
    """FROM and WHERE. A side table that holds one row for a document is joined, the rarest first; what else is asked
    of side tables comes next, and what must be read from the document last."""
    doc = "d" if driver and driver.side else "m"
    compiler = Compiler(table, reach, doc)
    joins: list[tuple[int, Sql]] = []
    rest: list[Sql] = []
    for at, condition in enumerate(conjuncts(rule)):
        match = side_match(table, condition)
        if driver and driver.side and driver.condition == at and driver.side.exact:
            continue
        if match and match.exact and match.single:
            joins.append((sizes.get(at, _LAST_LIMIT), _joined(match, f"j{at}", doc)))
        else:
            rest.append(compiler.condition(condition))
    sources = [driver.source(table, reach) if driver else Sql(f"{table.quoted} m")]
    sources += [join for _, join in sorted(joins, key=lambda each: each[0])]
    where = joined(" AND ", rest) if rest else ALWAYS
    if doc == "d" and (reads_documents or "m." in where.text):
        sources.append(Sql(f"{table.quoted} m ON m._n = d._n"))
    scope = ALWAYS if doc == "d" else reach.prefix("m._scope") if driver else reach.over("m._scope")
    return Sql(
        f"FROM {' CROSS JOIN '.join(each.text for each in sources)} WHERE ({scope.text}) AND ({where.text})",
        (*(param for each in sources for param in each.params), *scope.params, *where.params),
    )


def _joined(match: SideMatch, alias: str, doc: str) -> Sql:
    rows = match.over(alias)
    return Sql(
        f"{match.side.table} {alias} ON {alias}._scope = {doc}._scope AND {rows.text} AND {alias}._n = {doc}._n",
        rows.params,
    )
