"""A thousand unauthentic webhooks of 25 MB each: what they take of memory and disk, and how long an authentic one waits meanwhile.

.venv/bin/python -m bench.unauthentic [--requests 1000] [--senders 20] [--addresses]        (SQLite, or PostgreSQL by DATABASE_URL)

In turns: a wrong signature, the same in chunks, a Content-Length over the limit, and chunks that go over it. The portal runs as `make run`
runs it. With --addresses each request seems to come from another address, so that the limit of failures never counts.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import socket
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psycopg

from bench import inbound_senders, inbound_state, traffic

SIZE = 25 * 1024 * 1024
_PIECE = os.urandom(256 * 1024)  # does not compress
_KINDS = ("wrong signature", "in chunks", "length over the limit", "chunks over the limit")


class Attack:
    """Sends them, several at once."""

    def __init__(self, port: int, path: str, requests: int, *, addresses: bool) -> None:
        self._port, self._path, self._left, self._addresses = port, path, list(range(requests)), addresses
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()

    def work(self) -> None:
        """Send what is left."""
        while True:
            with self._lock:
                if not self._left:
                    return
                number = self._left.pop()
            kind = _KINDS[number % len(_KINDS)]
            try:
                said = self._send(number, kind)
            except (OSError, http.client.HTTPException) as error:
                said = type(error).__name__
            with self._lock:
                self.answers[f"{kind}: {said}"] += 1

    def _send(self, number: int, kind: str) -> str:
        over = "over" in kind
        size = SIZE + (1 if over else 0)
        head = [f"POST {self._path} HTTP/1.1", "Host: localhost", "X-GitHub-Event: push", "X-Hub-Signature-256: sha256=" + "0" * 64]
        head.append("Transfer-Encoding: chunked" if "chunks" in kind else f"Content-Length: {size}")
        if self._addresses:
            head.append(f"X-Forwarded-For: 198.{18 + number // 65536}.{number // 256 % 256}.{number % 256}")
        with socket.create_connection(("127.0.0.1", self._port), timeout=120) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the answer may have come before the end of the body
                connection.sendall("\r\n".join([*head, "", ""]).encode())
                for piece in _pieces(size, chunked="chunks" in kind):
                    connection.sendall(piece)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return str(answer.status)


def _pieces(size: int, *, chunked: bool) -> Iterator[bytes]:
    for start in range(0, size, len(_PIECE)):
        piece = _PIECE[: size - start]
        yield b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
    if chunked:
        yield b"0\r\n\r\n"


def attack(port: int, path: str, requests: int, senders: int, addresses: bool) -> Counter[str]:
    """Send all, and return how often which kind was answered with what."""
    made = Attack(port, path, requests, addresses=addresses)
    threads = [threading.Thread(target=made.work) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made.answers


class Watcher:
    """Looks at the web processes' memory, and sends small authentic requests, while the attack lasts."""

    def __init__(self, portal: Any, port: int, sources: dict[str, str]) -> None:
        self._portal, self._port, self._sources = portal, port, sources
        self._over = threading.Event()
        self._quiet = traffic.in_order(4000)
        self.waits: list[float] = []
        self.refused = 0
        self.memory: dict[int, int] = {}

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch for the length of a block."""
        threads = [threading.Thread(target=target) for target in (self._look, self._send)]
        for thread in threads:
            thread.start()
        yield
        self._over.set()
        for thread in threads:
            thread.join()

    def look(self) -> dict[int, int]:
        """Return the memory in use of each web process, in MB."""
        found = {}
        for pid, command in self._portal.processes().items():
            if "core.supervisor.web" in command and " -m gunicorn" in command:
                with contextlib.suppress(OSError):
                    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                    found[pid] = max((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS")), default=0)
        return found

    def _look(self) -> None:
        while not self._over.wait(0.05):
            for pid, size in self.look().items():
                self.memory[pid] = max(size, self.memory.get(pid, 0))

    def _send(self) -> None:
        for delivery in self._quiet:
            if self._over.wait(0.1):
                return
            began = time.monotonic()
            report = inbound_senders.send(self._port, self._sources, [delivery], 1)
            self.waits.append(time.monotonic() - began)
            self.refused += sum(report.answers.values()) - 1


def stored_bytes(portal: Any, database: str) -> int:
    """Return the size of the database."""
    if database:
        with psycopg.connect(database) as server:
            return int(server.execute("SELECT pg_database_size(current_database())").fetchone()[0])  # type: ignore[index]
    return sum(path.stat().st_size for path in portal.folder.glob("db.sqlite3*"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--senders", type=int, default=20)
    parser.add_argument("--addresses", action="store_true")
    options = parser.parse_args()
    from tests.core.portal import running, wait_for
    from tests.kills.loss import free_port, fresh_database

    port = free_port()
    with fresh_database() as database, tempfile.TemporaryDirectory(prefix="repoguard-attack-") as folder:
        temporary = Path(folder) / "tmp"
        temporary.mkdir()
        environment = {"PORT": str(port), "LOG_LEVEL": "ERROR", "TMPDIR": str(temporary)} | ({"DATABASE_URL": database} if database else {})
        if options.addresses:
            environment["TRUSTED_PROXIES"] = "127.0.0.0/8"
        with running(Path(folder) / "var", "web,default", **environment) as portal:
            sources = inbound_state.of_portal(portal, "sources")
            watcher = Watcher(portal, port, sources)
            wait_for(lambda: len(watcher.look()) > 2, "the web server")
            quiet = [inbound_senders.send(port, sources, [one], 1).seconds for one in traffic.in_order(4100)[4000:]]
            before, memory = stored_bytes(portal, database), watcher.look()
            began = time.monotonic()
            # in a process of its own, so that the authentic sender does not wait for its fellows here
            with ProcessPoolExecutor(1) as pool, watcher.watching():
                path = f"/api/v1/webhook/github/{sources['github']}"
                answers = pool.submit(attack, port, path, options.requests, options.senders, options.addresses).result()
            seconds = time.monotonic() - began
            grown = stored_bytes(portal, database) - before
            left = [path.name for path in temporary.rglob("*") if path.is_file()]
    where = "PostgreSQL" if database else "SQLite"
    print(f"{where}: {options.requests} requests of {SIZE >> 20} MB by {options.senders} senders in {seconds:.0f} s")
    for said, number in sorted(answers.items()):
        print(f"{number:5} {said}")
    print(f"memory of each web process in MB: {sorted(memory.values())} before, at most {sorted(watcher.memory.values())}")
    print(f"the database grew by {grown / 1e6:.1f} MB; files left: {left or 'none'}")
    waits = sorted(watcher.waits)
    print(f"a small authentic request before: p50 {1000 * statistics.median(quiet):.0f} ms, slowest {1000 * max(quiet[20:]):.0f} ms")
    print(f"{len(waits)} small authentic requests meanwhile, {watcher.refused} tries in vain: p50 {1000 * statistics.median(waits):.0f} ms,"
          f" p95 {1000 * waits[len(waits) * 95 // 100]:.0f} ms, slowest {1000 * waits[-1]:.0f} ms")  # fmt: skip


if __name__ == "__main__":
    main()
