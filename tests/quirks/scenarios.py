"""Who changes what in the life of a change: in git, by hand, both; for campaigns and for skills."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.quirks import oracle
from tests.quirks.campaigns import Campaigns
from tests.quirks.platform import Platform
from tests.quirks.skills import DAYS, Skills, general, week, zone
from tests.support.bodies import make_body

Edit = Callable[[dict[str, Any]], Any]


class Scenario(Protocol):
    """One API's objects, and what is done to them.

    Attributes:
        platform: where they are.
        desired: what git wants of each object after the edits; `None`: retired.
        reverted: an object that a hand narrows, and `--revert` brings back.
        held: objects whose dialing a stop ends for good until `--revert`, because a hand narrowed them.
    """

    platform: Any
    desired: dict[str, Any]
    held: set[str]
    reverted: str

    def facts(self, body: Any) -> oracle.Facts | None: ...
    def named(self, key: str) -> str: ...
    def edit(self, folder: Path) -> None: ...
    def hands(self) -> dict[str, Any]: ...
    def before_stop(self) -> None: ...


def manifest_of(folder: Path, key: str) -> Path | None:
    """Return the manifest of an object."""
    for path in sorted(folder.glob("*.yaml")):
        if re.search(rf"_id: ['\"]?{key}['\"]?$", path.read_text(), re.MULTILINE):
            return path
    return None


def replaced(path: Path | None, pattern: str, new: str) -> None:
    assert path is not None
    text, count = re.subn(pattern, new, path.read_text(), flags=re.MULTILINE)
    assert count, f"{pattern} is nowhere in {path.name}:\n{path.read_text()}"
    path.write_text(text)


def written(folder: Path, kind: str, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    """Write a manifest by hand; JSON is YAML, too."""
    said = {
        "apiVersion": "cxone.reconciler/v1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }
    (folder / f"{metadata['name']}.yaml").write_text(json.dumps(said, indent=1) + "\n")


class CampaignScenario:
    """1001-1004 are changed in git; 1005-1009 by hand; 1010 by both; 1011 at random; 2001 is nobody's."""

    SPAN = ("2027-03-01T05:00:00Z", "2027-05-01T03:59:00Z")

    def __init__(self, platform: Campaigns, rng: random.Random) -> None:
        self.platform, self.rng = platform, rng
        for number in (1, 2, 3, 5, 6, 7, 8, 9, 10, 11):
            platform.add(f"10{number:02}", self.body(f"10{number:02}"))
        self.desired = {key: platform.stored(key) for key in platform.objects}
        self.held = {"1005", "1007", "1008", "1009", "1010", "1011"}
        self.reverted = "1005"

    facts = staticmethod(oracle.of_campaign)
    named = staticmethod("campaign-{}".format)

    def body(self, key: str, **more: Any) -> dict[str, Any]:
        start, end = self.SPAN
        zones = ("America/Chicago", "America/New_York")
        known = {
            "start_time": start,
            "end_time": end,
            "dial_rate": 3.0,
            "max_concurrent_calls": 100,
        }
        windows = [window(each, 9, 18) for each in zones]
        return make_body(**{"campaign_id": key, "compliance_windows": windows, **known, **more})

    def edit(self, folder: Path) -> None:
        self.platform.add("1004", None)
        self.platform.hidden["1004"] = 3
        replaced(manifest_of(folder, "1001"), r"dial_rate: \S+", "dial_rate: 2.0")
        replaced(manifest_of(folder, "1002"), r"end_hour: 18", "end_hour: 20")
        replaced(manifest_of(folder, "1003"), r"^metadata:", "metadata:\n  retired: true")
        replaced(
            manifest_of(folder, "1010"), r"max_concurrent_calls: \S+", "max_concurrent_calls: 90"
        )
        new = self.body("1004", dial_rate=1.5)
        spec = new | {"start_time": "2027-03-01 00:00", "end_time": "2027-04-30 23:59"}
        written(folder, "CampaignSchedule", {"name": "brand-new"}, spec)
        self.desired["1001"]["dial_rate"] = 2.0
        for each in self.desired["1002"]["compliance_windows"]:
            each["end_hour"] = 20
        self.desired["1010"]["max_concurrent_calls"] = 90
        self.desired |= {"1003": None, "1004": new}

    def hands(self) -> dict[str, Any]:
        wide = [
            window(each, 7, 23)
            for each in ("America/Chicago", "America/New_York", "America/Denver")
        ]
        shifted = [window(each, 11, 21) for each in ("America/Chicago", "America/New_York")]
        said: dict[str, Any] = {
            "1005": self.body("1005", dial_rate=1.25),
            "1006": self.body(
                "1006",
                dial_rate=9.5,
                max_concurrent_calls=900,
                compliance_windows=wide,
                dnc_verification=False,
            ),
            "1007": self.body("1007", dial_rate=2.5, compliance_windows=[], dnc_verification=False),
            "1008": self.body("1008", compliance_windows=shifted),
            "1009": None,
            "1010": self.body("1010", dial_rate=1.0),
            "1011": self.drawn("1011"),
        }
        for key, body in said.items():
            self.platform.hand(key, body)
        return said

    def drawn(self, key: str) -> dict[str, Any]:
        """Return an edit of every field that some hand might make."""
        rng = self.rng
        zones = rng.sample(
            ("America/Chicago", "America/New_York", "America/Denver"), rng.randint(1, 3)
        )
        starts = [rng.randint(6, 14) for _ in zones]
        return self.body(
            key,
            dial_rate=rng.choice((1.5, 3.0, 6.25)),
            max_concurrent_calls=rng.choice((50, 100, 700)),
            compliance_windows=[
                window(each, start, rng.randint(start + 3, 23))
                for each, start in zip(sorted(zones), starts, strict=True)
            ],
            dnc_verification=rng.choice((True, False)),
        )

    def before_stop(self) -> None:
        self.platform.add("2001", self.body("2001"))


