"""What the gateway adds to a call: through the portal against straight to the same receiver, in turns, in one run.

DATABASE_URL=postgres://… .venv/bin/python -m bench.gateway [--calls 500]

The portal is a real gunicorn (one process, four threads); each call is authenticated, checked against the endpoint's schema, counted
against rate and breaker, sent past the guard and logged. The receiver answers at once, so all that is measured is overhead.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from bench import setup

setup.start_django()

RECEIVER, PORTAL = 8951, 8952


@contextlib.contextmanager
def portal() -> Iterator[str]:
    """Run the portal's web server on the bench's database."""
    from django.db import connection

    config = connection.settings_dict
    name = config["NAME"]
    if connection.vendor == "sqlite":
        url = f"sqlite:///{name}"
    else:
        url = f"postgres://{config['USER']}:{config['PASSWORD']}@{config['HOST']}:{config['PORT'] or 5432}/{name}"
    command = [sys.executable, "-m", "gunicorn", "repoguard.wsgi", "--bind", f"127.0.0.1:{PORTAL}", "--workers", "1", "--threads", "4"]
    process = subprocess.Popen([*command, "--log-level", "error"], cwd=setup.ROOT, env=os.environ | {"DATABASE_URL": url})
    address = f"http://127.0.0.1:{PORTAL}"
    try:
        wait_for(f"{address}/livez")
        yield address
    finally:
        process.terminate()
        process.wait(20)


def wait_for(url: str) -> None:
    import requests

    for _attempt in range(200):
        with contextlib.suppress(requests.RequestException):
            if requests.get(url, timeout=2).status_code == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"{url} did not answer.")


def prepare(receiver: str) -> tuple[str, str]:
    """Create an integration with endpoints and a key; returns the integration's id and the key."""
    from access.services import KeyValues, create_key
    from integrations.gateway.endpoints import create_endpoint
    from integrations.services.integrations import create_integration

    values = {"name": "bench", "type": "http", "config": {"base_url": receiver, "auth": "bearer"}, "credentials": {"token": "bench-token"}}
    integration = create_integration(values)  # type: ignore[arg-type]
    schema = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    create_endpoint(
        integration, {"name": "post", "method": "POST", "path": "/hook/{id}", "parameters": schema, "body_schema": {"type": "object"}}
    )
    create_endpoint(integration, {"name": "cached", "method": "GET", "path": "/count", "cache_seconds": 3600})
    return str(integration.id), create_key(KeyValues(name="bench", unlimited=True))[1]


def in_turns(calls: int, ways: dict[str, Callable[[], None]]) -> dict[str, list[float]]:
    """Return the milliseconds of each call; the ways take turns, so that whatever slows the machine slows all of them."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(calls + 20):
        for name, call in ways.items():
            started = time.perf_counter()
            call()
            if number >= 20:  # the first ones warm up
                took[name].append((time.perf_counter() - started) * 1000)
    return took


def main() -> None:
    import requests

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    calls = parser.parse_args().calls
    body = setup.push_payload()
    with setup.database(), setup.receiver(RECEIVER) as receiver:
        integration, key = prepare(receiver)
        with portal() as address:
            straight, through = requests.Session(), requests.Session()
            through.headers["Authorization"] = f"Bearer {key}"
            base = f"{address}/api/v1/integrations/{integration}/endpoints"

            def post(name: str, sent: dict[str, object]) -> None:
                answer = through.post(f"{base}/{name}", json=sent, timeout=30)
                assert answer.status_code == 200, answer.text

            took = in_turns(
                calls,
                {
                    "direct": lambda: straight.post(f"{receiver}/hook/7", json=body, timeout=30).raise_for_status(),
                    "gateway": lambda: post("post", {"parameters": {"id": "7"}, "body": body}),
                    "gateway, from its cache": lambda: post("cached", {"parameters": {}}),
                },
            )
    direct = statistics.median(took["direct"])
    for name, times in took.items():
        times.sort()
        p50, p95 = statistics.median(times), times[int(len(times) * 0.95)]
        more = "" if name == "direct" else f"  {p50 - direct:+.1f} ms, {p50 / direct:.1f}x"
        print(f"{name:24} p50 {p50:6.1f} ms  p95 {p95:6.1f} ms{more}")


if __name__ == "__main__":
    main()
