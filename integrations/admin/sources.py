"""Scan sources in the admin: which integration scans which repository, and when."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldBooleanSwitchWidget

from access.admin_base import show
from access.admin_base.base import PortalAdmin, ServiceForm
from access.selectors import visible
from integrations.admin.call_filters import IntegrationFilter
from integrations.models import Integration, Repository, RepositorySource
from integrations.models.source import DAILY
from integrations.selectors.sources import all_sources, scanning_integrations
from integrations.services import sources as services

OFFERED = 500
_VALUES = ("scan_on_push", "scan_on_pull_request", "scan_on_alert", "every_hours")


def source_links(may_add: bool, **about: Any) -> list[tuple[str, str, str]]:
    """Return links to the sources of a repository (`repository` and its name as `q`) or an integration, for the top of its page."""
    listed = urlencode({name: value for name, value in about.items() if name != "repository"})
    links = [(f"{show.admin_url(RepositorySource, 'changelist')}?{listed}", "Scan sources", "radar")]
    if may_add:
        given = urlencode({name: value for name, value in about.items() if name != "q"})
        links.append((f"{show.admin_url(RepositorySource, 'add')}?{given}", "Add scan source", "add"))
    return links


def _switch(label: str, help_text: str, *, initial: bool) -> forms.BooleanField:
    return forms.BooleanField(required=False, initial=initial, label=label, widget=UnfoldBooleanSwitchWidget, help_text=help_text)


class SourceForm(ServiceForm):
    """Who scans what, and when."""

    repository = forms.ModelChoiceField(Repository.objects.none(), widget=UnfoldAdminSelectWidget, help_text="What is scanned.")
    integration = forms.ModelChoiceField(
        Integration.objects.none(), widget=UnfoldAdminSelectWidget, help_text="What its findings are read from, such as Snyk or GitHub."
    )
    scan_on_push = _switch("On pushes", "A push to a branch has that branch scanned.", initial=True)
    scan_on_pull_request = _switch("On pull requests", "A pull request that gets commits has its branch scanned.", initial=False)
    scan_on_alert = _switch("On alerts", "An alert that the integration's platform tells of has the branch scanned.", initial=True)
    every_hours = forms.IntegerField(
        required=False, min_value=1, max_value=services.MOST_HOURS, initial=DAILY, label="Every so many hours",
        widget=UnfoldAdminIntegerFieldWidget, help_text="The default branch is scanned so often. Empty: never by the clock.",
    )  # fmt: skip

    class Meta:
        model = RepositorySource
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        source = None if self.instance._state.adding else self.instance
        if source is not None:
            names = ("repository_id", "integration_id", *_VALUES)
            self.initial = {**{name.removesuffix("_id"): getattr(source, name) for name in names}, **self.initial}
        self._offer("repository", Repository.objects.only("id", "provider", "full_name", "owner_id").order_by("full_name"), source)
        self._offer("integration", scanning_integrations().order_by("name"), source)

    def _offer(self, name: str, rows: QuerySet[Any], source: RepositorySource | None) -> None:
        field: Any = self.fields.get(name)
        if field is None:
            return
        if source is not None:
            field.queryset = rows.model._base_manager.filter(pk=getattr(source, f"{name}_id"))
            shown = getattr(source, name)
            field.choices, field.disabled, field.help_text = [(shown.pk, str(shown))], True, "It stays; make another source instead."
            return
        field.queryset = visible(rows, self.who)
        field.choices = [("", "choose…"), *((row.pk, str(row)) for row in field.queryset[:OFFERED])]

    def values(self) -> services.SourceValues:
        """Return what the service takes."""
        return cast("services.SourceValues", {name: self.cleaned_data[name] for name in _VALUES})


@admin.register(RepositorySource)
class SourceAdmin(PortalAdmin):
    """Which integrations scan which repositories. What they find is listed under findings."""

    empty_text = "A scan source has an integration, such as Snyk, scan a repository: on pushes, on alerts and every so many hours."
    form = SourceForm
    owner_path = "repository__owner_id"
    list_display = ("shown_repository", "shown_integration", "shown_when", "shown_hours", "shown_next")
    list_display_links = ("shown_repository",)
    list_filter = (IntegrationFilter,)
    search_fields = ("repository__full_name", "integration__name")
    search_help_text = "repository or integration"
    ordering = ("-id",)
    delete_consequence = "The integration scans this repository no more. What it found stays as it is."
    fields = ("repository", "integration", *_VALUES)

    def rows(self, request: HttpRequest) -> QuerySet[RepositorySource]:
        """Return the sources with their repositories and integrations."""
        return all_sources()

    def may_act(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether the caller may change it: one of somebody else's integration stays as it is, over REST too."""
        return super().may_act(request, obj) and self._sees_integration(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether the caller may remove it."""
        return super().has_delete_permission(request, obj) and self._sees_integration(request, obj)

    def _sees_integration(self, request: HttpRequest, obj: RepositorySource | None) -> bool:
        return obj is None or visible(Integration.objects.filter(pk=obj.integration_id), self.who(request)).exists()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form, or what is shown to those who only read."""
        if obj is not None and not self.has_change_permission(request, obj):
            return [(None, {"fields": self.readonly_fields})]
        return [(None, {"fields": ("repository", "integration")}), ("When", {"fields": _VALUES})]

    readonly_fields = ("shown_repository", "shown_integration", "shown_when", "shown_hours", "shown_next")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Choose what the address names."""
        return {name: request.GET.get(name, "")[:36] for name in ("repository", "integration")}

    def save_model(self, request: HttpRequest, obj: RepositorySource, form: Any, change: bool) -> None:
        """Create or change the source through its service."""
        if change:
            services.change_source(obj, form.values())
            return
        values = form.values() | {"integration_id": form.cleaned_data["integration"].pk}
        row = services.link_source(form.cleaned_data["repository"], values, self.who(request))
        obj.__dict__.update(row.__dict__)

    def delete_model(self, request: HttpRequest, obj: RepositorySource) -> None:
        """Remove the source through its service."""
        services.unlink_source(obj)

    @admin.display(description="repository", ordering="repository__full_name")
    def shown_repository(self, source: RepositorySource) -> str:
        """Return what is scanned."""
        return source.repository.full_name

    @admin.display(description="integration", ordering="integration__name")
    def shown_integration(self, source: RepositorySource) -> SafeString:
        """Return what scans it, as a link to its page."""
        return show.link(show.admin_url(Integration, "change", source.integration_id), source.integration.name)

    @admin.display(description="on")
    def shown_when(self, source: RepositorySource) -> str:
        """Return the events that have it scanned."""
        words = {"pushes": source.scan_on_push, "pull requests": source.scan_on_pull_request, "alerts": source.scan_on_alert}
        return ", ".join(word for word, on in words.items() if on) or "no event"

    @admin.display(description="by the clock")
    def shown_hours(self, source: RepositorySource) -> str:
        """Return how often it is scanned."""
        return f"every {source.every_hours} h" if source.every_hours else "never"

    @admin.display(description="next (UTC)")
    def shown_next(self, source: RepositorySource) -> Any:
        """Return when the clock has it scanned."""
        return show.exact(source.next_at) if source.every_hours else show.NOTHING
