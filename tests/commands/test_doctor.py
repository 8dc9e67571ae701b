"""`doctor`: what holds at a tenant, over loopback; each thing that does not is named with what to do."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest

from reconciler import sandbox
from reconciler.client import Skew
from reconciler.commands import doctor
from reconciler.dialects.base import Token
from reconciler.dialects.personal_connection import doctor as skill_examining
from reconciler.report import Tone
from reconciler.settings import Variables
from tests.commands.test_import import Desk
from tests.support.factories import NOW, make_reply
from tests.support.gitfakes import git

SEED = {"campaigns": sandbox.seed_samples, "personal-connection": sandbox.seed_skill_samples}


@pytest.fixture(params=sorted(SEED))
def desk(request, tmp_path):
    yield from opened(tmp_path, request.param)


@pytest.fixture
def skills(tmp_path):
    yield from opened(tmp_path, "personal-connection")


def opened(folder, api):
    made = Desk(folder, api)
    SEED[api](made.platform)
    made.platform.configure(requests_per_second=0)
    made.api = api
    yield made
    made.platform.close()


def examined(desk, *faults, roundtrip=None, **login):
    for fault in faults:
        desk.platform.faults.add(fault)
    asked = doctor.DoctorRequest(desk.folder, roundtrip=roundtrip)
    with sandbox.loopback(sandbox.platform(desk.api).app(desk.platform)) as url:
        return asyncio.run(doctor.run(desk.served(url, **login), asked))


def failed(report):
    return {check["check"]: check for check in report.data if not check["holds"]}


def test_a_tenant_in_order_holds_everything_but_the_clock_of_2027(desk):
    report = examined(desk)
    assert set(failed(report)) == {"clock"}
    assert report.exit_code == 1
    assert report.data[0]["check"] == "signing in"


def test_nothing_is_written(desk):
    before = desk.platform.journal()
    examined(desk)
    assert desk.platform.journal() == before


def test_a_wrong_secret_ends_it_with_its_own_code(desk):
    report = examined(desk, CXONE_CLIENT_SECRET="rotated-away")
    assert report.exit_code == 77
    assert "CXONE_CLIENT_SECRET" in report.data[-1]["said"]


@pytest.mark.parametrize(
    ("fault", "check", "words"),
    [
        ("garbage:GET *dialer-contacts", "contacts", "not valid JSON"),
        ("403:GET *dnc-groups", "DNC groups", "403"),
        ("404:GET *skills/4001", "reading one by one", "404"),
        ("404:GET *business-unit:times=1", "version", "does not support this API version"),
    ],
)
def test_a_fact_that_does_not_hold_is_named_with_what_to_do(skills, fault, check, words):
    report = examined(skills, fault)
    assert words in failed(report)[check]["said"]
    assert failed(report)[check]["advice"]
    assert report.exit_code != 0


def test_a_platform_without_our_strategy_is_noticed(skills):
    for row in skills.platform.skills():
        skills.platform.put_skill(row["id"], row["name"], strategy="PC")
    assert "STRATEGY" in failed(examined(skills))["skills"]["advice"]


def noted(report):
    return {check["check"]: check for check in report.data if check["note"]}


def set_clock(desk):
    """Set our clock to the platform's, so that no check fails."""
    desk.world = desk.world._replace(now=lambda: desk.platform.now)


@pytest.mark.parametrize(
    ("api", "fault", "check", "words"),
    [
        ("campaigns", "no-expand", "campaigns with their schedules in one list", "ignores"),
        ("campaigns", "reject-expand", "campaigns with their schedules in one list", "expand"),
        ("personal-connection", "no-bulk", "settings in bulk", "/skills/parameters is missing"),
        ("personal-connection", "odd-bulk", "settings in bulk", "in aggressiveness"),
    ],
)
def test_what_reconcile_makes_up_for_is_a_note_and_no_failure(tmp_path, api, fault, check, words):
    for desk in opened(tmp_path, api):
        set_clock(desk)
        report = examined(desk, fault)
        assert words in noted(report)[check]["said"]
        assert "nothing to do" in noted(report)[check]["advice"]
        assert failed(report) == {}
        assert report.exit_code == 0
        assert report.verdict.endswith("all hold, 1 note")
        (row,) = [row for row in report.tables[0].rows if row.cells[1] == check]
        assert (row.cells[0], row.tone) == ("note", Tone.WARN)


def test_an_optional_answer_that_is_forbidden_is_a_failure_with_its_own_code(skills):
    set_clock(skills)
    report = examined(skills, "403:GET *skills/parameters")
    assert "settings in bulk" in failed(report)
    assert report.exit_code == 77


def test_a_missing_scope_gives_the_exit_code_of_one(desk):
    set_clock(desk)
    path = "*dnc/lists" if desk.api == "campaigns" else "*dialer-contacts"
    report = examined(desk, f"403:GET {path}")
    assert report.exit_code == 77


