"""POST builds/import: the runs of GitHub Actions become builds."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from access.principals import principal
from access.selectors import with_owner
from builds.api.import_serializers import BuildImportSerializer, StartGitHubImportSerializer
from builds.importing.control import ImportValues, start_github_import
from builds.models import BuildImport
from core.api.viewsets import PortalViewSet


class GitHubImportViewSet(PortalViewSet[BuildImport]):
    """Starting imports."""

    scope_resource = "builds"
    queryset = with_owner(BuildImport.objects.all())
    serializer_class = BuildImportSerializer

    @extend_schema(request=StartGitHubImportSerializer, responses={202: BuildImportSerializer})
    def start(self, request: Request) -> Response:
        """Import the runs of a repository's GitHub Actions as builds, in the background; runs known already are updated.

        A limit of GitHub's is waited for: `status` is then `waiting`, and `error` says until when. An import that was cut off goes on
        at the last page that was stored. Look at `builds/imports/{id}` for how far it is.
        """
        values = dict(self.checked_data(StartGitHubImportSerializer))
        values["integration_id"] = values.pop("integration", None)
        row = start_github_import(ImportValues(**values), principal(request))
        return self.answer(self.queryset.get(pk=row.pk), status.HTTP_202_ACCEPTED)
