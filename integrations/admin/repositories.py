"""Repositories in the admin."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from access.admin_base import show
from access.admin_base.base import PortalAdmin
from access.admin_base.buttons import Button
from access.admin_base.filters import choice_filter
from access.admin_base.owners import OwnedForm, OwnerField
from integrations.admin.sources import source_links
from integrations.choices import Provider
from integrations.models import Repository
from integrations.selectors.badges import badge_addresses
from integrations.selectors.repositories import all_repositories
from integrations.services import repositories as services
from integrations.services.badges import renew_badge_token, revoke_badge_token


def _has_badges(request: HttpRequest, repository: Repository) -> bool:
    return bool(repository.badge_token)


class RepositoryForm(OwnedForm):
    """A repository at its provider."""

    provider = forms.ChoiceField(choices=Provider.choices, widget=UnfoldAdminSelectWidget)
    full_name = forms.CharField(
        max_length=255, label="Full name", widget=UnfoldAdminTextInputWidget, help_text="owner/name, as the provider spells it: acme/shop."
    )
    default_branch = forms.CharField(max_length=255, initial="main", widget=UnfoldAdminTextInputWidget)
    active = forms.BooleanField(required=False, initial=True, widget=UnfoldBooleanSwitchWidget)
    owner = OwnerField(
        help_text="Events of this repository belong to its owner: only that owner's webhooks (and those of the admins) get them."
    )

    class Meta:
        model = Repository
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        repository = self.instance
        owner = str(repository.owner) if repository.owner_id else None
        field = self.fields.get("owner")
        if isinstance(field, OwnerField):
            field.offer(self.who, owner)
        if not repository._state.adding:
            names = ("provider", "full_name", "default_branch", "active")
            self.initial = {**{name: getattr(repository, name) for name in names}, "owner": owner or "", **self.initial}
            if not services.may_register(self.who):
                for name in ("provider", "full_name", "owner"):
                    self.fields[name].disabled = True
                self.fields["full_name"].help_text = "Only admins rename repositories here."
                self.fields["owner"].help_text = "Only admins give repositories to another owner here."


ASK_ADMINS = "Only admins register repositories here. Ask one to register yours, and to make your team its owner."


@admin.register(Repository)
class RepositoryAdmin(PortalAdmin):
    """What findings, builds and events are about."""

    empty_text = "Events, webhooks and keys can be limited to the repositories that are listed here."
    shows_id = True
    change_form_outer_before_template = "portal/repository_panel.html"
    form = RepositoryForm
    list_display = ("full_name", "provider", "default_branch", "shown_active", "shown_owner", "shown_created")
    list_filter = (choice_filter("provider", "provider", Provider.choices),)
    search_fields = ("full_name",)
    search_help_text = "name"
    ordering = ("-id",)
    delete_consequence = "Events that were published about it stay. It is refused while webhooks are limited to it."
    fields = ("provider", "full_name", "default_branch", "active", "owner")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say no to teams where only admins register."""
        return super().has_add_permission(request) and services.may_register(self.who(request))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Tell teams whom to ask where only admins register."""
        listed = super().get_changelist_instance(request)
        if self._may_write(request) and not services.may_register(self.who(request)):
            listed.empty_text = ASK_ADMINS
        return listed

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Warn teams who couldn't register it again."""
        may = services.may_register(self.who(request))
        said = {} if may else {"consequence": f"Only admins can register it again. {self.delete_consequence}"}
        return super().delete_view(request, object_id, {**said, **(extra_context or {})})

    def rows(self, request: HttpRequest) -> QuerySet[Repository]:
        """Return the repositories with their owners."""
        return all_repositories()

    def save_model(self, request: HttpRequest, obj: Repository, form: Any, change: bool) -> None:
        """Create or change the repository through its service."""
        values = dict(form.cleaned_data)
        values["owner_id"] = values.pop("owner")
        wanted, who = services.RepositoryValues(**values), self.who(request)  # type: ignore[typeddict-item]
        if change:
            services.update_repository(obj, wanted, who)
        else:
            obj.__dict__.update(services.create_repository(wanted, who).__dict__)

    def delete_model(self, request: HttpRequest, obj: Repository) -> None:
        """Remove the repository through its service."""
        services.delete_repository(obj)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        """Lead to what scans it."""
        if (obj := kwargs.get("obj")) is not None:
            context |= {
                "badges": badge_addresses(obj),
                "portal_links": source_links(self.may_act(request, obj), repository=obj.pk, q=obj.full_name),
            }
        return cast("HttpResponse", super().render_change_form(request, context, *args, **kwargs))

    def buttons(self) -> list[Button]:
        """Return what can be done with the addresses of its badges."""
        new = "New badge addresses"
        return [
            Button("renew-badge", new, "autorenew", self._renew_badge, confirm="READMEs that show its badges need the new addresses."),
            Button("revoke-badge", "Hide its badges", "visibility_off", self._revoke_badge, _has_badges, tone="danger"),
        ]

    def _renew_badge(self, request: HttpRequest, repository: Repository) -> HttpResponseBase:
        renew_badge_token(repository)
        messages.success(request, "Its badges have new addresses; those that were known before show “unknown”.")
        return HttpResponseRedirect(show.admin_url(Repository, "change", repository.pk))

    def _revoke_badge(self, request: HttpRequest, repository: Repository) -> HttpResponseBase:
        revoke_badge_token(repository)
        messages.success(request, "Nobody sees its badges any more; “New badge addresses” shows them again.")
        return HttpResponseRedirect(show.admin_url(Repository, "change", repository.pk))

    @admin.display(description="active")
    def shown_active(self, repository: Repository) -> Any:
        """Return whether it is watched."""
        return show.badge("active", show.GOOD) if repository.active else show.badge("inactive")

    @admin.display(description="owner")
    def shown_owner(self, repository: Repository) -> str:
        """Return whose it is."""
        return str(repository.owner) if repository.owner else "the admins"

    @admin.display(description="created (UTC)")
    def shown_created(self, repository: Repository) -> Any:
        """Return when it was registered."""
        return show.exact(repository.created_at)
