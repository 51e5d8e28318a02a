"""Deliveries a second of one engine, as a ratio to a bare aiohttp loop that posts the same bytes to the same receiver.

DATABASE_URL=postgres://… .venv/bin/python -m bench.deliveries [--events 10000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
import uuid

from bench import setup

setup.start_django()

import aiohttp  # noqa: E402
import orjson  # noqa: E402

from webhooks.engine.pump import Engine  # noqa: E402

PORT = 9801


async def bare_loop(url: str, bodies: list[bytes], concurrency: int) -> float:
    """Post all bodies, so many at once; returns posts a second."""
    waiting = iter(bodies)
    headers = {"Content-Type": "application/json", "webhook-id": "x", "webhook-timestamp": "1", "webhook-signature": "v1,x" * 10}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def one() -> None:
            for content in waiting:
                async with session.post(url, data=content, headers=headers) as answer:
                    await answer.read()

        started = time.perf_counter()
        await asyncio.gather(*(one() for _n in range(concurrency)))
        return len(bodies) / (time.perf_counter() - started)


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


def bodies(count: int) -> list[bytes]:
    """Return bodies of the same size as the delivered ones."""
    event = {"id": str(uuid.uuid4()), "type": "custom.bench", "timestamp": "2026-01-01T00:00:00.000Z"}
    return [orjson.dumps({**event, "data": {**setup.push_payload(), "n": n}}) for n in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with setup.database(), setup.receiver(PORT) as url:
        setup.make_webhook("bench", url + "/hook")
        ratios = []
        for number in range(options.rounds):
            # the machine's speed changes within seconds: the loop runs before and after, and its mean counts
            before = asyncio.run(bare_loop(url + "/bare", bodies(options.events), 200))
            ours = engine_run(url, options.events)
            after = asyncio.run(bare_loop(url + "/bare", bodies(options.events), 200))
            bare = 2 / (1 / before + 1 / after)
            ratios.append(ours / bare)
            print(f"round {number + 1}: engine {ours:,.0f}/s  bare loop {bare:,.0f}/s  ratio {ours / bare:.2f}", flush=True)
        print(f"median ratio {statistics.median(ratios):.2f} (bar: 0.5)")


if __name__ == "__main__":
    main()
