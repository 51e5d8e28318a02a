"""Cuts GitHub's own description of its API down to what the portal sends, as openapi.json beside this file.

    npm install @octokit/openapi@23.0.2     (MIT)
    python -m tests.connectors.github.cut_openapi node_modules/@octokit/openapi/generated/api.github.com.json

What describes requests stays as it is, without references and prose; of the answers the first example of each status stays.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("openapi.json")
REPO = "/repos/{owner}/{repo}"
KEPT = {
    f"{REPO}": ("get",),
    f"{REPO}/dispatches": ("post",),
    f"{REPO}/actions/workflows/{{workflow_id}}/dispatches": ("post",),
    f"{REPO}/actions/workflows/{{workflow_id}}/runs": ("get",),
    f"{REPO}/actions/runs/{{run_id}}": ("get",),
    f"{REPO}/statuses/{{sha}}": ("post",),
    f"{REPO}/check-runs": ("post",),
    f"{REPO}/check-runs/{{check_run_id}}": ("get", "patch"),
    f"{REPO}/commits/{{ref}}/check-runs": ("get",),
    f"{REPO}/issues": ("get", "post"),
    f"{REPO}/issues/{{issue_number}}": ("get", "patch"),
    f"{REPO}/issues/{{issue_number}}/comments": ("get", "post"),
    f"{REPO}/labels": ("get",),
    "/search/issues": ("get",),
}
_PROSE = frozenset({"description", "title", "externalDocs", "deprecated", "example", "examples", "operationId", "tags", "summary"})


def cut(whole: dict[str, Any]) -> dict[str, Any]:
    """Return the description of the operations above."""
    info = {
        "title": "A part of GitHub's REST API",
        "version": whole["info"]["version"],
        "description": f"Cut from npm @octokit/openapi {whole['info']['version']}, generated/api.github.com.json.",
        "license": {"name": "MIT", "url": "https://spdx.org/licenses/MIT"},
    }
    paths = {path: {method: _operation(whole, whole["paths"][path][method]) for method in methods} for path, methods in KEPT.items()}
    return {"openapi": whole["openapi"], "info": info, "paths": paths}


def _operation(whole: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    parameters = [_found(whole, parameter) for parameter in operation.get("parameters", ())]
    kept: dict[str, Any] = {
        "parameters": [
            {"name": one["name"], "in": one["in"], "required": one.get("required", False), "schema": _plain(whole, one["schema"])}
            for one in parameters
        ],
        "responses": {status: _response(whole, one) for status, one in operation["responses"].items()},
    }
    if body := operation.get("requestBody"):
        schema = _plain(whole, body["content"]["application/json"]["schema"])
        kept["requestBody"] = {"required": body.get("required", False), "content": {"application/json": {"schema": schema}}}
    return kept


def _response(whole: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    response = _found(whole, response)
    content = response.get("content", {}).get("application/json", {})
    examples = [_found(whole, one) for one in content.get("examples", {}).values()]
    kept: dict[str, Any] = {"description": response["description"]}
    if examples:
        kept["content"] = {"application/json": {"example": _short(_example(whole, examples[0]))}}
    return kept


def _example(whole: dict[str, Any], example: dict[str, Any]) -> Any:
    """Return the value of an example; some refer to another example where their value should be."""
    value = _found(whole, example["value"])
    return value["value"] if isinstance(value, dict) and set(value) <= {"summary", "value", "x-github-breaking-changes"} else value


def _found(whole: dict[str, Any], value: Any) -> Any:
    """Return what a reference leads to."""
    while isinstance(value, dict) and "$ref" in value:
        found: Any = whole
        for step in value["$ref"].removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        value = found
    return value


def _plain(whole: dict[str, Any], value: Any, *, names: bool = False) -> Any:
    """Return a schema without references and prose; `names` says that the keys are names of properties."""
    if isinstance(value, list):
        return [_plain(whole, one) for one in value]
    if not isinstance(value, dict):
        return value
    if not names:
        value = _found(whole, value)
    kept = {key: one for key, one in value.items() if names or (key not in _PROSE and not key.startswith("x-"))}
    return {key: _plain(whole, one, names=key == "properties" and not names) for key, one in kept.items()}


def _short(value: Any) -> Any:
    """Return an example with one item of each list."""
    if isinstance(value, list):
        return [_short(one) for one in value[:1]]
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    return value


if __name__ == "__main__":
    FILE.write_text(json.dumps(cut(json.loads(Path(sys.argv[1]).read_text())), indent=1, sort_keys=True) + "\n")
