"""What an answer of a service means beyond its status: GraphQL errors, SOAP faults, a JSONPath that must match."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from jsonpath.exceptions import JSONPathError

from core import redact
from core.http.door import MEGABYTE, BadAnswer, Reply
from integrations.connectors.http.fields import Style
from integrations.connectors.http.paths import MAX_SHOWN, compiled
from integrations.contract.outbound import DestinationAnswer, Outcome

MAX_SEARCHED = MEGABYTE
KEPT_OF_ANSWERS = 16_384  # bytes of an answer that the delivery engine keeps
_ADVICE = {
    401: "It refuses the credentials, or wants some: check the sign-in (auth) and renew its credentials.",
    403: "It knows the credentials, but they may not do this: give them the right, or choose another health_path.",
    404: "There is nothing at this path: check base_url and health_path.",
    405: "It does not take this method: check health_method.",
    406: "It can't answer in the asked form: check the Accept header in headers.",
    415: "It does not take this kind of body: check kind, and Content-Type in headers.",
}
_REDIRECT = "Redirects are never followed: set base_url to the final address."
_FAULT_TEXTS = ("faultstring", "Text", "faultcode", "Value")  # SOAP 1.1, 1.2; the most telling first


def check_style(style: str, reply: Reply) -> None:
    """Raise BadAnswer for a failure that its protocol puts inside an answer with a good status."""
    if style == Style.GRAPHQL:
        _check_graphql(reply)
    elif style == Style.SOAP:
        _check_soap(reply)


def _check_graphql(reply: Reply) -> None:
    answer = reply.json()
    if not isinstance(answer, dict) or ("data" not in answer and "errors" not in answer):
        raise _bad(
            reply,
            f"The service answered {reply.status} with JSON that is no GraphQL answer. Check that the address is its GraphQL endpoint.",
        )
    errors = answer.get("errors")
    if errors:
        first = errors[0] if isinstance(errors, list) else errors
        message = first.get("message") if isinstance(first, dict) else first
        raise _bad(
            reply,
            f"The service answered {reply.status} with GraphQL errors: {_short(message)}. Check query and credentials.",
        )


def _check_soap(reply: Reply) -> None:
    root = _xml(reply)
    if _name(root) != "Envelope":
        raise _bad(
            reply, f"The service answered {reply.status} with XML that is no SOAP envelope, but <{_short(_name(root))}>. Check the address."
        )
    fault = next((element for element in root.iter() if _name(element) == "Fault"), None)
    if fault is not None:
        raise _bad(
            reply,
            f"The service answered {reply.status} with a SOAP fault: {_short(_fault_text(fault))}. Check the envelope and the credentials.",
        )


def is_fault(body: bytes) -> bool:
    """Say whether an answer is a SOAP fault; one that can't be read is none."""
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return False
    return any(_name(element) == "Fault" for element in root.iter())


def judged(style: str, answer: DestinationAnswer) -> Outcome | None:
    """Return what an answer to an event means where its status does not say it; None leaves it to the status rules."""
    good = 200 <= answer.status < 300
    if style == Style.REST or not (good or (style == Style.SOAP and answer.status == 500 and is_fault(answer.body))):
        return None
    try:
        check_style(style, Reply(status=answer.status, headers=answer.headers, body=answer.body, url=""))
    except BadAnswer as error:
        if good and len(answer.body) >= KEPT_OF_ANSWERS:  # it was cut off, and can't be read: the status is all that is known
            return Outcome(ok=True, confirmed=False, status=answer.status)
        return Outcome(ok=False, error=error.message, status=answer.status)
    return None


def explained(error: BadAnswer) -> BadAnswer:
    """Return the error of a check with the field to look at."""
    advice = _ADVICE.get(error.status_code or 0) or (_REDIRECT if 300 <= (error.status_code or 0) < 400 else "")
    if not advice:
        return error
    sentence = f"The service answered {error.status_code}. {advice}"
    return BadAnswer(
        sentence, status_code=error.status_code, body=error.body, code=error.code, permanent=error.permanent, retry_after=error.retry_after
    )


def _xml(reply: Reply) -> Element:
    try:
        return fromstring(reply.body, forbid_dtd=True)
    except DefusedXmlException:
        raise _bad(
            reply, f"The service answered {reply.status} with XML that declares a document type or entities, which is not read."
        ) from None
    except (ParseError, ValueError, LookupError):
        raise _bad(
            reply, f"The service answered {reply.status} with something that is not XML. Check that the address is its SOAP endpoint."
        ) from None


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _fault_text(fault: Element) -> str:
    texts = {_name(element): (element.text or "").strip() for element in reversed(list(fault.iter()))}
    return next((texts[name] for name in _FAULT_TEXTS if texts.get(name)), "without a text")


def check_path(path: str, value: str, reply: Reply) -> None:
    """Raise BadAnswer unless the path matches in the answer's JSON, with `value` among what it finds where one is given."""
    if len(reply.body) > MAX_SEARCHED:
        raise _bad(
            reply,
            f"The answer has {len(reply.body)} bytes; for health_jsonpath it may have {MAX_SEARCHED}. Choose another health_path.",
        )
    document = reply.json()
    if not isinstance(document, dict | list):
        raise _bad(
            reply,
            f"The service answered {reply.status} with JSON that is neither object nor list, so {path} can't match. Check health_path.",
        )
    try:
        found = compiled(path).findall(document)
    except (JSONPathError, RecursionError) as error:
        raise _bad(reply, f"{path} can't be looked for in the answer: {_short(str(error))}.") from None
    if not found:
        raise _bad(
            reply, f"The service answered {reply.status}, but {path} matches nothing in its answer. Check health_jsonpath, or the service."
        )
    if value and value not in (texts := [_as_text(item) for item in found[:1000]]):
        raise _bad(reply, f"The service answered {reply.status}, but {path} is {_listed(texts)}, not {value}.")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _listed(texts: Iterable[str]) -> str:
    return _short(", ".join(list(texts)[:5]))


def _short(value: object) -> str:
    text = " ".join(redact.text(str(value)).split())
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"


def _bad(reply: Reply, sentence: str) -> BadAnswer:
    return BadAnswer(sentence, status_code=reply.status, body=reply.body[:1000])
