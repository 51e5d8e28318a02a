"""Recovers failed deliveries on a running portal, pauses and resumes it, and kills the worker that works it off.

python -m tests.kills.recovery --deliveries 10000 --rate 200        (SQLite, or PostgreSQL by DATABASE_URL)
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from tests.core.portal import Portal, running, wait_for
from tests.kills.loss import Api, arrived, count, free_port, fresh_database, publish, receiver

HEALED_SECONDS = 180
# the deliveries have succeeded: now they have failed, but for every hundredth, whose event a newer delivery brought
FAIL = """
from django.db.models import F
from core.ids import uuid7
from webhooks.models import WebhookDelivery, WebhookState
hook = WebhookState.objects.get()
brought = []
for number, row in enumerate(WebhookDelivery.objects.order_by("id")):
    if number % 100 == 0:
        row.pk, row.status = uuid7(), "success"
        brought.append(row)
WebhookDelivery.objects.update(status="failed")
WebhookDelivery.objects.bulk_create(brought)
WebhookState.objects.update(failed_count=F("success_count"), success_count=len(brought))
print(len(brought))
"""
WORKER = "SELECT w.pid FROM core_worker w JOIN webhooks_replay r ON r.lease_owner = w.id WHERE r.state = 'running'"


@dataclass
class Report:
    """What a run saw."""

    deliveries: int
    rate: float
    seconds: float = 0.0
    killed_at: list[int] = field(default_factory=list)
    sent_while_paused: int = 0
    busiest: float = 0.0
    """Arrivals in the busiest two seconds, a second."""
    again: Counter[str] = field(default_factory=Counter)
    skipped_events: int = 0
    end: dict[str, Any] = field(default_factory=dict)
    stats: dict[str, Any] = field(default_factory=dict)

    @property
    def twice(self) -> int:
        return sum(number - 1 for number in self.again.values())

    def __str__(self) -> str:
        return (
            f"{self.deliveries:,} failed deliveries at {self.rate:g}/s: {len(self.again):,} events arrived again, {self.twice} twice,"
            f" {self.end['skipped']} skipped (of {self.skipped_events} that a newer delivery had brought);"
            f" paused and resumed, {self.sent_while_paused} sent while paused;"
            f" its worker killed at {' and '.join(f'{n:,}' for n in self.killed_at)}; busiest two seconds {self.busiest:.0f}/s;"
            f" {self.seconds:.0f} s; replay {self.end['status']} {self.end['percent']} %;"
            f" pending {self.stats['pending']}, failed {self.stats['failed']}"
        )


def run(folder: Path, database: str, *, deliveries: int, rate: float) -> Report:
    report = Report(deliveries, rate)
    port, hook_port = free_port(), free_port()
    environment = {"PORT": str(port), "EGRESS_ALLOW_CIDRS": "127.0.0.0/8", "LOG_LEVEL": "WARNING", "WEB_PROCESSES": "1"}
    if database:
        environment["DATABASE_URL"] = database
    with receiver(hook_port, 0) as url, running(folder, "web,default,deliveries", **environment) as portal:
        api = Api(port, portal.manage("createapikey", "--name", "kills", "--rate", "none").split()[-1])
        hook = api("POST", "webhooks", {"name": "kills", "url": url + "/", "events": ["custom.*"]})["id"]
        for number in range(-(-deliveries // 1000)):
            publish(api, number, min(1000, deliveries - 1000 * number))
        wait_for(lambda: api("GET", f"webhooks/{hook}/stats")["success"] == deliveries, "the first deliveries", HEALED_SECONDS)
        report.skipped_events = int(portal.manage("shell", "-c", FAIL).split()[-1])
        before = len(arrived(url))
        began = time.monotonic()
        body = {"since": (datetime.now(UTC) - timedelta(hours=2)).isoformat(), "rate_per_second": rate}
        assert api("POST", f"webhooks/{hook}/recover", body | {"dry_run": True})["count"] == deliveries
        replay = f"replays/{api('POST', f'webhooks/{hook}/recover', body)['id']}"
        for share in (0.2, 0.6):
            target = int(deliveries * share)
            wait_for(lambda target=target: api("GET", replay)["requeued"] >= target, f"{target} requeued", HEALED_SECONDS + target / rate)
            kill_its_worker(portal, database)
            report.killed_at.append(api("GET", replay)["requeued"])
            if share < 0.5:
                pause(api, replay, url, report)
        wait_for(lambda: api("GET", replay)["status"] == "done", "the end", HEALED_SECONDS + deliveries / rate)
        report.seconds = time.monotonic() - began
        wait_for(lambda: api("GET", f"webhooks/{hook}/stats")["pending"] == 0, "nothing pending", HEALED_SECONDS)
        times = arrivals(url)[before:]
        report.again = Counter(event for event, _ in times)
        report.busiest = busiest([at for _, at in times], 2.0)
        report.end, report.stats = api("GET", replay), api("GET", f"webhooks/{hook}/stats")
    return report


def kill_its_worker(portal: Portal, database: str) -> None:
    def holder() -> int:
        if database:
            with psycopg.connect(database) as server:
                row = server.execute(WORKER).fetchone()  # type: ignore[arg-type]
            return int(row[0]) if row else 0
        return int(portal.ask(WORKER) or 0)

    with contextlib.suppress(ProcessLookupError):
        os.kill(wait_for(holder, "a worker that works it off", HEALED_SECONDS), signal.SIGKILL)


def pause(api: Api, replay: str, url: str, report: Report) -> None:
    """Pause it while its worker is dead, see that nothing more is sent, and resume it."""
    api("POST", f"{replay}/pause", {})
    time.sleep(4)  # what was requeued before the pause leaves
    settled = count(url)
    time.sleep(5)
    report.sent_while_paused = count(url) - settled
    api("POST", f"{replay}/resume", {})


def arrivals(url: str) -> list[tuple[str, float]]:
    with urllib.request.urlopen(url + "/times", timeout=30) as answer:
        return [(event, at) for event, at in json.loads(answer.read()) if event]


def busiest(times: list[float], window: float) -> float:
    most = first = 0
    for place, at in enumerate(times):
        while times[first] < at - window:
            first += 1
        most = max(most, place - first + 1)
    return most / window


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--deliveries", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=200)
    options = parser.parse_args()
    with fresh_database() as database, tempfile.TemporaryDirectory(prefix="repoguard-recovery-") as folder:
        report = run(Path(folder) / "var", database, deliveries=options.deliveries, rate=options.rate)
    print(f"{'PostgreSQL' if database else 'SQLite'}: {report}")
    wrong = report.twice or report.sent_while_paused or len(report.again) != options.deliveries - report.skipped_events
    if wrong or report.end["status"] != "done" or report.stats["pending"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
