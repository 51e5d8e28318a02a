"""Says by its exit code whether what is supervised here works: `python -m core.supervisor.alive`, for container health checks.

It looks at the same signs as the supervisor, and uses the standard library only: it runs every few seconds.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

OLDEST_SIGN_SECONDS = 60.0


def main() -> int:
    """Return 0 when all is well, else 1 after saying what is not."""
    folder = Path(os.environ.get("REPOGUARD_DATA_DIR") or "var") / "run"
    names = [path.name.split(".")[1] for path in folder.glob("group.*.json")]
    complaints = [f"{name} shows no sign of life" for name in names if not is_alive(folder, name)]
    if not names:
        complaints = [f"nothing is supervised in {folder}"]
    for line in complaints:
        print(line, file=sys.stderr)  # noqa: T201 - a command's answer
    return 1 if complaints else 0


def is_alive(folder: Path, name: str) -> bool:
    """Say whether the web server answers, or the cluster's last canary is recent."""
    if name == "web":
        return web_answers(int(os.environ.get("PORT") or 8000), os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip() or "localhost")
    try:
        return time.time() - (folder / f"canary.{name}").stat().st_mtime < OLDEST_SIGN_SECONDS
    except FileNotFoundError:
        return False


def web_answers(port: int, host: str, address: str = "127.0.0.1") -> bool:
    """Say whether /livez answers 200 to a request for `host`."""
    try:
        with socket.create_connection((address, port), timeout=3) as connection:
            connection.sendall(f"GET /livez HTTP/1.0\r\nHost: {host.removeprefix('.')}\r\n\r\n".encode())
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
