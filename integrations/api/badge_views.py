"""Where a repository's badges are, and taking the addresses back."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.viewsets import PortalViewSet
from integrations.models import Repository
from integrations.selectors.badges import badge_addresses
from integrations.selectors.repositories import all_repositories
from integrations.services.badges import renew_badge_token, revoke_badge_token

ROUTES: dict[str, dict[str, Any]] = {"badge": {"get": "badge", "post": "renew_badge", "delete": "revoke_badge"}}
_SVG = "https://repoguard.example.com/badge/pVb0kq3J1uEwMPu1F2rDnB6sC5r0a4aS.svg?show=gate"
_EXAMPLE = {
    "enabled": True,
    "badges": [{"show": "gate", "svg": _SVG, "json": _SVG.replace(".svg", ".json"), "markdown": f"![gate]({_SVG})"}],
}


class BadgeAddressSerializer(serializers.Serializer[Any]):
    """Where one badge is."""

    show = serializers.ChoiceField(choices=sorted(settings.BADGE_SOURCES), help_text="What it speaks of.")
    svg = serializers.CharField(help_text="The image; `branch`, `workflow` and `label` may be added to the query.")
    json = serializers.CharField(help_text="The same for shields.io's endpoint badge.")
    markdown = serializers.CharField(help_text="For a README.")


@extend_schema_serializer(examples=[OpenApiExample("Badges", value=_EXAMPLE, response_only=True)])
class BadgesSerializer(serializers.Serializer[Any]):
    """A repository's badges."""

    enabled = serializers.BooleanField(help_text="Whether its badges can be seen; POST gives them addresses.")
    badges = BadgeAddressSerializer(many=True)


class BadgeViewSet(PortalViewSet[Repository]):
    """The addresses of a repository's badges."""

    scope_resource = "repositories"
    queryset = all_repositories()
    serializer_class = BadgesSerializer

    @extend_schema(responses={200: BadgesSerializer})
    def badge(self, request: Request, id: str) -> Response:
        """Tell the addresses of the repository's badges; whoever knows one may see the badge, without a key."""
        return self._told(self.get_object())

    @extend_schema(request=None, responses={200: BadgesSerializer})
    def renew_badge(self, request: Request, id: str) -> Response:
        """Give the badges new addresses, and tell them; the old ones show "unknown" from now on."""
        return self._told(renew_badge_token(self.get_object()))

    @extend_schema(responses={204: None})
    def revoke_badge(self, request: Request, id: str) -> Response:
        """Take the addresses back: no badge of the repository can be seen until there are new ones."""
        revoke_badge_token(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _told(self, repository: Repository) -> Response:
        badges = badge_addresses(repository)
        return self.answer({"enabled": bool(badges), "badges": badges}, serializer_class=BadgesSerializer)
