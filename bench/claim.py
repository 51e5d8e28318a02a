"""Whether a claim costs the same with a million rows due for one dead webhook as with a thousand (PostgreSQL).

DATABASE_URL=postgres://… .venv/bin/python -m bench.claim [--rows 1000000]
"""

from __future__ import annotations

import argparse
import statistics
import time

from bench import setup

setup.start_django()

_ROWS = """
INSERT INTO webhooks_webhookdelivery (id, webhook_id, event_id, event_type, status, lane, trigger, attempts, step, next_attempt_at,
    last_error_class, last_error, created_at)
SELECT gen_random_uuid(), %s, %s, 'custom.bench', 'pending', 1, 'auto', 0, 0, now() - interval '1 hour' + n * interval '1 millisecond',
    '', '', now()
FROM generate_series(1, %s) AS n
"""


def claim_milliseconds(hook_id: object, turns: int = 15) -> float:
    """Return the median time of a turn that leases 50 deliveries of this webhook, each given back afterwards."""
    from django.db import transaction

    from core import leases
    from webhooks.engine.due import lock_states, recompute
    from webhooks.engine.store import WORKER_KIND
    from webhooks.engine.stores import new_store

    with transaction.atomic():
        lock_states([hook_id])  # type: ignore[list-item]
        recompute([hook_id])  # type: ignore[list-item]
    store = new_store(leases.register_worker(WORKER_KIND))
    took = []
    for _number in range(turns):
        started = time.perf_counter()
        batch = store.turn([], 500)
        took.append((time.perf_counter() - started) * 1000)
        assert len(batch.claimed) == 50, len(batch.claimed)
        store.give_back([claimed.delivery_id for claimed in batch.claimed])
    return statistics.median(took)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    with setup.database():
        from django.db import connection

        from core.bus import publish
        from webhooks.models import WebhookDelivery

        hook = setup.make_webhook("dead", "http://127.0.0.1:9/", concurrency=50, events=("custom.never",))
        event = publish("custom.bench", setup.push_payload())
        figures = {}
        for rows in (1000, options.rows):
            with connection.cursor() as cursor:
                cursor.execute(_ROWS, [hook.id, event.id, rows - WebhookDelivery.objects.filter(webhook=hook).count()])
                cursor.execute("ANALYZE webhooks_webhookdelivery")
            figures[rows] = claim_milliseconds(hook.id)
            print(f"{rows:,} due: {figures[rows]:.1f} ms to lease 50", flush=True)
        print(f"ratio {figures[options.rows] / figures[1000]:.2f}")


if __name__ == "__main__":
    main()
