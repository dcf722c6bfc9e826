"""A patch as one UPDATE: JSON functions change the body where it lies, without a document being decoded here.

Paths that share their beginning are changed together, from the inside out; what stands on the way and is no document
is replaced by one. The statement is made once for all patches of one shape (the same changes of the same paths): each
of its parameters is a function of the patch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from services.kit.store.checks import changed_paths, check_patch, related
from services.kit.store.compare import Sql
from services.kit.store.compile import Reach
from services.kit.store.encoding import column_value, dumped, found_at
from services.kit.store.port import Patch
from services.kit.store.schema import Column, Side, Table, json_path

_PAIRS = 60  # SQLite takes 127 arguments
_KEPT_SHAPES = 512

Value = Callable[[Patch], Any]
_Shape = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """A piece of the statement, and where its parameters come from."""

    text: str
    values: tuple[Value, ...] = ()


@dataclass(slots=True)
class _Node:
    """One name on the way; ``change`` where a path ends."""

    path: str = ""
    change: _Part | None = None
    children: dict[str, _Node] = field(default_factory=dict)


class Patching:
    """Makes the statements of one table's patches."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._made: dict[_Shape, tuple[_Part, tuple[Side, ...]]] = {}

    def statement(self, patch: Patch, reach: Reach) -> tuple[Sql, tuple[Side, ...]]:
        """The guarded UPDATE of one document, and the side tables whose list it may change.

        Raises Invalid for paths that overlap, or that a patch may not change.
        """
        sequence = (patch.sequence[0],) if patch.sequence else ()
        shape = (tuple(patch.set), tuple(patch.inc), tuple(patch.max), tuple(patch.push), tuple(patch.pull), sequence)
        made = self._made.get(shape)
        if made is None:
            made = self._update(patch), _touched(self._table.sides, patch)
            if len(self._made) >= _KEPT_SHAPES:
                self._made.clear()
            self._made[shape] = made
        update, sides = made
        scope = reach.over("m._scope")
        return Sql(
            f"{update.text} AND ({scope.text})", (*(value(patch) for value in update.values), *scope.params)
        ), sides

    def _update(self, patch: Patch) -> _Part:
        check_patch(patch, tuple(self._table.by_path))
        body = _document("m._body", _tree(_changes(patch)))
        columns = [assigned for column in self._table.columns if (assigned := _column(column, patch)) is not None]
        assignments = ", ".join([f"_body = {body.text}", *(each.text for each in columns)])
        guard = _guard(self._table, patch)
        return _Part(
            f"UPDATE {self._table.quoted} AS m SET {assignments} WHERE m._id = ? AND ({guard.text})",
            (*body.values, *_values_of(columns), lambda patch: patch.id, *guard.values),
        )


def _constant(value: Any) -> Value:
    return lambda _: value


def _values_of(parts: Iterable[_Part]) -> Iterator[Value]:
    return (value for part in parts for value in part.values)


def _touched(sides: tuple[Side, ...], patch: Patch) -> tuple[Side, ...]:
    return tuple(side for side in sides if any(related(side.through, path) for path in changed_paths(patch)))


def _changes(patch: Patch) -> dict[str, _Part]:
    """What is written at each path."""
    return dict(_each(patch))


def _each(patch: Patch) -> Iterator[tuple[str, _Part]]:
    for path in patch.set:
        yield path, _Part("json(?)", (partial(_json_set, path),))
    for path in patch.inc:
        at, amount = _constant(json_path(path)), partial(_inc, path)
        yield path, _Part("IFNULL(json_extract(m._body, ?), 0) + ?", (at, amount))
    for path in patch.max:
        at, least = _constant(json_path(path)), partial(_max, path)
        yield path, _Part("MAX(IFNULL(json_extract(m._body, ?), ?), ?)", (at, least, least))
    for path in {**patch.push, **patch.pull}:
        yield path, _list(path, pushed=path in patch.push, pulled=path in patch.pull)
    if patch.sequence:
        yield patch.sequence[0], _Part("?", (_number,))


def _json_set(path: str, patch: Patch) -> str:
    return dumped(patch.set[path])


def _inc(path: str, patch: Patch) -> int:
    return patch.inc[path]


def _max(path: str, patch: Patch) -> int:
    return patch.max[path]


def _pushed(path: str, patch: Patch) -> str:
    return dumped(patch.push[path].value)


