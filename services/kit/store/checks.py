"""What every engine refuses before it writes: documents that are nobody's, patches that contradict themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.kit.errors import Forbidden, Invalid
from services.kit.scope import Scope
from services.kit.store.encoding import column_value, found_at
from services.kit.store.port import Document, Patch

_FIXED = ("_id", "version", "agency", "community")


def check_scope(scope: Scope, documents: Sequence[Document]) -> None:
    """Raises Forbidden where a document lies outside the scope, Invalid where it says not whose it is."""
    whose = {(document.get("agency"), document.get("community")) for document in documents}
    for agency, community in whose:
        if not isinstance(agency, str) or not agency:
            raise Invalid("Every document says whose it is: name its agency.", field="agency")
        if not scope.allows(agency, community or None):
            raise Forbidden("A document lies outside the scope it is written in.", field="community")


def key_of(document: Document) -> str:
    key = document.get("_id")
    if not isinstance(key, str) or not key:
        raise Invalid("Every document has an _id, a text.", field="_id")
    return key


def version_of(document: Document) -> int:
    version = document.get("version")
    if not isinstance(version, int):
        raise Invalid("A document to replace has the version it was read at.", field="version")
    return version


def parts_of(path: str) -> list[str]:
    """The names a path leads through. Raises Invalid for what no engine can tell."""
    parts = path.split(".")
    if not all(parts) or any(char in '"\\' or char < " " for char in path):
        raise Invalid("A path has no empty parts, quotes, backslashes or control characters.", field="path")
    return parts


def changed_paths(patch: Patch) -> list[str]:
    return [*patch.set, *patch.inc, *patch.max, *patch.push, *patch.pull]


def related(one: str, other: str) -> bool:
    """Whether one path leads to the other, or past it."""
    return one == other or one.startswith(other + ".") or other.startswith(one + ".")


def check_patch(patch: Patch, scalars: Sequence[str]) -> None:
    """Raises Invalid for changes that overlap, or concern what a patch may not change; ``scalars`` are the paths that
    must keep one value."""
    changes = [*patch.set, *patch.inc, *patch.max, *dict.fromkeys((*patch.push, *patch.pull))]
    if patch.sequence:
        changes.append(patch.sequence[0])
    seen: set[str] = set()
    for path in changes:
        parts = parts_of(path)
        if path in seen:
            raise Invalid(f"A patch changes {path} twice: state it once.", field=path)
        if parts[0] in _FIXED:
            raise Invalid(f"A patch cannot change {path}.", field=path)
        seen.add(path)
    for path in changes:
        above = path.rpartition(".")[0]
        while above:
            if above in seen:
                raise Invalid(f"A patch changes {path} and what lies above it: state it once.", field=path)
            above = above.rpartition(".")[0]
    for scalar in scalars:
        for path in changed_paths(patch):
            if related(scalar, path):
                _check_scalar(patch, path, scalar)


def _check_scalar(patch: Patch, changed: str, scalar: str) -> None:
    if changed in patch.set and (scalar == changed or scalar.startswith(changed + ".")):
        rest = tuple(scalar[len(changed) + 1 :].split(".")) if scalar != changed else ()
        column_value(found_at(patch.set[changed], rest), scalar)
    elif changed != scalar or changed not in {*patch.inc, *patch.max}:
        raise Invalid(f"{changed} cannot be changed so: {scalar} is declared as one value.", field=changed)


def patched(document: Document, patch: Patch) -> Document | None:
    """The document as the patch makes it; None where its sequence does not let it."""
    if patch.sequence and _number_at(document, patch.sequence[0], -1) >= patch.sequence[1]:
        return None
    changes: dict[str, Any] = dict(patch.set)
    changes |= {path: _number_at(document, path, 0) + amount for path, amount in patch.inc.items()}
    changes |= {path: max(_number_at(document, path, least), least) for path, least in patch.max.items()}
    changes |= {path: _list_after(document, path, patch) for path in {**patch.pull, **patch.push}}
    if patch.sequence:
        changes[patch.sequence[0]] = patch.sequence[1]
    for path, value in changes.items():
        document = _with(document, path.split("."), value)
    return document


def _number_at(document: Document, path: str, nothing: int) -> Any:
    found = found_at(document, tuple(path.split(".")))
    return nothing if found is None else found


def _list_after(document: Document, path: str, patch: Patch) -> list[Any]:
    found = found_at(document, tuple(path.split(".")))
    kept: list[Any] = found if isinstance(found, list) else []
    if path in patch.pull:
        gone = set(patch.pull[path])
        kept = [each for each in kept if not (isinstance(each, dict) and each.get("_id") in gone)]
    if path in patch.push:
        kept = [*kept, patch.push[path].value][-patch.push[path].keep :]
    return kept


def _with(document: Any, parts: list[str], value: Any) -> Document:
    """A copy with the value at the path; what stands on the way and is no document gives way to one."""
    copy = dict(document) if isinstance(document, dict) else {}
    copy[parts[0]] = value if len(parts) == 1 else _with(copy.get(parts[0]), parts[1:], value)
    return copy
