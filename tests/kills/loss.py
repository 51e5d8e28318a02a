"""Kills random processes of a portal that is delivering, and counts what arrived.

python -m tests.kills.loss --events 5000 --kills 20 [--seed 1]        (SQLite, or PostgreSQL by DATABASE_URL)
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.core.portal import ROOT, Portal, running, wait_for

CONCURRENCY = 50
ROLES = ("supervisor", "parent", "sentinel", "worker", "pusher", "monitor")
HEALED_SECONDS = 90


@dataclass
class Report:
    """What a run saw."""

    events: int
    killed: Counter[str] = field(default_factory=Counter)
    leased_at_kill: list[int] = field(default_factory=list)
    arrived: Counter[str] = field(default_factory=Counter)
    missing: set[str] = field(default_factory=set)
    stats: dict[str, Any] = field(default_factory=dict)
    clusters: dict[str, int] = field(default_factory=dict)
    worker_lost: int = 0

    @property
    def duplicates(self) -> int:
        return sum(self.arrived.values()) - len(self.arrived)

    @property
    def allowed_duplicates(self) -> int:
        return sum(self.killed.values()) * CONCURRENCY

    def __str__(self) -> str:
        killed = ", ".join(f"{number} {role}" for role, number in sorted(self.killed.items()))
        return (
            f"{self.events} events, {sum(self.killed.values())} kills ({killed}), "
            f"leased at each kill {min(self.leased_at_kill, default=0)}-{max(self.leased_at_kill, default=0)}: {len(self.missing)} lost, "
            f"{self.duplicates} duplicates (at most {self.allowed_duplicates} allowed), {self.worker_lost} attempts logged as worker_lost, "
            f"pending {self.stats.get('pending')}, parked {self.stats.get('parked')}, running clusters {self.clusters}"
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def receiver(port: int, delay: float) -> Iterator[str]:
    process = subprocess.Popen([sys.executable, "-m", "bench.receiver", str(port), "--delay", str(delay)], cwd=ROOT)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def fresh_database() -> Iterator[str]:
    """Yield the URL of an empty PostgreSQL database beside the one of DATABASE_URL, or nothing for SQLite."""
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        yield ""
        return
    name = f"kills_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


class Api:
    """The portal's REST API as a client uses it; patient while the web server is being restarted."""

    def __init__(self, port: int, key: str) -> None:
        self._base, self._key = f"http://127.0.0.1:{port}/api/v1/", key

    def __call__(self, method: str, path: str, body: Any = None, idempotency_key: str = "") -> Any:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        data = None if body is None else json.dumps(body).encode()
        deadline = time.monotonic() + HEALED_SECONDS
        while True:
            try:
                request = urllib.request.Request(self._base + path, data, headers, method=method)
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                if error.code not in {409, 503} or time.monotonic() > deadline:
                    raise AssertionError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error
            except OSError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.3)


def arrived(url: str) -> list[str]:
    with urllib.request.urlopen(url + "/times", timeout=30) as answer:
        return [event_id for event_id, _at in json.loads(answer.read()) if event_id]


def count(url: str) -> int:
    with urllib.request.urlopen(url + "/count", timeout=30) as answer:
        return int(answer.read())


