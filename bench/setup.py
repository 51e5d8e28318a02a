"""What the benches share: a database of their own, webhooks, receivers, figures."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def start_django() -> None:
    """Configure Django for a bench: its own data folder, loopback open, quiet logs."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "repoguard.settings")
    os.environ.setdefault("REPOGUARD_DATA_DIR", "/tmp/repoguard-bench")
    os.environ["EGRESS_ALLOW_CIDRS"] = "127.0.0.0/8"
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    from repoguard import keys

    keys.create_missing(Path(os.environ["REPOGUARD_DATA_DIR"]))
    import django

    django.setup()


@contextlib.contextmanager
def database() -> Iterator[None]:
    """Create the database `bench_…` beside the configured one and drop it afterwards."""
    from django.db import connection

    old = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":  # in memory the threads of one process would share one connection
        connection.settings_dict["TEST"]["NAME"] = str(Path(os.environ["REPOGUARD_DATA_DIR"]) / "bench.sqlite3")
    name = connection.creation.create_test_db(verbosity=0, autoclobber=True)
    print(f"database: {connection.vendor} ({name})")
    try:
        yield
    finally:
        connection.creation.destroy_test_db(old, verbosity=0)


@contextlib.contextmanager
def receiver(port: int, *options: str) -> Iterator[str]:
    """Run bench.receiver on a port; yields its base URL."""
    process = subprocess.Popen([sys.executable, "-m", "bench.receiver", str(port), *options], cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        for _attempt in range(100):
            with contextlib.suppress(OSError):
                ask(url, "count")
                break
            time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


def ask(url: str, what: str) -> Any:
    """Return the receiver's count or times."""
    with urllib.request.urlopen(f"{url}/{what}", timeout=5) as answer:
        return json.loads(answer.read())


def make_webhook(name: str, url: str, concurrency: int = 200, events: tuple[str, ...] = ("*",)) -> Any:
    """Create a webhook without an owner."""
    from webhooks.services import create_webhook

    return create_webhook({"name": name, "url": url, "events": list(events), "concurrency": concurrency})[0]


def push_payload() -> dict[str, Any]:
    """Return data of the size of a small push event (about 1 kB)."""
    commits = [
        {"id": f"{n:040x}", "message": f"Fix the thing number {n}", "author": {"name": "Alice", "email": "a@example.com"}} for n in range(6)
    ]
    return {"ref": "refs/heads/main", "repository": {"full_name": "acme/shop", "private": True}, "commits": commits}


def publish_many(event_type: str, count: int) -> None:
    """Publish `count` events in batches of a thousand."""
    from core.bus import Announcement, publish_all

    payload = push_payload()
    for start in range(0, count, 1000):
        publish_all([Announcement(event_type, {**payload, "n": n}) for n in range(start, min(count, start + 1000))])
