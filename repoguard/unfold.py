"""How the admin looks and what its side bar lists (django-unfold). Nothing is loaded from another host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.text import capfirst


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    """Return what says whether a role sees an entry: the model's admin decides, as it does for its pages."""
    app_label, model_name = permission.split(".")

    def allowed(request: HttpRequest) -> bool:
        from django.contrib import admin  # noqa: PLC0415 - settings read this module before apps are loaded

        return any(
            model_admin.has_view_permission(request)
            for model, model_admin in admin.site._registry.items()
            if model._meta.app_label == app_label and model._meta.model_name == model_name
        )

    return allowed


def _entry(title: str, icon: str, model: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{model.replace('.', '_')}_changelist"), "permission": _may(model)}


def _group(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": True, "items": list(items)}


def _style(request: HttpRequest) -> str:
    return static("repoguard/admin.css")


def _script(request: HttpRequest) -> str:
    return static("repoguard/admin.js")


def _favicon(request: HttpRequest) -> str:
    return static("repoguard/favicon.svg")


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the side bar for this caller: a group of which nothing may be seen is left out."""
    groups = []
    for group in _NAVIGATION:
        items = [item for item in group["items"] if "permission" not in item or item["permission"](request)]
        if items:
            groups.append({**group, "items": [{k: v for k, v in item.items() if k != "permission"} for item in items]})
    return groups


_NAVIGATION: list[dict[str, Any]] = [
    {"items": [{"title": "Dashboard", "icon": "dashboard", "link": reverse_lazy("admin:index")}]},
    _group(
        "Webhooks",
        _entry("Webhooks", "webhook", "webhooks.webhook"),
        _entry("Deliveries", "outbox", "webhooks.webhookdelivery"),
        _entry("Recoveries", "settings_backup_restore", "webhooks.replay"),
        _entry("Inbound sources", "input", "webhooks.inboundsource"),
        _entry("Inbound events", "inbox", "webhooks.receipt"),
        _entry("Missed deliveries", "history", "webhooks.inboundbackfill"),
        _entry("Events", "bolt", "core.event"),
        {"title": "Event types", "icon": "menu_book", "link": reverse_lazy("admin:event_types")},
    ),
    _group(
        "Findings",
        _entry("Findings", "bug_report", "scans.finding"),
        _entry("Scans", "radar", "scans.scan"),
        _entry("Inventories", "inventory_2", "scans.inventory"),
        _entry("Policies", "policy", "scans.policy"),
        _entry("Exploit feeds", "rss_feed", "scans.feedstate"),
    ),
    _group(
        "Integrations",
        _entry("Integrations", "hub", "integrations.integration"),
        _entry("Templates", "rocket_launch", "templates_app.integrationtemplate"),
        _entry("Payload templates", "data_object", "templates_app.payloadtemplate"),
        _entry("Endpoints", "conversion_path", "integrations.endpoint"),
        _entry("Health", "monitor_heart", "integrations.integrationhealth"),
        _entry("Outbound calls", "call_made", "core.requestlog"),
    ),
    _group(
        "Code",
        _entry("Repositories", "account_tree", "integrations.repository"),
        _entry("Scan sources", "radar", "integrations.repositorysource"),
        _entry("Builds", "construction", "builds.build"),
        _entry("Build imports", "upload_file", "builds.buildimport"),
        _entry("Build analysis", "monitoring", "builds.analysis"),
    ),
    _group(
        "Access",
        _entry("API keys", "key", "access.apikey"),
        _entry("Users", "person", "auth.user"),
        _entry("Roles and teams", "groups", "auth.group"),
        _entry("Lockouts", "lock_clock", "axes.accessattempt"),
        _entry("Audit log", "history", "access.auditentry"),
    ),
    _group(
        "Operation",
        _entry("Settings", "tune", "core.runtimesettings"),
        _entry("Workers", "memory", "core.worker"),
        _entry("Housekeeping", "cleaning_services", "core.housekeeping"),
        {"title": "API reference", "icon": "api", "link": reverse_lazy("docs")},
    ),
]


def crumbs(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the way to a page, as title and link, in the words of the side bar; names that people gave stay as they wrote them."""
    titles = {str(item["link"]): (group.get("title", ""), item["title"]) for group in _NAVIGATION for item in group["items"]}
    found: list[dict[str, str]] = []
    for part in parts:
        link, title = str(part.get("link", "")), part["title"]
        group, entry = titles.get(link, ("", ""))
        if group and len(found) == 1:  # what came before is the Django app, whose name nobody sees elsewhere
            found = [{"title": group, "link": ""}] if group != entry else []
        found.append({"title": entry or (str(title) if isinstance(title, Model) else capfirst(str(title))), "link": link})
    return found


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "RepoGuard",
    "SITE_HEADER": "RepoGuard",
    "SITE_SUBHEADER": "Findings, builds and webhooks",
    "SITE_SYMBOL": "shield",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _favicon}],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "STYLES": [_style],
    "SCRIPTS": [_script],
    "DASHBOARD_CALLBACK": "repoguard.dashboard.fill",
    "SIDEBAR": {"show_search": False, "command_search": False, "show_all_applications": False, "navigation": navigation},
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.604)",
            "100": "oklch(93.2% .032 255.585)",
            "200": "oklch(88.2% .059 254.128)",
            "300": "oklch(80.9% .105 251.813)",
            "400": "oklch(70.7% .165 254.624)",
            "500": "oklch(62.3% .214 259.815)",
            "600": "oklch(54.6% .245 262.881)",
            "700": "oklch(48.8% .243 264.376)",
            "800": "oklch(42.4% .199 265.638)",
            "900": "oklch(37.9% .146 265.522)",
            "950": "oklch(28.2% .091 267.935)",
        }
    },
}
