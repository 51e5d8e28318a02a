"""Is the portal ready? /api/v1/health says so, and in words what is wrong; /livez says only that the process answers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import Error
from django.db.models import Max
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import canary, counters, queue
from core.heartbeats import WORKER_KIND
from core.models import Worker
from repoguard import __version__
from webhooks.backlog import backlog
from webhooks.engine.store import WORKER_KIND as DRAIN_KIND

SILENT_SECONDS = 30.0
STUCK_SECONDS = 300.0
IDLE_SECONDS = 60.0


@dataclass
class Report:
    """What was found: figures in seconds and milliseconds, and a sentence for each problem."""

    database_ms: float | None = None
    cache: bool = False
    clusters: dict[str, float | None] = field(default_factory=dict)
    drain: float | None = None
    oldest_due: float | None = None
    problems: list[str] = field(default_factory=list)

    def body(self) -> dict[str, Any]:
        """Return the answer's JSON."""
        return {
            "status": "unavailable" if self.problems else "ok",
            "version": __version__,
            "problems": self.problems,
            "database": {"ok": self.database_ms is not None, "milliseconds": self.database_ms},
            "cache": {"ok": self.cache},
            "workers": [{"cluster": name, "seconds_since_heartbeat": age} for name, age in self.clusters.items()],
            "deliveries": {"seconds_since_heartbeat": self.drain, "oldest_due_seconds": self.oldest_due},
        }


def examine() -> Report:
    """Look at the database, the workers, the deliveries and the cache; never raises for one that is away."""
    report = Report()
    try:
        started = time.perf_counter()
        ages, now = _heartbeat_ages()
        report.database_ms = round((time.perf_counter() - started) * 1000, 1)
        _judge_workers(report, ages)
        _judge_deliveries(report, now)
    except Error:
        # the driver's own words may name the host and the user: they stay out of an anonymous answer
        report.database_ms = None
        report.problems.append("The database can't be reached or does not answer.")
    _judge_cache(report)
    return report


def _judge_cache(report: Report) -> None:
    if counters.lives_in_database():
        report.cache = report.database_ms is not None
        return
    report.cache = counters.works()
    if not report.cache:
        report.problems.append("The cache that counts requests (Redis, or a file in the data folder) can't be written to.")


def _heartbeat_ages() -> tuple[dict[str, float], datetime]:
    """Return the seconds since the last heartbeat of each kind of worker, and the time, both by the database's clock."""
    rows = list(Worker.objects.values("kind").annotate(at=Max("heartbeat_at"), now=Now()).order_by("kind"))
    ages = {row["kind"]: round(max(0.0, (row["now"] - row["at"]).total_seconds()), 1) for row in rows}
    return ages, rows[0]["now"] if rows else timezone.now()


def _judge_workers(report: Report, ages: dict[str, float]) -> None:
    for name in queue.CLUSTERS:
        kinds = [canary.kind(name), *([WORKER_KIND] if name == queue.DEFAULT else [])]
        # workers that are all busy let no canary through, but the work they do has a heartbeat of its own
        age = min((ages[kind] for kind in kinds if kind in ages), default=None)
        report.clusters[name] = age
        if age is None:
            report.problems.append(f"No worker of the cluster {name} is running; start the workers.")
        elif age > SILENT_SECONDS:
            report.problems.append(f"The workers of the cluster {name} have been silent for {age:.0f} seconds.")
    report.drain = ages.get(DRAIN_KIND)
    if report.drain is None:
        report.problems.append("No process is sending deliveries; start the workers of the cluster deliveries.")
    elif report.drain > SILENT_SECONDS:
        report.problems.append(f"The process that sends deliveries has been silent for {report.drain:.0f} seconds.")


def _judge_deliveries(report: Report, now: datetime) -> None:
    waiting = backlog()
    report.oldest_due = _seconds(waiting.oldest_due_at, now) or 0.0
    stuck, idle = _seconds(waiting.stuck_since, now), _seconds(waiting.last_attempt_at, now)
    # a long backlog that is being worked off is no reason to take the portal out of service; a standstill is
    if stuck is not None and stuck > STUCK_SECONDS and (idle is None or idle > IDLE_SECONDS):
        report.problems.append(f"Deliveries stand still: the oldest has been due for {stuck:.0f} seconds and none was attempted lately.")


def _seconds(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else round(max(0.0, (now - since).total_seconds()), 1)


class _DatabaseSerializer(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    milliseconds = serializers.FloatField(allow_null=True)


class _CacheSerializer(serializers.Serializer[Any]):
    ok = serializers.BooleanField(help_text="Whether requests can be counted; without, calls with a key are answered 503.")


class _ClusterSerializer(serializers.Serializer[Any]):
    cluster = serializers.CharField()
    seconds_since_heartbeat = serializers.FloatField(allow_null=True)


class _DeliveriesSerializer(serializers.Serializer[Any]):
    seconds_since_heartbeat = serializers.FloatField(allow_null=True)
    oldest_due_seconds = serializers.FloatField(allow_null=True, help_text="Parked deliveries left out.")


class HealthSerializer(serializers.Serializer[Any]):
    """The answer of GET health."""

    status = serializers.ChoiceField(choices=["ok", "unavailable"])
    version = serializers.CharField()
    problems = serializers.ListField(child=serializers.CharField(), help_text="One sentence for each thing that is wrong.")
    database = _DatabaseSerializer()
    cache = _CacheSerializer()
    workers = _ClusterSerializer(many=True)
    deliveries = _DeliveriesSerializer()


_READY = {
    "status": "ok",
    "version": __version__,
    "problems": [],
    "database": {"ok": True, "milliseconds": 0.9},
    "cache": {"ok": True},
    "workers": [{"cluster": "default", "seconds_since_heartbeat": 1.4}, {"cluster": "deliveries", "seconds_since_heartbeat": 2.0}],
    "deliveries": {"seconds_since_heartbeat": 0.7, "oldest_due_seconds": 0.0},
}
_NOT_READY = _READY | {
    "status": "unavailable",
    "problems": ["The workers of the cluster default have been silent for 41 seconds."],
    "workers": [{"cluster": "default", "seconds_since_heartbeat": 41.0}, {"cluster": "deliveries", "seconds_since_heartbeat": 2.0}],
}


class HealthView(APIView):
    """Anonymous and without a rate limit: for load balancers and probes."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = []

    @extend_schema(
        operation_id="health",
        tags=["health"],
        summary="Say whether the portal is ready",
        auth=[],
        responses={200: HealthSerializer, 503: OpenApiResponse(HealthSerializer, description="Not ready; `problems` says why.")},
        examples=[
            OpenApiExample("Ready", value=_READY, response_only=True, status_codes=["200"]),
            OpenApiExample("Not ready", value=_NOT_READY, response_only=True, status_codes=["503"]),
        ],
    )
    def get(self, request: Request) -> Response:
        """Answer 200 when the database, the cache, the workers and the deliveries are well, else 503 with a sentence for each problem."""
        report = examine()
        return Response(report.body(), status=503 if report.problems else 200, headers={"Cache-Control": "no-store"})


def livez(request: HttpRequest) -> HttpResponse:
    """Answer as long as the process can answer at all; asks nobody, so a database that is away does not restart the web server."""
    return HttpResponse("ok\n", content_type="text/plain", headers={"Cache-Control": "no-store"})
