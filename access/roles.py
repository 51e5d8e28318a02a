"""The role groups and what they may do in the admin site; the API asks access.principals instead."""

from __future__ import annotations

from collections.abc import Iterable

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db.models import Q

from access.choices import Role

APPS = ("access", "builds", "core", "integrations", "scans", "templates_app", "webhooks", "auth", "axes", "django_q")
_AUDITED_APPS = ("access", "builds", "core", "integrations", "scans", "templates_app", "webhooks", "axes")
# what an integrator changes (own and team rows only), and what it may only look at
_INTEGRATOR_CHANGES = (
    "access.apikey",
    "integrations.endpoint",
    "integrations.integration",
    "integrations.repository",
    "integrations.repositorysource",
    "scans.policy",
    "templates_app.integrationtemplate",
    "templates_app.payloadtemplate",
    "webhooks.inboundsource",
    "webhooks.webhook",
)
_INTEGRATOR_VIEWS = (
    "access.apiusage",
    "access.auditentry",
    "builds.analysis",
    "builds.build",
    "builds.buildimport",
    "core.event",
    "core.requestlog",
    "integrations.integrationhealth",
    "scans.finding",
    "scans.gateresult",
    "scans.inventory",
    "scans.riskacceptance",
    "scans.scan",
    "webhooks.deliveryattempt",
    "webhooks.inboundbackfill",
    "webhooks.receipt",
    "webhooks.replay",
    "webhooks.webhookdelivery",
    "webhooks.webhookstate",
)
_INTEGRATOR_ACTS = (
    "builds.add_buildimport",
    "builds.change_analysis",
    "builds.change_buildimport",
    "scans.change_finding",
    "scans.change_scan",
    "scans.delete_inventory",
    "webhooks.change_receipt",
    "webhooks.change_replay",
    "webhooks.change_webhookdelivery",
)


def ensure_roles() -> None:
    """Create the groups admin, integrator and auditor and give them their permissions; running it again changes nothing."""
    for label in APPS:
        if apps.is_installed(label) or label in apps.app_configs:
            create_permissions(apps.get_app_config(label), verbosity=0)
    every = {f"{p.content_type.app_label}.{p.codename}": p for p in Permission.objects.select_related("content_type").filter(_ours(APPS))}
    _grant(Role.ADMIN, every.values())
    _grant(Role.AUDITOR, (p for name, p in every.items() if ".view_" in name and name.partition(".")[0] in _AUDITED_APPS))
    wanted = set(_INTEGRATOR_ACTS)
    for model in (*_INTEGRATOR_CHANGES, *_INTEGRATOR_VIEWS):
        app, name = model.split(".")
        verbs = ("view", "add", "change", "delete") if model in _INTEGRATOR_CHANGES else ("view",)
        wanted |= {f"{app}.{verb}_{name}" for verb in verbs}
    _grant(Role.INTEGRATOR, (permission for name, permission in every.items() if name in wanted))


def _ours(labels: Iterable[str]) -> Q:
    return Q(content_type__app_label__in=list(labels))


def _grant(role: Role, permissions: Iterable[Permission]) -> None:
    group, _ = Group.objects.get_or_create(name=role.value)
    wanted = {permission.pk for permission in permissions}
    present = set(group.permissions.values_list("pk", flat=True))
    if wanted - present:
        group.permissions.add(*(wanted - present))
