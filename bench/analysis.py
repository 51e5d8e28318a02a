"""How long an analysis of a million builds takes, and how much memory it adds to its process.

DATABASE_URL=postgres://… .venv/bin/python -m bench.analysis [--builds 1000000]
"""

from __future__ import annotations

import argparse
import resource
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from bench import setup

setup.start_django()

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=365)
_COLUMNS = (
    "id, project, source, build_id, attempt, number, workflow, branch, commit, event, is_pull_request, status, conclusion, "
    "started_at, finished_at, duration_seconds, language, actor, url, extra, created_at, updated_at"
)


def rows(count: int) -> Any:
    """Yield builds over a year: 100 projects of 5 workflows, a tenth on the default branch, one in twenty a second attempt."""
    from core.ids import uuid7

    step = (UNTIL - SINCE) / count
    for n in range(count):
        again = n % 20 == 19
        run, attempt = (n - 1, 2) if again else (n, 1)
        project, workflow = f"acme/project-{run % 100}", ("test", "lint", "build", "e2e", "deploy")[run // 100 % 5]
        branch = "main" if run % 10 == 0 else f"feature/{run // 100 % 200}"
        status = "success" if again else ("failure", "success", "success", "cancelled", "success", "success", "success")[run * 7919 % 7]
        began = SINCE + step * n
        took = 30.0 + run * 104729 % 900
        yield (
            uuid7(), project, "github", str(run), attempt, str(run), workflow, branch, f"{run // 5:040x}", "push", run % 10 == 3, status,
            status, began, began + timedelta(seconds=took), took, "python", "alice", f"https://github.com/{project}/actions/runs/{run}",
            "{}", began, began,
        )  # fmt: skip


def fill(count: int) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY builds_build ({_COLUMNS}) FROM STDIN") as copy:
                for row in rows(count):
                    copy.write_row(row)
            cursor.execute("VACUUM ANALYZE builds_build")
            return
        places = ", ".join(["%s"] * len(_COLUMNS.split(",")))
        plain = ([v.hex if hasattr(v, "hex") and not isinstance(v, float) else v for v in row] for row in rows(count))
        texts = ([str(v.replace(tzinfo=None)) if isinstance(v, datetime) else v for v in row] for row in plain)
        cursor.executemany(f"INSERT INTO builds_build ({_COLUMNS}) VALUES ({places})", texts)


def peak() -> float:
    """Return the most memory that this process has held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--builds", type=int, default=1_000_000)
    options = parser.parse_args()
    from access.principals import SYSTEM
    from builds.analysis.compute import measures
    from builds.analysis.scope import Scope

    with setup.database():
        started = time.perf_counter()
        fill(options.builds)
        print(f"{options.builds:,} builds inserted in {time.perf_counter() - started:.1f} s")
        measures(Scope(SYSTEM, SINCE, SINCE + timedelta(hours=1)))  # whatever is loaded once is no part of the figure
        before, started, cpu = peak(), time.perf_counter(), time.process_time()
        found = measures(Scope(SYSTEM, SINCE, UNTIL))
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        assert found["builds"] == options.builds
        print(f"analysed in {took:.1f} s ({cpu:.1f} s of its own CPU), {options.builds / took:,.0f} builds a second")
        print(f"memory: {before:.0f} MB before, at most {peak():.0f} MB, so {peak() - before:.0f} MB more")


if __name__ == "__main__":
    main()
