"""The API, version 1: one line for each resource. The same routes are served at /api/v1/ and, as its alias, at /api/."""

from __future__ import annotations

import re
from typing import Any

from django.urls import URLPattern, URLResolver, path
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import GenericViewSet

from access.api.views import ApiKeyViewSet, AuditLogViewSet
from builds.api.analysis import AnalysisViewSet, AnalyzeViewSet
from builds.api.builds import BuildViewSet
from builds.api.github_import import GitHubImportViewSet
from builds.api.imports import BuildImportViewSet
from integrations.api.badge_views import ROUTES as BADGE_ROUTES
from integrations.api.badge_views import BadgeViewSet
from integrations.api.connector_views import ConnectorViewSet
from integrations.api.endpoint_views import ROUTES as GATEWAY_ROUTES
from integrations.api.endpoint_views import GatewayViewSet
from integrations.api.integration_views import IntegrationViewSet
from integrations.api.repository_views import RepositoryViewSet
from repoguard.health import HealthView
from scans.api.diffs import ROUTES as DIFF_ROUTES
from scans.api.diffs import RefDiffViewSet, ScanDiffViewSet
from scans.api.findings import FindingViewSet
from scans.api.inventories import InventoryViewSet
from scans.api.policies import PolicyViewSet
from scans.api.reports import ROUTES as REPORT_ROUTES
from scans.api.reports import ReportViewSet
from scans.api.repositories import ROUTES as REPOSITORY_ROUTES
from scans.api.repositories import RepositoryScansViewSet
from scans.api.scans import ScanViewSet
from templates_app.api.payload_views import PayloadTemplateViewSet
from webhooks.api.deliveries import DeliveryViewSet
from webhooks.api.events import EventTypeViewSet, EventViewSet
from webhooks.api.inbound import BackfillViewSet, InboundSourceViewSet, ReceiptViewSet
from webhooks.api.inbound_receiver import receive_view
from webhooks.api.replays import ReplayViewSet
from webhooks.api.templates import InstantiableTemplateViewSet
from webhooks.api.webhooks import WebhookViewSet

# path below /api/v1/ -> viewset
RESOURCES: dict[str, type[GenericViewSet[Any]]] = {
    "analysis": AnalysisViewSet,
    "analyze": AnalyzeViewSet,
    "api-keys": ApiKeyViewSet,
    "audit-log": AuditLogViewSet,
    "builds/imports": BuildImportViewSet,  # before builds, which would take "imports" for an id
    "builds": BuildViewSet,
    "connectors": ConnectorViewSet,
    "deliveries": DeliveryViewSet,
    "event-types": EventTypeViewSet,
    "events": EventViewSet,
    "findings": FindingViewSet,
    "inbound-backfills": BackfillViewSet,
    "inbound-events": ReceiptViewSet,
    "inbound-sources": InboundSourceViewSet,
    "integration-templates": InstantiableTemplateViewSet,
    "payload-templates": PayloadTemplateViewSet,
    "integrations": IntegrationViewSet,
    "inventories": InventoryViewSet,
    "policies": PolicyViewSet,
    "replays": ReplayViewSet,
    "repositories": RepositoryViewSet,
    "scans": ScanViewSet,
    "webhooks": WebhookViewSet,
}
# routes that are no resources, as path() entries below /api/v1/
EXTRA_ROUTES: list[URLPattern | URLResolver] = [path("health", HealthView.as_view(), name="health")]
EXTRA_ROUTES += [path(f"integrations/<str:id>/{route}", GatewayViewSet.as_view(actions)) for route, actions in GATEWAY_ROUTES.items()]
EXTRA_ROUTES += [
    path(f"repositories/<str:id>/{route}", RepositoryScansViewSet.as_view(actions)) for route, actions in REPOSITORY_ROUTES.items()
]
EXTRA_ROUTES += [path(f"repositories/<str:id>/{route}", BadgeViewSet.as_view(actions)) for route, actions in BADGE_ROUTES.items()]
EXTRA_ROUTES += [path(f"repositories/<str:id>/{route}", ReportViewSet.as_view(actions)) for route, actions in REPORT_ROUTES.items()]
EXTRA_ROUTES += [path(f"repositories/<str:id>/{route}", RefDiffViewSet.as_view(actions)) for route, actions in DIFF_ROUTES.items()]
EXTRA_ROUTES += [path(f"scans/<str:id>/{route}", ScanDiffViewSet.as_view(actions)) for route, actions in DIFF_ROUTES.items()]
EXTRA_ROUTES += [path("builds/import", GitHubImportViewSet.as_view({"post": "start"}))]
EXTRA_ROUTES.append(path("analysis", AnalysisViewSet.as_view({"get": "latest"})))
# with their whole paths, because they come first of all: they are looked up most often
RECEIVER_ROUTES = [
    path(f"{prefix}/webhook/{rest}", receive_view) for prefix in ("api/v1", "api") for rest in ("<str:provider>/<str:id>", "<str:provider>")
]
_OTHER_ROUTES = re.compile(r"^/api/(?!v1/)|^/(?!api/)")


def routes() -> list[URLPattern | URLResolver]:
    """Return the routes, to be included below each prefix."""
    # plain paths rather than patterns: their routes are readable in the usage counts
    router = SimpleRouter(trailing_slash=False, use_regex_path=False)
    for name, viewset in RESOURCES.items():
        router.register(name, viewset, basename=name)
    return [*EXTRA_ROUTES, *router.urls]


def only_current_version(endpoints: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Leave the alias and everything outside the API out of the OpenAPI schema (a drf-spectacular hook)."""
    return [endpoint for endpoint in endpoints if not _OTHER_ROUTES.match(endpoint[0])]
