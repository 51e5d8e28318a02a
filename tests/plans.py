"""What PostgreSQL says of its plans."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from django.db import connection


def plan(statement: str, parameters: Any) -> dict[str, Any]:
    """Return the plan that a prepared statement settles for, as it was executed."""
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters, prepare=True)
        (found,) = cursor.fetchone() or ({},)
        cursor.execute("SET LOCAL plan_cache_mode = auto")
    root: dict[str, Any] = found[0]["Plan"]
    return root


def nodes(root: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield root
    for child in root.get("Plans", []):
        yield from nodes(child)


def rows_read(root: dict[str, Any], table: str) -> float:
    found = [node for node in nodes(root) if node.get("Relation Name") == table]
    return sum(node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) for node in found)
