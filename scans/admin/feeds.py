"""The page of both lists about exploits: how they stand, read anew or loaded from a file, and followed while that goes on."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import PortalAdmin
from core.errors import Conflict, RepoGuardError
from core.unpacking import CHUNK
from integrations.contract.feeds import FeedName
from integrations.models import Integration
from scans.feeds.running import APPLY, CHECK, FETCH, STORE
from scans.feeds.starting import start_file, start_refresh
from scans.feeds.states import FeedShown, feeds_shown
from scans.models import FeedState

_ABOUT = {
    FeedName.EPSS: "How likely each CVE is exploited within 30 days, by FIRST. New scores appear every day.",
    FeedName.KEV: "Vulnerabilities that attackers are known to use, by CISA, with a day by which they should be mended.",
}
_FILES = {FeedName.EPSS: "epss_scores-YYYY-MM-DD.csv.gz", FeedName.KEV: "known_exploited_vulnerabilities.json"}
_PHASES = {FETCH: "Fetching the list", CHECK: "Looking at the list", STORE: "Storing the list", APPLY: "Bringing it to the findings"}


class FileForm(forms.Form):
    """A list as it was downloaded elsewhere."""

    file = forms.FileField(label="File", allow_empty_file=True)
    forced = forms.BooleanField(label="Take it also if it is older or much smaller than the stored one", required=False)


@admin.register(FeedState)
class FeedStateAdmin(PortalAdmin):
    """One page for both: there are never more."""

    owner_path = None
    read_only = True

    def get_urls(self) -> list[URLPattern]:
        """Add the live part and what the buttons do."""
        own = [
            path("live/", self.admin_site.admin_view(self.live_view), name="scans_feedstate_live"),
            path("<slug:feed>/refresh/", self.admin_site.admin_view(self.refresh_view), name="scans_feedstate_refresh"),
            path("<slug:feed>/file/", self.admin_site.admin_view(self.file_view), name="scans_feedstate_file"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show both."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return self._page(request, {})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Go to the page of both."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(show.admin_url(FeedState, "changelist"))

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """Return the part of the page that changes; the page asks for it while a refresh goes on."""
        if not self.has_view_permission(request):
            raise Http404
        return TemplateResponse(request, "portal/feeds_live.html", self._context(request, {}))

    def refresh_view(self, request: HttpRequest, feed: str) -> HttpResponseBase:
        """Start reading a list anew."""
        self._check(request, feed)
        if request.method == "POST":
            try:
                start_refresh(feed)
            except RepoGuardError as error:
                messages.error(request, error.message)
        return HttpResponseRedirect(show.admin_url(FeedState, "changelist"))

    def file_view(self, request: HttpRequest, feed: str) -> HttpResponseBase:
        """Take a file in, or say beside it what is wrong with it."""
        self._check(request, feed)
        if request.method != "POST":
            return HttpResponseRedirect(show.admin_url(FeedState, "changelist"))
        form = FileForm(request.POST, request.FILES, prefix=feed)
        if form.is_valid():
            given = form.cleaned_data["file"]
            try:
                start_file(feed, given.chunks(CHUNK), given.name, forced=form.cleaned_data["forced"])
            except Conflict as error:  # a refresh goes on, and the form is not there
                messages.error(request, error.message)
                return HttpResponseRedirect(show.admin_url(FeedState, "changelist"))
            except RepoGuardError as error:
                said = error.message.removeprefix("file: ")
                form.add_error("file", said[:1].upper() + said[1:])
            else:
                return HttpResponseRedirect(show.admin_url(FeedState, "changelist"))
        return self._page(request, {feed: form})

    def _check(self, request: HttpRequest, feed: str) -> None:
        if feed not in FeedName.values:
            raise Http404
        if not self.may_act(request):
            raise PermissionDenied

    def _page(self, request: HttpRequest, forms_: dict[str, FileForm]) -> HttpResponse:
        return self.page(request, "portal/feeds.html", "Exploit feeds", **self._context(request, forms_))

    def _context(self, request: HttpRequest, forms_: dict[str, FileForm]) -> dict[str, Any]:
        shown = feeds_shown()
        acts = self.may_act(request)
        return {
            "feeds": [_card(one, forms_.get(one.feed) or FileForm(prefix=one.feed)) for one in shown],
            "acts": acts,
            "live": any(one.going_on for one in shown),
            "live_url": reverse("admin:scans_feedstate_live"),
        }


def _card(one: FeedShown, form: FileForm) -> dict[str, Any]:
    progress = one.run.progress if one.run else {}
    done, total = progress.get("done"), progress.get("total")
    return {
        "shown": one,
        "state": one.state,
        "run": one.run,
        "going_on": one.going_on,
        "about": _ABOUT[one.feed],
        "file_name": _FILES[one.feed],
        "badge": _badge(one),
        "stale": one.stale,
        "phase": _PHASES.get(progress.get("phase", ""), "Waits for a worker"),
        "done": f"{done:,} findings" if progress.get("phase") == APPLY and done else f"{done:,} rows" if done else "",
        "percent": f"{100 * done / total:.0f}" if done and total else "",
        "form": form,
        "source_url": show.admin_url(Integration, "change", one.source.pk) if one.source else "",
        "add_url": f"{show.admin_url(Integration, 'add')}?{urlencode({'type': one.connector})}",
        "refresh_url": reverse("admin:scans_feedstate_refresh", args=[one.feed]),
        "file_url": reverse("admin:scans_feedstate_file", args=[one.feed]),
    }


def _badge(one: FeedShown) -> SafeString:
    if one.state.failed_at:
        return show.badge("last refresh failed", show.BAD)
    if one.state.read_at is None:
        return show.badge("never read", show.QUIET)
    return show.badge("out of date", show.WARN, one.stale) if one.stale else show.badge("up to date", show.GOOD)
