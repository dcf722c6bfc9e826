"""A patch as one UPDATE: JSON functions change the body where it lies, without a document being decoded here.

Paths that share their beginning are changed together, from the inside out; what stands on the way and is no document
is replaced by one. Names travel as parameters, so that patches of one shape share one prepared statement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from services.kit.errors import Invalid
from services.kit.store.compare import Sql
from services.kit.store.compile import Reach
from services.kit.store.encoding import column_value, dumped, found_at
from services.kit.store.port import Patch, Push
from services.kit.store.schema import Column, Side, Table, json_path

_FIXED = ("_id", "version", "agency", "community")
_PAIRS = 60  # SQLite takes 127 arguments


@dataclass(slots=True)
class _Node:
    """One name on the way; ``change`` where a path ends."""

    path: str = ""
    change: Sql | None = None
    children: dict[str, _Node] = field(default_factory=dict)


def patching(table: Table, patch: Patch, reach: Reach) -> Sql:
    """The guarded UPDATE of one document. Raises Invalid for paths that overlap, or that a patch may not change."""
    changes = _changes(patch)
    body = _document("m._body", _tree(changes))
    columns = [assigned for column in table.columns if (assigned := _column(column, patch)) is not None]
    assignments = ", ".join([f"_body = {body.text}", *(each.text for each in columns)])
    guard = _guard(table, patch)
    scope = reach.over("m._scope")
    return Sql(
        f"UPDATE {table.quoted} AS m SET {assignments} WHERE m._id = ? AND ({scope.text}) AND ({guard.text})",
        (*body.params, *(param for each in columns for param in each.params), patch.id, *scope.params, *guard.params),
    )


def touched(sides: tuple[Side, ...], patch: Patch) -> tuple[Side, ...]:
    """The side tables whose list the patch may change."""
    paths = [*patch.set, *patch.inc, *patch.max, *patch.push, *patch.pull]
    return tuple(side for side in sides if any(_related(side.through, path) for path in paths))


def _related(one: str, other: str) -> bool:
    return one == other or one.startswith(other + ".") or other.startswith(one + ".")


def _changes(patch: Patch) -> dict[str, Sql]:
    """What is written at each path."""
    found: dict[str, Sql] = {}
    for path, change in _each(patch):
        if path in found:
            raise Invalid(f"A patch changes {path} twice: state it once.", field=path)
        if path.split(".")[0] in _FIXED:
            raise Invalid(f"A patch cannot change {path}.", field=path)
        found[path] = change
    return found


def _each(patch: Patch) -> Iterator[tuple[str, Sql]]:
    for path, value in patch.set.items():
        yield path, Sql("json(?)", (dumped(value),))
    for path, amount in patch.inc.items():
        yield path, Sql("IFNULL(json_extract(m._body, ?), 0) + ?", (json_path(path), amount))
    for path, least in patch.max.items():
        yield path, Sql("MAX(IFNULL(json_extract(m._body, ?), ?), ?)", (json_path(path), least, least))
    for path in {**patch.push, **patch.pull}:
        yield path, _list(json_path(path), patch.push.get(path), patch.pull.get(path))
    if patch.sequence:
        yield patch.sequence[0], Sql("?", (patch.sequence[1],))


def _list(at: str, push: Push | None, pull: Any) -> Sql:
    """The list there without what is pulled, with what is pushed, cut to its last elements."""
    stored = Sql("CASE json_type(m._body, ?) WHEN 'array' THEN m._body -> ? ELSE '[]' END", (at, at))
    kept = stored
    if pull is not None:
        kept = _rebuilt(
            stored,
            "e.type <> 'object' OR IFNULL(json_extract(CASE e.type WHEN 'object' THEN e.value END, '$._id'), '') "
            "NOT IN (SELECT value FROM json_each(?))",
            (orjson.dumps(list(pull)).decode(),),
        )
    if push is None:
        return Sql(f"json({kept.text})", kept.params)
    longer = Sql(f"json_insert({kept.text}, '$[#]', json(?))", (*kept.params, dumped(push.value)))
    cut = _rebuilt(longer, "e.key >= json_array_length(t.list) - ?", (push.keep,))
    if pull is not None:
        return Sql(f"json({cut.text})", cut.params)
    fits = Sql("IFNULL(json_array_length(m._body, ?), 0) < ?", (at, push.keep))
    return Sql(
        f"json(CASE WHEN {fits.text} THEN {longer.text} ELSE {cut.text} END)",
        (*fits.params, *longer.params, *cut.params),
    )


def _rebuilt(items: Sql, condition: str, params: tuple[Any, ...]) -> Sql:
    """A list of those elements that meet the condition, each as its own text."""
    return Sql(
        f"(SELECT json_group_array(json(t.list -> ('$[' || e.key || ']'))) "
        f"FROM (SELECT {items.text} AS list LIMIT 1) t, json_each(t.list) e WHERE {condition})",
        (*items.params, *params),
    )


def _tree(changes: Mapping[str, Sql]) -> _Node:
    root = _Node()
    for path, change in changes.items():
        node, way = root, []
        for part in path.split("."):
            if node.change is not None:
                raise Invalid(f"A patch changes {path} and what lies above it: state it once.", field=path)
            way.append(part)
            node = node.children.setdefault(part, _Node(".".join(way)))
        if node.children:
            raise Invalid(f"A patch changes {path} and what lies below it: state it once.", field=path)
        node.change = change
    return root


def _document(source: str, node: _Node) -> Sql:
    """The document at a node with the changes below it."""
    text = source
    params: tuple[Any, ...] = ()
    if node.path:
        at = json_path(node.path)
        text = "CASE json_type(m._body, ?) WHEN 'object' THEN m._body -> ? ELSE '{}' END"
        params = (at, at)
    children = list(node.children.items())
    for first in range(0, len(children), _PAIRS):
        pairs = []
        for name, child in children[first : first + _PAIRS]:
            change = child.change or _document(source, child)
            pairs.append(f"?, {change.text}")
            params = (*params, json_path(name), *change.params)
        text = f"json_set({text}, {', '.join(pairs)})"
    return Sql(text, params)


def _column(column: Column, patch: Patch) -> Sql | None:
    """How an indexed scalar follows the patch; None where it stays."""
    path, name = column.path, column.name
    if patch.sequence and patch.sequence[0] == path:
        return Sql(f"{name} = ?", (patch.sequence[1],))
    if path in patch.inc:
        return Sql(f"{name} = IFNULL({name}, 0) + ?", (patch.inc[path],))
    if path in patch.max:
        return Sql(f"{name} = MAX(IFNULL({name}, ?), ?)", (patch.max[path], patch.max[path]))
    for changed in (*patch.set, *patch.inc, *patch.max, *patch.push, *patch.pull):
        if changed in patch.set and (path == changed or path.startswith(changed + ".")):
            rest = tuple(path[len(changed) + 1 :].split(".")) if path != changed else ()
            return Sql(f"{name} = ?", (column_value(found_at(patch.set[changed], rest), path),))
        if _related(path, changed):
            raise Invalid(f"{changed} cannot be changed so: {path} is declared as one value.", field=changed)
    return None


def _guard(table: Table, patch: Patch) -> Sql:
    if not patch.sequence:
        return Sql("1")
    path, number = patch.sequence
    column = table.by_path.get(path)
    if column:
        return Sql(f"IFNULL(m.{column.name}, -1) < ?", (number,))
    return Sql("IFNULL(json_extract(m._body, ?), -1) < ?", (json_path(path), number))
