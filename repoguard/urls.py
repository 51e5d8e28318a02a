"""Routes. Declared without a trailing slash, except the admin's own (see core.api.slashes)."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerSplitView

from integrations.oauth.views import callback as oauth_callback
from repoguard import api_v1
from repoguard.badges.view import badge_view
from repoguard.health import livez
from repoguard.metrics import metrics_view
from repoguard.schema_view import SchemaView

handler400 = "core.api.errors.handler400"
handler403 = "core.api.errors.handler403"
handler404 = "core.api.errors.handler404"
handler500 = "core.api.errors.handler500"

urlpatterns = [
    *api_v1.RECEIVER_ROUTES,
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    path("admin/", admin.site.urls),
    path("oauth/callback", oauth_callback, name="oauth_callback"),
    path("docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    path("api/schema", SchemaView.as_view(), name="schema"),
    # a POST has no form to check here: it is a 405
    path("livez", csrf_exempt(require_safe(livez)), name="livez"),
    path("badge/<str:token>.svg", csrf_exempt(require_safe(badge_view)), {"form": "svg"}, name="badge"),
    path("badge/<str:token>.json", csrf_exempt(require_safe(badge_view)), {"form": "json"}),
    path("metrics", csrf_exempt(require_safe(metrics_view)), name="metrics"),
    path("api/v1/", include(api_v1.routes())),
    path("api/", include(api_v1.routes())),
]
