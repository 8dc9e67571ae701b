"""What a platform stores wider than it was sent does not dial, and a list that lags behind is no failure."""

from __future__ import annotations

import copy
import math

import pytest

from tests.quirks import desk as desks
from tests.quirks.harness import SHORT, TENANT, life
from tests.quirks.scenarios import manifest_of, replaced


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("templates")
    return desks.template(folder, "campaigns", remote=False)


@pytest.fixture
def started(made, tmp_path, monkeypatch):
    """Return a tenant that was imported and applied."""
    monkeypatch.chdir(tmp_path)

    lived = life(made, tmp_path, "campaigns", (), depth=SHORT)
    lived.desk.run("import", TENANT)
    lived.desk.commit("take over")
    assert lived.desk.run("apply", "--yes", TENANT).code == 0
    return lived


def edit(lived, key: str, pattern: str, new: str) -> None:
    replaced(manifest_of(lived.desk.folder, key), pattern, new)
    lived.desk.commit("edit")


def rate(lived, key: str, value: float) -> None:
    edit(lived, key, r"dial_rate: \S+", f"dial_rate: {value}")


def outcome(lived, key: str) -> dict:
    """Return the last outcome of an object in the audit."""
    found = [
        each for each in lived.desk.records() if each["kind"] == "outcome" and each["target"] == key
    ]
    return max(found, key=lambda each: each["seq"])


def stores(lived, monkeypatch, change) -> None:
    """Have the platform change each body that the product stores."""
    store, post = lived.platform._store, lived.platform._post

    def altered(held, body):
        store(held, change(dict(body)) if body else body)

    def posted(request, key):
        monkeypatch.setattr(lived.platform, "_store", altered)
        try:
            return post(request, key)
        finally:
            monkeypatch.setattr(lived.platform, "_store", store)

    monkeypatch.setattr(lived.platform, "_post", posted)


def rounded_up(body):
    return {**body, "dial_rate": math.ceil(body["dial_rate"] * 100) / 100}


def test_a_value_that_is_stored_wider_than_sent_and_than_before_is_not_activated(
    started, monkeypatch
):
    lived = started
    stores(lived, monkeypatch, rounded_up)
    rate(lived, "1001", 3.456)
    ran = lived.desk.run("apply", "--yes", TENANT)
    assert ran.code == 3
    assert "`dial_rate` was sent as 3.456 and is stored as 3.46, which may dial more" in ran.out
    assert lived.platform.active("1001")["dial_rate"] == 3.0
    assert outcome(lived, "1001")["result"] == "stored_not_active"
    lived.desk.run("apply", "--yes", TENANT)
    assert lived.platform.active("1001")["dial_rate"] == 3.0, "and not by the next run either"


def test_a_narrowing_that_is_stored_a_little_wider_dials_rather_than_what_was_before(
    started, monkeypatch
):
    lived = started
    stores(lived, monkeypatch, rounded_up)
    rate(lived, "1001", 2.456)
    edit(lived, "1002", r"end_hour: 18", "end_hour: 20")
    ran = lived.desk.run("apply", "--yes", TENANT)
    assert ran.code == 3
    assert "`dial_rate` was sent as 2.456 and is stored as 2.46" in ran.out
    assert lived.platform.active("1001")["dial_rate"] == 2.46
    assert "not started, because a tightening is not active: campaign-1001" in ran.out


def test_an_answer_without_the_body_is_read_back_before_a_widening_dials(started, monkeypatch):
    lived = started
    stores(lived, monkeypatch, rounded_up)
    post = lived.platform._post

    def short(request, key):
        status, body, headers = post(request, key)
        return status, {"id": body["id"]}, headers

    monkeypatch.setattr(lived.platform, "_post", short)
    rate(lived, "1001", 3.456)
    assert lived.desk.run("apply", "--yes", TENANT).code == 3
    assert lived.platform.active("1001")["dial_rate"] == 3.0


def test_a_list_that_lags_behind_is_nobodys_change(started, monkeypatch):
    lived = started
    keys = ("1001", "1002", "1003", "1005", "1006", "1007", "1008", "1009")
    before = copy.deepcopy(lived.platform.objects)
    listed, lags = lived.platform._campaigns, []

    def lagging(request):
        wrote = any(line.what == "REFRESH" for line in lived.platform.journal)
        if not wrote or lags:
            return listed(request)
        lags.append(request)
        now, lived.platform.objects = lived.platform.objects, before
        try:
            return listed(request)
        finally:
            lived.platform.objects = now

    monkeypatch.setattr(lived.platform, "_campaigns", lagging)
    for key in keys:
        rate(lived, key, 2.0)
    ran = lived.desk.run("apply", "--yes", TENANT)
    assert len(lags) == 1
    assert ran.code == 0, ran.out
