"""The admin site: it takes only pages built on PortalAdmin, so that no page goes past roles, owners and the audit trail."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.paginator import InvalidPage
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from unfold.sites import UnfoldAdminSite

from access import audit
from access.admin_base.base import PortalAdmin
from access.choices import AuditVerb
from repoguard.event_types import event_types_view


class RepoGuardAdminSite(UnfoldAdminSite):
    """RepoGuard's admin."""

    index_title = "Dashboard"
    enable_nav_sidebar = True

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register a page of ours; those that third parties bring are left out.

        django-q2's, for example, lets whoever may add a schedule run any function of the installation.
        """
        if admin_class is not None and issubclass(admin_class, PortalAdmin):
            super().register(model_or_iterable, admin_class, **options)

    def extra_urls(self) -> list[URLPattern]:
        """Return the pages that belong to no table."""
        return [path("event-types/", self.admin_view(event_types_view), name="event_types")]

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Change one's own password, and record that it was changed."""
        response: HttpResponse = super().password_change(request, extra_context)
        if request.method == "POST" and response.status_code == 302 and isinstance(request.user, User):
            audit.record(AuditVerb.ACTED, request.user, action="set-password", owner_id=None)
        return response

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Search the side bar's pages."""
        try:
            return super().search(request, extra_context)  # type: ignore[no-any-return]
        except (ValueError, InvalidPage) as error:
            raise Http404 from error
