"""`doctor`: what holds at a tenant, over loopback; each thing that does not is named with what to do."""

from __future__ import annotations

import asyncio

import pytest

from reconciler import sandbox
from reconciler.workflows import examining
from tests.gitfakes import git
from tests.test_importing import Desk

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
    asked = examining.Request(desk.folder, roundtrip=roundtrip)
    with sandbox.loopback(sandbox.platform(desk.api).app(desk.platform)) as url:
        return asyncio.run(examining.run(desk.served(url, **login), asked))


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
        ("no-bulk", "settings in bulk", "no /skills/parameters"),
        ("odd-bulk", "settings in bulk", "another aggressiveness of skill 4001"),
        ("garbage:GET *dialer-contacts", "contacts", "not valid JSON"),
        ("403:GET *dnc-groups", "DNC groups", "403"),
        ("404:GET *skills/4001", "one skill", "404"),
        ("404:GET *business-unit:times=1", "version", "does not speak this version"),
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


def test_a_server_that_ignores_expand_is_noticed(tmp_path):
    for desk in opened(tmp_path, "campaigns"):
        found = failed(examined(desk, "no-expand"))
        assert any("ignores `expand`" in check["said"] for check in found.values())


def test_a_round_trip_writes_what_is_there_and_takes_the_lock(skills):
    git(skills.folder.parent, "init", "-q")
    git(skills.folder.parent, "commit", "-q", "--allow-empty", "-m", "first")
    before = dict(skills.platform.skill("4001"))
    report = examined(skills, roundtrip="4001")
    assert "round trip" not in failed(report)
    assert dict(skills.platform.skill("4001")) == before
    assert skills.platform.journal() == [("GENERAL", 4001, "sandbox")]


@pytest.mark.parametrize(("key", "words"), [("4003", "is running"), ("4009", "Manual")])
def test_a_round_trip_leaves_a_running_or_foreign_skill_alone(skills, key, words):
    git(skills.folder.parent, "init", "-q")
    git(skills.folder.parent, "commit", "-q", "--allow-empty", "-m", "first")
    assert words in failed(examined(skills, roundtrip=key))["round trip"]["said"]
    assert skills.platform.journal() == []


def test_a_round_trip_without_a_repository_is_refused(skills):
    report = examined(skills, roundtrip="4001")
    assert report.exit_code == 64
    assert skills.platform.journal() == []
