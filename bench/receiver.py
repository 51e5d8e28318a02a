"""A receiver that costs little: answers every POST at once, late, or never. Run as a process of its own by the benches.

    python -m bench.receiver PORT [--delay SECONDS] [--hang] [--status CODE] [--refuse-first]

GET /count answers how many POSTs were answered; GET /times the arrival times (perf_counter) of the last 100,000.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import deque
from typing import Any


class Receiver(asyncio.Protocol):
    """HTTP/1.1 with Content-Length only, keep-alive, just enough for a bench."""

    count = 0
    arrivals: deque[tuple[str, float]] = deque(maxlen=100_000)
    seen: set[str] = set()
    options: argparse.Namespace

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end]
            lower = head.lower()
            at = lower.find(b"content-length:")
            length = int(lower[at + 15 : lower.find(b"\r\n", at) if lower.find(b"\r\n", at) > 0 else None]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            self.handle(head, lower)

    def handle(self, head: bytes, lower: bytes) -> None:
        if head.startswith(b"GET /count"):
            self.answer(str(Receiver.count).encode())
        elif head.startswith(b"GET /times"):
            self.answer(json.dumps(list(Receiver.arrivals)).encode())
        elif not self.options.hang:
            at = lower.find(b"webhook-id:")
            event_id = head[at + 11 : at + 48].strip().decode() if at >= 0 else ""
            Receiver.arrivals.append((event_id, time.perf_counter()))
            Receiver.count += 1
            if self.options.refuse_first and event_id not in Receiver.seen:
                Receiver.seen.add(event_id)
                self.transport.write(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n")
                return
            if self.options.delay:
                asyncio.get_running_loop().call_later(self.options.delay, self.answer, b"ok")
            else:
                self.answer(b"ok")

    def answer(self, body: bytes) -> None:
        if not self.transport.is_closing():
            status = str(self.options.status).encode()
            self.transport.write(b"HTTP/1.1 " + status + b" X\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)


async def serve(options: argparse.Namespace) -> None:
    Receiver.options = options
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", options.port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--hang", action="store_true")
    parser.add_argument("--status", type=int, default=200)
    parser.add_argument("--refuse-first", action="store_true", help="Answer 500 to the first arrival of each event.")
    asyncio.run(serve(parser.parse_args()))
