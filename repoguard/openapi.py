"""How the API describes itself (drf-spectacular): Swagger UI from local files, readable names of enumerations."""

from __future__ import annotations

from typing import Any

SPECTACULAR: dict[str, Any] = {
    "TITLE": "RepoGuard API",
    "VERSION": "1",
    "DESCRIPTION": "Findings, builds and events in; signed, durable, fully logged webhooks out.",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_ADD_EXPLICIT_BLANK_NULL_CHOICE": True,
    "ENUM_NAME_OVERRIDES": {
        "BuildStatusEnum": "builds.choices.BuildStatus",
        "CircuitStateEnum": "core.models.outbound.CircuitState",
        "DeliveryStatusEnum": "webhooks.choices.DeliveryStatus",
        "DeliveryTriggerEnum": "webhooks.choices.Trigger",
        "EnvironmentEnum": "integrations.choices.Environment",
        "ErrorClassEnum": "webhooks.choices.ErrorClass",
        "FindingKindEnum": "scans.choices.Kind",
        "FindingStateEnum": "scans.choices.FindingState",
        "GateCauseEnum": "scans.choices.GateCause",
        "GateDecisionEnum": "scans.choices.GateDecision",
        "HealthStateEnum": "integrations.choices.HealthState",
        "ImportStatusEnum": "builds.choices.ImportStatus",
        "KeyEnvironmentEnum": "access.choices.KeyEnvironment",
        "ReplayStatusEnum": "webhooks.models.replay.ReplayStatus",
        "ReceiptOutcomeEnum": "webhooks.choices.ReceiptOutcome",
        "ReprocessableEnum": "webhooks.choices.ReprocessableOutcome",
        "ScanTriggerEnum": "scans.choices.ScanTrigger",
        "WebhookStatusEnum": "webhooks.choices.WebhookStatus",
    },
    "PREPROCESSING_HOOKS": ["repoguard.api_v1.only_current_version"],
}