def test_every_call_that_verifies_a_write_is_made(desk):
    set_clock(desk)
    report = examined(desk)
    assert report.exit_code == 0
    alone = {
        "campaigns": ("/api/campaigns/{campaign_id}", "/api/campaigns/{campaign_id}/schedule"),
        "personal-connection": ("/skills/{skill_id}", "/skills/{skill_id}/parameters/time-zones"),
    }
    asked = [
        path for (method, path, status) in desk.platform.traffic if method == "GET" if status == 200
    ]
    for path in alone[desk.api]:
        assert any(each.endswith(path) for each in asked)


@pytest.mark.parametrize(
    ("fault", "words"),
    [("404", "answered 404"), ("garbage", "not valid JSON"), ("400", "answered 400")],
)
def test_an_object_that_cannot_be_read_by_itself_is_a_failure(desk, fault, words):
    set_clock(desk)
    path = "/api/campaigns/1*" if desk.api == "campaigns" else "*/skills/4001"
    report = examined(desk, f"{fault}:GET {path}")
    assert words in failed(report)["reading one by one"]["said"]
    assert "writes cannot be verified until" in failed(report)["reading one by one"]["advice"]
    assert report.exit_code == 1


def test_an_object_that_is_another_one_by_itself_is_a_failure(desk, monkeypatch):
    set_clock(desk)
    dialect = doctor.sessions.dialect_for(desk.api)
    honest = dialect.read_one

    def other(key):
        live = yield from honest(key)
        return live._replace(name="another", stored=None)

    monkeypatch.setattr(dialect, "read_one", other)
    check = failed(examined(desk))["reading one by one"]
    assert "from its entry in the list: name, stored" in check["said"]


def test_an_empty_platform_has_nothing_to_read_by_itself(tmp_path):
    for desk in opened(tmp_path, "campaigns"):
        desk.platform.reset()
        set_clock(desk)
        report = examined(desk)
        assert noted(report)["reading one by one"]["said"] == "no object to read"
        assert report.exit_code == 0


@pytest.mark.parametrize("offset_s", [-7230, 7230])
def test_a_clock_that_differs_is_measured_and_no_right_clock_is_to_be_broken(desk, offset_s):
    desk.world = desk.world._replace(now=lambda: desk.platform.now - timedelta(seconds=offset_s))
    report = examined(desk)
    check = failed(report)["clock"]
    assert f"2 h 0 min {'ahead of' if offset_s > 0 else 'behind'}" in check["said"]
    assert "give or take" in check["said"]
    assert "only if it is wrong" in check["advice"]
    assert report.exit_code == 1


def test_a_platform_without_dates_is_told_apart_from_a_right_clock():
    session = SimpleNamespace(
        world=SimpleNamespace(now=lambda: NOW),
        client=SimpleNamespace(skew=lambda _: Skew(0.0, float("inf"))),
    )
    check = doctor._clock(session)
    assert (check.holds, check.note) == (True, True)


def test_what_a_token_answer_left_out_is_a_note():
    token = Token("t", 3600.0, assumed=("assuming 3600 s",))
    check = doctor._describe_token(
        token,
        SimpleNamespace(
            settings=SimpleNamespace(base_url="https://a.example", variables=Variables())
        ),
    )
    assert (check.holds, check.note) == (True, True)
    assert "assuming 3600 s" in check.advice


def test_a_round_trip_of_a_campaign_says_that_it_was_not_made(tmp_path):
    for desk in opened(tmp_path, "campaigns"):
        set_clock(desk)
        git(desk.folder.parent, "init", "-q")
        git(desk.folder.parent, "commit", "-q", "--allow-empty", "-m", "first")
        before = desk.platform.journal()
        report = examined(desk, roundtrip="1001")
        check = noted(report)["round trip"]
        assert check["said"].startswith("not made: ")
        assert "nothing was written" in check["said"]
        assert "a manifest of a campaign" in check["advice"]
        assert desk.platform.journal() == before
        assert report.exit_code == 0
        report = examined(desk, roundtrip="9999")
        assert "404" in failed(report)["round trip"]["said"]


RUNNING = [True, "True", "true", 1, "1"]
STOPPED = [False, "False", "false", 0, "0", None]
UNREADABLE = ["yes", [], {}, ""]


@pytest.mark.parametrize("value", [*RUNNING, *STOPPED, *UNREADABLE])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_round_trip_of_a_skill_that_may_run_writes_nothing(value, wrapped):
    row = {"skillId": 4001, "skillName": "a", "isOutbound": True}
    row |= {"outboundStrategy": "Personal Connection", "isRunning": value}
    exchange = skill_examining.roundtrip("4001")
    next(exchange)
    replies = (make_reply({"skills": [row]} if wrapped else row),)
    if any(value is each for each in STOPPED):
        (call,) = exchange.send(replies)
        assert call.method == "GET"
    else:
        with pytest.raises(StopIteration) as done:
            exchange.send(replies)
        said = "is running" if any(value is each for each in RUNNING) else "neither true nor false"
        assert said in done.value.value.said
