"""What publishing costs its transaction: events of a scan for ten webhooks, without rules and with each kind.

[DATABASE_URL=postgres://…] .venv/bin/python -m bench.publish [--events 100] [--rounds 30]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from bench import setup

setup.start_django()

HOOKS = 10
KINDS: dict[str, dict[str, Any] | None] = {
    "no rules": None,
    "branches, severity": {"branches": ["main", "!dependabot/*"], "min_severity": "low", "lanes": "severity"},
    "digest": {"digest": {"window_seconds": 3600}},
    "supersede": {"supersede": True},
}


def microseconds(events: int) -> float:
    """Return what one event costs in a publication of so many, its commit included."""
    from core.bus import Announcement, publish_all
    from core.event_types import catalogue

    data = catalogue.types["gate.failed"].example
    announcements = [Announcement("gate.failed", {**data, "ref": "main", "commit": str(number)}) for number in range(events)]
    started = time.perf_counter()
    publish_all(announcements)
    return (time.perf_counter() - started) * 1e6 / events


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    with setup.database():
        from webhooks.models import Webhook

        hooks = [setup.make_webhook(f"hook {number}", "http://127.0.0.1:9/", events=("gate.*",)) for number in range(HOOKS)]
        figures: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for _round in range(options.rounds):
            for kind, routing in KINDS.items():
                Webhook.objects.filter(id__in=[hook.id for hook in hooks]).update(routing=routing)
                figures[kind].append(microseconds(options.events))
        for kind, found in figures.items():
            print(f"{kind}: {statistics.median(found):.0f} us an event for {HOOKS} webhooks", flush=True)


if __name__ == "__main__":
    main()
