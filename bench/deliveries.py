"""Deliveries a second of one engine, as a ratio to a bare aiohttp loop that posts the same bytes to the same receiver.

DATABASE_URL=postgres://… .venv/bin/python -m bench.deliveries [--events 10000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time

from bench import setup

setup.start_django()

import aiohttp  # noqa: E402
import orjson  # noqa: E402
from django.utils import timezone  # noqa: E402

from core import runtime  # noqa: E402
from core.ids import uuid7  # noqa: E402
from core.signing import new_secret  # noqa: E402
from webhooks.engine.pump import Engine  # noqa: E402
from webhooks.engine.request import build  # noqa: E402
from webhooks.engine.types import Claimed, EventRow, Target  # noqa: E402
from webhooks.envelope import envelope_bytes  # noqa: E402

PORT = 9801


async def bare_loop(url: str, requests: list[tuple[dict[str, str], bytes]], concurrency: int) -> float:
    """Post all requests, so many at once; returns posts a second."""
    waiting = iter(requests)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one() -> None:
            for headers, content in waiting:
                async with session.post(url, data=content, headers=headers) as answer:
                    await answer.read()

        started = time.perf_counter()
        await asyncio.gather(*(one() for _n in range(concurrency)))
        return len(requests) / (time.perf_counter() - started)


def engine_run(url: str, events: int) -> float:
    """Publish, then let one engine deliver everything; returns deliveries a second, recording included."""
    from webhooks.models import WebhookState

    before = WebhookState.objects.get().success_count
    setup.publish_many("custom.bench", events)
    engine = Engine()
    engine.start()
    started = time.perf_counter()
    engine.claim_for(600)
    while WebhookState.objects.get().success_count < before + events:
        time.sleep(0.05)
    rate = events / (time.perf_counter() - started)
    engine.stop()
    return rate


def same_requests(count: int) -> list[tuple[dict[str, str], bytes]]:
    """Return headers and bodies as the engine sends them, made beforehand: the loop does nothing but post."""
    target = Target(uuid7(), "http://127.0.0.1/", (new_secret(),), {})
    made = []
    for number in range(count):
        row = EventRow(uuid7(), target.webhook_id, uuid7(), "custom.bench", 0, 0, "auto", time.time(), 0, "", None)
        data = orjson.dumps({**setup.push_payload(), "n": number}).decode()
        claimed = Claimed(row, uuid7(), target, envelope_bytes(row.event_id, row.event_type, timezone.now(), data))
        made.append((dict(build(claimed, runtime.current()).headers), claimed.body))
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with setup.database(), setup.receiver(PORT) as url:
        setup.make_webhook("bench", url + "/hook")
        requests = same_requests(options.events)
        ratios = []
        for number in range(options.rounds):
            # the machine's speed changes within seconds: the loop runs before and after, and its mean counts
            before = asyncio.run(bare_loop(url + "/bare", requests, 200))
            ours = engine_run(url, options.events)
            after = asyncio.run(bare_loop(url + "/bare", requests, 200))
            bare = 2 / (1 / before + 1 / after)
            ratios.append(ours / bare)
            print(f"round {number + 1}: engine {ours:,.0f}/s  bare loop {bare:,.0f}/s  ratio {ours / bare:.2f}", flush=True)
        print(f"median ratio {statistics.median(ratios):.2f} (bar: 0.5)")


if __name__ == "__main__":
    main()
