"""Kills processes of a portal that is being flooded with webhooks: what was answered with 2xx is stored, and interpreted in the end.

python -m tests.kills.inbound --requests 3000 --kills 12 [--seed 1]        (SQLite, or PostgreSQL by DATABASE_URL)

Senders send again what got no 2xx, so that nothing is missing in the end; of the requests 30 % are duplicates and all are shuffled.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from bench import inbound_senders, inbound_state, traffic
from tests.core.portal import Portal, running, wait_for
from tests.kills.loss import free_port, fresh_database, parent_of

SENDERS = 6
HEALED_SECONDS = 120
ROLES = ("web worker", "web master", "queue worker", "queue parent", "supervisor")
ACCEPTED = "SELECT count(*) FROM webhooks_receipt WHERE verdict = 'accepted'"
WAITING = "SELECT count(*) FROM webhooks_receipt WHERE state IN ('queued', 'running')"


@dataclass
class Report:
    """What a run saw."""

    requests: int
    deliveries: int
    killed: Counter[str] = field(default_factory=Counter)
    sent: inbound_senders.Sent = field(default_factory=inbound_senders.Sent)
    lost: set[str] = field(default_factory=set)
    """Receipts that an answer named, and that are not there."""
    outcomes: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    """Deliveries that no receipt settled."""
    uncounted: list[str] = field(default_factory=list)
    """Deliveries whose duplicates are not as many as were sent."""
    builds: int = 0

    def __str__(self) -> str:
        killed = ", ".join(f"{number} {role}" for role, number in sorted(self.killed.items()))
        return (
            f"{self.requests} requests of {self.deliveries} deliveries, {sum(self.killed.values())} kills ({killed}); answers"
            f" {dict(self.sent.answers)}; {len(self.lost)} receipts lost of {len(set(self.sent.ids))} that were answered for,"
            f" {len(self.missing)} deliveries missing, duplicates of {len(self.uncounted)} wrong, outcomes {dict(self.outcomes)},"
            f" {self.builds} builds; {self.sent.seconds:.0f} s"
        )


class Killer:
    """Kills processes of a portal, each role once before any comes again, when a share of the requests has been stored."""

    def __init__(self, portal: Portal, database: str, report: Report, choose: random.Random) -> None:
        self._portal, self._database, self._report, self._choose = portal, database, report, choose
        self._deck: list[str] = []

    def count(self, sql: str) -> int:
        """Return a number from the portal's database."""
        if self._database:
            with psycopg.connect(self._database) as server:
                return int(server.execute(sql).fetchone()[0])  # type: ignore[index,call-overload]
        return int(self._portal.ask(sql) or 0)

    def kill_at(self, stored: int) -> None:
        """Wait until so many requests are stored, and kill one process."""
        wait_for(lambda: self.count(ACCEPTED) >= stored, f"{stored} stored requests", HEALED_SECONDS)
        if not self._deck:
            self._deck = self._choose.sample(ROLES, len(ROLES))
        role = self._deck.pop()
        pid = wait_for(lambda: self._pid(role), f"a {role} to kill", HEALED_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self._report.killed[role] += 1
        if role == "supervisor":
            self._portal.process.wait()  # type: ignore[union-attr]
            self._portal.start()

    def _pid(self, role: str) -> int:
        if role == "supervisor":
            return self._portal.process.pid  # type: ignore[union-attr]
        processes = self._portal.processes()
        if role.startswith("web"):
            servers = {pid for pid, command in processes.items() if "core.supervisor.web" in command and " -m gunicorn" in command}
            workers = [pid for pid in servers if parent_of(pid) in servers]
            if not workers:  # just starting
                return 0
            worker = self._choose.choice(workers)
            return worker if role == "web worker" else parent_of(worker)
        members = self._portal.members("default")
        if not members or not members["workers"]:
            return 0
        pid: int = self._choose.choice(members["workers"]) if role == "queue worker" else members["parent"]
        return pid if pid in processes else 0


def run(folder: Path, database: str, *, requests: int, kills: int, seed: int) -> Report:
    choose = random.Random(seed)
    deliveries = traffic.in_order(round(requests * 0.7))
    sent = traffic.flooded(deliveries, 0.3, choose)
    report = Report(len(sent), len(deliveries))
    port = free_port()
    environment = {"PORT": str(port), "LOG_LEVEL": "WARNING"} | ({"DATABASE_URL": database} if database else {})
    with running(folder, "web,default", **environment) as portal:
        killer = Killer(portal, database, report, choose)
        sources = inbound_state.of_portal(portal, "sources")

        def kill() -> None:
            for number in range(kills):  # before the end, as some duplicates are counted and not stored
                killer.kill_at((number + 1) * len(deliveries) * 9 // (10 * (kills + 1)))

        report.sent = inbound_senders.send(port, sources, sent, SENDERS, meanwhile=kill)
        wait_for(lambda: killer.count(WAITING) == 0, "the end of all receipts", HEALED_SECONDS + requests / 10)
        state = inbound_state.of_portal(portal)
    return judged(report, state, deliveries, sent)


def judged(report: Report, state: dict[str, Any], deliveries: list[traffic.Delivery], sent: list[traffic.Delivery]) -> Report:
    """Compare what was answered with what is there."""
    times = Counter(delivery.id for delivery in sent)
    report.lost = set(report.sent.ids) - set(state["ids"])
    report.outcomes = Counter(row[2] for row in state["receipts"].values())
    report.missing = [delivery.id for delivery in deliveries if delivery.id not in state["receipts"]]
    for key, (_, _, _, duplicates) in state["receipts"].items():
        # what got no answer may have been stored before it was sent again
        if not 0 <= duplicates - (times[key] - 1) <= report.sent.broken[key]:
            report.uncounted.append(key)
    report.builds = len(state["builds"])
    return report


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with fresh_database() as database, tempfile.TemporaryDirectory(prefix="repoguard-kills-") as folder:
        report = run(Path(folder) / "var", database, requests=options.requests, kills=options.kills, seed=options.seed)
    print(f"{'PostgreSQL' if database else 'SQLite'}: {report}; {time.monotonic() - began:.0f} s in all")
    sys.exit(bool(report.lost or report.missing or report.uncounted or set(report.outcomes) != {"processed"}))


if __name__ == "__main__":
    main()
