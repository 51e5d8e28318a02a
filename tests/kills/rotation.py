"""Rotates the encryption keys under readers and writers, kills the rotation twice in the middle, and counts failed reads.

python -m tests.kills.rotation --values 100000        (SQLite, or PostgreSQL by DATABASE_URL)
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from core.fields import key_id
from repoguard import keys
from tests.core.portal import MANAGE, ROOT
from tests.kills.loss import fresh_database

TABLES = {
    "integrations_integration": ("credentials", "previous_credentials"),
    "integrations_oauthgrant": ("access_token", "refresh_token"),
    "webhooks_webhook": ("secrets", "headers"),
    "core_idempotencykey": ("answer",),
    "core_cachedanswer": ("body",),
}
PATIENCE = 300


@dataclass
class Report:
    """What a run saw."""

    values: int
    seconds: list[float] = field(default_factory=list)
    """Of each run of rotate_keys: the killed ones and the last, with start and verification."""
    done_at_kill: list[int] = field(default_factory=list)
    readers: list[dict[str, Any]] = field(default_factory=list)
    writers: list[dict[str, Any]] = field(default_factory=list)
    end: dict[str, Any] = field(default_factory=dict)
    last_words: str = ""

    @property
    def failures(self) -> list[str]:
        return [text for one in [*self.readers, *self.writers] for text in one["failures"]]

    def __str__(self) -> str:
        def side(name: str, ones: list[dict[str, Any]]) -> str:
            slowest = max(one["max"] for one in ones)
            median, high = max(one["p50"] for one in ones), max(one["p99"] for one in ones)
            return f"{sum(one['count'] for one in ones):,} {name} (p50 {median} ms, p99 {high} ms, slowest {slowest} ms)"

        return (
            f"{self.values:,} values; killed with {' and '.join(f'{n:,}' for n in self.done_at_kill)} re-encrypted;"
            f" runs of {', '.join(f'{s:.1f} s' for s in self.seconds)}; {side('reads', self.readers)}, {side('changes', self.writers)};"
            f" {len(self.failures)} failed; at the end {self.end['others']} of {self.end['total']:,} under another key,"
            f" {len(self.end['wrong'])} lost updates"
        )


class Stage:
    """The database, the keys and the processes of one run."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        keys.create_missing(folder / "var")
        self.url = database or f"sqlite:///{folder}/rotation.sqlite3"
        self.old, self.new = (base64.urlsafe_b64encode(secrets.token_bytes(32)).decode() for _ in range(2))

    def environment(self, *fernet_keys: str) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTEST_", "FERNET_"))}
        return clean | {
            "DJANGO_SETTINGS_MODULE": "repoguard.settings", "REPOGUARD_DATA_DIR": str(self.folder / "var"),
            "REPOGUARD_ENV_FILE": os.devnull, "DATABASE_URL": self.url, "FERNET_KEYS": ",".join(fernet_keys), "LOG_LEVEL": "WARNING",
        }  # fmt: skip

    def start(self, role: str, number: int, *fernet_keys: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.kills.rotation_traffic", role, str(self.folder), str(number)]
        return subprocess.Popen(command, cwd=ROOT, env=self.environment(*fernet_keys))

    def run(self, role: str, number: int, *fernet_keys: str) -> Any:
        assert self.start(role, number, *fernet_keys).wait(PATIENCE) == 0, role
        return self.result(role, number)

    def result(self, role: str, number: int) -> Any:
        return json.loads((self.folder / f"{role}-{number}.json").read_text())

    def manage(self, *arguments: str, fernet_keys: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*MANAGE, *arguments], env=self.environment(*fernet_keys), capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    @contextlib.contextmanager
    def traffic(self) -> Iterator[subprocess.Popen[bytes]]:
        """Read and write with both keys; the process yielded is one that was not restarted yet and writes with the old key."""
        both = self.new, self.old
        stale = self.start("write-old", 1, self.old, self.new)
        running = [self.start("read", number, *both) for number in range(2)] + [self.start("write", 0, *both)]
        try:
            yield stale
            (self.folder / "stop").touch()
            for process in running:
                assert process.wait(PATIENCE) == 0
        finally:
            for process in [stale, *running]:
                process.kill()
                process.wait()

    def count_new(self) -> int:
        """Return how many values are under the new key, past Django."""
        mark = f"{key_id(self.new)}:".encode()
        total = 0
        with contextlib.closing(self._connect()) as connection:
            for table, names in TABLES.items():
                for name in names:
                    sign = "?" if isinstance(connection, sqlite3.Connection) else "%s"
                    sql = f"SELECT count(*) FROM {table} WHERE substr({name}, 1, 9) = {sign}"
                    total += connection.execute(sql, [mark]).fetchone()[0]  # type: ignore[union-attr]
        return total

    def _connect(self) -> Any:
        return psycopg.connect(self.url) if self.url.startswith("postgres") else sqlite3.connect(self.url.removeprefix("sqlite:///"))


def kill_at(stage: Stage, done: int, batch: int, report: Report) -> None:
    """Start a rotation and kill it with SIGKILL as soon as `done` values are under the new key."""
    began = time.monotonic()
    command = [*MANAGE, "rotate_keys", "--batch", str(batch)]
    process = subprocess.Popen(command, env=stage.environment(stage.new, stage.old), stdout=subprocess.DEVNULL)
    while stage.count_new() < done and process.poll() is None and time.monotonic() < began + PATIENCE:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the rotation ended before it could be killed"
    report.seconds.append(time.monotonic() - began)
    report.done_at_kill.append(stage.count_new())


def run(folder: Path, database: str, *, values: int, batch: int) -> Report:
    report = Report(values)
    stage = Stage(folder, database)
    assert stage.manage("prepare", fernet_keys=(stage.old,)).returncode == 0
    stage.run("fill", values, stage.old)
    both = stage.new, stage.old
    assert stage.manage("prepare", fernet_keys=both).returncode == 0  # as the restart with the new key does
    with stage.traffic() as stale:
        kill_at(stage, values // 4, batch, report)
        kill_at(stage, values // 2, batch, report)
        (folder / "restart").touch()  # now the last process gets the new key first
        assert stale.wait(PATIENCE) == 0
        restarted = stage.start("write", 1, *both)
        began = time.monotonic()
        last = stage.manage("rotate_keys", "--batch", str(batch), fernet_keys=both)
        report.seconds.append(time.monotonic() - began)
        report.last_words = last.stdout + last.stderr
        assert last.returncode == 0, report.last_words
    assert restarted.wait(PATIENCE) == 0
    report.readers = [stage.result("read", number) for number in range(2)]
    report.writers = [stage.result("write", 0), stage.result("write-old", 1), stage.result("write", 1)]
    merged: dict[str, dict[str, int]] = {}
    for one in report.writers:  # in the order of their writing: what came later holds
        for label, numbers in one["last"].items():
            merged.setdefault(label, {}).update(numbers)
    (folder / "last.json").write_text(json.dumps(merged))
    report.end = stage.run("look", 0, stage.new)
    return report


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--values", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=1000)
    options = parser.parse_args()
    with fresh_database() as database, tempfile.TemporaryDirectory(prefix="repoguard-rotation-") as folder:
        report = run(Path(folder), database, values=options.values, batch=options.batch)
    print(f"{'PostgreSQL' if database else 'SQLite'}: {report}")
    print(report.last_words)
    if report.failures or report.end["others"] or report.end["wrong"]:
        print(*report.failures[:3], sep="\n")
        sys.exit(1)


if __name__ == "__main__":
    main()
