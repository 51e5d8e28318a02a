"""Real processes for tests that kill them: each runs a few lines of Python against the database of the test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import connection

_START = "import django, sys; django.setup()\n"
_ROOT = Path(settings.BASE_DIR)


def database_url() -> str:
    """Return the URL of the database under test."""
    config = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{config['NAME']}"
    return f"postgres://{config['USER']}:{config['PASSWORD']}@{config['HOST']}:{config['PORT'] or 5432}/{config['NAME']}"


@contextmanager
def python(code: str, database: str = "") -> Iterator[subprocess.Popen[str]]:
    """Run `code` in a process of its own (on another `database` URL), killed with SIGKILL at the end of the block at the latest."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "repoguard.settings",
        "REPOGUARD_DATA_DIR": str(settings.DATA_DIR),
        "DATABASE_URL": database or database_url(),
    }
    command = [sys.executable, "-c", _START + code]
    process = subprocess.Popen(command, env=environment, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    """Return the next line that the process prints; waits for it."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def say(process: subprocess.Popen[str], line: str) -> None:
    """Send the process a line on its standard input."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
