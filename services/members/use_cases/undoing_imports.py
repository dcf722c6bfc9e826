"""Taking an import back, chunk by chunk from its last, so that a crash costs nothing here either.

Claims are given up first, then the members go: whoever is left in between owns no address and is met again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from services.kit.errors import VersionConflict
from services.kit.ids import derived_id
from services.kit.outbox import append_event
from services.kit.scope import Scope
from services.kit.store.port import Patch
from services.members.domain.community import Community
from services.members.domain.events import standing_taken_back
from services.members.domain.household import EXTERNAL, claim_id
from services.members.domain.importing import undoing
from services.members.domain.importing.job import UNDOING, Import, chunk_id
from services.members.domain.importing.plan import CREATED
from services.members.domain.member import ACTIVE, Cause
from services.members.domain.permission import Record
from services.members.use_cases.imports_room import Imports
from services.members.use_cases.room import Room, persistently

_SHOWN = 200  # members left, named with their reasons, per chunk


def undo_chunks(imports: Imports, scope: Scope, job: Import, going: Callable[[], bool]) -> None:
    """Undo the chunks that were done and are not undone, the last first."""
    chunks = int(job.record["chunks"] or 0)
    undoing_ = _Undoing(imports, scope, job)
    done = int(job.record["undo_progress"].get("chunk", -1)) + 1
    for step in range(done, chunks):
        undoing_.undo(chunks - 1 - step, step)
        if not going():
            return
    imports.change(scope, job.id, lambda j: j.undone(imports.room.clock.now()) if j.state == UNDOING else None)


class _Undoing:
    def __init__(self, imports: Imports, scope: Scope, job: Import) -> None:
        self._imports = imports
        self._room: Room = imports.room
        self._scope = scope
        self._job = job
        self._objections_too = bool(job.record["undo_objections"])
        self._versions: dict[str, int] = {}  # of members of earlier chunks that later ones changed

    def undo(self, number: int, step: int) -> None:
        """One chunk; a second time nothing is left to do."""
        key = chunk_id(self._job.id, number)
        chunk = self._imports.chunks.get(self._scope, [key]).get(key)
        if chunk is None:
            return
        community = self._room.community(self._scope, self._job.record["community"])
        now = self._room.clock.now()
        cause = Cause(now, self._job.record["undo_by"], f"undo:{self._job.id}")
        if chunk["state"] in ("done", "planned") and chunk["undo"] is None:
            result = self._take_back(chunk, community, cause)
            chunk["undo"] = result["told"]
            if result["removed"] or result["changed"]:
                append_event(
                    chunk,
                    derived_id("evt", self._job.origin.at, number, self._job.id, "undone"),
                    "ImportUndone",
                    now,
                    {
                        "import": self._job.id,
                        "chunk": number,
                        "removed": result["removed"],
                        "changed": result["changed"],
                        "standing_changes": result["standing_changes"],
                    },
                )
            if not self._imports.chunks.replace(self._scope, [chunk]):
                raise VersionConflict("Another worker has this import.", field="import")
            self._room.nudge()
        told = chunk["undo"] or {}
        self._imports.imports.patch(
            self._scope,
            [
                Patch(
                    self._job.id,
                    inc={f"undo_progress.{name}": int(told.get(name, 0)) for name in ("removed", "restored", "left")},
                    sequence=("undo_progress.chunk", step),
                )
            ],
        )

    def _take_back(self, chunk: Record, community: Community, cause: Cause) -> dict[str, Any]:
        left: list[list[Any]] = []
        changes: list[dict[str, Any]] = []
        restored = self._restore(chunk, community, cause, left, changes)
        removed, stripped = self._remove(chunk, community, cause, left, changes)
        return {
            "removed": removed,
            "changed": restored + stripped,
            "standing_changes": changes,
            "told": {
                "removed": len(removed),
                "restored": len(restored),
                "left": len(left),
                "members": left[:_SHOWN],
            },
        }

    # Members the import changed

    def _restore(
        self, chunk: Record, community: Community, cause: Cause, left: list[list[Any]], changes: list[dict[str, Any]]
    ) -> list[str]:
        found = self._room.members.get(self._scope, [each["member"] for each in chunk["changed"]])
        restored: list[str] = []
        for changed in chunk["changed"]:
            member = changed["member"]
            record = found.get(member)
            if record is not None and record["source"] == f"import:{self._job.id}":
                # it goes, or is kept, with the chunk that made it
                self._versions[member] = max(self._versions.get(member, 0), changed["version"])
                continue
            fields = self._restore_one(record, changed, community, cause, changes)
            if fields:
                left.append([member, undoing.CHANGED_SINCE, fields])
            restored.append(member)
        return restored

    def _restore_one(
        self,
        record: Record | None,
        changed: Record,
        community: Community,
        cause: Cause,
        changes: list[dict[str, Any]],
    ) -> list[str]:
        """The fields that were left, because something touched them later."""
        fields = {name: (before, written) for name, before, written in changed["fields"]}
        while record is not None and record["state"] == ACTIVE:
            if any(note["cause"] == cause.source for note in record["history"]):
                return []  # done before a crash
            was, had = list(record["standing"]), _addresses(record)
            left = undoing.restore(record, fields, community, cause, objections_too=self._objections_too)
            self._give_up([(address, record["_id"]) for address in had - _addresses(record)], community)
            if self._room.members.replace(self._scope, [record]):
                if was != record["standing"]:
                    held = changed["standing"][2]
                    changes.append(
                        standing_taken_back(record["_id"], was, record["standing"], held, cause.source, cause.at)
                    )
                return left
            record = self._room.members.get(self._scope, [record["_id"]]).get(record["_id"])
        return list(fields)

    # Members the import made

    def _made_by(self, chunk: Record) -> list[str]:
        origin = self._job.origin
        rows = [chunk["first_row"] + at for at, mark in enumerate(chunk["marks"]) if mark == CREATED]
        return [origin.member(row) for row in rows] + list(chunk["guardians"])

    def _remove(
        self, chunk: Record, community: Community, cause: Cause, left: list[list[Any]], changes: list[dict[str, Any]]
    ) -> tuple[list[str], list[str]]:
        """Remove those that nothing touched; of those who objected, keep that. Returns the removed and the stripped."""
        found = self._room.members.get(self._scope, self._made_by(chunk))
        verdicts = {member: self._judge(record) for member, record in found.items()}
        self._keep_guardians(found, verdicts)
        removed = [member for member, verdict in verdicts.items() if verdict == undoing.REMOVE]
        stripped: list[str] = []
        for member, verdict in verdicts.items():
            if verdict == undoing.REMOVE:
                continue
            left.append([member, verdict, []])
            record = found[member]
            if verdict == undoing.KEEP_OBJECTION:
                was = list(record["standing"])
                undoing.strip(record, community, cause)
                if self._room.members.replace(self._scope, [record]):
                    stripped.append(member)
                    if was != record["standing"]:
                        changes.append(standing_taken_back(member, was, record["standing"], (), cause.source, cause.at))
        self._give_up(
            [(address, member) for member in removed for address in sorted(_addresses(found[member]))], community
        )
        self._room.members.delete(self._scope, removed)
        changes += [standing_taken_back(m, found[m]["standing"], [], (), cause.source, cause.at) for m in removed]
        return removed, stripped

    def _judge(self, record: Record) -> str:
        if any(note["cause"] == f"undo:{self._job.id}" for note in record["history"]):
            return undoing.KEEP_OBJECTION  # stripped before a crash
        version = self._versions.get(record["_id"], 1)
        return undoing.judge_created(record, version, objections_too=self._objections_too)

    def _keep_guardians(self, found: dict[str, Record], verdicts: dict[str, str]) -> None:
        """A guardian stays as long as somebody who stays needs it."""
        wards = {ward for m, record in found.items() if verdicts[m] == undoing.REMOVE for ward in record["wards"]}
        elsewhere = self._room.members.get(self._scope, sorted(wards - found.keys())) if wards else {}
        for member, record in found.items():
            if verdicts[member] == undoing.REMOVE and any(
                verdicts.get(ward, undoing.REMOVE) != undoing.REMOVE
                or (
                    ward in elsewhere
                    and member in elsewhere[ward]["guardians"]
                    and self._judge(elsewhere[ward]) != undoing.REMOVE
                )
                for ward in record["wards"]
            ):
                verdicts[member] = undoing.WARDS_STAY

    def _give_up(self, owned: Sequence[tuple[tuple[str, str], str]], community: Community) -> None:
        """These members own these addresses no more; a claim without owners goes."""
        leaving: dict[str, set[str]] = {}
        for address, member in owned:
            leaving.setdefault(claim_id(community.id, *address), set()).add(member)
        if leaving:
            persistently(lambda: self._give_up_once(leaving), "address")

    def _give_up_once(self, leaving: dict[str, set[str]]) -> bool | None:
        claims = self._room.claims
        empty: list[str] = []
        kept: list[Record] = []
        for key, claim in claims.get(self._scope, list(leaving)).items():
            owners = [owner for owner in claim["owners"] if owner not in leaving[key]]
            if not owners:
                empty.append(key)
            elif owners != claim["owners"]:
                kept.append(claim | {"owners": owners})
        claims.delete(self._scope, empty)
        return True if len(claims.replace(self._scope, kept)) == len(kept) else None


def _addresses(record: Record) -> set[tuple[str, str]]:
    found = {(point["channel"], point["address"]) for point in record["contact_points"]}
    if record["external_id"]:
        found.add((EXTERNAL, record["external_id"]))
    return found
