"""What it costs to make findings of a report: against parsing it and copying the same rows, in one run.

DATABASE_URL=postgres://… .venv/bin/python -m bench.ingest [--results 20000] [--rounds 3]

A report of SARIF with this many results is read and written for a new repository, then again; the bare way is `orjson.loads` of the same
bytes and one COPY of the very rows that were stored, findings and presences, into tables without indexes.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from typing import Any

from bench import setup

RULES, FILES = 200, 3000


def report(results: int) -> bytes:
    """Return SARIF as CodeQL writes it."""
    rules = [
        {
            "id": f"py/rule-{number}",
            "shortDescription": {"text": f"Rule {number}"},
            "properties": {"security-severity": f"{number % 10}.1", "tags": ["security", f"external/cwe/cwe-{number:03d}"]},
        }
        for number in range(RULES)
    ]
    driver = {"name": "CodeQL", "rules": rules}
    return json.dumps(
        {"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": [_result(n) for n in range(results)]}]}
    ).encode()


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


def ingest(name: str, body: bytes) -> float:
    """Upload a report for a repository, and return the seconds that a worker took."""
    from core import work
    from integrations.models import Repository
    from scans.models import Scan
    from scans.services.starting import UploadedAbout, upload_report
    from scans.work import work_off

    repository, _ = Repository.objects.get_or_create(provider="github", full_name=name)
    upload_report(UploadedAbout(repository), [body])
    began = time.monotonic()
    work.run_due(Scan, work_off)
    took = time.monotonic() - began
    scan = Scan.objects.order_by("-id").first()
    assert scan is not None
    assert scan.status == "completed", scan.problems
    return took


def bare(body: bytes, tables: list[tuple[str, list[tuple[Any, ...]]]]) -> float:
    """Parse the report and copy the rows, with nothing else."""
    import orjson
    from django.db import connection

    began = time.monotonic()
    orjson.loads(body)
    for name, rows in tables:
        with connection.connection.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
    return time.monotonic() - began


def stored_rows() -> list[tuple[str, list[tuple[Any, ...]]]]:
    """Return what the first report stored, for tables like its own without indexes."""
    from django.db import connection

    tables = []
    with connection.cursor() as cursor:
        for name, columns in (("scans_finding", "*"), ("scans_presence", "*")):
            cursor.execute(f"CREATE TEMP TABLE bare_{name} (LIKE {name})")
            cursor.execute(f"SELECT {columns} FROM {name}")
            rows = [tuple(json.dumps(value) if isinstance(value, list | dict) else value for value in row) for row in cursor.fetchall()]
            tables.append((f"bare_{name}", rows))
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    setup.start_django()
    body = report(options.results)
    with setup.database():
        times: dict[str, list[float]] = {"first": [], "again": [], "bare": []}
        ingest("acme/warm", report(2000))
        from scans.models import Finding, Presence

        for number in range(options.rounds):
            Presence.objects.all().delete()
            Finding.objects.all().delete()
            times["first"].append(ingest(f"acme/shop{number}", body))
            times["again"].append(ingest(f"acme/shop{number}", body))
            if not number:
                rows = stored_rows()
            times["bare"].append(bare(body, rows))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{options.results} results, {len(body) // 1024} kB; {memory} MB of memory at most, the bench's own rows included")
    for name, values in times.items():
        print(f"{name:6} {options.results / statistics.median(values):8.0f} findings/s")
    print(f"first to bare   {statistics.median(b / f for b, f in zip(times['bare'], times['first'], strict=True)):5.2f}")
    print(f"again to first  {statistics.median(f / a for f, a in zip(times['first'], times['again'], strict=True)):5.2f}")


if __name__ == "__main__":
    main()
