"""The page on which failed deliveries of a webhook are recovered: a form, a preview, and the start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget

from access.admin_base import show
from access.admin_base.base import PortalAdmin
from core.errors import RepoGuardError
from webhooks import recovery, services
from webhooks.models import Replay, Webhook
from webhooks.recovery import RECOVERABLE, Preview, unfinished
from webhooks.services import RecoverValues
from webhooks.services.replays import DEFAULT_RATE, HIGHEST_RATE, LOWEST_RATE

_DEFAULT_SPAN = timedelta(days=1)
_SAYS_OUTAGE = "It was filled in: the beginning of the present outage."
_SAYS_YESTERDAY = "It was filled in: yesterday at this time."
_LOCAL = "%Y-%m-%dT%H:%M"


def _time(label: str, help_text: str, *, required: bool) -> forms.DateTimeField:
    widget = UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"})
    formats = [_LOCAL, "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]
    return forms.DateTimeField(label=label, help_text=help_text, required=required, widget=widget, input_formats=formats)


class RecoverForm(forms.Form):
    """What to send again; times are UTC."""

    since = _time("From (UTC)", "Deliveries that were created from then on.", required=True)
    until = _time("Until (UTC)", "Before this time; empty: until now.", required=False)
    statuses = forms.MultipleChoiceField(
        label="Which",
        choices=[(status.value, status.label) for status in RECOVERABLE],
        initial=["failed"],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="What is pending, or was delivered since, is left out by itself.",
    )
    event_types = forms.CharField(
        label="Event types",
        required=False,
        max_length=2000,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "scan.*, gate.failed"}),
        help_text="Names or wildcards, separated by commas; empty: all.",
    )
    rate_per_second = forms.FloatField(
        label="At most a second",
        initial=DEFAULT_RATE,
        min_value=LOWEST_RATE,
        max_value=HIGHEST_RATE,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
        help_text="Live deliveries always leave first.",
    )

    def values(self) -> RecoverValues:
        """Return what the service takes."""
        data = self.cleaned_data
        types = [word.strip() for word in data["event_types"].split(",") if word.strip()]
        return RecoverValues(
            since=data["since"], until=data["until"], statuses=data["statuses"], event_types=types, rate_per_second=data["rate_per_second"]
        )

    def show(self, error: RepoGuardError) -> None:
        """Put a refusal of the service beside the fields it names."""
        named = {name.partition(".")[0]: sentences for name, sentences in error.fields.items()}
        for name, sentences in named.items():
            self.add_error(name if name in self.fields else None, [sentence[:1].upper() + sentence[1:] for sentence in sentences])
        if not named:
            self.add_error(None, error.message)


class RecoverPage(PortalAdmin):
    """Adds the page to the admin of webhooks."""

    def get_urls(self) -> list[URLPattern]:
        """Add its address."""
        own = path("<path:object_id>/recover/", self.admin_site.admin_view(self.recover_view), name="webhooks_webhook_recover")
        return [own, *super().get_urls()]

    def recover_links(self, request: HttpRequest, webhook: Webhook) -> list[tuple[str, str, str]]:
        """Return the link to the page, for those who may use it."""
        if not self.may_act(request, webhook):
            return []
        return [(show.admin_url(Webhook, "recover", webhook.pk), "Recover deliveries", "settings_backup_restore")]

    def recover_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Show the form; count what it would send; start it."""
        webhook = self.get_object(request, unquote(object_id))
        if webhook is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if not self.may_act(request, webhook):
            raise PermissionDenied
        form = RecoverForm(request.POST or None, initial={"since": _first_time(webhook).strftime(_LOCAL)})
        form.fields["since"].help_text += f" {_SAYS_OUTAGE if webhook.state.failing_since else _SAYS_YESTERDAY}"
        preview: Preview | None = None
        if request.method == "POST" and form.is_valid():
            try:
                if "start" in request.POST:
                    replay = services.start_recovery(webhook, form.values())
                    messages.success(request, "The recovery is started; this page follows it.")
                    return HttpResponseRedirect(show.admin_url(Replay, "change", replay.pk))
                preview = services.preview_recovery(webhook, form.values())
            except RepoGuardError as error:
                form.show(error)
        running = Replay.objects.filter(unfinished(), webhook_id=webhook.pk).values_list("pk", flat=True).first()
        context: dict[str, Any] = {
            "form": form,
            "older": _older_sentence(webhook, form),
            "preview": preview,
            "webhook": webhook,
            "original": webhook,
            "back": show.admin_url(Webhook, "change", webhook.pk),
            "enabled": webhook.state.enabled,
            "running_url": show.admin_url(Replay, "change", running) if running else "",
        }
        return self.page(request, "portal/recover.html", f"Recover deliveries of {webhook.name}", **context)


def _first_time(webhook: Webhook) -> datetime:
    """Return where the form's range begins: when the webhook began to fail, or yesterday."""
    since = webhook.state.failing_since or timezone.now() - _DEFAULT_SPAN
    return since.astimezone(UTC).replace(second=0, microsecond=0)


def _older_sentence(webhook: Webhook, form: RecoverForm) -> str:
    """Return how many failed deliveries lie before the range; "" where there are none."""
    since = form.cleaned_data.get("since") if form.is_bound else None
    count = recovery.older_failed(webhook.pk, since or _first_time(webhook))
    if not count:
        return ""
    if count == 1:
        return "1 older failed delivery is not included: choose an earlier time to send it, too."
    number = f"More than {recovery.MOST_OLDER:,}" if count > recovery.MOST_OLDER else f"{count:,}"
    return f"{number} older failed deliveries are not included: choose an earlier time to send them, too."
