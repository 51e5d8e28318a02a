"""API keys: created and rotated here, shown once, never again."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from access import scopes, services
from access.admin_base import show
from access.admin_base.base import PortalAdmin, ServiceForm
from access.admin_base.buttons import Button, ButtonField
from access.admin_base.filters import choice_filter
from access.admin_base.owners import OwnerField
from access.admin_base.widgets import GroupedChecks
from access.choices import KeyEnvironment
from access.models import ApiKey, ApiUsage
from access.principals import Principal
from access.selectors import with_owner
from access.usage import fold_if_free
from core.errors import InvalidInput
from core.ids import is_uuid

KEPT = "only its first characters and a hash"
USAGE_ROWS = 60


class ApiKeyForm(ServiceForm):
    """What a key may do, from where, and until when."""

    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget, help_text="What it is for, such as “Jenkins of team blue”.")
    owner = OwnerField(help_text="On whose behalf it acts: it sees and changes what its owner does. It can't be changed later.")
    environment = forms.ChoiceField(
        choices=KeyEnvironment.choices,
        widget=UnfoldAdminSelectWidget,
        initial=KeyEnvironment.LIVE,
        help_text="Shown in the key itself, so that a test key in production is noticed.",
    )
    scopes = forms.MultipleChoiceField(
        widget=GroupedChecks, help_text="Give it no more than it needs. “all” is everything but events:system, which can forge gate.passed."
    )
    allowed_cidrs = forms.CharField(
        required=False,
        label="Allowed networks",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="One network per line, such as 10.0.0.0/8. Empty: it may be used from anywhere.",
    )
    rate_per_minute = forms.IntegerField(
        required=False, min_value=1, widget=UnfoldAdminIntegerFieldWidget, help_text="Requests a minute. Empty: the portal's default."
    )
    unlimited = forms.BooleanField(
        required=False, widget=UnfoldBooleanSwitchWidget, help_text="No rate limit at all. Only admins may set it."
    )
    expires_at = forms.SplitDateTimeField(
        required=False, widget=UnfoldAdminSplitDateTimeWidget, label="Expires (UTC)", help_text="Empty: it works until it is revoked."
    )

    class Meta:
        model = ApiKey
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        key = self.instance
        stored = not key._state.adding
        owner = self.fields.get("owner")
        if isinstance(owner, OwnerField):
            owner.offer(self.who, str(key.owner) if stored and key.owner else None)
        if "scopes" in self.fields:
            self.fields["scopes"].choices = scope_choices(self.who, key.scopes if stored else [])  # type: ignore[attr-defined]
        if "unlimited" in self.fields and not self.who.is_admin and not key.unlimited:
            del self.fields["unlimited"]
        present: dict[str, Any] = _present(key) if stored else {"scopes": [scopes.ALL]}
        self.initial = {**present, **self.initial}

    def clean_owner(self) -> Any:
        """Return the owner's id."""
        field = self.fields["owner"]
        return field.resolve(self.cleaned_data["owner"], self.who) if isinstance(field, OwnerField) else None

    def clean_allowed_cidrs(self) -> list[str]:
        """Return the networks."""
        return [line.strip() for line in self.cleaned_data["allowed_cidrs"].replace(",", "\n").splitlines() if line.strip()]


def scope_choices(who: Principal, present: list[str]) -> list[Any]:
    """Return the scopes grouped by resource: what `who` may give, and what the key has already."""
    offered = sorted((who.scopes - {scopes.EVENTS_SYSTEM}) | (set(present) & scopes.SCOPES))
    groups: dict[str, list[tuple[str, str]]] = {"everything": [(scopes.ALL, "all but events:system")]}
    for scope in offered:
        resource, _, verb = scope.partition(":")
        if scope != scopes.EVENTS_SYSTEM:
            groups.setdefault(resource, []).append((scope, verb))
    if scopes.EVENTS_SYSTEM in who.scopes or scopes.EVENTS_SYSTEM in present:
        groups.setdefault("events", []).append((scopes.EVENTS_SYSTEM, "system: post any type, also gate.passed"))
    return list(groups.items())


