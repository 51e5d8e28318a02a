"""What one hanging endpoint in five costs the healthy four: their throughput with it as a ratio to that without it.

DATABASE_URL=postgres://… .venv/bin/python -m bench.hanging [--events 4000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from bench import setup

setup.start_django()


def healthy_rate(hooks: list[Any], url: str, events: int) -> float:
    """Publish to all webhooks; return how many requests a second the healthy receiver got until it had all of its."""
    from webhooks.engine.pump import Engine

    setup.publish_many("custom.bench", events)
    before = setup.ask(url, "count")
    engine = Engine()
    engine.start()
    started = time.perf_counter()
    engine.claim_for(600)
    while setup.ask(url, "count") - before < events * len(hooks):
        time.sleep(0.02)
    rate = events * len(hooks) / (time.perf_counter() - started)
    engine.stop(seconds=1)
    return rate


def main() -> None:
    from webhooks.models import WebhookDelivery
    from webhooks.services import delete_webhook

    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with setup.database(), setup.receiver(9831) as url, setup.receiver(9832, "--hang") as dead:
        healthy = [setup.make_webhook(f"healthy {n}", f"{url}/{n}", concurrency=50) for n in range(4)]
        ratios = []
        for number in range(options.rounds):
            alone = healthy_rate(healthy, url, options.events)
            hanging = setup.make_webhook("hanging", dead + "/", concurrency=50)
            beside = healthy_rate(healthy, url, options.events)
            delete_webhook(hanging)
            WebhookDelivery.objects.filter(webhook=hanging).delete()
            ratios.append(beside / alone)
            print(
                f"round {number + 1}: four alone {alone:,.0f}/s, beside a hanging one {beside:,.0f}/s, ratio {beside / alone:.2f}",
                flush=True,
            )
        print(f"median ratio {statistics.median(ratios):.2f} (bar: 0.9)")


if __name__ == "__main__":
    main()
