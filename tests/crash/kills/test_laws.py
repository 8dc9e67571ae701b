"""The laws of the kills see what they must: each is broken once, by hand."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.crash.kills import front as fronts
from tests.crash.kills.cast import CampaignCast, cast_of, manifests, merge_files, rewrite
from tests.crash.kills.front import Clock, Front
from tests.crash.kills.laws import Laws, Stop
from tests.crash.kills.site import Parent, Ran, Site
from tests.quirks.platform import SECRET, START

MANIFEST = """\
apiVersion: cxone.reconciler/v1
kind: CampaignSchedule
metadata:
  name: campaign-{key}
spec:
  campaign_id: "{key}"
  dial_rate: 3.0
  max_concurrent_calls: 100
  dnc_verification: true
  compliance_windows:
    - {{timezone: America/Chicago, start_hour: 9, end_hour: 18}}
    - {{timezone: America/New_York, start_hour: 9, end_hour: 18}}
"""


class Hand:
    """Sends what a command of the product might send."""

    def __init__(self, folder: Path) -> None:
        platform = fronts.opened("campaigns", Clock(START, time.monotonic(), 20.0), ("no-keys",))
        self.front = Front(platform, 0)
        url = "http://127.0.0.1:1"
        parents = (Parent(), Parent())
        site = Site(folder, parents, self.front, url, START, 0.0, 20.0, "schedules/acme")
        cast = cast_of(platform)
        assert isinstance(cast, CampaignCast)
        self.cast = cast
        cast.seed()
        for key in cast.keys[:4]:
            path = site.folder / f"{key}.yaml"
            path.write_text(MANIFEST.format(key=key), encoding="utf-8")
        site.commit("what is wanted")
        self.laws, self.before = Laws(site, cast), {}
        self.before = self.laws.before()
        self.number = 0

    def sends(self, name: str, method: str, key: str, body: Any = None) -> None:
        form = f"client_id=quirk-client.{name}&client_secret={SECRET}"
        said = self.front.answer("POST", "/api/oauth2/token", {}, form.encode())
        assert said is not None
        token = json.loads(said[2])["access_token"]
        self.number += 1
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(self.number)}
        content = b"" if body is None else json.dumps(body).encode()
        self.front.answer(method, f"/api/campaigns/{key}/schedule", headers, content)

    def ended(self, name: str, *arguments: str, code: int = 0, out: str = "") -> list[str]:
        """Judge a command that did this; return the names of the laws that it broke."""
        ran = Ran(
            name, arguments, code, None, struck=False, out=out, requests=0, children=0, took_s=0
        )
        self.laws.site.ran.append(ran)
        self.laws.after(ran, self.before)
        return self.broken()

    def broken(self) -> list[str]:
        return [each.partition(":")[0] for each in self.laws.wrong]


@pytest.fixture
def hand(tmp_path: Path) -> Hand:
    return Hand(tmp_path)


def test_a_write_without_an_intent_is_seen(hand: Hand) -> None:
    hand.sends("c1", "POST", "1001", hand.cast.body("1001", rate=2.0))
    assert hand.ended("c1", "apply") == ["no-intent"]


def test_a_write_that_is_wider_than_before_and_wanted_is_seen(hand: Hand) -> None:
    hand.sends("c1", "POST", "1001", hand.cast.body("1001", rate=4.5))
    assert hand.ended("c1", "halt", "--all", code=3) == ["wider"]


def test_a_write_of_a_command_that_only_reads_is_seen(hand: Hand) -> None:
    hand.sends("c1", "DELETE", "1001")
    assert hand.ended("c1", "release") == ["writes"]


def test_a_stop_that_says_held_while_it_dials_and_no_hold_is_shared_is_seen(hand: Hand) -> None:
    assert hand.ended("c1", "halt", "1001") == ["not-silent", "no-hold"]


@pytest.mark.parametrize(("held", "law"), [(True, "unheld-stop"), (False, "unheld-killed-stop")])
def test_what_is_stopped_and_stored_again_is_seen(hand: Hand, law: str, *, held: bool) -> None:
    hand.sends("c1", "DELETE", "1001")
    since = len(hand.cast.platform.journal)
    hand.laws.stops["1001"] = Stop(since, "c1", held=held)
    hand.sends("c2", "POST", "1001", hand.cast.body("1001"))
    assert law in hand.ended("c2", "apply")


def test_a_stop_that_died_is_remembered_with_what_it_reached(hand: Hand) -> None:
    hand.sends("c1", "DELETE", "1001")
    assert hand.ended("c1", "halt", "1001", code=-9) == []
    hand.sends("c2", "POST", "1001", hand.cast.body("1001"))
    assert "unheld-killed-stop" in hand.ended("c2", "apply")


@pytest.mark.parametrize("left", ["", 'spec: {campaign_id: "1001', "spec:\n"])
def test_a_manifest_that_is_half_written_is_seen(hand: Hand, left: str) -> None:
    hand.laws.whole_files()
    assert hand.broken() == []
    (hand.laws.site.folder / "1001.yaml").write_text(left, encoding="utf-8")
    hand.laws.whole_files()
    assert hand.broken() == ["half-written"]


def test_a_narrowing_by_hand_that_an_apply_undoes_is_seen(hand: Hand) -> None:
    assert hand.ended("c1", "apply") == []
    hand.cast.platform.hand("1001", hand.cast.body("1001", rate=1.5))
    hand.laws.by_hand("1001")
    hand.sends("c2", "POST", "1001", hand.cast.body("1001", rate=2.0))
    assert "undone" in hand.ended("c2", "apply")


def test_what_git_asks_anew_after_a_narrowing_by_hand_is_no_undoing(hand: Hand) -> None:
    hand.ended("c1", "apply")
    hand.cast.platform.hand("1001", hand.cast.body("1001", rate=1.5))
    hand.laws.by_hand("1001")
    hand.laws.committed("1001")
    hand.sends("c2", "POST", "1001", hand.cast.body("1001", rate=2.0))
    assert "undone" not in hand.ended("c2", "apply")


def test_a_release_ends_a_stop_only_when_its_hold_was_recorded(hand: Hand) -> None:
    hand.laws.stops = {"1001": Stop(0, "c1", held=True), "1002": Stop(0, "c1", held=False)}
    hand.laws.released()
    assert set(hand.laws.stops) == {"1002"}


def test_a_schedule_that_is_deployed_twice_is_seen(hand: Hand) -> None:
    for name in ("c1", "c2"):
        hand.sends(name, "POST", "1001", hand.cast.body("1001", rate=2.0))
        hand.ended(name, "halt", "1001", code=3)
    hand.laws.wrong.clear()
    hand.laws.finally_()
    assert hand.broken() == ["duplicate"]


def test_a_write_that_nothing_records_and_a_record_that_is_gone_are_seen(hand: Hand) -> None:
    hand.sends("c1", "POST", "1001", hand.cast.body("1001", rate=2.0))
    hand.ended("c1", "apply")
    hand.laws.wrong.clear()
    hand.laws.known["a hold"] = {"kind": "hold", "run": "c1"}
    hand.laws.finally_()
    assert hand.broken() == ["lost", "no-record"]


def test_what_is_not_as_git_asks_and_what_is_held_without_a_reason_are_seen(hand: Hand) -> None:
    hand.laws.converged(set(), whole=False)
    assert hand.broken() == []
    hand.cast.platform.hand("1001", hand.cast.body("1001", rate=2.0))
    hand.laws.converged({"1002"}, whole=False)
    assert hand.broken() == ["held", "not-converged", "not-converged"]


@pytest.mark.parametrize(("code", "out"), [(64, ""), (-99, ""), (0, "Traceback (most recent")])
def test_a_command_that_ends_as_none_should_is_seen(hand: Hand, code: int, out: str) -> None:
    assert hand.ended("c1", "plan", code=code, out=out) in (["exit"], ["traceback"])


def test_manifests_are_read_and_edited_in_one_file_as_in_several(hand: Hand) -> None:
    folder = hand.laws.site.folder
    apart = manifests(folder, "campaign_id")
    merge_files(folder)
    assert manifests(folder, "campaign_id") == apart
    assert rewrite(folder, "campaign_id", "1002", lambda text: text.replace("3.0", "2.0"))
    now = manifests(folder, "campaign_id")
    assert {key: each["spec"]["dial_rate"] for key, each in now.items()} == {
        **dict.fromkeys(("1001", "1003", "1004"), 3.0),
        "1002": 2.0,
    }
