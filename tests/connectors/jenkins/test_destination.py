"""Events that begin builds at Jenkins, through the real door, against a stub on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given

from core.errors import InvalidInput, OutboundError
from core.http.door import BadAnswer, CallFailed, SignInFailed
from core.models import RequestLog
from core.models.outbound import CallPurpose
from integrations.calls import build_connector
from integrations.connectors.jenkins import generic_trigger
from integrations.connectors.jenkins.connector import Jenkins as Connector
from integrations.contract.message import SEVERITIES
from integrations.contract.outbound import OutgoingEvent
from integrations.contract.schema import validate_options, validate_values
from integrations.messages.flat import PLACEHOLDERS, fill, flat
from integrations.models import Integration
from integrations.rehearsal import rehearse
from tests.connectors import told
from tests.connectors.contract import DictMemory, fuzz
from tests.connectors.jenkins.stub import API_TOKEN, GWT_TOKEN, HMAC_SECRET, USER, Jenkins, Job, running

pytestmark = [pytest.mark.django_db, pytest.mark.once]
BUILD = {
    "trigger": "build_with_parameters",
    "job": "acme/shop",
    "parameters": {"COMMIT": "{commit}", "WHAT": "{event_type} of {repository}: {new_high}{all_low}"},
}
GWT: dict[str, Any] = {"trigger": "generic_webhook"}
FAILED = told.example("gate.failed")


@pytest.fixture
def jenkins(settings: Any) -> Iterator[Jenkins]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with running() as state:
        yield state


def connector(jenkins: Jenkins, **credentials: str) -> Connector:
    secret = {"api_token": API_TOKEN, "gwt_token": GWT_TOKEN, "gwt_hmac_secret": HMAC_SECRET} | credentials
    config, kept = validate_values(Connector, {"base_url": jenkins.base, "username": USER}, secret)
    row = Integration(name="CI", type="jenkins", category="development", config=config, credentials=kept)
    made = build_connector(row, CallPurpose.DESTINATION)
    assert isinstance(made, Connector)
    return made


def options(given: dict[str, Any]) -> dict[str, Any]:
    return validate_options(Connector, given, config={"auth": "token"})


def refused(jenkins: Jenkins, given: dict[str, Any], **credentials: str) -> BadAnswer:
    with pytest.raises(BadAnswer) as caught:
        connector(jenkins, **credentials).send(FAILED, options(given), DictMemory())
    assert caught.value.permanent
    return caught.value


# --- what is sent -----------------------------------------------------------------------------------------------------


def test_bodies_are_as_they_were() -> None:
    here = Path(__file__).parent
    for kind in told.GOLDEN_TYPES:
        told.golden(here, f"{kind}.json", json.loads(generic_trigger.body_of(told.example(kind)))["repoguard"])
    told.golden(here, "digest.json", json.loads(generic_trigger.body_of(told.digest([FAILED, told.example("scan.failed")])))["repoguard"])
    told.golden(here, "huge.json", json.loads(generic_trigger.body_of(told.gate(100_000)))["repoguard"])


def checked(event: OutgoingEvent) -> None:
    body = json.loads(generic_trigger.body_of(event))
    told_of = body.pop("repoguard")
    assert body == json.loads(event.body)
    for value in told_of.values():
        assert isinstance(value, int) or (len(value) <= 2_000 and not any(ord(sign) < 32 for sign in value))


def test_every_body_is_the_envelope_with_flat_values_beside_it() -> None:
    for event in (*told.every_type(), *told.monsters()):
        checked(event)


@fuzz
@given(event=told.hostile_events())
def test_a_hostile_event_is_told_as_any_other(event: OutgoingEvent) -> None:
    checked(event)
    values = flat(event)
    assert set(values) - {"event_id"} <= PLACEHOLDERS | {name for name in values if name.rpartition("_")[2] in ("total", *SEVERITIES)}
    urlencode({"X": fill("{title}{text}{reasons}{branch}{new_total}", values)})


def test_parameters_are_filled_once_and_sent_as_a_form(jenkins: Jenkins) -> None:
    event = told.example("gate.failed", ref="{commit}&token=x", repository="acme/shöp")
    given = BUILD | {"parameters": {"COMMIT": "{commit}", "B": "{branch}", "R": "{repository} {new_high}/{new_low}/{report_high}"}}
    outcome = connector(jenkins).send(event, options(given), DictMemory())
    assert (outcome.ok, outcome.status, outcome.details["queue_item"]) == (True, 201, 100)
    (_, path, headers, body) = jenkins.asked[0]
    assert path == "/job/acme/job/shop/buildWithParameters"
    assert "token" not in headers
    assert dict(parse_qsl(body.decode())) == {
        "COMMIT": FAILED.data["commit"], "B": "{commit}&token=x", "R": "acme/shöp 1/0/", "REPOGUARD_EVENT": str(told.ID),
    }  # fmt: skip


def test_a_job_is_found_by_the_events_repository_and_branch(jenkins: Jenkins) -> None:
    jenkins.jobs = {"/job/acme/job/shop/job/feature%252Fx": Job(declared=None)}
    given = {"trigger": "build_with_parameters", "job": "{repository}/{branch}"}
    event = told.example("gate.failed", ref="refs/heads/feature/x")
    assert connector(jenkins).send(event, options(given), DictMemory()).ok
    assert jenkins.posts == ["/job/acme/job/shop/job/feature%252Fx/build"]
    for ref, repository in (("", "acme/shop"), ("main", "../shop"), ("..", "acme/shop"), ("x/../../y", "acme/shop")):
        with pytest.raises((InvalidInput, OutboundError)):
            connector(jenkins).send(told.example("gate.failed", ref=ref, repository=repository), options(given), DictMemory())
    assert len(jenkins.posts) == 1


def test_an_event_chooses_no_job_by_a_repository_that_it_does_not_belong_to(jenkins: Jenkins) -> None:
    jenkins.jobs = {"/job/acme/job/deploy": Job(declared=None)}
    given = {"trigger": "build_with_parameters", "job": "{repository}"}
    for about in ("", "github:acme/shop"):
        forged = replace(told.example("gate.failed", repository="acme/deploy"), about=about)
        with pytest.raises(InvalidInput, match="not registered here"):
            connector(jenkins).send(forged, options(given), DictMemory())
    assert jenkins.posts == []
    assert Connector.chosen_by_events(options(given)) == "job"
    assert Connector.chosen_by_events(options(BUILD)) == Connector.chosen_by_events(options(GWT)) == ""


def test_options_say_what_is_wrong_with_them() -> None:
    for asked, field in (
        (BUILD | {"job": "a/../b"}, "job"),
        (BUILD | {"job": "a/{brunch}"}, "job"),
        (BUILD | {"parameters": {"X": "{comit}"}}, "parameters"),
        (BUILD | {"parameters": {"token": "x"}}, "parameters"),
    ):
        with pytest.raises(InvalidInput) as caught:
            options(asked)
        assert list(caught.value.fields) == [f"destination.{field}"]
    with pytest.raises(InvalidInput) as caught:
        validate_options(Connector, BUILD, config={"auth": "none"})
    assert list(caught.value.fields) == ["destination.trigger"]


# --- one job ----------------------------------------------------------------------------------------------------------


def test_a_crumb_is_fetched_where_it_is_wanted_with_its_session(jenkins: Jenkins) -> None:
    jenkins.wants_crumb = True
    assert connector(jenkins).send(FAILED, options(BUILD), DictMemory()).ok
    assert [path for _, path, *_ in jenkins.asked][1] == "/crumbIssuer/api/json"
    assert jenkins.asked[2][2]["cookie"] == "JSESSIONID.1a=node0abc; sticky=b2"
    logged = str(list(RequestLog.objects.values()))
    assert "c0ffee" not in logged
    assert "node0abc" not in logged


def test_what_jenkins_refuses_is_explained(jenkins: Jenkins) -> None:
    (job,) = jenkins.jobs.values()
    job.disabled = True
    assert "disabled (409)" in refused(jenkins, BUILD).message
    job.disabled, job.declared = False, None
    assert "takes no parameters (500)" in refused(jenkins, BUILD).message
    job.declared = ()
    assert "without parameters (400)" in refused(jenkins, {"trigger": "build_with_parameters", "job": "acme/shop"}).message
    assert "knows no job other, or hides it" in refused(jenkins, BUILD | {"job": "other"}).message
    with pytest.raises(SignInFailed):
        connector(jenkins, api_token="another").send(FAILED, options(BUILD), DictMemory())
    memory = DictMemory()
    job.declared, job.disabled = ("COMMIT",), True
    for _ in range(2):  # what was refused is not looked for
        with pytest.raises(BadAnswer):
            connector(jenkins).send(FAILED, options(BUILD), memory)
    assert memory.kept == {}
    job.disabled, jenkins.refuses_queue = False, True
    outcome = connector(jenkins).send(FAILED, options(BUILD), DictMemory())
    assert (outcome.ok, outcome.permanent) == (False, False)
    assert "did not put the job acme/shop into its queue" in outcome.error


@pytest.mark.parametrize("where", ["queue", "builds"])
def test_a_build_that_was_begun_before_a_kill_is_found_again(jenkins: Jenkins, where: str) -> None:
    memory, first = DictMemory(), connector(jenkins)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    memory.put = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        first.send(FAILED, options(BUILD), memory)
    del memory.put  # type: ignore[attr-defined]
    if where == "builds":
        jenkins.begin(100)
    outcome = connector(jenkins).send(FAILED, options(BUILD), memory)
    assert outcome.ok
    assert outcome.follow_up is not None
    assert outcome.follow_up.label == ("build #812" if where == "builds" else "build in the queue")
    assert len(jenkins.posts) == 1


def test_what_an_unsure_try_may_have_begun_is_looked_for_whatever_went_wrong_since(jenkins: Jenkins) -> None:
    memory = DictMemory()
    memory.reserve(f"begun:{FAILED.id}", FAILED.holder)
    with pytest.raises(SignInFailed):
        connector(jenkins, api_token="another").send(FAILED, options(BUILD), memory)
    assert memory.kept


def test_a_job_that_does_not_declare_the_events_id_is_begun_again_and_says_so(jenkins: Jenkins) -> None:
    jenkins.jobs["/job/acme/job/shop"].declared = ("COMMIT",)
    memory = DictMemory()
    memory.reserve(f"begun:{FAILED.id}", FAILED.holder)
    outcome = connector(jenkins).send(FAILED, options(BUILD), memory)
    assert "does not declare the parameter REPOGUARD_EVENT" in outcome.details["note"]
    assert len(jenkins.posts) == 1


def test_nothing_is_sent_to_where_jenkins_points(jenkins: Jenkins) -> None:
    made = connector(jenkins)
    follow = made.send(FAILED, options(BUILD), DictMemory()).follow_up
    assert follow is not None
    assert follow.url == f"{jenkins.base}/queue/item/100/"
    assert follow.link == f"{jenkins.base}/job/acme/job/shop/"
    jenkins.begin(100)
    found = made.poll("http://10.9.8.7:8080/inner/queue/item/100/", follow.memory)
    assert (found.result, found.label, found.link) == (None, "build #812", f"{jenkins.base}/job/acme/job/shop/812/")
    assert all(log.url.startswith(jenkins.base) for log in RequestLog.objects.all())


@pytest.mark.parametrize(
    ("result", "word"),
    [("SUCCESS", "passed"), ("UNSTABLE", "unstable"), ("FAILURE", "failed"), ("ABORTED", "aborted"), ("NOT_BUILT", "not built")],
)
def test_a_build_is_followed_to_its_result(jenkins: Jenkins, result: str, word: str) -> None:
    made = connector(jenkins)
    follow = made.send(FAILED, options(BUILD), DictMemory()).follow_up
    assert follow is not None
    waiting = made.poll(follow.url, follow.memory)
    assert (waiting.result, waiting.label) == (None, "build in the queue")
    jenkins.begin(100)
    jenkins.queue.clear()  # Jenkins forgets the item; the build knows from where it came
    building = made.poll(follow.url, waiting.memory)
    assert (building.result, building.label) == (None, "build #812")
    jenkins.end(result)
    assert made.poll(follow.url, building.memory).result == word


def test_a_cancelled_queue_item_is_a_result_and_a_lost_one_an_error(jenkins: Jenkins) -> None:
    made = connector(jenkins)
    follow = made.send(FAILED, options(BUILD), DictMemory()).follow_up
    assert follow is not None
    jenkins.queue[100]["cancelled"] = True
    assert made.poll(follow.url, follow.memory).result == "cancelled"
    jenkins.queue.clear()
    with pytest.raises(BadAnswer) as caught:
        made.poll(follow.url, follow.memory)
    assert caught.value.permanent


# --- the plugin -------------------------------------------------------------------------------------------------------


def test_the_plugin_gets_its_token_and_no_other_credential(jenkins: Jenkins) -> None:
    jenkins.demands_hmac = True
    jenkins.jobs["/job/docs"] = Job(fits=False)
    outcome = connector(jenkins).send(FAILED, options(GWT), DictMemory())
    assert (outcome.ok, outcome.confirmed) == (True, True)
    assert outcome.details == {"triggered": {"acme/shop": True, "docs": False}}
    ((_, path, headers, _body),) = jenkins.asked
    assert path == "/generic-webhook-trigger/invoke"
    assert headers["token"] == GWT_TOKEN
    assert "authorization" not in headers
    assert outcome.follow_up is not None
    assert outcome.follow_up.url == f"{jenkins.base}/queue/item/100/"


def test_a_refusal_that_repeats_the_token_is_stored_nowhere(jenkins: Jenkins) -> None:
    jenkins.demands_hmac = True
    error = refused(jenkins, GWT, gwt_hmac_secret="another-secret-of-hmacs")
    assert "refuses the trigger (403)" in error.message
    shown = f"{error!r} {error.body!r} {list(RequestLog.objects.values())}"
    assert "not whitelisted" in shown  # it was logged, without the token
    assert GWT_TOKEN not in shown
    assert error.body == b""
    assert "the token is wrong" in refused(jenkins, GWT | {}, gwt_token="wrong-token", gwt_hmac_secret=HMAC_SECRET).message


def test_without_a_sign_in_a_build_is_begun_and_not_followed(jenkins: Jenkins) -> None:
    config, kept = validate_values(Connector, {"base_url": jenkins.base, "auth": "none"}, {"gwt_token": GWT_TOKEN})
    row = Integration(name="CI", type="jenkins", category="development", config=config, credentials=kept)
    made: Any = build_connector(row, CallPurpose.DESTINATION)
    outcome = made.send(FAILED, options(GWT), DictMemory())
    assert (outcome.ok, outcome.confirmed, outcome.follow_up) == (True, True, None)
    assert made.check().message == "The trigger's token fits acme/shop."


def test_what_no_filter_lets_in_is_accepted_and_not_confirmed(jenkins: Jenkins) -> None:
    jenkins.jobs["/job/acme/job/shop"].fits = False
    memory = DictMemory()
    outcome = connector(jenkins).send(FAILED, options(GWT), memory)
    assert (outcome.ok, outcome.confirmed, outcome.follow_up) == (True, False, None)
    assert "no filter fits at acme/shop" in outcome.details["note"]
    jenkins.jobs["/job/acme/job/shop"].fits = True  # somebody mends the filter, and redelivers
    assert connector(jenkins).send(FAILED, options(GWT), memory).details == {"triggered": {"acme/shop": True}}
    jenkins.silent = True
    assert "silently" in connector(jenkins).send(FAILED, options(GWT), DictMemory()).details["note"]


def test_a_dry_run_begins_nothing_and_can_be_repeated(jenkins: Jenkins) -> None:
    memory = DictMemory()
    for _ in range(2):
        outcome = connector(jenkins).send(FAILED, options(GWT | {"dry_run": True}), memory)
        assert "The token fits acme/shop" in outcome.details["note"]
    assert jenkins.queue == {}
    assert len(jenkins.posts) == 2


@pytest.mark.parametrize("again", [False, True])
def test_a_partial_trigger_is_repeated_only_where_that_is_wanted(jenkins: Jenkins, again: bool) -> None:
    jenkins.fails_after_trigger = True
    outcome = connector(jenkins).send(FAILED, options(GWT | {"retry_partial": again}), DictMemory())
    assert (outcome.ok, outcome.permanent, outcome.status) == (False, not again, 500)
    assert "began all the same: acme/shop" in outcome.error
    # what the plugin repeats of a large event is cut off, and can't be read
    outcome = connector(jenkins).send(told.gate(100), options(GWT | {"retry_partial": again}), DictMemory())
    assert (outcome.ok, outcome.permanent) == (False, not again)
    assert "some may have begun" in outcome.error


def test_a_broken_answer_of_a_proxy_is_no_success(jenkins: Jenkins) -> None:
    from tests.connectors.door import TIMED_OUT, Answer
    from tests.connectors.jenkins.test_contract import TestJenkins

    for said in (Answer(200, b"<html>Sign in</html>"), Answer(200, b"{}"), Answer(200, b'{"jobs": []}'), Answer(502, b"<html>")):
        with pytest.raises(BadAnswer):
            TestJenkins().made(said).send(FAILED, GWT, DictMemory())
    with pytest.raises(CallFailed):
        TestJenkins().made(TIMED_OUT).send(FAILED, GWT, DictMemory())


def test_the_check_says_who_it_is_and_which_jobs_listen(jenkins: Jenkins) -> None:
    found = connector(jenkins).check()
    assert found.message == "Signed in to Jenkins as repoguard. The trigger's token fits acme/shop."
    assert found.details == {"account": USER, "version": "2.462.3", "jobs": "acme/shop"}
    assert jenkins.queue == {}


@pytest.mark.parametrize("way", [GWT, BUILD], ids=["plugin", "job"])
def test_a_preview_shows_what_would_be_sent_without_credentials(way: dict[str, Any]) -> None:
    secret = {"api_token": API_TOKEN, "gwt_token": GWT_TOKEN, "gwt_hmac_secret": HMAC_SECRET}
    config, kept = validate_values(Connector, {"base_url": "https://jenkins.example.com", "username": USER}, secret)
    row = Integration(name="CI", type="jenkins", category="development", config=config, credentials=kept)
    found = rehearse(row, options(way), FAILED)
    (request,) = found.requests
    assert (request.method, found.note) == ("POST", "")
    assert FAILED.data["commit"] in request.body
    assert not [value for value in secret.values() if value in repr(found)]
