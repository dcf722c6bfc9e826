"""The floor of reading through the graph: the query executed plainly on ready dicts, with nothing kept between."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from graphql import build_schema, graphql_sync

_SCHEMA = Path(__file__).resolve().parents[2] / "schema.graphql"


def execute_plainly(query: str, variables: dict[str, Any], ready: dict[str, Any], seconds: float) -> tuple[float, int]:
    """Parse, validate and execute for so long on one thread; executions a second, and the octets of an answer."""
    schema = build_schema(_SCHEMA.read_text(encoding="utf-8"))
    answer = graphql_sync(schema, query, ready, variable_values=variables)
    if answer.errors:
        raise ValueError(f"The floor cannot answer the query: {answer.errors[0].message}")
    if answer.data != ready:
        raise ValueError("The floor's answer is not what the platform answered.")
    done, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        graphql_sync(schema, query, ready, variable_values=variables)
        done += 1
    return done / elapsed, len(str(answer.data))
