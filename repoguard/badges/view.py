"""/badge/<token>.svg and .json: for whoever knows the token, also without a key, because images in READMEs send none.

Whatever is asked, the answer is a badge with 200: an image that fails is shown broken, and stays so in caches like GitHub's.
JSON: https://shields.io/badges/endpoint-badge.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import patch_cache_control

from core.badges import Asked, Badge, Colour, source, unknown
from integrations.models import Repository
from repoguard.badges.svg import draw

SECONDS = 60
"""How long caches may show a badge; then they ask again, and get a 304 where nothing changed."""
SHIELDS_SECONDS = 300
MAX_LABEL = 60
_DEFAULT = "gate"
_TOKEN = re.compile(r"[\w-]{16,64}", re.ASCII)
_SAFE = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def badge_view(request: HttpRequest, token: str, form: str) -> HttpResponse:
    """Answer with the badge of a repository: `?show=gate|findings|build|success-rate`, `branch`, `workflow`, `label`."""
    badge = _badge(token, request.GET)
    if "label" in request.GET:
        badge = Badge(_line(request.GET["label"], MAX_LABEL), badge.message, badge.colour)
    if form == "svg":
        body, kind = draw(badge), "image/svg+xml; charset=utf-8"
    else:
        told = {"schemaVersion": 1, "label": badge.label, "message": badge.message, "color": badge.colour.value}
        body, kind = json.dumps(told | {"cacheSeconds": SHIELDS_SECONDS}, ensure_ascii=False), "application/json"
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:24]}"'
    found = request.headers.get("If-None-Match", "")
    same = tag in {one.strip().removeprefix("W/") for one in found.split(",")} or found.strip() == "*"
    answer = HttpResponseNotModified() if same else HttpResponse(body, content_type=kind)
    answer["ETag"] = tag
    answer["X-Content-Type-Options"] = "nosniff"
    answer["Content-Security-Policy"] = _SAFE
    answer["Access-Control-Allow-Origin"] = "*"
    answer["Cross-Origin-Resource-Policy"] = "cross-origin"
    if badge.colour is not Colour.GREY:
        patch_cache_control(answer, public=True, max_age=SECONDS, s_maxage=SECONDS)
    else:  # it may become known any moment
        patch_cache_control(answer, no_cache=True, max_age=0)
    return answer


def _badge(token: str, asked: Mapping[str, str]) -> Badge:
    show = asked.get("show", _DEFAULT)
    make = source(show)
    if make is None:
        return unknown("badge")
    label = show.replace("-", " ")
    if not _TOKEN.fullmatch(token):
        return unknown(label)
    repository = Repository.objects.filter(badge_token=token).first()
    if repository is None:
        return unknown(label)
    branch, workflow = (_line(asked.get(name, ""), 255) for name in ("branch", "workflow"))
    return make(repository, Asked(branch.removeprefix("refs/heads/"), workflow))


def _line(text: str, limit: int) -> str:
    """Return a text as one line that XML and databases take."""
    return "".join(one if one.isprintable() else " " for one in text[:limit]).strip()
