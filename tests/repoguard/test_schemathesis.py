"""Generated requests over the whole OpenAPI schema, with a key that may do everything: no 5xx, every answer as documented.

SCHEMATHESIS_EXAMPLES=500 makes it a long run; without it the number is bounded for CI, the more so on SQLite, which refuses less.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, connection
from django.db.models.functions import Now
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from access import services
from access.principals import SYSTEM
from core.leases import register_worker
from core.models import Worker

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "4" if connection.vendor == "postgresql" else "1"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture
def keep_connection(db: None) -> Iterator[None]:
    """Let no request close the connection: the test's transaction lives in it (Django's own test client does the same)."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def api_schema(keep_connection: None) -> Any:
    return schemathesis.openapi.from_wsgi("/api/schema", get_wsgi_application())


@pytest.fixture
def bearer(db: None) -> dict[str, str]:
    key = services.create_key(services.KeyValues("fuzz", ["all", "events:system"], unlimited=True), SYSTEM)[1]
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def running_workers(db: None) -> None:
    """Let the portal be healthy: without workers its health is a documented 503."""
    for kind in ("deliveries", "cluster:default", "cluster:deliveries"):
        register_worker(kind)


@pytest.mark.no_cover  # most of the time is spent in making requests up
@pytest.mark.usefixtures("running_workers")
def test_every_answer_is_as_documented(api_schema: Any, bearer: dict[str, str]) -> None:
    seen, failed = [], []
    for found in api_schema.get_all_operations():
        operation = found.ok()
        Worker.objects.update(heartbeat_at=Now())  # all operations together take longer than a silent worker is given
        seen.append(operation.label)
        try:
            probe(operation, bearer)
        except (Exception, BaseExceptionGroup) as error:  # all operations are tried, then all failures shown
            failed.append(f"{operation.label}: {error}")
    assert len(seen) > 30
    assert not failed, "\n\n".join(failed)


def probe(operation: Any, bearer: dict[str, str]) -> None:
    """Send generated requests, sound and unsound ones, to one operation; raises when an answer is not as documented."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(
        case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE) | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    )
    def send(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, headers=bearer)

    send()
