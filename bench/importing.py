"""Import: a CSV through the public doors into store and log, against the same documents straight into SQLite."""

from __future__ import annotations

import csv
import time
from pathlib import Path

from bench.figure import Figure, tell
from bench.floors.inserting import insert_again
from bench.stage import stage
from services.members.domain.values import email_address, phone_number


def bench_import(n: int) -> Figure:
    with stage("import") as on:
        tell(f"importing {n} rows")
        imported = on.bring(n)
        tell(f"{n / imported.wall_seconds:,.0f} rows/s; the platform ends, its store stays for the floor")
        on.house.stop()
        validation = _validate(on.folder / f"list-{n}.csv")
        floor = insert_again(on.house.data / "members.sqlite", on.folder / "floor.sqlite", _of_members, n)
        tell(f"floor: {n / floor.wall_seconds:,.0f} rows/s")
        return Figure(
            "import",
            n,
            n / imported.wall_seconds,
            "rows/s",
            n / floor.wall_seconds,
            "Wall clock from startImport to state finished, the file uploaded before; CPU of every process of the "
            "platform until two seconds later. Floor: one process inserts the same documents, with claims, side rows, "
            "indexes and an fsync for each transaction of 2,000, into an empty SQLite file.",
            more={
                "cpu_seconds": imported.cpu_seconds,
                "cpu_by_process": imported.cpu_by_process,
                "rows_per_cpu_second": n / imported.cpu_seconds,
                "floor_rows_per_cpu_second": n / floor.cpu_seconds,
                "cpu_ratio": floor.cpu_seconds / imported.cpu_seconds,
                "upload_seconds": imported.upload_seconds,
                "validation_rows_per_second": validation,
                "floor_tables": floor.tables,
            },
        )


def _of_members(table: str) -> bool:
    return table in ("members", "claims") or table.startswith("members/")


def _validate(file: Path) -> float:
    """Rows a second whose two addresses are validated on one core, with nothing else done."""
    with file.open(encoding="utf-8", newline="") as opened:
        addresses = [(row[0], row[1]) for row in list(csv.reader(opened))[1:]]
    began = time.perf_counter()
    for email, phone in addresses:
        email_address(email)
        phone_number(phone, "BE")
    return len(addresses) / (time.perf_counter() - began)