def _present(key: ApiKey) -> dict[str, Any]:
    names = ("name", "environment", "scopes", "rate_per_minute", "unlimited", "expires_at")
    return {name: getattr(key, name) for name in names} | {"allowed_cidrs": "\n".join(key.allowed_cidrs)}


@admin.register(ApiKey)
class ApiKeyAdmin(PortalAdmin):
    """Keys for the API."""

    empty_text = "CI and scripts call the API with a key. Create one for each of them."
    shows_id = True
    form = ApiKeyForm
    list_display = ("name", "shown_prefix", "shown_state", "environment", "shown_scopes", "shown_owner", "shown_rate", "shown_use")
    list_filter = (choice_filter("environment", "environment", KeyEnvironment.choices),)
    search_fields = ("name", "prefix")
    search_help_text = "name or first characters of the key"
    ordering = ("-id",)
    _form_fields = ("name", "owner", "environment", "scopes", "allowed_cidrs", "rate_per_minute", "unlimited", "expires_at")
    _facts = ("shown_prefix", "shown_state", "shown_owner", "shown_use", "shown_successor", "shown_created")
    readonly_fields = (*_facts, "shown_scopes", "shown_rate", "shown_cidrs")

    def rows(self, request: HttpRequest) -> QuerySet[ApiKey]:
        """Return the keys with their owners."""
        return with_owner(ApiKey.objects.select_related("successor"))

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form, or what is shown to those who only read."""
        if obj is None:
            return [(None, {"fields": self._for(request, self._form_fields)})]
        if not self.has_change_permission(request, obj):
            return [(None, {"fields": ("name", "environment", "shown_scopes", "shown_cidrs", "shown_rate", "expires_at", *self._facts)})]
        changeable = tuple(name for name in self._form_fields if name != "owner")
        return [("Key", {"fields": self._facts}), ("What it may do", {"fields": self._for(request, changeable, obj)})]

    def _for(self, request: HttpRequest, names: tuple[str, ...], key: ApiKey | None = None) -> tuple[str, ...]:
        lift = self.who(request).is_admin or (key is not None and key.unlimited)
        return tuple(name for name in names if lift or name != "unlimited")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say no for a revoked key: it is history."""
        return not (isinstance(obj, ApiKey) and obj.revoked_at) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say no: keys are revoked, and stay listed."""
        return False

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        """Create or change the key through its service."""
        who, values = self.who(request), dict(form.cleaned_data)
        owner_id = values.pop("owner", None)
        if change:
            services.update_key(obj, values, who)
            return
        key, text = services.create_key(services.KeyValues(owner_id=owner_id, **values), who)
        obj.__dict__.update(key.__dict__)
        request._portal_secret = text  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """Show the new key."""
        return self._key_page(request, obj, request._portal_secret, "The API key is ready.")  # type: ignore[attr-defined]

    def buttons(self) -> list[Button]:
        """Return rotate and revoke."""
        return [
            Button("rotate", "Rotate", "sync", self._rotate, _rotatable, _overlap),
            Button(
                "revoke",
                "Revoke",
                "block",
                self._revoke,
                lambda request, key: key.revoked_at is None,
                confirm="Revoke this key now? Whatever uses it is refused at once. This can't be undone.",
                tone="bad",
            ),
        ]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Add the key's use to the page."""
        extra = (
            {"portal_panel": "portal/key_usage.html", "usage": _usage(object_id), **(extra_context or {})} if object_id else extra_context
        )
        return super().changeform_view(request, object_id, form_url, extra)

    def _rotate(self, request: HttpRequest, key: ApiKey) -> HttpResponseBase:
        try:
            hours = float(request.POST.get("overlap_hours") or services.DEFAULT_OVERLAP_HOURS)
        except ValueError:
            raise InvalidInput.of("overlap_hours", "must be a number of hours, such as 24.") from None
        new, text = services.rotate_key(key, hours, self.who(request))
        return self._key_page(request, new, text, f"The new key replaces {key.prefix}…, which works for {hours:g} more hours.")

    def _revoke(self, request: HttpRequest, key: ApiKey) -> HttpResponseBase:
        services.revoke_key(key)
        messages.success(request, f"{key.name} is revoked: it is refused from now on.")
        return HttpResponseRedirect(show.admin_url(ApiKey, "change", key.pk))

    def _key_page(self, request: HttpRequest, key: ApiKey, text: str, lead: str) -> HttpResponse:
        root = request.build_absolute_uri("/api/v1/webhooks")
        example = f'curl -H "Authorization: Bearer $REPOGUARD_KEY" {root}'
        return self.secret_page(request, "API key", text, key, lead=lead, kept=KEPT, example=example)

    @admin.display(description="created (UTC)")
    def shown_created(self, key: ApiKey) -> SafeString:
        """Return when it was made."""
        return show.exact(key.created_at)

    @admin.display(description="replaced by")
    def shown_successor(self, key: ApiKey) -> SafeString:
        """Return the key that took its place."""
        return show.link(show.admin_url(ApiKey, "change", key.successor_id), key.successor) if key.successor_id else show.NOTHING

    @admin.display(description="begins with")
    def shown_prefix(self, key: ApiKey) -> SafeString:
        """Return the visible start of the key."""
        return show.code(f"{key.prefix}…")

    @admin.display(description="state")
    def shown_state(self, key: ApiKey) -> SafeString:
        """Return whether it works."""
        if key.revoked_at:
            return format_html("{} {}", show.badge("revoked", show.BAD), show.moment(key.revoked_at))
        if key.expires_at and key.expires_at <= timezone.now():
            return format_html("{} {}", show.badge("expired", show.BAD), show.moment(key.expires_at))
        if key.expires_at:
            tone = show.WARN if key.successor_id else show.GOOD
            return format_html("{} ends {}", show.badge("replaced" if key.successor_id else "active", tone), show.moment(key.expires_at))
        return show.badge("active", show.GOOD)

    @admin.display(description="scopes")
    def shown_scopes(self, key: ApiKey) -> SafeString:
        """Return what it may do."""
        few = key.scopes[:6]
        return show.codes(few if len(few) == len(key.scopes) else [*few, f"+{len(key.scopes) - len(few)}"])

    @admin.display(description="allowed networks")
    def shown_cidrs(self, key: ApiKey) -> Any:
        """Return from where it may be used."""
        return show.codes(key.allowed_cidrs) if key.allowed_cidrs else "anywhere"

    @admin.display(description="owner")
    def shown_owner(self, key: ApiKey) -> str:
        """Return whose it is."""
        return str(key.owner) if key.owner else "the admins"

    @admin.display(description="rate")
    def shown_rate(self, key: ApiKey) -> str:
        """Return its rate limit."""
        return "no limit" if key.unlimited else f"{key.rate_per_minute}/min" if key.rate_per_minute else "default"

    @admin.display(description="last used")
    def shown_use(self, key: ApiKey) -> Any:
        """Return when and from where it was last used."""
        if not key.last_used_at:
            return "never"
        return format_html("{} <span class='rg-faint'>{}</span>", show.moment(key.last_used_at), key.last_used_address or "")


def _rotatable(request: HttpRequest, key: ApiKey) -> bool:
    return not key.revoked_at and key.successor_id is None and not (key.expires_at and key.expires_at <= timezone.now())


def _overlap(request: HttpRequest, key: ApiKey) -> list[ButtonField]:
    return [ButtonField("overlap_hours", "old key works for (hours)", value=str(services.DEFAULT_OVERLAP_HOURS))]


def _usage(object_id: str) -> list[Any]:
    """Return requests and errors per day and route, newest first; the page shows only keys its reader sees."""
    if not is_uuid(object_id):
        return []
    fold_if_free()
    rows = ApiUsage.objects.filter(key_id=uuid.UUID(object_id)).values("day", "route")
    return list(rows.annotate(requests=Sum("requests"), errors=Sum("errors")).order_by("-day", "route")[:USAGE_ROWS])