def _keep(path: str, patch: Patch) -> int:
    return patch.push[path].keep


def _pulled(path: str, patch: Patch) -> str:
    return orjson.dumps(list(patch.pull[path])).decode()


def _number(patch: Patch) -> int:
    return patch.sequence[1] if patch.sequence else 0


def _list(path: str, *, pushed: bool, pulled: bool) -> _Part:
    """The list there without what is pulled, with what is pushed, cut to its last elements."""
    at = _constant(json_path(path))
    kept = _Part("CASE json_type(m._body, ?) WHEN 'array' THEN m._body -> ? ELSE '[]' END", (at, at))
    if pulled:
        kept = _rebuilt(
            kept,
            "e.type <> 'object' OR IFNULL(json_extract(CASE e.type WHEN 'object' THEN e.value END, '$._id'), '') "
            "NOT IN (SELECT value FROM json_each(?))",
            partial(_pulled, path),
        )
    if not pushed:
        return _Part(f"json({kept.text})", kept.values)
    longer = _Part(f"json_insert({kept.text}, '$[#]', json(?))", (*kept.values, partial(_pushed, path)))
    cut = _rebuilt(longer, "e.key >= json_array_length(t.list) - ?", partial(_keep, path))
    if pulled:
        return _Part(f"json({cut.text})", cut.values)
    return _Part(
        f"json(CASE WHEN IFNULL(json_array_length(m._body, ?), 0) < ? THEN {longer.text} ELSE {cut.text} END)",
        (at, partial(_keep, path), *longer.values, *cut.values),
    )


def _rebuilt(items: _Part, condition: str, value: Value) -> _Part:
    """A list of those elements that meet the condition, each as its own text."""
    return _Part(
        f"(SELECT json_group_array(json(t.list -> ('$[' || e.key || ']'))) "
        f"FROM (SELECT {items.text} AS list LIMIT 1) t, json_each(t.list) e WHERE {condition})",
        (*items.values, value),
    )


def _tree(changes: dict[str, _Part]) -> _Node:
    root = _Node()
    for path, change in changes.items():
        node = root
        way: list[str] = []
        for part in path.split("."):
            way.append(part)
            node = node.children.setdefault(part, _Node(".".join(way)))
        node.change = change
    return root


def _document(source: str, node: _Node) -> _Part:
    """The document at a node with the changes below it."""
    text = source
    values: list[Value] = []
    if node.path:
        at = _constant(json_path(node.path))
        text = "CASE json_type(m._body, ?) WHEN 'object' THEN m._body -> ? ELSE '{}' END"
        values += (at, at)
    children = list(node.children.items())
    for first in range(0, len(children), _PAIRS):
        pairs = []
        for name, child in children[first : first + _PAIRS]:
            change = child.change or _document(source, child)
            pairs.append(f"?, {change.text}")
            values += (_constant(json_path(name)), *change.values)
        text = f"json_set({text}, {', '.join(pairs)})"
    return _Part(text, tuple(values))


def _column(column: Column, patch: Patch) -> _Part | None:
    """How an indexed scalar follows the patch; None where it stays."""
    path, name = column.path, column.name
    if patch.sequence and patch.sequence[0] == path:
        return _Part(f"{name} = ?", (_number,))
    if path in patch.inc:
        return _Part(f"{name} = IFNULL({name}, 0) + ?", (partial(_inc, path),))
    if path in patch.max:
        return _Part(f"{name} = MAX(IFNULL({name}, ?), ?)", (partial(_max, path), partial(_max, path)))
    for changed in patch.set:
        if path == changed or path.startswith(changed + "."):
            return _Part(f"{name} = ?", (partial(_column_set, changed, path),))
    return None


def _column_set(changed: str, path: str, patch: Patch) -> Any:
    rest = tuple(path[len(changed) + 1 :].split(".")) if path != changed else ()
    return column_value(found_at(patch.set[changed], rest), path)


def _guard(table: Table, patch: Patch) -> _Part:
    if not patch.sequence:
        return _Part("1")
    path = patch.sequence[0]
    column = table.by_path.get(path)
    if column:
        return _Part(f"IFNULL(m.{column.name}, -1) < ?", (_number,))
    return _Part("IFNULL(json_extract(m._body, ?), -1) < ?", (_constant(json_path(path)), _number))
