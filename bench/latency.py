"""How soon an idle portal delivers: event committed -> request received, and how late a retry that is due in 5 s leaves.

    [DATABASE_URL=postgres://…] .venv/bin/python -m bench.latency [--events 100] [--retries 20]

The portal's workers run as they do in production: a supervisor, the cluster of drains, the queue.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator

from bench import setup

setup.start_django()


@contextlib.contextmanager
def workers() -> Iterator[None]:
    """Run the supervisor with both clusters on the bench's database."""
    from django.db import connection

    settings = connection.settings_dict
    url = f"sqlite:///{settings['NAME']}"
    if connection.vendor == "postgresql":
        url = f"postgres://{settings['USER']}:{settings['PASSWORD']}@{settings['HOST']}:{settings['PORT'] or 5432}/{settings['NAME']}"
    command = [sys.executable, "manage.py", "supervise", "--only", "default,deliveries"]
    process = subprocess.Popen(command, cwd=setup.ROOT, env=os.environ | {"DATABASE_URL": url})
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def arrivals(url: str, count: int, patience: float) -> dict[str, list[float]]:
    """Return the arrival times by event id once `count` requests have come."""
    deadline = time.monotonic() + patience
    while setup.ask(url, "count") < count and time.monotonic() < deadline:
        time.sleep(0.2)
    times: dict[str, list[float]] = defaultdict(list)
    for event_id, at in setup.ask(url, "times"):
        times[event_id].append(at)
    return times


def publish_one(event_type: str) -> tuple[str, float]:
    """Publish one event; return its id and when its transaction was committed."""
    from core.bus import publish

    event = publish(event_type, setup.push_payload())
    return str(event.id), time.perf_counter()


def idle(url: str, events: int) -> list[float]:
    """Return the milliseconds from commit to arrival of events published one by one."""
    publish_one("custom.idle")
    arrivals(url, 1, 60)
    committed = {}
    for _number in range(events):
        time.sleep(random.uniform(0.1, 0.4))
        event_id, at = publish_one("custom.idle")
        committed[event_id] = at
    times = arrivals(url, events + 1, 30)
    return [(times[event_id][0] - at) * 1000 for event_id, at in committed.items()]


def retries(url: str, events: int) -> list[float]:
    """Return the seconds between the first, refused arrival and the second one."""
    ids = []
    for _number in range(events):
        ids.append(publish_one("custom.retry")[0])
        time.sleep(random.uniform(0.1, 0.3))
    times = arrivals(url, 2 * events, 60)
    return [times[event_id][1] - times[event_id][0] for event_id in ids]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--retries", type=int, default=15)  # all fail at first: 20 in a row would open the breaker
    options = parser.parse_args()
    with setup.database(), setup.receiver(9821) as url, setup.receiver(9822, "--refuse-first") as refusing:
        setup.make_webhook("idle", url + "/", events=("custom.idle",))
        setup.make_webhook("retry", refusing + "/", events=("custom.retry",))
        with workers():
            took = sorted(idle(url, options.events))
            print(
                f"idle: p50 {statistics.median(took):.0f} ms, p95 {took[int(len(took) * 0.95)]:.0f} ms, most {took[-1]:.0f} ms", flush=True
            )
            gaps = sorted(retries(refusing, options.retries))
            print(f"retry due in 5 s (+-10 %): left after {gaps[0]:.2f} to {gaps[-1]:.2f} s, median {statistics.median(gaps):.2f} s")


if __name__ == "__main__":
    main()