def window(zone_name: str, start: int, end: int) -> dict[str, Any]:
    return {"timezone": zone_name, "start_hour": start, "end_hour": end}


class SkillScenario:
    """4001, 4002, 4004 are changed in git; 4005-4009 by hand; 4010 by both; 4011 at random; 4020 is nobody's, and runs."""

    def __init__(self, platform: Skills, rng: random.Random) -> None:
        self.platform, self.rng = platform, rng
        for number in (1, 2, 5, 6, 7, 8, 9, 10, 11):
            platform.add(f"40{number:02}", zones=zones(), groups=("70", "71"))
        self.desired = {key: platform.stored(key) for key in platform.objects}
        self.held = {"4005", "4007", "4008", "4009", "4010", "4011"}
        self.reverted = "4005"

    facts = staticmethod(oracle.of_skill)
    named = staticmethod("skill-{}".format)

    def edit(self, folder: Path) -> None:
        self.platform.add("4004", zones=zones(), groups=("70",))
        self.platform.hidden["4004"] = 3
        replaced(manifest_of(folder, "4001"), r"maximum_ratio: \S+", "maximum_ratio: 1.2")
        replaced(manifest_of(folder, "4002"), r'end: "20:00"', 'end: "20:30"')
        replaced(
            manifest_of(folder, "4010"),
            r"abandon_rate_threshold: \S+",
            "abandon_rate_threshold: 2.5",
        )
        model = manifest_of(folder, "4005")
        assert model is not None
        text = model.read_text().replace("4005", "4004")
        (folder / "brand-new.yaml").write_text(text)
        replaced(folder / "brand-new.yaml", r'name: "skill-4004"', "name: brand-new")
        replaced(folder / "brand-new.yaml", r"maximum_ratio: \S+", "maximum_ratio: 1.1")
        self.desired["4004"] = copy.deepcopy(self.desired["4005"])
        self.desired["4001"]["generalSettings"]["maximumRatio"] = 1.2
        self.desired["4004"]["generalSettings"]["maximumRatio"] = 1.1
        self.desired["4010"]["generalSettings"]["abandonRateThreshold"] = 2.5
        for each in self.desired["4002"]["timeZoneSettings"]:
            each["endTime"] = "20:30"

    def hands(self) -> dict[str, Any]:
        narrow = general(maximumRatio=1.25)
        wide = general(
            maximumRatio=2.75,
            aggressiveness="9",
            blockMultipleCalls=False,
            percentageOfAgentsBeforeOverdial=5,
            abandonRateThreshold=9,
        )
        every = [
            zone(each, "07:00", "23:00")
            for each in ("America/New_York", "America/Chicago", "America/Denver")
        ]
        unscheduled = "unscheduled" in self.platform.quirks
        around = week("06:00", "23:00") | ({"isScheduled": False} if unscheduled else {})
        shifted = [zone(each, "11:00", "21:30") for each in ("America/New_York", "America/Chicago")]
        night = [
            zone("America/New_York", "09:00", "02:00"),
            zone("America/Chicago", "09:00", "00:00"),
        ]
        said = {
            "4005": self.body(generalSettings=narrow),
            "4006": self.body(
                generalSettings=wide,
                timeZoneSettings=every,
                scheduleSettings=around,
                groups=[],
            ),
            "4007": self.body(
                generalSettings=general(maximumRatio=1.25, abandonRateThreshold=8),
                timeZoneSettings=night,
                groups=["71", "72"],
            ),
            "4008": self.body(timeZoneSettings=shifted, scheduleSettings=week("10:00", "22:00")),
            "4009": self.body(timeZoneSettings=[zone("America/New_York")]),
            "4010": self.body(generalSettings=narrow),
            "4011": self.drawn(),
        }
        for key, body in said.items():
            self.platform.hand(key, body)
        return said

    def body(self, **more: Any) -> dict[str, Any]:
        return {
            "scheduleSettings": week(),
            "timeZoneSettings": zones(),
            "generalSettings": general(),
            "groups": ["70", "71"],
            **more,
        }

    def drawn(self) -> dict[str, Any]:
        """Return an edit of every field that some hand might make."""
        rng = self.rng
        names = rng.sample(
            ("America/New_York", "America/Chicago", "America/Denver"), rng.randint(1, 3)
        )
        days = week()
        for day in DAYS:
            days |= {
                f"{day}StartTime": f"{rng.randint(6, 11):02}:00",
                f"{day}EndTime": f"{rng.randint(17, 23)}:30",
            }
        pacing = general(
            maximumRatio=rng.choice((1.25, 1.5, 2.5)),
            aggressiveness=rng.choice(("3", "5", "8")),
            blockMultipleCalls=rng.choice((True, False)),
            percentageOfAgentsBeforeOverdial=rng.choice((10, 20, 40)),
            abandonRateThreshold=rng.choice((1, 3, 9)),
        )
        hours = [
            zone(each, f"{rng.randint(6, 12):02}:00", f"{rng.randint(15, 23)}:00") for each in names
        ]
        groups = [group for group in ("70", "71", "72") if rng.random() < 0.6]
        return self.body(
            scheduleSettings=days, timeZoneSettings=hours, generalSettings=pacing, groups=groups
        )

    def before_stop(self) -> None:
        self.platform.add("4020", running=True, groups=())
        for key in ("4002", "4006", "4011"):
            self.platform.objects[key]["running"] = True


def zones() -> list[dict[str, Any]]:
    return [zone(each) for each in ("America/New_York", "America/Chicago")]


def scenario(platform: Platform, rng: random.Random) -> Scenario:
    if isinstance(platform, Campaigns):
        return CampaignScenario(platform, rng)
    assert isinstance(platform, Skills)
    return SkillScenario(platform, rng)
