"""Inbound sources in the admin."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import PortalAdmin
from access.admin_base.buttons import Button, ButtonField
from access.admin_base.filters import choice_filter
from core import runtime
from core.errors import InvalidInput, NotFound
from integrations.admin.choosing import CHOOSE, choices
from integrations.contract.addresses import PublishedAddresses
from integrations.contract.backfill import Backfill
from integrations.contract.inbound import Receiver
from webhooks.admin.inbound_form import PREFIX, InboundSourceForm
from webhooks.choices import Verdict
from webhooks.inbound import samples, sources
from webhooks.inbound.backfill_start import request_backfill
from webhooks.inbound.missed import backfillers, hindrance, last_backfill, shown_status
from webhooks.inbound.provider_addresses import known, publishers
from webhooks.inbound.selectors import find_receiver, live_sources, receiver_url, receivers
from webhooks.models import InboundBackfill, InboundSource, Receipt

KEPT = "it encrypted to verify with"
_READ_ONLY = ("shown_url", "shown_silence", "shown_received", "shown_counts", "shown_missed", "shown_addresses", "shown_owner")
_TAKES = ("active", "validate_schema", "silence_seconds")


def _providers() -> list[tuple[str, str]]:
    return [(receiver.key, receiver.title) for receiver in receivers()]


@admin.register(InboundSource)
class InboundSourceAdmin(PortalAdmin):
    """Who may send webhooks here."""

    empty_text = (
        "An inbound source is an address for the webhooks of another system, such as GitHub. Create one, and enter its address there."
    )

    form = InboundSourceForm
    list_display = ("name", "shown_provider", "shown_state", "shown_received", "shown_counts", "shown_owner")
    list_filter = (choice_filter("provider", "provider", _providers),)
    search_fields = ("name",)
    search_help_text = "name"
    ordering = ("-id",)
    delete_consequence = "Nothing is received there any more, and its requests go with it. To pause it, disable it instead."
    readonly_fields = _READ_ONLY

    def rows(self, request: HttpRequest) -> QuerySet[InboundSource]:
        """Return the sources that were not deleted, never their secrets."""
        return live_sources()

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form with the options of the provider."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.receiver = _receiver(request, obj)
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form, or what is shown to those who only read."""
        if obj is not None and not self.has_change_permission(request, obj):
            return [(None, {"fields": ("name", "provider", "allowed_cidrs", "config", *_READ_ONLY)})]
        receiver = _receiver(request, obj)
        addresses = ("provider_addresses",) if receiver and issubclass(receiver, PublishedAddresses) else ()
        apart = receiver.backfill_options if receiver and issubclass(receiver, Backfill) else ()
        missed = ("integration", *(PREFIX + name for name in apart)) if receiver and issubclass(receiver, Backfill) else ()
        takes = ("allowed_cidrs", *addresses, *_TAKES, *(("is_default",) if self.who(request).is_admin else ()))
        options = tuple(PREFIX + field.name for field in receiver.source_fields if field.name not in apart) if receiver else ()
        secret = ("secret",) if receiver else ()
        return [
            (None, {"fields": ("name", "owner") if obj is None else ("shown_url", "name", "owner")}),
            (receiver.title if receiver else None, {"fields": (*options, *secret)}),
            ("What is taken", {"fields": takes}),
            *([("Missed deliveries", {"fields": missed})] if missed else []),
            *([] if obj is None else [("Traffic", {"fields": _READ_ONLY[1:6]})]),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """First choose the provider, then fill in its form."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if _receiver(request, None) is None:
            lead = "Whose webhooks should be received? The next page asks for what that provider needs."
            shown = {"connectors": choices(receivers()), "lead": lead, "about": "Its documentation"}
            return self.page(request, CHOOSE, "Add inbound source", **shown)
        return super().add_view(request, form_url, extra_context)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        """Say in the title whose webhooks they are."""
        receiver = _receiver(request, kwargs.get("obj"))
        if kwargs.get("obj") is None and receiver is not None:
            context |= {"title": f"Add inbound source: {receiver.title}", "show_save_and_add_another": False}
        return cast("HttpResponse", super().render_change_form(request, context, *args, **kwargs))

    # --- Changes ---

    def save_model(self, request: HttpRequest, obj: InboundSource, form: Any, change: bool) -> None:
        """Create or change the source through its service."""
        values, secret = form.values()
        if change:
            sources.update_source(obj, values, secret=secret)
            return
        source, stored = sources.create_source(values, secret=secret)
        obj.__dict__.update(source.__dict__)
        request._portal_secret = None if secret else stored  # type: ignore[attr-defined]  # what was entered is not shown back

    def delete_model(self, request: HttpRequest, obj: InboundSource) -> None:
        """Delete the source through its service."""
        sources.delete_source(obj)

    def response_add(self, request: HttpRequest, obj: InboundSource, post_url_continue: str | None = None) -> HttpResponse:
        """Show the new source's secret where one was made here, else only its address."""
        secret = request._portal_secret  # type: ignore[attr-defined]
        if secret is None:
            messages.success(request, f"{obj.name} is ready. Enter its address at the platform.")
            return HttpResponseRedirect(show.admin_url(InboundSource, "change", obj.pk))
        return self._secret(request, obj, secret, f"{obj.name} is ready. Enter the address and this secret at the platform.")

    def buttons(self) -> list[Button]:
        """Return what can be done with a source."""
        ask = "Disable it? Everything that is sent to it is refused until it is enabled."
        sample = "Send it? It is processed like a request of the platform: it becomes events and builds, and your webhooks tell of it."
        return [
            Button("send-sample", "Send sample", "science", self._send_sample, _can_sample, _samples, confirm=sample),
            Button("rotate-secret", "Rotate secret", "sync_lock", self._rotate, _takes_ours, _overlap),
            Button("backfill", "Request missed deliveries", "history", self._backfill, _can_request, tone="primary"),
            Button("enable", "Enable", "play_arrow", self._enable, lambda request, source: not source.active),
            Button("disable", "Disable", "pause", self._disable, lambda request, source: source.active, confirm=ask),
        ]

    def _rotate(self, request: HttpRequest, source: InboundSource) -> HttpResponseBase:
        try:
            hours = float(request.POST["overlap_hours"]) if request.POST.get("overlap_hours") else None
        except ValueError:
            raise InvalidInput.of("overlap_hours", "must be a number of hours, such as 24.") from None
        secret = sources.rotate_secret(source, hours)
        hours = float(runtime.current().secret_overlap_hours) if hours is None else hours
        lead = f"Enter the new secret of {source.name} at the platform" + (
            f"; requests with the old one are taken for {hours:g} more hours." if hours else " now: the old one is refused."
        )
        return self._secret(request, source, str(secret), lead)

    def _backfill(self, request: HttpRequest, source: InboundSource) -> HttpResponseBase:
        row = request_backfill(source)
        messages.success(request, "The platform's list of deliveries is compared with what arrived; this page follows it.")
        return HttpResponseRedirect(show.admin_url(InboundBackfill, "change", row.pk))

    def _send_sample(self, request: HttpRequest, source: InboundSource) -> HttpResponseBase:
        result = samples.send_sample(source, request.POST.get("event", ""))
        if result.verdict == Verdict.ACCEPTED:
            said = f"The sample {result.event} was accepted and stored: this is its receipt, and this page follows what it becomes."
            messages.success(request, said)
        else:
            messages.error(request, f"The sample {result.event} was refused: {result.reason}")
        return HttpResponseRedirect(show.admin_url(Receipt, "change", result.receipt))

    def _enable(self, request: HttpRequest, source: InboundSource) -> HttpResponseBase:
        sources.enable(source)
        messages.success(request, f"{source.name} receives again.")
        return HttpResponseRedirect(show.admin_url(InboundSource, "change", source.pk))

    def _disable(self, request: HttpRequest, source: InboundSource) -> HttpResponseBase:
        sources.disable(source)
        messages.success(request, f"{source.name} refuses everything from now on.")
        return HttpResponseRedirect(show.admin_url(InboundSource, "change", source.pk))

    def _secret(self, request: HttpRequest, source: InboundSource, secret: str, lead: str) -> HttpResponse:
        address = receiver_url(source)
        return self.secret_page(request, "Secret of an inbound source", secret, source, lead=lead, kept=KEPT, address=address)

    # --- Columns ---

    @admin.display(description="provider")
    def shown_provider(self, source: InboundSource) -> str:
        """Return its provider's name."""
        return dict(_providers()).get(source.provider, source.provider)

    @admin.display(description="state")
    def shown_state(self, source: InboundSource) -> SafeString:
        """Return whether it receives, and does."""
        if not source.active:
            return show.badge("inactive")
        if source.silent_since is not None:
            return show.badge("silent", show.WARN, f"nothing came since {source.silent_since:%Y-%m-%d %H:%M} UTC")
        return show.badge("default" if source.is_default else "active", show.GOOD)

    @admin.display(description="last request")
    def shown_received(self, source: InboundSource) -> SafeString:
        """Return when an authentic request came last."""
        return show.moment(source.last_received_at)

    @admin.display(description="requests")
    def shown_counts(self, source: InboundSource) -> SafeString:
        """Return how many came, with a link to them."""
        url = f"{show.admin_url(Receipt, 'changelist')}?source={source.pk}"
        return show.link(url, f"{source.accepted_count:,} accepted, {source.refused_count:,} refused")

    @admin.display(description="missed deliveries")
    def shown_missed(self, source: InboundSource) -> Any:
        """Return what came of the latest request for them, or what hinders one."""
        if source.provider not in backfillers():
            return show.NOTHING
        last = last_backfill(source)
        if last is None:
            return hindrance(source) or "never requested"
        figures = f"{last.requested:,} sent again, {last.looked_at:,} looked at"
        said = f"{shown_status(last).label}: {figures}, since {last.since:%Y-%m-%d %H:%M} UTC"
        return show.link(show.admin_url(InboundBackfill, "change", last.pk), said)

    @admin.display(description="may send from")
    def shown_addresses(self, source: InboundSource) -> Any:
        """Return which networks may send, and how old the platform's list is."""
        own = ", ".join(source.allowed_cidrs)
        if not source.provider_addresses or source.provider not in publishers():
            return own or "any address"
        found = known(source.provider)
        shown = format_html("{}{}: {}", f"{own}; " if own else "", found.said, ", ".join(found.networks))
        return format_html("{}<br>{}", shown, show.badge(found.error, show.WARN)) if found.error else shown

    @admin.display(description="silent")
    def shown_silence(self, source: InboundSource) -> Any:
        """Return since when it is silent."""
        return format_html("since {} UTC", show.exact(source.silent_since)) if source.silent_since else "no"

    @admin.display(description="address")
    def shown_url(self, source: InboundSource) -> SafeString:
        """Return where the platform sends."""
        return render_to_string("portal/address.html", {"address": receiver_url(source)})

    @admin.display(description="owner")
    def shown_owner(self, source: InboundSource) -> str:
        """Return whose it is."""
        return str(source.owner) if source.owner else "the admins"


def _takes_ours(request: HttpRequest, source: InboundSource) -> bool:
    return any(one.key == source.provider and one.needs_secret and not one.secret_is_given for one in receivers())


def _can_request(request: HttpRequest, source: InboundSource) -> bool:
    if not source.active or hindrance(source):
        return False
    last = last_backfill(source)
    return last is None or last.finished_at is not None


def _receiver(request: HttpRequest, source: InboundSource | None) -> type[Receiver] | None:
    """Return what receives for a source, or for the provider that was chosen for a new one."""
    try:
        return find_receiver(source.provider if source is not None else request.GET.get("type", ""))
    except NotFound:
        return None


def _can_sample(request: HttpRequest, source: InboundSource) -> bool:
    return source.active and samples.simulator_of(source) is not None


def _samples(request: HttpRequest, source: InboundSource) -> list[ButtonField]:
    receiver = samples.simulator_of(source)
    choices = tuple((one.event, f"{one.event}: {one.about}") for one in (receiver.samples if receiver else ()))
    return [ButtonField("event", "sample", kind="select", choices=choices)]


def _overlap(request: HttpRequest, source: InboundSource) -> list[ButtonField]:
    return [ButtonField("overlap_hours", "old secret is taken for (hours)", value=str(runtime.current().secret_overlap_hours))]
