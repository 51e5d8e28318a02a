"""A real Pushgateway for as long as a test needs it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

Labels = dict[str, str]


@contextlib.contextmanager
def pushgateway() -> Iterator[str]:
    """Run one on a free port; yields its address."""
    program = shutil.which("prometheus-pushgateway")
    if program is None:
        pytest.fail("prometheus-pushgateway is missing; install it (Debian: apt-get install prometheus-pushgateway) to run the tests.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    # Debian keeps what was pushed in a file, where the next test would find it
    command = [program, f"--web.listen-address={address}", "--persistence.file="]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(f"http://{address}/-/ready")
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait(10)


def put(url: str, body: bytes) -> tuple[int, str]:
    """Push a group; returns what the gateway says."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method="PUT"), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def scraped(url: str) -> list[tuple[str, Labels, float]]:
    """Return the portal's metrics as Prometheus would read them."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
    return [(one.name, one.labels, one.value) for family in families for one in family.samples if one.name.startswith("repoguard_")]


def _wait_for(url: str) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.05)
    pytest.fail("prometheus-pushgateway did not come up within ten seconds.")
