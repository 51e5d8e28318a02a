"""Counters in the database, so that /metrics is right with any number of processes and machines, also after restarts.

Writers add their batch with one upsert inside the transaction that the counts describe: what rolled back was never counted.
Each process writes its own shard of a counter, so that two of them seldom wait for one row.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from django.db import connection
from django.db.models import Sum

from core.models import MetricCount

Counts = dict[tuple[str, str], float]

SHARDS = 16
# seconds; deliveries are retried for up to four days, requests end after thirty seconds
LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86_400.0)
DURATION_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
INFINITY = "+Inf"
_LONGEST_VALUE = 64
_LONGEST_LABELS = 200
_UPSERT = """INSERT INTO core_metriccount (name, labels, shard, value) VALUES {rows}
    ON CONFLICT (name, labels, shard) DO UPDATE SET value = core_metriccount.value + excluded.value"""


def add(counts: Mapping[tuple[str, str], float], shard: int | None = None) -> None:
    """Add to counters named by (name, labels()), in one statement and as part of the caller's transaction.

    Do it last in the transaction: another process of the same shard waits for its end. `shard` is 0 to 15, by default the
    process's own.
    """
    if not counts:
        return
    rows = sorted_rows(counts, shard)
    sql = _UPSERT.format(rows=", ".join(["(%s, %s, %s, %s)"] * len(rows)))
    with connection.cursor() as cursor:
        cursor.execute(sql, [value for row in rows for value in row])


def sorted_rows(counts: Mapping[tuple[str, str], float], shard: int | None = None) -> list[tuple[str, str, int, float]]:
    """Return the rows (name, labels, shard, value) to be added, in the order in which everyone locks them.

    So two batches can't wait for each other.
    """
    shard = os.getpid() % SHARDS if shard is None else shard
    return [(name, labels_text, shard, float(value)) for (name, labels_text), value in sorted(counts.items())]


def labels(**values: object) -> str:
    """Return labels as Prometheus writes them: sorted, quoted, escaped. Values are cut at 64 characters.

    Raises ValueError when there are so many that they don't fit the column.
    """
    text = ",".join(f'{name}="{_escape(str(value)[:_LONGEST_VALUE])}"' for name, value in sorted(values.items()))
    if len(text) > _LONGEST_LABELS:
        raise ValueError(f"Labels {', '.join(sorted(values))} take {len(text)} characters; {_LONGEST_LABELS} fit.")
    return text


def histogram(name: str, label_values: Mapping[str, object], values: Iterable[float], buckets: Sequence[float] = LATENCY_BUCKETS) -> Counts:
    """Return what to add() for a batch of observed values (seconds): `<name>_bucket` by upper bound, and `<name>_sum`.

    A value is counted in its own bucket only, so that a batch touches few rows; /metrics adds the buckets up.
    """
    places: dict[int, int] = defaultdict(int)
    total = 0.0
    for value in values:
        places[bisect_left(buckets, value)] += 1
        total += value
    if not places:
        return {}
    counts: Counts = {(f"{name}_sum", labels(**label_values)): total}
    for place, number in places.items():
        bound = bound_text(buckets[place]) if place < len(buckets) else INFINITY
        counts[f"{name}_bucket", labels(**label_values, le=bound)] = number
    return counts


def bound_text(bound: float) -> str:
    """Return a bucket's upper bound as its `le` label shows it."""
    return str(float(bound))


def totals() -> list[tuple[str, str, float]]:
    """Return (name, labels, value) of every counter, summed over the shards, by name: one statement."""
    rows = MetricCount.objects.values("name", "labels").annotate(total=Sum("value")).order_by("name", "labels")
    return [(row["name"], row["labels"], row["total"]) for row in rows]


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
