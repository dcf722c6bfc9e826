"""Which index a statement begins with: the condition that fewest documents meet, found by asking the file itself.

SQLite keeps averages, which say nothing of a value that is rare among common ones. So each candidate is counted up to
a growing limit, until one ends below it; the answer is kept for the next statements of the same rule.
"""

from __future__ import annotations

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

    condition: int  # the conjunct that the side rows already say; -1 where none is said whole
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
            found.append(Driver(at if side.exact else -1, side, "", ALWAYS))
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


class Planner:
    """Chooses drivers for the statements of one table, and remembers its choices for a while."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._kept: OrderedDict[tuple[str, Reach], tuple[Driver | None, int, int]] = OrderedDict()
        self._lock = threading.Lock()

    def choose(self, connection: sqlite3.Connection, rule: Rule, key: str, reach: Reach) -> tuple[Driver | None, int]:
        """The driver, and how many documents it meets (at most the last limit). None: no index can serve."""
        with self._lock:
            driver, size, uses = self._kept.get((key, reach), (None, 0, 0))
            if uses:
                self._kept[key, reach] = (driver, size, uses - 1)
                return driver, size
        driver, size = self._smallest(connection, candidates(self._table, rule), reach)
        with self._lock:
            self._kept[key, reach] = (driver, size, _USES)
            while len(self._kept) > _KEPT_PLANS:
                self._kept.popitem(last=False)
        return driver, size

    def _smallest(
        self, connection: sqlite3.Connection, drivers: Sequence[Driver], reach: Reach
    ) -> tuple[Driver | None, int]:
        limit = _FIRST_LIMIT
        while drivers:
            sizes = []
            for driver in drivers:
                probe = driver.probe(self._table, reach, limit)
                sizes.append(connection.execute(probe.text, probe.params).fetchone()[0])
            smallest = min(sizes)
            if smallest < limit or limit >= _LAST_LIMIT:
                return drivers[sizes.index(smallest)], smallest
            limit *= _GROWTH
        return None, _LAST_LIMIT


def counting(table: Table, rule: Rule, reach: Reach, driver: Driver | None) -> Sql:
    """The statement that counts what meets the rule."""
    where = _where(table, rule, reach, driver)
    if driver is None:
        text = f"SELECT count(*) FROM {table.quoted} m WHERE {where.text}"
        return Sql(text, where.params)
    source = driver.source(table, reach)
    join = ""
    if driver.side is not None and "m." in where.text:
        join = f" CROSS JOIN {table.quoted} m ON m._n = d._n"
    return Sql(f"SELECT count(*) FROM {source.text}{join} WHERE {where.text}", source.params + where.params)


def selecting(
    table: Table, rule: Rule, reach: Reach, driver: Driver | None, columns: str, stretch: Sql, order: str, limit: int
) -> Sql:
    """The statement that reads one stretch of an order, through a driver or along the order's own index."""
    where = joined(" AND ", [stretch, _where(table, rule, reach, driver)])
    source = driver.source(table, reach) if driver else Sql(f"{table.quoted} m")
    join = f" CROSS JOIN {table.quoted} m ON m._n = d._n" if driver and driver.side else ""
    text = f"SELECT {columns} FROM {source.text}{join} WHERE {where.text} ORDER BY {order} LIMIT ?"
    return Sql(text, (*source.params, *where.params, limit))


def _where(table: Table, rule: Rule, reach: Reach, driver: Driver | None) -> Sql:
    conditions = list(conjuncts(rule))
    if driver is None or driver.side is None:
        compiler = Compiler(table, reach)
        scope = reach.prefix("m._scope") if driver else reach.over("m._scope")
        return joined(" AND ", [scope, *(compiler.condition(each) for each in conditions)])
    compiler = Compiler(table, reach, doc="d")
    rest = [compiler.condition(each) for at, each in enumerate(conditions) if at != driver.condition]
    rest.sort(key=lambda part: "m." in part.text)  # what the side tables tell comes before the document is read
    return joined(" AND ", rest) if rest else ALWAYS
