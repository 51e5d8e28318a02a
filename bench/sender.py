"""How much the guarded delivery client costs over a bare aiohttp loop: `python bench/sender.py [--requests N] [--open N]`.

A receiver in another process answers 204 to everything. Both clients POST the same bytes in turns, best of `--rounds`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "repoguard.settings"
os.environ["EGRESS_ALLOW_CIDRS"] = "127.0.0.0/8"

import aiohttp

from core.http.sender import OutboundRequest, Sender

ANSWER = b"HTTP/1.1 204 No Content\r\nServer: bench\r\nDate: Sat, 21 Nov 2026 00:00:00 GMT\r\n\r\n"
BODY = json.dumps({"id": "0" * 36, "type": "scan.completed", "timestamp": "2026-11-21T00:00:00Z", "data": {"text": "x" * 800}}).encode()
HEADERS = {
    "content-type": "application/json",
    "webhook-id": "01938f0e-0000-7000-8000-000000000000",
    "webhook-timestamp": "1764000000",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


class Receiver(asyncio.Protocol):
    """Counts bodies by Content-Length; as little work as can be, so that the sender is what is measured."""

    def __init__(self) -> None:
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (head := self.data.find(b"\r\n\r\n")) >= 0:
            at = self.data[:head].lower().index(b"content-length:") + 15
            end = head + 4 + int(self.data[at:].split(b"\r\n", 1)[0])
            if len(self.data) < end:
                return
            self.data = self.data[end:]
            self.transport.write(ANSWER)


def receive(listener: socket.socket) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Receiver, sock=listener)
        await server.serve_forever()

    asyncio.run(main())


async def flood(send: Callable[[], Awaitable[int]], requests: int, open_at_once: int) -> float:
    """Return CPU seconds of this process per request, after sending all with `open_at_once` in flight."""
    left = iter(range(requests))

    async def lane() -> None:
        for _ in left:
            status = await send()
            assert status == 204, status

    before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    start = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(open_at_once)))
    spent = time.perf_counter() - start
    cpu = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - before
    print(f"    {requests / spent:8,.0f} requests/s, {cpu / requests * 1e6:5.0f} us of CPU each")
    return spent / requests


async def bare(url: str, requests: int, open_at_once: int) -> float:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=open_at_once)) as session:

        async def send() -> int:
            async with session.post(url, data=BODY, headers=HEADERS) as response:
                await response.read()
                return response.status

        return await flood(send, requests, open_at_once)


async def guarded(url: str, requests: int, open_at_once: int) -> float:
    sender = Sender(limit=open_at_once)
    await sender.start()

    async def send() -> int:
        answer = await sender.send(OutboundRequest(url, HEADERS, BODY, 10.0, 30.0, 16_384))
        return answer.status or 0

    try:
        return await flood(send, requests, open_at_once)
    finally:
        await sender.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--open", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
    process = multiprocessing.get_context("fork").Process(target=receive, args=(listener,), daemon=True)
    process.start()
    best = {"bare aiohttp": 1e9, "Sender": 1e9}
    try:
        for _ in range(options.rounds):
            for name, client in (("bare aiohttp", bare), ("Sender", guarded)):
                print(name)
                best[name] = min(best[name], asyncio.run(client(url, options.requests, options.open)))
    finally:
        process.terminate()
    print(f"Sender reaches {best['bare aiohttp'] / best['Sender']:.2f} of bare aiohttp's rate")


if __name__ == "__main__":
    main()
