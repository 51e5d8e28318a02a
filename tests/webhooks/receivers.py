"""A receiver of webhooks in a thread of its own, that does as a test tells it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Received:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: bytes
    method: str = "POST"

    @property
    def data(self) -> Any:
        return json.loads(self.body)["data"]


@dataclass
class Reply:
    """What to answer, and after how long or when a test says so; `hang` answers never."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    delay: float = 0.0
    after: threading.Event | None = None
    hang: bool = False


Rule = Callable[[Received], Reply]


class Receiver:
    """Answers by `rule`; notes everything in `received`."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.received: list[Received] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def paths(self) -> list[str]:
        return [one.path for one in self.received]

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                request = Received(head[0].split(" ")[1], headers, body, head[0].split(" ")[0])
                reply = self.rule(request)
                self.received.append(request)
                if reply.hang:
                    await asyncio.sleep(3600)
                while reply.after is not None and not reply.after.is_set():
                    await asyncio.sleep(0.01)
                await asyncio.sleep(reply.delay)
                lines = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
                head_out = f"HTTP/1.1 {reply.status} X\r\nContent-Length: {len(reply.body)}\r\n{lines}\r\n"
                writer.write(head_out.encode("latin-1") + reply.body)
                await writer.drain()
        writer.close()


@contextlib.contextmanager
def receiving(rule: Rule | Reply | None = None) -> Iterator[Receiver]:
    """Run a receiver for as long as the block runs."""
    fixed = rule if isinstance(rule, Reply) else Reply()
    receiver = Receiver(rule if callable(rule) else lambda _request: fixed)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()


def wait_for(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until the condition holds, and return what it returned; fails the test when it never does."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return found
