"""What it costs to make findings of a report: against parsing it and copying the same rows, in one run.

DATABASE_URL=postgres://… .venv/bin/python -m bench.ingest [--results 20000] [--rounds 3]
DATABASE_URL=postgres://… .venv/bin/python -m bench.ingest --results 100000 --memory

A report of SARIF with this many results is read and written for a new repository, by a worker's own code, from the stored upload to the
committed findings, gate and events; then the same findings in another order, which are read and compared; then that report again. The bare
way is `orjson.loads` of the same bytes and one COPY, row by row, of the very rows that were stored, findings and presences with all of
their columns: once into tables like those that they came from, with their indexes, and once, as less can't be done at all, into temporary
tables without any, whose rows no log holds and no list could find.

CPU is that of this process and of its PostgreSQL process, where that runs on this machine: with other work on the cores it says more than
the time. Statements are those of the ORM; beside them there are three COPYs for 5,000 rows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import setup

RULES, FILES = 200, 3000


def report(results: int, *, backwards: bool = False) -> Iterator[bytes]:
    """Yield SARIF as CodeQL writes it."""
    rules = [
        {
            "id": f"py/rule-{number}",
            "shortDescription": {"text": f"Rule {number}"},
            "properties": {"security-severity": f"{number % 10}.1", "tags": ["security", f"external/cwe/cwe-{number:03d}"]},
        }
        for number in range(RULES)
    ]
    driver = {"name": "CodeQL", "rules": rules}
    yield b'{"version": "2.1.0", "runs": [{"tool": ' + json.dumps({"driver": driver}).encode() + b', "results": ['
    numbers = range(results)
    for number in reversed(numbers) if backwards else numbers:
        yield (b", " if number != numbers[-1 if backwards else 0] else b"") + json.dumps(_result(number)).encode()
    yield b"]}]}"


def _result(number: int) -> dict[str, Any]:
    place = {
        "artifactLocation": {"uri": f"src/app/module{number % 900}/file{number % FILES}.py"},
        "region": {"startLine": number % 2000 + 1, "snippet": {"text": f"value_{number} = request.GET['x']"}},
    }
    return {
        "ruleId": f"py/rule-{number % RULES}",
        "ruleIndex": number % RULES,
        "message": {"text": f"Untrusted data flows into call number {number} of the handler."},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"primaryLocationLineHash": f"{number * 7919:016x}:1"},
    }


@dataclass
class Cost:
    """What one way took."""

    seconds: float
    worker: float
    postgres: float
    statements: int = 0


def measured(work: Callable[[], None]) -> Cost:
    """Run something that uses the database, and return what it took."""
    from django.db import connection

    statements = 0

    def count(execute: Any, *arguments: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(*arguments)

    connection.ensure_connection()
    postgres, worker, began = _postgres_seconds(), time.process_time(), time.monotonic()
    with connection.execute_wrapper(count):
        work()
    return Cost(time.monotonic() - began, time.process_time() - worker, _postgres_seconds() - postgres, statements)


def _postgres_seconds() -> float:
    """Return the CPU seconds of this connection's process; 0 where it runs elsewhere."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return 0.0
    try:
        fields = Path(f"/proc/{connection.connection.info.backend_pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ingest(name: str, results: int, *, backwards: bool = False) -> Cost:
    """Upload a report for a repository, and return what it took a worker."""
    from core import work
    from integrations.models import Repository
    from scans.models import Scan
    from scans.services.starting import UploadedAbout, upload_report
    from scans.work import work_off

    repository, _ = Repository.objects.get_or_create(provider="github", full_name=name)
    upload_report(UploadedAbout(repository), report(results, backwards=backwards))
    cost = measured(lambda: work.run_due(Scan, work_off) and None)
    scan = Scan.objects.order_by("-id").first()
    assert scan is not None
    assert scan.status == "completed", scan.problems
    return cost


def bare(body: bytes, kind: str, tables: list[list[tuple[Any, ...]]]) -> Cost:
    """Parse the report and copy the rows into the tables of this kind (same, least), with nothing else."""
    import orjson
    from django.db import connection

    from core.garbage import rarely_collected

    def work() -> None:
        with rarely_collected():
            orjson.loads(body)
        for name, rows in zip(TABLES, tables, strict=True):
            with connection.connection.cursor() as cursor, cursor.copy(f"COPY {kind}_{name} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)

    with connection.cursor() as cursor:
        for name in TABLES:
            cursor.execute(f"TRUNCATE {kind}_{name}")
    return measured(work)


TABLES = ("scans_finding", "scans_presence")


def stored_rows() -> list[list[tuple[Any, ...]]]:
    """Return what the first report stored, and make tables for it like its own, with indexes and without."""
    from django.db import connection

    tables = []
    with connection.cursor() as cursor:
        for name in TABLES:
            cursor.execute(f"CREATE TABLE same_{name} (LIKE {name} INCLUDING ALL)")
            cursor.execute(f"CREATE TEMP TABLE least_{name} (LIKE {name})")
            cursor.execute(f"SELECT * FROM {name}")
            tables.append(
                [tuple(json.dumps(value) if isinstance(value, list | dict) else value for value in row) for row in cursor.fetchall()]
            )
    return tables


def compare(results: int, rounds: int) -> None:
    """Take all ways in turn, and print medians."""
    from django.db import connection

    body = b"".join(report(results))
    costs: dict[str, list[Cost]] = {"first": [], "other order": [], "again": [], "same tables": [], "least": []}
    ingest("acme/warm", 2000)
    for number in range(rounds):
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE scans_presence, scans_finding CASCADE")  # rows deleted one by one would leave their room behind
        costs["first"].append(ingest(f"acme/shop{number}", results))
        costs["other order"].append(ingest(f"acme/shop{number}", results, backwards=True))
        costs["again"].append(ingest(f"acme/shop{number}", results, backwards=True))
        if not number:
            rows = stored_rows()
        costs["same tables"].append(bare(body, "same", rows))
        costs["least"].append(bare(body, "least", rows))
    print(f"{results} results, {len(body) // 1024} kB; load {os.getloadavg()[0]:.1f}")
    for name, some in costs.items():
        worker, postgres = (statistics.median(values) / results * 1e6 for values in ([c.worker for c in some], [c.postgres for c in some]))
        statements = f"; {some[-1].statements} statements" if name in ("first", "other order", "again") else ""
        speed = results / statistics.median(cost.seconds for cost in some)
        print(f"{name:12}{speed:8.0f} findings/s; CPU per finding {worker:5.1f} us here, {postgres:5.1f} us PostgreSQL{statements}")
    for title, over, under, bar in (
        ("first to same tables", "same tables", "first", "0.35"),
        ("first to least", "least", "first", "none"),
        ("again to first", "first", "again", "2"),
        ("other order to first", "first", "other order", "none"),
    ):
        ratios = [a.seconds / b.seconds for a, b in zip(costs[over], costs[under], strict=True)]
        by_cpu = [(a.worker + a.postgres) / (b.worker + b.postgres) for a, b in zip(costs[over], costs[under], strict=True)]
        span = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"{title:21}{statistics.median(ratios):5.2f} ({span}); by CPU {statistics.median(by_cpu):.2f}; bar {bar}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="one first report only, and the memory that it took at most")
    options = parser.parse_args()
    setup.start_django()
    with setup.database():
        if not options.memory:
            compare(options.results, options.rounds)
            return
        ingest("acme/shop", options.results)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{options.results} results: {memory} MB of memory at most")


if __name__ == "__main__":
    main()
