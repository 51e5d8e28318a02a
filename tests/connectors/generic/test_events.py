from __future__ import annotations

from typing import Any

import pytest

from core.errors import NotAllowed
from integrations.connectors.generic.fields import SOURCE_FIELDS
from integrations.contract.fields import Field
from integrations.contract.kinds import checked_value
from tests.connectors.contract import NOW
from tests.connectors.senders import BY_NAME, TEXT_SECRETS, fixture

pytestmark = pytest.mark.once
TIMED, SHA1, TOKEN = (BY_NAME[f"generic_{name}"] for name in ("timed", "sha1", "token"))
SECRET = TEXT_SECRETS[0]


def verify(sender: Any, config: dict[str, Any], **headers: str) -> Any:
    return sender.receiver.verify(sender.request(**headers), [SECRET], sender.config | config, NOW)


def test_the_names_of_event_and_delivery_are_found_where_the_source_says() -> None:
    names = {"event_header": "X-Event", "id_header": "X-Id", "event_field": "type"}
    assert verify(SHA1, names, x_event="deploy").event == "deploy"
    verified = verify(SHA1, names, x_id="d-7")
    assert (verified.dedupe_id, verified.event) == ("d-7", "thing.happened")
    assert verify(SHA1, {"event_field": "type.deeper"}).event == ""


def test_an_object_is_one_event_under_its_name() -> None:
    (event,) = SHA1.receiver.parse(SHA1.request(), verify(SHA1, {"event_field": "type"}))
    assert (event.type, event.data["payload"]["id"]) == ("inbound.generic.thing.happened", "evt_1")
    (event,) = SHA1.events(b"{}")
    assert event.type == "inbound.generic.event"


@pytest.mark.parametrize("form", ["array", "lines"])
def test_a_log_stream_is_one_event_for_each_record(form: str) -> None:
    body = fixture("generic", "auth0_logs")
    if form == "lines":
        body = b'{"log_id": "900"}\n\n{"log_id": "901"}\r\n'
    assert [event.data["payload"]["log_id"] for event in TOKEN.events(body)] == ["900", "901"]


def test_the_token_may_have_a_prefix_and_a_header_of_its_own() -> None:
    config = {"token_header": "X-Token", "token_prefix": "Bearer"}
    assert verify(TOKEN, config, x_token=f"Bearer {SECRET}")
    with pytest.raises(NotAllowed, match="does not begin with Bearer"):
        verify(TOKEN, config, x_token=SECRET)
    with pytest.raises(NotAllowed, match="x-token is missing"):
        verify(TOKEN, config)


@pytest.mark.parametrize("config", [{"timestamp_header": ""}, {"template": "{body}"}, {"template": "{timestamp}"}])
def test_a_time_that_is_not_signed_trusts_nothing(config: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed, match="Correct this source"):
        verify(TIMED, config)


def test_the_time_may_be_off_by_the_tolerance() -> None:
    request = TIMED.request(stamp=int(NOW.timestamp()) - 1000)
    with pytest.raises(NotAllowed, match="older than 999 seconds"):
        TIMED.receiver.verify(request, [SECRET], TIMED.config | {"tolerance": 999}, NOW)
    assert TIMED.receiver.verify(request, [SECRET], TIMED.config | {"tolerance": 1000}, NOW)


def test_another_algorithm_or_encoding_fits_not() -> None:
    for config in ({"algorithm": "sha256"}, {"encoding": "hex"}, {"signature_header": "X-Other"}, {"prefix": "sha256="}):
        with pytest.raises(NotAllowed):
            verify(TIMED, config)


def test_the_sources_of_these_tests_are_what_the_fields_take() -> None:
    fields: dict[str, Field] = {field.name: field for field in SOURCE_FIELDS}
    for sender in (TIMED, SHA1, TOKEN):
        for name, value in sender.config.items():
            assert checked_value(fields[name], value, name) == value
