"""How operations are described in the OpenAPI schema: tags by resource, scopes, errors, the idempotency header."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse

from core.api.idempotency import HEADER, MAX_LENGTH
from core.api.serializers import ErrorSerializer

_REQUEST_ID = "4b0fbb2c6a4d4f0f9f0f4d8d1f2a7c55"
_ERRORS: dict[int, tuple[str, str, str, dict[str, list[str]]]] = {
    400: ("The request is wrong.", "invalid", "name: This field is required.", {"name": ["This field is required."]}),
    401: ("No key, or not a valid one.", "not_authenticated", "Send a key: Authorization: Bearer rg_….", {}),
    403: ("The caller lacks the scope or role.", "not_allowed", "The key lacks the scope webhooks:write.", {}),
    404: ("No such object, or another owner's.", "not_found", "There is no such object.", {}),
    409: ("The object's state, or an earlier request with this Idempotency-Key, forbids it.", "conflict", "This name is taken.", {}),
    413: ("The body is too large.", "too_large", "The body is over 10485760 bytes, the limit for this route (API_MAX_BODY_BYTES).", {}),
    415: ("The body is not JSON.", "unsupported_media_type", "Send the body as JSON with the header Content-Type: application/json.", {}),
    429: ("Too many requests; see Retry-After.", "rate_limited", "This key has used its 100 requests a minute.", {}),
}
_VERBS = {"get": "retrieve", "post": "create", "put": "update", "patch": "partial_update", "delete": "destroy"}


class RepoGuardSchema(AutoSchema):
    """drf-spectacular's schema of a view, with what every operation of the portal has in common."""

    def get_tags(self) -> list[str]:
        """Group operations by the first word of their path."""
        words = self._tokenize_path()
        return [words[0]] if words else ["portal"]

    def get_description(self) -> str:  # type: ignore[override]  # as drf-spectacular has it
        """Return the docstring and the scope that is needed."""
        text = super().get_description() or ""
        scope = self._scope()
        return f"{text}\n\nNeeds the scope `{scope}`.".strip() if scope else text

    def get_override_parameters(self) -> list[Any]:
        """Add the idempotency header to POSTs that take it."""
        if not self._takes_idempotency_key():
            return []
        text = (
            f"Any text of up to {MAX_LENGTH} printable characters. "
            "The same request sent again with it is carried out once and answered alike for 24 hours."
        )
        return [OpenApiParameter(HEADER, str, OpenApiParameter.HEADER, description=text)]

    def get_response_serializers(self) -> Any:
        """Answer a creation with the view's `created_serializer_class`, where it has one."""
        created = getattr(self.view, "created_serializer_class", None)
        return created if created and self._is_create_operation() else super().get_response_serializers()

    def _is_list_view(self, serializer: Any = None) -> bool:
        return self._action() in getattr(self.view, "list_actions", {}) or super()._is_list_view(serializer)

    def _get_filter_parameters(self) -> Any:
        parameters = self._filter_parameters()
        for parameter in parameters:
            if parameter["schema"] == {"type": "string"}:
                parameter["schema"] = {"type": "string", "minLength": 1}
        return parameters

    def _filter_parameters(self) -> Any:
        lists = getattr(self.view, "list_actions", {})
        if self._action() not in lists:
            return super()._get_filter_parameters()  # type: ignore[no-untyped-call]
        filterset = lists[self._action()]
        if filterset is None:
            return []
        # the list is not of the view's own rows: describe the filterset with its own model
        view: Any = self.view
        model, own = filterset._meta.model, (view.filterset_class, view.queryset)
        view.filterset_class, view.queryset = filterset, model._default_manager.none()
        try:
            return super()._get_filter_parameters()  # type: ignore[no-untyped-call]
        finally:
            view.filterset_class, view.queryset = own

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for code in self._error_codes():
            answer = self._get_response_for_code(_error(code), str(code), direction=direction)  # type: ignore[no-untyped-call]
            bodies.setdefault(str(code), answer)
        return bodies

    def _get_examples(self, serializer: Any, direction: Any, media_type: Any, status_code: Any = None, extras: Any = None) -> Any:
        # drf-spectacular shows a serializer's examples with 200 and 201 only
        code = "200" if status_code == "202" else status_code
        return super()._get_examples(serializer, direction, media_type, code, extras)  # type: ignore[no-untyped-call]

    def _error_codes(self) -> list[int]:
        if not getattr(self.view, "scope_resource", ""):
            return []
        codes = [400, 401, 403, 429]
        if "{" in self.path:
            codes.append(404)
        if self.method in {"POST", "PUT", "PATCH"}:
            codes += [409, 413, 415]
        if self.method == "DELETE":
            codes.append(409)
        return sorted(codes)

    def _scope(self) -> str:
        describe = getattr(self.view, "scope_for", None)
        return str(describe(self._action(), self.method)) if describe and getattr(self.view, "scope_resource", "") else ""

    def _takes_idempotency_key(self) -> bool:
        exempt = getattr(self.view, "not_idempotent", None)
        return self.method == "POST" and exempt is not None and self._action() not in exempt

    def _action(self) -> str:
        return getattr(self.view, "action", None) or _VERBS.get(self.method.lower(), "")


def _error(code: int) -> OpenApiResponse:
    description, error_code, message, fields = _ERRORS[code]
    value = {"code": error_code, "message": message, "fields": fields, "request_id": _REQUEST_ID}
    return OpenApiResponse(ErrorSerializer, description, [OpenApiExample(error_code, value=value)])


def operations_without_example(schema: dict[str, Any]) -> list[str]:
    """Return the operations of an OpenAPI document whose JSON request body or successful answer shows no example."""
    missing = []
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            bodies = [("request", operation.get("requestBody", {}))]
            bodies += [(code, answer) for code, answer in operation["responses"].items() if code.startswith("2")]
            for name, body in bodies:
                contents = body.get("content", {}).values()
                if any("examples" not in content and "example" not in content for content in contents):
                    missing.append(f"{method.upper()} {path} ({name})")
    return missing
