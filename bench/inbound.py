"""What receiving an inbound webhook costs: against an empty 204 of the same server, in turns, in one run.

DATABASE_URL=postgres://… .venv/bin/python -m bench.inbound [--seconds 4] [--rounds 5] [--bytes 5000]

The server is a real gunicorn (two processes of four threads) with the portal's settings; the 204 is a view added for the bench, which
passes the same middleware. Each request is signed, verified, compressed, encrypted and stored. Nothing interprets the receipts meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from bench import setup

PORT = 8953
THREADS = 8
SECRET = "bench-inbound-secret"


def add_parts() -> None:
    """Add a provider that signs as GitHub does, and an empty view, to this process (the server's and the bench's)."""
    from django.http import HttpRequest, HttpResponse
    from django.urls import path

    from bench.inbound_provider import BenchProvider
    from integrations import registry
    from repoguard import urls

    def empty(request: HttpRequest) -> HttpResponse:
        request.read()
        return HttpResponse(status=204)

    empty.csrf_exempt = True  # type: ignore[attr-defined]
    registry.CONNECTORS = (*registry.CONNECTORS, BenchProvider)
    registry._BY_KEY["bench"] = BenchProvider
    urls.urlpatterns.insert(0, path("api/v1/empty", empty))


def serve() -> object:
    """Return the server's application: gunicorn calls `bench.inbound:serve()`."""
    setup.start_django()
    add_parts()
    from repoguard.wsgi import application

    return application


@contextlib.contextmanager
def portal(processes: int) -> Iterator[None]:
    from django.db import connection

    from bench.gateway import wait_for

    config = connection.settings_dict
    name = config["NAME"]
    url = f"sqlite:///{name}"
    if connection.vendor == "postgresql":
        url = f"postgres://{config['USER']}:{config['PASSWORD']}@{config['HOST']}:{config['PORT'] or 5432}/{name}"
    arguments = ["--bind", f"127.0.0.1:{PORT}", "--workers", str(processes), "--threads", "4", "--log-level", "error", "--keep-alive", "30"]
    command = [sys.executable, "-m", "gunicorn", "bench.inbound:serve()", "-k", "gthread", *arguments]
    process = subprocess.Popen(command, cwd=setup.ROOT, env=os.environ | {"DATABASE_URL": url})
    try:
        wait_for(f"http://127.0.0.1:{PORT}/livez")
        yield
    finally:
        process.terminate()
        process.wait(20)


def rate(path: str, body: bytes, headers: dict[str, str], status: int, seconds: float) -> float:
    """Return the requests a second that THREADS connections get answered."""
    counts = [0] * THREADS
    end = time.monotonic() + seconds

    def ask(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        while time.monotonic() < end:
            connection.request("POST", path, body, headers | {"X-Bench-Id": f"{number}-{counts[number]}-{time.time_ns()}"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status, answer.status
            counts[number] += 1
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(THREADS)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bytes", type=int, default=5000)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    setup.start_django()
    add_parts()
    from core.signing import hub_signature_256
    from webhooks import secrets
    from webhooks.models import InboundSource, Receipt

    data = setup.push_payload()
    data["text"] = " ".join(f"{number:x}" for number in range(options.bytes))[: max(0, options.bytes - len(json.dumps(data)))]
    body = json.dumps(data).encode()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": hub_signature_256(SECRET, body), "User-Agent": "bench/1"}
    with setup.database(), portal(options.processes):
        source = InboundSource.objects.create(name="bench", provider="bench", secrets=secrets.initial(SECRET))
        ways = {"empty 204": ("/api/v1/empty", 204), "inbound": (f"/api/v1/webhook/bench/{source.pk}", 202)}
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for round_number in range(options.rounds + 1):
            for name, (path, status) in ways.items():
                measured = rate(path, body, headers, status, options.seconds)
                if round_number:  # the first round warms up
                    rates[name].append(measured)
        middle = {name: statistics.median(values) for name, values in rates.items()}
        print(f"body of {len(body)} bytes, {Receipt.objects.count()} receipts stored")
        for name, value in middle.items():
            print(f"{name:10} {value:7.0f} requests/s")
        print(f"ratio      {middle['inbound'] / middle['empty 204']:7.2f}")


if __name__ == "__main__":
    main()
