"""What an answer of a service means beyond its status: GraphQL errors, SOAP faults, a JSONPath that must match."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from jsonpath.exceptions import JSONPathError

from core.http.door import MEGABYTE, BadAnswer, Reply
from integrations.connectors.http.fields import Style
from integrations.connectors.http.paths import matches
from integrations.contract.outbound import DestinationAnswer, Outcome

MAX_SEARCHED = MEGABYTE
MOST_LISTED = 5
KEPT_OF_ANSWERS = 16_384  # bytes of an answer that the delivery engine keeps
_ADVICE = {
    403: "It knows the credentials, but they may not do this: give them the right, or choose another health_path.",
    404: "There is nothing at this path: check base_url and health_path.",
    405: "It does not take this method: check health_method.",
    406: "It can't answer in the asked form: check Accept in headers.",
    415: "It does not take this kind of body: check kind, and Content-Type in headers.",
}
_REDIRECT = "Redirects are never followed: set base_url to the final address."
_FAULT_TEXTS = ("faultstring", "Text", "faultcode", "Value")  # SOAP 1.1, 1.2; the most telling first


def explained(error: BadAnswer) -> BadAnswer:
    """Return the error of a check with the field to look at."""
    status = error.status_code or 0
    advice = _ADVICE.get(status) or (_REDIRECT if 300 <= status < 400 else "")
    return replaced(error, f"The service answered {status}. {advice}") if advice else error


def replaced(error: BadAnswer, sentence: str) -> BadAnswer:
    """Return the error with another sentence."""
    return BadAnswer(
        sentence,
        status_code=error.status_code,
        body=error.body,
        code=error.code,
        permanent=error.permanent,
        retry_after=error.retry_after,
    )


def is_fault(body: bytes) -> bool:
    """Say whether an answer is a SOAP fault; one that can't be read is none."""
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return False
    return any(_name(element) == "Fault" for element in root.iter())


@dataclass(frozen=True)
class Reader:
    """Reads answers of one style. `show` returns a service's text as it may be shown: short, and without secrets."""

    style: str
    show: Callable[[str], str]

    def check(self, reply: Reply) -> None:
        """Raise BadAnswer for a failure that the style puts inside an answer with a good status."""
        if self.style == Style.GRAPHQL:
            self._check_graphql(reply)
        elif self.style == Style.SOAP:
            self._check_soap(reply)

    def judge(self, answer: DestinationAnswer) -> Outcome | None:
        """Return what an answer to an event means where its status does not say it; None leaves it to the status rules."""
        good = 200 <= answer.status < 300
        if self.style == Style.REST or not (good or (self.style == Style.SOAP and answer.status == 500 and is_fault(answer.body))):
            return None
        try:
            self.check(Reply(status=answer.status, headers=answer.headers, body=answer.body, url=""))
        except BadAnswer as error:
            if good and len(answer.body) >= KEPT_OF_ANSWERS:  # it was cut off, and can't be read: the status is all that is known
                return Outcome(ok=True, confirmed=False, status=answer.status)
            return Outcome(ok=False, error=error.message, status=answer.status)
        return None

    def check_path(self, path: str, value: str, reply: Reply) -> None:
        """Raise BadAnswer unless the path matches in the answer's JSON, with `value` among what it finds where one is given."""
        answered = f"The service answered {reply.status}"
        if len(reply.body) > MAX_SEARCHED:
            raise self._bad(
                reply, f"{answered} with {len(reply.body)} bytes; health_jsonpath looks into {MAX_SEARCHED}. Choose another health_path."
            )
        document = reply.json()
        if not isinstance(document, dict | list):
            raise self._bad(reply, f"{answered} with JSON that is neither object nor list, so {path} can't match. Check health_path.")
        try:
            found = matches(path, document)
        except (JSONPathError, RecursionError, ValueError) as error:
            raise self._bad(reply, f"{answered}, but {path} can't be looked for in it: {self.show(str(error))}.") from None
        if not found:
            raise self._bad(reply, f"{answered}, but {path} matches nothing in its answer. Check health_jsonpath, or the service.")
        if value and value not in (texts := [_as_text(item) for item in found[:1000]]):
            raise self._bad(reply, f"{answered}, but {path} is {self.show(', '.join(texts[:MOST_LISTED]))}, not {value}.")

    def _check_graphql(self, reply: Reply) -> None:
        answered = f"The service answered {reply.status}"
        answer = reply.json()
        if not isinstance(answer, dict) or ("data" not in answer and "errors" not in answer):
            raise self._bad(reply, f"{answered} with JSON that is no GraphQL answer. Check that the address is its GraphQL endpoint.")
        if errors := answer.get("errors"):
            first = errors[0] if isinstance(errors, list) else errors
            message = first.get("message") if isinstance(first, dict) else first
            raise self._bad(reply, f"{answered} with GraphQL errors: {self.show(str(message))}. Check the query and the credentials.")

    def _check_soap(self, reply: Reply) -> None:
        answered = f"The service answered {reply.status}"
        try:
            root = fromstring(reply.body, forbid_dtd=True)
        except DefusedXmlException:
            raise self._bad(reply, f"{answered} with XML that declares a document type or entities, which is not read.") from None
        except (ParseError, ValueError, LookupError):
            raise self._bad(reply, f"{answered} with something that is not XML. Check that the address is its SOAP endpoint.") from None
        if _name(root) != "Envelope":
            raise self._bad(reply, f"{answered} with XML that is no SOAP envelope, but <{self.show(_name(root))}>. Check the address.")
        fault = next((element for element in root.iter() if _name(element) == "Fault"), None)
        if fault is not None:
            text = self.show(_fault_text(fault))
            raise self._bad(reply, f"{answered} with a SOAP fault: {text}. Check the envelope and the credentials.")

    def _bad(self, reply: Reply, sentence: str) -> BadAnswer:
        return BadAnswer(sentence, status_code=reply.status, body=self.show(reply.text()).encode())


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _fault_text(fault: Element) -> str:
    texts = {_name(element): (element.text or "").strip() for element in reversed(list(fault.iter()))}
    return next((texts[name] for name in _FAULT_TEXTS if texts.get(name)), "without a text")


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
