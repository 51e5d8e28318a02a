"""Sends every payload of a folder, signed, to a source of its provider at a running portal, and lists what each became.

.venv/bin/python -m bench.replay_samples DIR [--provider github|gitlab]        (SQLite, or PostgreSQL by DATABASE_URL)

The name of a file begins with the event, as in the collections of octokit (`push.payload.json`, `check_run.completed.payload.json`);
the provider is told by the payload where it is not named. It exits with 1 when one got no 2xx, or failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench import inbound_senders, inbound_state
from bench.flood import wait_until_interpreted
from bench.traffic import Delivery


def deliveries(folder: Path, provider: str = "") -> list[Delivery]:
    """Return what the files of a folder hold, each as a delivery of its own."""
    found = []
    for path in sorted(folder.rglob("*.json")):
        body = path.read_bytes()
        payload = json.loads(body)
        of_gitlab = provider == "gitlab" or (not provider and ("object_kind" in payload or "event_name" in payload))
        event = str(payload.get("object_kind", "")) if of_gitlab else path.name.partition(".")[0]
        found.append(Delivery("gitlab" if of_gitlab else "github", str(path.relative_to(folder)), event, body))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--provider", choices=("github", "gitlab"), default="")
    options = parser.parse_args()
    sent = deliveries(options.folder, options.provider)
    from tests.core.portal import running
    from tests.kills.loss import free_port, fresh_database

    port = free_port()
    with fresh_database() as database, tempfile.TemporaryDirectory(prefix="repoguard-samples-") as folder:
        environment = {"PORT": str(port), "LOG_LEVEL": "WARNING"} | ({"DATABASE_URL": database} if database else {})
        with running(Path(folder) / "var", "web,default", **environment) as portal:
            report = inbound_senders.send(port, inbound_state.of_portal(portal, "sources"), sent, 2, resend=False)
            wait_until_interpreted(portal)
            became = inbound_state.of_portal(portal, "became")
    kinds: Counter[str] = Counter()
    for delivery in sent:
        outcome, *types = became.get(delivery.id, ["not stored"])
        kinds.update(types or [outcome])
        print(f"{delivery.provider} {delivery.id}: {outcome} {', '.join(types)}")
    print(f"answers {dict(report.answers)}; builds: {', '.join(became[''])}")
    for kind, number in sorted(kinds.items()):
        print(f"{number:4} {kind}")
    well = all(became.get(delivery.id, [""])[0] in ("processed", "ignored") for delivery in sent)
    sys.exit(not well)


if __name__ == "__main__":
    main()
