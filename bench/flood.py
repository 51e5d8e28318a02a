"""A flood of webhooks in any order, with duplicates, from several senders at once: does it end as an orderly delivery does?

.venv/bin/python -m bench.flood [--requests 10000] [--senders 8] [--seed 1]        (SQLite, or PostgreSQL by DATABASE_URL)

First the deliveries are made in order, once each, and interpreted one after the other; then a portal of real processes gets them
shuffled, 30 % of the requests being duplicates. Compared are the receipts with their duplicates counted, the events of each, the
builds with all their columns, and the events of builds.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from bench import inbound_senders, inbound_state, setup, traffic

DUPLICATES = 0.3
_LONGEST_WAIT = 1800


def orderly(deliveries: list[traffic.Delivery]) -> dict[str, Any]:
    """Return the state after the deliveries came in order, each interpreted before the next, on a database of their own."""
    setup.start_django()
    from django.test import Client

    from core import leases, work
    from core.work import Run
    from webhooks.inbound import interpret, receive
    from webhooks.models import Receipt

    receive.waker.notify = lambda: None  # type: ignore[method-assign]  # nobody else interprets
    with setup.database():
        client, sources, worker = Client(), inbound_state.sources(), leases.register_worker("work")
        for delivery in deliveries:
            path = f"/api/v1/webhook/{delivery.provider}/{sources[delivery.provider]}"
            answer = client.post(path, delivery.body, content_type="application/json", headers=delivery.headers())
            assert answer.status_code == 202, answer.content
            for row in work.claim(Receipt, worker):
                assert row.lease_token is not None
                work.perform(Run(row, row.lease_token), interpret.interpret)
        return inbound_state.state()


def wait_until_interpreted(portal: Any) -> None:
    """Return when no request waits any more."""
    deadline = time.monotonic() + _LONGEST_WAIT
    while inbound_state.of_portal(portal, "waiting"):
        assert time.monotonic() < deadline, "requests still wait"
        time.sleep(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--senders", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    deliveries = traffic.in_order(round(options.requests * (1 - DUPLICATES)))
    expected = orderly(deliveries)
    from tests.core.portal import running
    from tests.kills.loss import free_port, fresh_database

    sent = traffic.flooded(deliveries, DUPLICATES, random.Random(options.seed))
    port = free_port()
    environment = {"PORT": str(port), "LOG_LEVEL": "WARNING"}
    with fresh_database() as database, tempfile.TemporaryDirectory(prefix="repoguard-flood-") as folder:
        if database:
            environment["DATABASE_URL"] = database
        with running(Path(folder) / "var", "web,default", **environment) as portal:
            report = inbound_senders.send(port, inbound_state.of_portal(portal, "sources"), sent, options.senders)
            began = time.monotonic()
            wait_until_interpreted(portal)
            waited = time.monotonic() - began
            found = inbound_state.of_portal(portal)
    again = {key: number - 1 for key, number in Counter(delivery.id for delivery in sent).items()}
    told = inbound_state.differences(expected, found, again)
    kinds = Counter(f"{delivery.provider} {delivery.event}" for delivery in deliveries)
    where = "PostgreSQL" if os.environ.get("DATABASE_URL") else "SQLite"
    print(f"{where}: {len(sent)} requests of {len(deliveries)} deliveries: {dict(kinds)}")
    print(f"answers {dict(report.answers)}, {len(sent) / report.seconds:.0f} a second; interpreted {waited:.0f} s after the last")
    print(f"{len(found['receipts'])} receipts, {sum(row[3] for row in found['receipts'].values())} duplicates counted, "
          f"{found['stored duplicates']} of them stored before the first was interpreted; {len(found['builds'])} builds, "
          f"{sum(map(len, found['events'].values()))} events of receipts, {len(found['build events'])} of builds")  # fmt: skip
    print(f"{len(told)} differences", *told[:20], sep="\n")
    sys.exit(bool(told))


if __name__ == "__main__":
    main()