class Deed:
    """Kills one process of the deliveries cluster, or the supervisor, while requests are under way."""

    def __init__(self, portal: Portal, database: str, report: Report, choose: random.Random) -> None:
        self._portal, self._database, self._report, self._choose = portal, database, report, choose
        self._deck: list[str] = []

    def leased(self) -> int:
        sql = "SELECT count(*) FROM webhooks_lease"
        if self._database:
            with psycopg.connect(self._database) as server:
                return int(server.execute(sql).fetchone()[0])  # type: ignore[index]
        return int(self._portal.ask(sql) or 0)

    def kill(self) -> None:
        if not self._deck:  # every role once before any comes again
            self._deck = self._choose.sample(ROLES, len(ROLES))
        role = self._deck.pop()
        pid = wait_for(lambda: self._pid(role), f"a {role} to kill", HEALED_SECONDS)
        leased = wait_for(self.leased, "requests under way", HEALED_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self._report.killed[role] += 1
            self._report.leased_at_kill.append(leased)
        if role == "supervisor":
            self._portal.process.wait()  # type: ignore[union-attr]
            self._portal.start()

    def _pid(self, role: str) -> int:
        if role == "supervisor":
            return self._portal.process.pid  # type: ignore[union-attr]
        members = self._portal.members("deliveries")
        if not members or not members["workers"]:  # just starting
            return 0
        pid = self._choose.choice(members["workers"]) if role == "worker" else members[role]
        return pid if pid in self._portal.processes() else 0


def run(folder: Path, database: str, *, events: int, kills: int, seed: int, delay: float = 0.2) -> Report:
    report = Report(events)
    choose = random.Random(seed)
    port, hook_port = free_port(), free_port()
    environment = {"PORT": str(port), "EGRESS_ALLOW_CIDRS": "127.0.0.0/8", "LOG_LEVEL": "WARNING", "WEB_PROCESSES": "1"}
    if database:
        environment["DATABASE_URL"] = database
    with receiver(hook_port, delay) as url, running(folder, "web,default,deliveries", **environment) as portal:
        key = portal.manage("createapikey", "--name", "kills", "--rate", "none").split()[-1]
        api = Api(port, key)
        hook = api("POST", "webhooks", {"name": "kills", "url": url + "/", "events": ["custom.*"], "concurrency": CONCURRENCY})["id"]
        deed = Deed(portal, database, report, choose)
        published: list[str] = []
        share = -(-events // (kills + 1))
        for number in range(kills + 1):
            before = count(url)
            published += publish(api, number, min(share, events - len(published)))
            wait_for(lambda before=before: count(url) > before, "deliveries of the next batch", HEALED_SECONDS)
            if number < kills:
                deed.kill()
        wait_for(lambda: not set(published) - set(arrived(url)), "every event", HEALED_SECONDS + events * delay / CONCURRENCY * 2)
        wait_for(lambda: settled(api, hook), "nothing pending", HEALED_SECONDS)
        report.arrived = Counter(arrived(url))
        report.missing = set(published) - set(report.arrived)
        report.stats = api("GET", f"webhooks/{hook}/stats")
        report.clusters = wait_for(lambda: one_of_each(portal), "one cluster of each name", HEALED_SECONDS)
        report.worker_lost = lost_attempts(portal, database)
        assert len(published) == events
    return report


def publish(api: Api, number: int, wanted: int) -> list[str]:
    body = {"events": [{"type": "custom.kill", "data": {"batch": number, "n": n}} for n in range(wanted)]}
    return list(api("POST", "events/batch", body, idempotency_key=f"kills-{number}")["ids"])


def settled(api: Api, hook: str) -> bool:
    stats = api("GET", f"webhooks/{hook}/stats")
    return bool(stats["pending"] == 0 and stats["parked"] == 0)


def one_of_each(portal: Portal) -> dict[str, int]:
    """Return how many parents of each cluster run, once it is one of each."""
    processes = portal.processes()
    found = {name: int(portal.members(name).get("parent", 0) in processes) for name in ("default", "deliveries")}
    parents = [
        pid for pid, command in processes.items() if " qcluster" in command and parent_of(pid) not in processes_with(processes, " qcluster")
    ]
    return found if all(found.values()) and len(parents) == len(found) else {}


def processes_with(processes: dict[int, str], part: str) -> set[int]:
    return {pid for pid, command in processes.items() if part in command}


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def lost_attempts(portal: Portal, database: str) -> int:
    sql = "SELECT count(*) FROM webhooks_deliveryattempt WHERE outcome = 'worker_lost'"
    if database:
        with psycopg.connect(database) as server:
            return int(server.execute(sql).fetchone()[0])  # type: ignore[index]
    return int(portal.ask(sql) or 0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with fresh_database() as database, tempfile.TemporaryDirectory(prefix="repoguard-kills-") as folder:
        report = run(Path(folder) / "var", database, events=options.events, kills=options.kills, seed=options.seed)
    print(f"{'PostgreSQL' if database else 'SQLite'}: {report}; {time.monotonic() - began:.0f} s")
    if report.missing or report.duplicates > report.allowed_duplicates:
        sys.exit(1)


if __name__ == "__main__":
    main()
