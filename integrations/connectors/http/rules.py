"""What the fields of the generic connector say together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from core.errors import InvalidInput
from core.http.guard import clean_url
from core.http.prepare import check_path
from integrations.auth import auth_errors
from integrations.connectors.http.fields import Style
from integrations.connectors.http.paths import compiled
from integrations.contract.headers import header_errors

Errors = dict[str, list[str]]


def join(base_url: str, path: str) -> str:
    """Return the URL of a path below an address."""
    return f"{base_url.rstrip('/')}/{path.lstrip('/')}" if path else base_url


def statuses(words: Iterable[str]) -> frozenset[int]:
    """Return the statuses of words such as 200 or 200-299."""
    found: set[int] = set()
    for word in words:
        first, _, last = word.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return frozenset(found)


def config_errors(config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Errors:
    """Return what is wrong with an integration's values, by field."""
    errors = {**auth_errors(config, credentials), **_check_errors(config)}
    if "?" in config["base_url"]:
        errors["base_url"] = ["must have no query (?…): paths are appended to it. Put parameters into health_query or endpoints."]
    elif sentence := _path_error(config["base_url"], config.get("health_path", "")):
        errors["health_path"] = [sentence]
    for name, headers in (("headers", config.get("headers", {})), ("secret_headers", credentials.get("secret_headers", {}))):
        if found := header_errors(headers):
            errors[name] = found
    return errors


def option_errors(options: Mapping[str, Any], config: Mapping[str, Any]) -> Errors:
    """Return what is wrong with a webhook's options, by field."""
    errors: Errors = {}
    if config.get("base_url") and (sentence := _path_error(config["base_url"], options.get("path", ""))):
        errors["path"] = [sentence]
    if "soap" in options and (sentence := _xml_error(options["soap"])):
        errors["soap"] = [sentence]
    return errors


def _check_errors(config: Mapping[str, Any]) -> Errors:
    errors: Errors = {}
    if not statuses(config["expected_status"]):
        errors["expected_status"] = ["names no status: in a range such as 200-299 the first is the lower one."]
    if "health_value" in config and "health_jsonpath" not in config:
        errors["health_value"] = ["needs health_jsonpath, which says where it is looked for."]
    if path := config.get("health_jsonpath"):
        if config["kind"] == Style.SOAP:
            errors["health_jsonpath"] = ["looks into JSON, but SOAP answers in XML; leave it out."]
        elif config.get("health_method") == "HEAD":
            errors["health_jsonpath"] = ["needs an answer with a body; set health_method to GET."]
        else:
            try:
                compiled(path)
            except ValueError as error:
                errors["health_jsonpath"] = [str(error)]
    if "health_soap" in config and (sentence := _xml_error(config["health_soap"])):
        errors["health_soap"] = [sentence]
    return errors


def _path_error(base_url: str, path: str) -> str:
    try:
        check_path(path)
        clean_url(join(base_url, path), "path")
    except InvalidInput as error:
        return next(iter(error.fields.values()))[0]
    return ""


def _xml_error(text: str) -> str:
    try:
        fromstring(text.encode(), forbid_dtd=True)
    except DefusedXmlException:
        return "must declare no document type and no entities."
    except (ParseError, ValueError, LookupError) as error:
        return f"is not XML: {str(error)[:100]}."
    return ""
