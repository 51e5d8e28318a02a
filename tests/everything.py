"""Everything that `make test` and CI run: the checks, then the tests on SQLite and on a real PostgreSQL, with one coverage.

    python -m tests.everything [--checks]

A missing component fails the run; nothing is skipped for it.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from repoguard import keys

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
APPS = ["repoguard", "core", "access", "integrations", "templates_app", "webhooks", "scans", "builds"]
NEEDED = {name: name for name in ("redis-server", "prometheus-pushgateway", "curl")}
"""Programs, and the packages that have them."""


class Run:
    """Runs steps one after the other and remembers which failed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self.failed: list[str] = []

    def step(self, name: str, *command: str, **environment: str) -> None:
        print(f"\n=== {name}", flush=True)
        began = time.monotonic()
        program = str(BIN / command[0]) if (BIN / command[0]).exists() else command[0]
        code = subprocess.run([program, *command[1:]], cwd=ROOT, env=self.environment | environment, check=False).returncode
        print(f"--- {name}: {'passed' if code == 0 else f'FAILED ({code})'} in {time.monotonic() - began:.1f} s", flush=True)
        if code != 0:
            self.failed.append(name)


def production() -> dict[str, str]:
    """Return the settings of a production installation, for the deployment check."""
    return {
        "REPOGUARD_MODE": "production",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "FERNET_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "ALLOWED_HOSTS": "repoguard.example.com",
        "PUBLIC_URL": "https://repoguard.example.com",
        "DATABASE_URL": "postgres://repoguard:secret@db.example.com:5432/repoguard",
        "REDIS_URL": "redis://redis.example.com:6379/0",
        "TRUSTED_PROXIES": "10.0.0.1/32",
    }


def checks(run: Run) -> None:
    """Look at the code without running it."""
    run.step("format", "ruff", "format", "--check", ".")
    run.step("lint", "ruff", "check", ".")
    run.step("types", "mypy", *APPS, "manage.py")
    run.step("arrows", "lint-imports")
    run.step("deployment", "python", "manage.py", "check", "--deploy", "--fail-level", "WARNING", **production())
    run.step("migrations", "python", "manage.py", "makemigrations", "--check", "--dry-run")
    run.step("schema", "python", "manage.py", "spectacular", "--validate", "--fail-on-warn", "--file", os.devnull)


def tests(run: Run) -> None:
    """Run the tests on both databases; the line and branch coverage of the two runs counts together."""
    for old in ROOT.glob(".coverage*"):
        old.unlink()
    # one more than there are processors: many tests wait for processes that they start
    workers = str((os.cpu_count() or 1) + 1)
    pytest = ["pytest", "-n", workers, "--dist", "worksteal", "--durations=15", "--cov", "--cov-report=", "--cov-fail-under=0"]
    url = run.environment.pop("DATABASE_URL", "")
    run.step("tests on SQLite", *pytest, COVERAGE_FILE=str(ROOT / ".coverage.on-sqlite"))
    given = {"DATABASE_URL": url} if url.startswith("postgres") else {}
    on_postgres = ["python", "-m", "tests.postgres", str(BIN / pytest[0]), *pytest[1:], "-m", "not once"]
    run.step("tests on PostgreSQL", *on_postgres, COVERAGE_FILE=str(ROOT / ".coverage.on-postgres"), **given)
    run.step("coverage of both", "coverage", "combine", "--quiet", *map(str, ROOT.glob(".coverage.on-*")))
    run.step("coverage", "coverage", "report")


def missing() -> list[str]:
    """Return what the tests need and this machine lacks."""
    return [
        f"{program} is missing; install it (Debian and Ubuntu: apt-get install {package})."
        for program, package in NEEDED.items()
        if shutil.which(program) is None
    ]


def main(arguments: list[str]) -> int:
    """Run all, and return 0 when all passed."""
    lacking = [] if "--checks" in arguments else missing()
    for line in lacking:
        print(line, file=sys.stderr)
    if lacking:
        return 1
    with tempfile.TemporaryDirectory(prefix="repoguard-checks-") as folder:
        keys.create_missing(Path(folder))
        run = Run(os.environ | {"REPOGUARD_DATA_DIR": folder, "REPOGUARD_ENV_FILE": os.devnull})
        checks(run)
        if "--checks" not in arguments:
            tests(run)
    print(f"\nFailed: {', '.join(run.failed)}." if run.failed else "\nEverything passed.", flush=True)
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
